"""Boxes as COCO writes them: one JSON file for the images of a split."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cnncli.datasets.boxes.bad_boxes import BadBox
from cnncli.datasets.boxes.entries import NO_EDGES, Entries, ImageEntry, ObjectEntry
from cnncli.datasets.coco_json import read_annotations
from cnncli.datasets.layout import SPLITS
from cnncli.datasets.pictures import is_something_else
from cnncli.datasets.store import Listing, Store
from cnncli.errors import DataError
from cnncli.files.form import anything, listed, optional, record, text, whole

FORM = "COCO's are x and y of the upper left corner, width and height, in pixels and counted from 0."

_FORM = record(
    {
        "images": listed(record({"id": whole(), "file_name": text(1), "height": whole(1), "width": whole(1)})),
        "annotations": listed(record({}, {"id": optional(whole()), "bbox": anything})),
        "categories": listed(record({"id": whole(), "name": text(1)}), 1),
    }
)
_INSTANCES = "instances_"
_OTHER_TASKS = re.compile(r"(captions|person_keypoints|image_info|panoptic|stuff)_.*", re.IGNORECASE)
_SIDES = ("x", "y", "width", "height")
_NAMED = 3
_LARGEST_AREA = 2**53


def has_coco(names: Sequence[str]) -> bool:
    """Say whether paths are those of images and of files of instances."""
    known = re.compile(rf"(.*/)?({_INSTANCES}.*|_annotations\.coco)\.json", re.IGNORECASE)
    return any(map(known.fullmatch, names)) and any(map(_may_be_image, names))


def read_coco(
    store: Store,
    listing: Listing,
    origin: str,
    classes: Sequence[str] | None,  # noqa: ARG001 - the files have names
) -> Entries:
    """Return what files of instances say of images.

    Files are those called instances_….json, or all .json where none is called so. The split of one is what its name or
    its folder means, instances_val2017.json; otherwise it is for training. Classes are in the order of their numbers.

    Raises:
        DataError: If there is no such file, one is of another form, or two are of the same split.
    """
    files = _files(store, listing, origin)
    pictures = _Pictures.of(listing.names)
    images, bad = [], []
    for file in files:
        own, missing = _images(file, pictures)
        images += own
        bad += missing
    bad += _unnamed(images, pictures, listing.names)
    named = _classes(files)
    used = len(files) + len({entry.image for entry in images})
    return Entries(images, named, bad, used, FORM, bad_boxes=[box for file in files for box in file.bad])


@dataclass(frozen=True)
class _File:
    """A file of annotations.

    Attributes:
        name: Its path.
        split: Of its images.
        images: What it says of each image.
        categories: Names by their numbers.
        names: Of the images, by their numbers.
        objects: Of each image, by the image's number.
        groups: Names of the groups that categories are in.
        bad: Annotations that are of no image.
    """

    name: str
    split: str
    images: Sequence[Mapping[str, Any]]
    categories: Mapping[int, str]
    names: Mapping[int, str]
    objects: Mapping[int, list[ObjectEntry]]
    groups: Collection[str]
    bad: list[BadBox] = field(default_factory=list)

    @classmethod
    def read(cls, store: Store, name: str, split: str) -> _File:
        """Read a file.

        Raises:
            DataError: If it is of another form.
        """
        document = read_annotations(store.read(name), name, _FORM)
        categories = {entry["id"]: entry["name"] for entry in document["categories"]}
        objects: dict[int, list[ObjectEntry]] = {entry["id"]: [] for entry in document["images"]}
        names = {entry["id"]: entry["file_name"] for entry in document["images"]}
        groups = _groups(document["categories"])
        file = cls(name, split, document["images"], categories, names, objects, groups)
        seen: set[int] = set()
        for place, annotation in enumerate(document["annotations"]):
            file.add(annotation, place, seen)
        return file

    def add(self, annotation: Mapping[str, Any], place: int, seen: set[int]) -> None:
        """Add an annotation to the image that it names.

        Args:
            annotation: What the file says of an object.
            place: Of it in the file.
            seen: Numbers of the annotations before it; its own is added.
        """
        number, of = annotation.get("id"), annotation.get("image_id")
        label = f"annotations[{place}]" if number is None else f"annotation {number}"
        if type(of) is not int or of not in self.objects:
            reason = "it has no image_id" if of is None else f"its image_id, {str(of)[:40]}, is that of no image"
            self.bad.append(BadBox(self.name, self.split, label, reason))
            return
        self.objects[of].append(self._object(annotation, f"{label} of {self.names[of]}", is_again=number in seen))
        if number is not None:
            seen.add(number)

    def _object(self, annotation: Mapping[str, Any], label: str, is_again: bool) -> ObjectEntry:
        """Return the object of an annotation; `is_again` where one before it has the same number."""
        category = annotation.get("category_id")
        edges, written, problem = _box(annotation.get("bbox"))
        if is_again:
            problem = "another annotation before it has the same id"
        name = self.categories.get(category, "") if type(category) is int else ""
        if not name:
            told = "no category_id" if category is None else f"the category_id {str(category)[:40]}"
            problem = f"it has {told}; the categories have {_some(self.categories)}"
        return ObjectEntry(
            label,
            name,
            edges,
            written,
            problem,
            difficult=annotation.get("difficult") in (1, True),
            crowd=annotation.get("iscrowd") in (1, True),
            area=_area(annotation.get("area")),
        )


def _area(value: Any) -> float | None:
    """Return an area, or None where it is not one."""
    return float(value) if type(value) in (int, float) and 0 <= value <= _LARGEST_AREA else None


def _box(bbox: Any) -> tuple[tuple[float, float, float, float], str, str]:
    """Return the edges of a box, its numbers as text, and what is wrong with them."""
    if not isinstance(bbox, list) or len(bbox) != 4 or not all(type(value) in (int, float) for value in bbox):
        return NO_EDGES, f"bbox {str(bbox)[:80]}", "expected four numbers, [x, y, width, height]"
    written = ", ".join(f"{side} {str(value)[:40]}" for side, value in zip(_SIDES, bbox, strict=True))
    try:
        x, y, width, height = map(float, bbox)
    except OverflowError:
        return NO_EDGES, written, "expected four finite numbers"
    return (x, y, x + width, y + height), written, ""


def _classes(files: Sequence[_File]) -> tuple[str, ...]:
    """Return the names of the classes in the order of their numbers.

    What is only the name of a group is none: Roboflow lists that as a category of its own, number 0.
    """
    of_ids: dict[str, int] = {}
    for file in files:
        for number, name in file.categories.items():
            of_ids.setdefault(name, number)
    groups = {group for file in files for group in file.groups}
    used = {own.name for file in files for objects in file.objects.values() for own in objects}
    return tuple(sorted(of_ids.keys() - (groups - used), key=of_ids.__getitem__))


def _groups(categories: Sequence[Mapping[str, Any]]) -> set[str]:
    """Return the names of groups that other categories are in: their supercategories."""
    groups = (entry.get("supercategory") for entry in categories if entry.get("supercategory") != entry["name"])
    return {group for group in groups if isinstance(group, str)}


def _some(categories: Mapping[int, str]) -> str:
    named = ", ".join(f"{number} ({name})" for number, name in list(categories.items())[:_NAMED])
    return named + (", …" if len(categories) > _NAMED else "")


def _files(store: Store, listing: Listing, origin: str) -> list[_File]:
    """Read the files of instances, those for training first."""
    known = [name for name in listing.names if name.casefold().endswith(".json")]
    instances = [name for name in known if posixpath.basename(name).casefold().startswith(_INSTANCES)]
    others = [name for name in known if not _OTHER_TASKS.fullmatch(posixpath.basename(name))]
    chosen: dict[str, str] = {}
    for name in instances or others:
        split = _split_of(name)
        if split in chosen:
            raise DataError(f"{chosen[split]} and {name} are both annotations of the {split} split", "Move one away.")
        chosen[split] = name
    if not chosen:
        raise DataError(
            f"{origin} has no file of instances", "Expected annotations/instances_train.json beside images."
        )
    return [
        _File.read(store, chosen[split], split) for split in sorted(chosen, key=("train", "validation", "test").index)
    ]


def _split_of(name: str) -> str:
    """Return the split that a file's name means, or its innermost folder with such a name; otherwise "train"."""
    *folders, last = name.split("/")
    for part in (posixpath.splitext(last)[0], *reversed(folders)):
        for word in re.split(r"[^a-z]+", part.casefold()):
            if word in SPLITS:
                return SPLITS[word]
    return "train"


