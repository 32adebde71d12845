"""Images and masks in a folder or an archive → examples by split."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import cast

import numpy as np

from cnncli.config.schema.schema import Data
from cnncli.datasets.collection import BadFile, Collection, Part
from cnncli.datasets.files import Files
from cnncli.datasets.image_files import Classes, first_reason, groups_of, shown
from cnncli.datasets.masks.coding import Coding, Value
from cnncli.datasets.masks.layout import Pair, pairs
from cnncli.datasets.masks.scan import MaskFacts, scan_masks
from cnncli.datasets.masks.targets import MaskFiles, Masks
from cnncli.datasets.scan import Scan, Watch, scan
from cnncli.datasets.splits import Split
from cnncli.datasets.store import Listing, Store
from cnncli.errors import DataError

CLASSES_FILE = "classes.txt"
"""Names of the classes of masks, a line each, where the config names none."""

_MOST_LINES = 1 << 16


def from_masks(store: Store, origin: str, data: Data, classes: Classes | None, watch: Watch | None) -> Collection:
    """Return the images of a store with their masks.

    Raises:
        DataError: If there are no images with masks, or other classes than `classes`.
    """
    listing = store.listing()
    coding = _coding(store, listing, data)
    if classes is not None and coding.classes != classes:
        raise DataError(f"{origin} has the classes {', '.join(coding.classes)}; expected {', '.join(classes)}")
    found = pairs(listing.names, origin, data.images, data.masks)
    ordered = sorted(found.found, key=lambda pair: listing.names[pair.image])
    images = [pair.image for pair in ordered]
    masks = [pair.mask for pair in ordered]
    files = Files.of(store, [listing.names[row] for row in images], data.channels)
    scanned = scan(files, listing.stamps[images], watch)
    mask_files = MaskFiles(store, [listing.names[row] for row in masks], coding)
    facts = scan_masks(mask_files, listing.stamps[masks])
    bad = [BadFile(shown(name), split, reason) for name, split, reason in found.unpaired]
    bad += [BadFile(shown(name), "", reason) for name, reason in listing.bad]
    bad += _bad(ordered, files, scanned, mask_files, facts)
    names = {item.file for item in bad}
    good = [row for row, name in enumerate(files.names) if not {shown(name), shown(mask_files.names[row])} & names]
    files = replace(
        files,
        plain=scanned.facts.plain,
        sizes=scanned.facts.sizes,
        stamps=scanned.stamps,
        contents=scanned.contents,
    )
    parts = _parts(ordered, good, files, scanned, Masks(mask_files, facts.pixels, facts.hashes), data)
    bad.sort(key=lambda item: item.file)
    if not len(parts["train"]):
        raise DataError(f"{origin} contains no readable training images with masks", hint=first_reason(bad))
    return Collection(coding.classes, parts, bad, listing.ignored)


def _parts(
    ordered: Sequence[Pair], good: Sequence[int], files: Files, scanned: Scan, masks: Masks, data: Data
) -> dict[str, Part]:
    groups = groups_of(files.names, data.group)
    parts = {}
    for name in dict.fromkeys(("train", *(pair.split for pair in ordered))):
        rows = np.array([row for row in good if ordered[row].split == name], np.int64)
        images = files.take(rows)
        parts[name] = Part(
            Split(name, images, masks.take(rows), [shown(each) for each in images.names]),
            scanned.facts.take(rows),
            None if groups is None else [groups[row] for row in rows.tolist()],
        )
    return parts


def _bad(ordered: Sequence[Pair], files: Files, scanned: Scan, masks: MaskFiles, facts: MaskFacts) -> Iterator[BadFile]:
    """Yield what cannot be read, and masks of another size than their images."""
    for row, pair in enumerate(ordered):
        image, mask = shown(files.names[row]), shown(masks.names[row])
        if scanned.reasons[row]:
            yield BadFile(image, pair.split, scanned.reasons[row])
        if facts.reasons[row]:
            yield BadFile(mask, pair.split, facts.reasons[row])
        if scanned.reasons[row] or facts.reasons[row]:
            continue
        size, of_mask = scanned.facts.sizes[row].tolist(), facts.sizes[row].tolist()
        if size != of_mask:
            yield BadFile(mask, pair.split, _sizes_differ(size, of_mask))


def _sizes_differ(size: list[int], of_mask: list[int]) -> str:
    reason = f"the mask has {of_mask[0]}×{of_mask[1]} pixels, its image {size[0]}×{size[1]}"
    if size == of_mask[::-1]:
        reason += "; the image may be turned by its EXIF orientation, which the mask does not follow"
    return reason


def _coding(store: Store, listing: Listing, data: Data) -> Coding:
    """Return what the values of masks mean: as the config says, or classes.txt.

    Raises:
        DataError: If neither says it.
    """
    given = data.classes
    if isinstance(given, dict):
        return Coding.of(given, _ignored(data, any(not isinstance(value, int) for value in given.values())))
    # A list counts all values, so that one of them may be among those to ignore: "void" at the end of a classes.txt.
    names, ignored = given or _from_file(store, listing), _ignored(data, coloured=False)
    return Coding.of({name: number for number, name in enumerate(names) if number not in ignored}, ignored)


def _from_file(store: Store, listing: Listing) -> tuple[str, ...]:
    """Return the lines of classes.txt.

    Raises:
        DataError: If there is none, or it is not that.
    """
    file = next((name for name in listing.names if name.rsplit("/", 1)[-1] == CLASSES_FILE), None)
    if file is None:
        raise DataError(
            "the classes of the masks are not known",
            "Give the value of each: data.classes: {background: 0, cell: 1}, or their names in the order of their "
            "values, in data.classes or a file classes.txt beside the images.",
        )
    return _lines(store.read(file), file)


def _lines(content: bytes, name: str) -> tuple[str, ...]:
    if len(content) > _MOST_LINES:
        raise DataError(f"{name} has {len(content):,} bytes; expected the name of a class on each line")
    try:
        lines = [line.strip() for line in content.decode("utf-8-sig").splitlines()]
    except UnicodeDecodeError as error:
        raise DataError(f"{name} is not UTF-8 text") from error
    found = [line for line in lines if line]
    if not found or len(set(found)) != len(found):
        raise DataError(f"{name}: expected the name of a class on each line, each once")
    return tuple(found)


def _ignored(data: Data, coloured: bool) -> tuple[Value, ...]:
    """Return the values to ignore: none, one, or several; three numbers are a colour where classes are colours."""
    given = data.ignore
    if given is None:
        return ()
    if isinstance(given, int):
        return (given,)
    if coloured and len(given) == 3 and all(isinstance(value, int) for value in given):
        return (cast("Value", given),)
    return tuple(given)
