"""Images and masks in a folder or an archive → examples by split."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from cnncli.config.schema.schema import Data
from cnncli.datasets.collection import BadFile, Collection, Part
from cnncli.datasets.files import Files
from cnncli.datasets.image_files import Classes, groups_of, shown
from cnncli.datasets.masks.annotations import ANNOTATIONS, from_annotations
from cnncli.datasets.masks.coding import Coding, ignored_values
from cnncli.datasets.masks.layout import Pairs, pairs
from cnncli.datasets.masks.scan import MaskFacts, MaskSet, scan_masks
from cnncli.datasets.masks.targets import MaskFiles, Masks
from cnncli.datasets.masks.values import suggested_classes, values_of
from cnncli.datasets.scan import Scan, Watch, scan
from cnncli.datasets.splits import Split
from cnncli.datasets.store import Listing, Store
from cnncli.errors import DataError
from cnncli.plural import counted

CLASSES_FILE = "classes.txt"
"""Names of the classes of masks, a line each, where the config names none."""

_MOST_LINES = 1 << 16

_MOST_LOOKED_AT = 20
"""Masks from whose values classes are suggested."""


def from_masks(store: Store, origin: str, data: Data, classes: Classes | None, watch: Watch | None) -> Collection:
    """Return the images of a store with their masks.

    Raises:
        DataError: If there are no images with masks, or other classes than `classes`.
    """
    listing = store.listing()
    if data.masks is not None and data.masks.endswith(ANNOTATIONS):
        found = from_annotations(store, listing, origin, data, watch)
    else:
        found = _from_files(store, listing, origin, data, watch)
    if classes is not None and found.coding.classes != classes:
        raise DataError(f"{origin} has the classes {', '.join(found.coding.classes)}; expected {', '.join(classes)}")
    images = list(found.images)
    files = Files.of(store, [listing.names[row] for row in images], data.channels)
    scanned = scan(files, listing.stamps[images], watch)
    bad = [BadFile(shown(name), split, reason) for name, split, reason in found.unpaired]
    bad += [BadFile(shown(name), "", reason) for name, reason in listing.bad]
    bad += _bad(found, files, scanned)
    names = {item.file for item in bad}
    good = [row for row, name in enumerate(files.names) if not {shown(name), shown(found.names[row])} & names]
    files = scanned.told_to(files)
    parts = _parts(found, good, files, scanned, data)
    bad.sort(key=lambda item: item.file)
    if not len(parts["train"]):
        raise DataError(f"{origin} contains no readable training images with masks", hint=_why_none(bad))
    return Collection(found.coding.classes, parts, bad, listing.ignored + found.ignored)


def _from_files(store: Store, listing: Listing, origin: str, data: Data, watch: Watch | None) -> MaskSet:
    """Return masks that are images.

    Raises:
        DataError: If there are none, or it is not known what their values mean.
    """
    found = pairs(listing.names, origin, data.images, data.masks)
    coding = _coding(store, listing, data, found)
    ordered = sorted(found.found, key=lambda pair: listing.names[pair.image])
    masks = [pair.mask for pair in ordered]
    files = MaskFiles(store, [listing.names[row] for row in masks], coding)
    facts = scan_masks(files, listing.stamps[masks], watch)
    return MaskSet(
        coding=coding,
        splits=[pair.split for pair in ordered],
        images=[pair.image for pair in ordered],
        names=files.names,
        source=replace(files, contents=facts.contents),
        facts=facts,
        unpaired=found.unpaired,
        ignored=found.ignored,
    )


def _parts(found: MaskSet, good: Sequence[int], files: Files, scanned: Scan, data: Data) -> dict[str, Part]:
    groups = groups_of(files.names, data.group)
    masks = Masks(found.source, found.facts.pixels, found.facts.hashes, _turned_alone(scanned, found.facts))
    parts = {}
    for name in dict.fromkeys(("train", *found.splits)):
        rows = np.array([row for row in good if found.splits[row] == name], np.int64)
        images = files.take(rows)
        parts[name] = Part(
            Split(name, images, masks.take(rows), [shown(each) for each in images.names]),
            scanned.facts.take(rows),
            None if groups is None else [groups[row] for row in rows.tolist()],
        )
    return parts


def _bad(found: MaskSet, files: Files, scanned: Scan) -> Iterator[BadFile]:
    """Yield what cannot be read, and masks of another size than their images."""
    facts = found.facts
    for row, split in enumerate(found.splits):
        image, mask = shown(files.names[row]), shown(found.names[row])
        if scanned.reasons[row]:
            yield BadFile(image, split, scanned.reasons[row])
        if facts.reasons[row]:
            yield BadFile(mask, split, facts.reasons[row])
        if scanned.reasons[row] or facts.reasons[row]:
            continue
        size, of_mask = scanned.facts.sizes[row].tolist(), facts.sizes[row].tolist()
        turns = int(scanned.facts.orientations[row]), int(facts.orientations[row])
        if size != of_mask:
            yield BadFile(mask, split, _sizes_differ(size, of_mask, turns))


def _turned_alone(scanned: Scan, facts: MaskFacts) -> npt.NDArray[np.bool_]:
    """Say where the EXIF orientation of one of two files turned it, and their sizes do not tell whether it should."""
    of_images, of_masks = (np.maximum(turns, 1) for turns in (scanned.facts.orientations, facts.orientations))
    square = facts.sizes[:, 0] == facts.sizes[:, 1]
    # From 5 on an orientation exchanges height and width.
    alone: npt.NDArray[np.bool_] = (of_images != of_masks) & (square | (np.maximum(of_images, of_masks) < 5))
    return alone


def _why_none(bad: Sequence[BadFile]) -> str:
    """Say why there is no image with a mask."""
    if not bad:
        return "None of the folders that are known by name is for training."
    return f"{counted(len(bad), 'file')} cannot be used, the first of them {bad[0].file}: {bad[0].reason}."


def _sizes_differ(size: list[int], of_mask: list[int], orientations: tuple[int, int]) -> str:
    """Say how image and mask differ, and whether EXIF is the reason."""
    reason = f"the mask has {of_mask[0]}×{of_mask[1]} pixels, its image {size[0]}×{size[1]}"
    of_image, of_its_mask = (max(orientation, 1) for orientation in orientations)
    if size == of_mask[::-1] and of_image != of_its_mask:
        reason += f"; the image has EXIF orientation {of_image}, the mask {of_its_mask}"
    return reason


def _coding(store: Store, listing: Listing, data: Data, found: Pairs) -> Coding:
    """Return what the values of masks mean: as the config says, or classes.txt.

    Raises:
        DataError: If neither says it.
    """
    if isinstance(data.classes, dict):
        return Coding.of(data.classes, ignored_values(data))
    return Coding.of_names(data.classes or _from_file(store, listing, found), ignored_values(data))


def listed_classes(store: Store, listing: Listing) -> tuple[str, ...] | None:
    """Return the lines of classes.txt, or None without that file.

    Raises:
        DataError: If it does not have the name of a class on each line.
    """
    file = next((name for name in listing.names if name.rsplit("/", 1)[-1] == CLASSES_FILE), None)
    return None if file is None else _lines(store.read(file), file)


def _from_file(store: Store, listing: Listing, found: Pairs) -> tuple[str, ...]:
    """Return the lines of classes.txt.

    Raises:
        DataError: If there is none, or it is not that.
    """
    listed = listed_classes(store, listing)
    if listed is not None:
        return listed
    first = [listing.names[pair.mask] for pair in found.found[:_MOST_LOOKED_AT]]
    suggested = suggested_classes(values_of((name, content(store, name)) for name in first))
    how = f"The first {counted(len(first), 'mask')} would be read with: {suggested.to_text()}\n" if suggested else ""
    raise DataError(
        "the classes of the masks are not known",
        f"{how}Give the value of each class, data.classes: {{background: 0, cell: 1}}, or their names in the order of "
        f"their values, in data.classes or in a file {CLASSES_FILE} beside the images.",
    )


def content(store: Store, name: str) -> bytes:
    """Return a file's content; of one that cannot be read, nothing."""
    try:
        return store.read(name)
    except DataError:
        return b""


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
