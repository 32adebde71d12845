"""Images and the boxes of their objects in a folder or an archive → examples by split."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from cnncli.config.schema.schema import Data
from cnncli.datasets.boxes.bad_boxes import BadBox, BadBoxes
from cnncli.datasets.boxes.check import checked, stored_size
from cnncli.datasets.boxes.coco import read_coco
from cnncli.datasets.boxes.entries import Entries, ImageEntry
from cnncli.datasets.boxes.targets import Boxes, Objects
from cnncli.datasets.boxes.voc import read_voc
from cnncli.datasets.boxes.yolo import read_yolo
from cnncli.datasets.collection import BadFile, Collection, Part
from cnncli.datasets.files import Files
from cnncli.datasets.image_files import Classes, groups_of, shown
from cnncli.datasets.scan import Scan, Watch, scan
from cnncli.datasets.splits import Split
from cnncli.datasets.store import Listing, Store
from cnncli.errors import DataError
from cnncli.plural import counted

READERS: dict[str, Callable[[Store, Listing, str, Classes | None], Entries]] = {
    "voc": read_voc,
    "coco": read_coco,
    "yolo": read_yolo,
}
"""By source: what reads its annotations."""


def from_boxes(store: Store, origin: str, data: Data, classes: Classes | None, watch: Watch | None) -> Collection:
    """Return the images of a store with the boxes of their objects.

    Classes are those of `classes`, or of data.classes, or of the source in its own order; where it has none, all names
    in alphabetical order.

    Raises:
        DataError: If there are no annotated images, none for training, or no object in any of them.
    """
    listing = store.listing()
    entries = READERS[data.source](store, listing, origin, classes or _given(data))
    named = classes or _given(data) or entries.classes or _names(entries)
    if not named:
        number = counted(len(entries.images), "annotated image")
        raise DataError(f"{origin} has {number}, and no object in any of them", entries.form)
    files = Files.of(store, [listing.names[entry.image] for entry in entries.images], data.channels)
    scanned = scan(files, listing.stamps[[entry.image for entry in entries.images]], watch)
    images = list(_images(entries, files, scanned, named, data))
    bad = [BadFile(shown(name), split, reason) for name, split, reason in entries.bad]
    bad += [BadFile(shown(name), "", reason) for name, reason in listing.bad]
    bad += [image.bad_file for image in images if image.bad_file is not None]
    bad.sort(key=lambda item: item.file)
    parts = _parts(images, scanned.told_to(files), scanned, data)
    if not len(parts["train"]):
        raise DataError(f"{origin} contains no readable training images with annotations", _why_none(bad))
    bad_boxes = [*entries.bad_boxes, *(box for image in images for box in image.bad_boxes)]
    bad_boxes.sort(key=lambda box: box.file)
    num_objects = sum(len(entry.objects) for entry in entries.images) + len(entries.bad_boxes)
    about = BadBoxes(bad_boxes, num_objects, entries.form)
    is_told = bool(bad_boxes) and data.on_bad_box == "error"
    if not is_told and not any(image.objects is not None and len(image.objects.labels) for image in images):
        raise DataError(_no_objects(origin, images, bad_boxes), about.advice or about.form)
    ignored = listing.ignored + len(listing.names) - entries.num_used
    return Collection(named, parts, bad, ignored, bad_boxes=about)


class _Image(NamedTuple):
    """An image with its objects, or why it cannot be used.

    Attributes:
        split: The split it is in.
        objects: Its objects, None where it cannot be used.
        bad_file: Why it cannot be used.
        bad_boxes: What is wrong with some of its objects.
        is_unclear: Whether EXIF turns it, and nothing tells whether its boxes are turned too.
    """

    split: str
    objects: Objects | None
    bad_file: BadFile | None = None
    bad_boxes: Sequence[BadBox] = ()
    is_unclear: bool = False


def _images(entries: Entries, files: Files, scanned: Scan, classes: Classes, data: Data) -> Iterator[_Image]:
    """Yield each image as it can be used."""
    numbers = {name: number for number, name in enumerate(classes)}
    for row, entry in enumerate(entries.images):
        if scanned.reasons[row]:
            yield _Image(entry.split, None, BadFile(shown(files.names[row]), entry.split, scanned.reasons[row]))
            continue
        height, width = scanned.facts.sizes[row].tolist()
        size, orientation = (height, width), max(int(scanned.facts.orientations[row]), 1)
        frame = _frame(entry, size, orientation)
        if frame is None:
            reason = _sizes_differ(entry, size, orientation)
            yield _Image(entry.split, None, BadFile(shown(files.names[row]), entry.split, reason))
            continue
        found = checked(entry, size, frame, numbers, entries.is_relative, data.on_bad_box == "clip")
        unclear = orientation > 1 and (entry.size is None or size == stored_size(size, orientation))
        yield _Image(entry.split, found.objects, None, found.bad, unclear)


def _frame(entry: ImageEntry, size: tuple[int, int], orientation: int) -> int | None:
    """Return by which orientation the boxes are still to be turned: 1 where they are of the upright image.

    Which image they are of, the size says that the annotations name; None where it is neither.
    """
    if entry.size in (None, size):
        return 1
    return orientation if entry.size == stored_size(size, orientation) else None


def _parts(images: Sequence[_Image], files: Files, scanned: Scan, data: Data) -> dict[str, Part]:
    good = [row for row, image in enumerate(images) if image.objects is not None]
    ordered = sorted(good, key=lambda row: files.names[row])
    every = Boxes.of([image.objects for image in images if image.objects is not None])
    groups = groups_of(files.names, data.group)
    parts = {}
    for name in dict.fromkeys(("train", *(image.split for image in images))):
        rows = np.array([row for row in ordered if images[row].split == name], np.int64)
        chosen = files.take(rows)
        objects = [own for row in rows.tolist() if (own := images[row].objects) is not None]
        unclear = np.array([images[row].is_unclear for row in rows.tolist()], np.bool_)
        targets = Boxes(tuple(objects), every.capacity, unclear if unclear.any() else None)
        parts[name] = Part(
            Split(name, chosen, targets, [shown(each) for each in chosen.names]),
            scanned.facts.take(rows),
            None if groups is None else [groups[row] for row in rows.tolist()],
        )
    return parts


def _given(data: Data) -> Classes | None:
    """Return the classes that a config lists.

    Raises:
        DataError: If one is there twice.
    """
    listed = None if data.classes is None else tuple(data.classes)
    if listed is not None and len(set(listed)) != len(listed):
        repeated = sorted({name for name in listed if listed.count(name) > 1})
        raise DataError(f"data.classes names {', '.join(repeated)} twice", "Give each class once.")
    return listed


def _names(entries: Entries) -> Classes:
    return tuple(sorted({given.name for entry in entries.images for given in entry.objects} - {""}))


def _sizes_differ(entry: ImageEntry, size: tuple[int, int], orientation: int) -> str:
    """Say how the sizes of an image and of its annotations differ, and what EXIF has to do with it."""
    told = entry.size or (0, 0)
    its = f"it is {size[1]} wide and {size[0]} high" + f", turned by its EXIF orientation {orientation}" * (
        orientation > 1
    )
    return f"its boxes in {entry.file} are of an image {told[1]} wide and {told[0]} high; {its}"


def _why_none(bad: Sequence[BadFile]) -> str:
    if not bad:
        return "No list or folder names images for training."
    return f"{counted(len(bad), 'file')} cannot be used, the first of them {bad[0].file}: {bad[0].reason}."


def _no_objects(origin: str, images: Sequence[_Image], bad_boxes: Sequence[BadBox]) -> str:
    usable = counted(sum(image.objects is not None for image in images), "annotated image")
    if not bad_boxes:
        return f"{origin} has {usable}, and no object in any of them"
    return f"{origin} has {usable}, and no box that can be used; the first: {bad_boxes[0].to_text()}"