@dataclass(frozen=True)
class _Pictures:
    """Places in the listing of all that may be images, by the last part of their paths."""

    by_name: Mapping[str, list[tuple[str, int]]]

    @classmethod
    def of(cls, names: Sequence[str]) -> _Pictures:
        """Find them."""
        found: dict[str, list[tuple[str, int]]] = {}
        for place, name in enumerate(names):
            if _may_be_image(name):
                found.setdefault(posixpath.basename(name), []).append((name, place))
        return cls(found)

    def find(self, file_name: str, file: _File) -> list[tuple[str, int]]:
        """Return the images that a file means by a name: those of its own split, or in its own folder, come first."""
        wanted = posixpath.normpath(file_name.replace("\\", "/")).lstrip("/")
        near = self.by_name.get(posixpath.basename(wanted), [])
        found = [one for one in near if f"/{one[0]}".endswith(f"/{wanted}")] or near
        folder = posixpath.dirname(file.name)
        for belongs in (lambda one: posixpath.dirname(one[0]) == folder, lambda one: _split_of(one[0]) == file.split):
            if len(found) > 1:
                found = [one for one in found if belongs(one)] or found
        return found


def _images(file: _File, pictures: _Pictures) -> tuple[list[ImageEntry], list[tuple[str, str, str]]]:
    """Return what a file says of the images that are there, and those that are not."""
    images, bad = [], []
    for entry in file.images:
        found = pictures.find(entry["file_name"], file)
        if len(found) == 1:
            size = entry["height"], entry["width"]
            images.append(ImageEntry(file.name, found[0][1], file.split, size, file.objects[entry["id"]]))
            continue
        reason = f"named in {file.name}, but there is no such image"
        if found:
            reason = f"named in {file.name}; it may be {' or '.join(name for name, _ in found[:_NAMED])}"
        bad.append((entry["file_name"], file.split, reason))
    return images, bad


def _unnamed(images: Sequence[ImageEntry], pictures: _Pictures, names: Sequence[str]) -> list[tuple[str, str, str]]:
    """Return images that no file names, in folders of images that one does name."""
    named = {entry.image for entry in images}
    of_folders = {posixpath.dirname(names[entry.image]): entry for entry in images}
    return [
        (name, of_folders[folder].split, f"{of_folders[folder].file} does not name it")
        for own in pictures.by_name.values()
        for name, place in own
        if place not in named and (folder := posixpath.dirname(name)) in of_folders
    ]


def _may_be_image(name: str) -> bool:
    return not is_something_else(name) and posixpath.splitext(name)[1].casefold() not in ("", ".json", ".yaml", ".md")
