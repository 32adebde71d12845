"""Image files in a folder, an archive or a table → examples by split."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from cnncli.config.schema.schema import Data
from cnncli.datasets import layout
from cnncli.datasets.collection import BadFile, Collection, Part
from cnncli.datasets.files import Files
from cnncli.datasets.layout import Layout
from cnncli.datasets.scan import Watch, scan
from cnncli.datasets.splits import Split
from cnncli.datasets.stamps import stamp_of, table
from cnncli.datasets.store import Folder, Listing, Store
from cnncli.datasets.targets import ClassNumbers
from cnncli.errors import DataError
from cnncli.plural import counted

Classes = tuple[str, ...]


def from_store(store: Store, origin: str, data: Data, classes: Classes | None, watch: Watch | None) -> Collection:
    """Return the examples in a folder or an archive; `origin` is what errors call it.

    Raises:
        DataError: If there are no class folders, no training image, or a class unknown to `classes`.
    """
    listing = store.listing()
    found = layout.by_folders(listing, origin)
    collection = measured(store, listing, found, data, classes, watch)
    if not len(collection.parts["train"]):
        raise DataError(f"{origin} contains no readable training images", hint=first_reason(collection.bad_files))
    return collection


def from_csv(path: Path, data: Data, classes: Classes | None, watch: Watch | None) -> Collection:
    """Return the examples that a table names: file, label[, split].

    Raises:
        DataError: If the table is wrong, names no training image, or a class unknown to `classes`.
    """
    names, labels, splits, groups = layout.by_csv(path, None if is_pattern(data.group) else data.group)
    store = Folder(path.parent)
    stamps, bad = [], []
    kept: list[int] = []
    for row, name in enumerate(names):
        try:
            stamps.append(stamp_of((path.parent / name).stat()))
        except (OSError, ValueError) as error:
            bad.append((name, splits[row], getattr(error, "strerror", None) or str(error)))
            continue
        kept.append(row)
    listing = Listing([names[i] for i in kept], table(stamps), [], [], 0)
    found = Layout(
        rows=np.arange(len(kept)),
        splits=[splits[i] for i in kept],
        classes=[labels[i] for i in kept],
        bad=bad,
        train_classes=tuple(sorted({label for label, split in zip(labels, splits, strict=True) if split == "train"})),
        ignored=0,
        groups=None if groups is None else [groups[i] for i in kept],
    )
    collection = measured(store, listing, found, data, classes, watch)
    if not len(collection.parts["train"]):
        raise DataError(f"{path} lists no readable training images", hint=first_reason(collection.bad_files))
    return collection


def measured(
    store: Store, listing: Listing, found: Layout, data: Data, classes: Classes | None, watch: Watch | None
) -> Collection:
    """Return the examples that a layout finds in a store, measured; bad files are set apart.

    Raises:
        DataError: If a split has a class that is not among `classes`, or that training has not.
    """
    named = classes or found.train_classes
    _refuse_unknown(found, named)
    rows = found.rows
    files = Files.of(store, [listing.names[row] for row in rows.tolist()], data.channels)
    scanned = scan(files, listing.stamps[rows], watch)
    files = scanned.told_to(files)
    groups = found.groups if found.groups is not None else groups_of(files.names, data.group)
    place = {name: number for number, name in enumerate(named)}
    labels = np.array([place[name] for name in found.classes], np.int64)
    split_of = np.array(found.splits)
    good = np.array([not reason for reason in scanned.reasons], np.bool_)
    parts = {}
    for name in dict.fromkeys(("train", *found.splits)):
        chosen = np.flatnonzero((split_of == name) & good)
        images = files.take(chosen)
        parts[name] = Part(
            Split(name, images, ClassNumbers(labels[chosen]), [shown(n) for n in images.names]),
            scanned.facts.take(chosen),
            None if groups is None else [groups[row] for row in chosen.tolist()],
        )
    bad = [BadFile(shown(name), split, reason) for name, split, reason in found.bad]
    for row in np.flatnonzero(~good).tolist():
        bad.append(BadFile(shown(files.names[row]), found.splits[row], scanned.reasons[row]))
    bad.sort(key=lambda item: item.file)
    return Collection(named, parts, bad, found.ignored, found.ignored_folders)


def first_reason(bad_files: Sequence[BadFile]) -> str:
    """Say why the first of the files is not an image."""
    if not bad_files:
        return "There are no files in its class folders."
    return f"Of {counted(len(bad_files), 'file')} none is an image; {bad_files[0].file}: {bad_files[0].reason}."


def is_pattern(group: str | None) -> bool:
    """Say whether `data.group` is a pattern of file names, not a table's column."""
    return group is not None and "(" in group


def groups_of(names: Sequence[str], group: str | None) -> list[str] | None:
    """Return what the pattern's one group matches in each file's name.

    Raises:
        DataError: If it does not match in every one: a file alone could be on another side than the rest of its group.
    """
    if group is None:
        return None
    if not is_pattern(group):
        raise DataError(
            f'data.group is "{group}", a column, but the data is not a table',
            hint="For a folder, give a pattern with one group, such as data.group: '^(.+)_[0-9]+'.",
        )
    found = [re.search(group, PurePosixPath(name).name) for name in names]
    missing = [shown(name) for name, match in zip(names, found, strict=True) if match is None or match[1] is None]
    if missing:
        named = ", ".join(missing[:5]) + (", …" if len(missing) > 5 else "")
        raise DataError(f'data.group "{group}" does not match in {counted(len(missing), "file name")}: {named}')
    return [match[1] for match in found if match is not None]


def _refuse_unknown(found: Layout, classes: Classes) -> None:
    unknown = sorted(set(found.classes) - set(classes))
    if unknown:
        where = sorted({split for split, name in zip(found.splits, found.classes, strict=True) if name == unknown[0]})
        raise DataError(
            f'the {where[0]} split has the class "{unknown[0]}", which the training split does not have',
            hint=f"Training classes: {', '.join(classes[:20])}{', …' if len(classes) > 20 else ''}.",
        )


def shown(name: str) -> str:
    """Return a name that can be written as UTF-8: bytes that are not UTF-8 appear as backslash escapes."""
    return name if name.isprintable() else name.encode("utf-8", "backslashreplace").decode()
