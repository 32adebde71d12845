"""Masks that a file of annotations draws, as COCO writes them: polygons and run lengths of objects."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from cnncli.config.schema.schema import Data
from cnncli.datasets import cache
from cnncli.datasets.coco_json import read_annotations
from cnncli.datasets.images import MAX_PIXELS
from cnncli.datasets.masks.coding import Coding, Mask, ignored_values
from cnncli.datasets.masks.layout import below, split_files
from cnncli.datasets.masks.regions import Covered, packed_run_lengths, polygon, run_lengths
from cnncli.datasets.masks.scan import MaskFacts, MaskSet
from cnncli.datasets.masks.values import Stored, Value
from cnncli.datasets.scan import Watch
from cnncli.datasets.stamps import content_hash
from cnncli.datasets.store import Listing, Store
from cnncli.errors import DataError
from cnncli.files.form import listed, record, text, whole
from cnncli.resources import available_threads

ANNOTATIONS = ".json"
"""How the pattern of the masks ends where they are annotations."""

BACKGROUND = "background"
"""Class of the pixels that no annotation covers; its value is 0."""

_VERSION = 1
_LARGEST_CATEGORY = 65_535
_CATEGORY = whole(1, _LARGEST_CATEGORY)
_FORM = record(
    {
        "images": listed(record({"id": whole(), "file_name": text(1), "height": whole(1), "width": whole(1)})),
        "annotations": listed(record({"image_id": whole(), "category_id": _CATEGORY})),
        "categories": listed(record({"id": _CATEGORY, "name": text(1)}), 1),
    }
)


@dataclass(frozen=True)
class DrawnMasks:
    """Masks that are drawn when they are needed; where two objects overlap, the later in the file is on top.

    Attributes:
        names: What errors call each.
        sizes: Height and width of each.
        objects: Annotations of each.
        coding: What the numbers of categories mean.
    """

    names: Sequence[str]
    sizes: Sequence[tuple[int, int]]
    objects: Sequence[Sequence[Mapping[str, Any]]]
    coding: Coding

    def __len__(self) -> int:
        return len(self.names)

    def read(self, row: int) -> Mask:
        """Return one mask.

        Raises:
            DataError: If an annotation is none, or of a category without a class; names the image.
        """
        height, width = self.sizes[row]
        if height * width > MAX_PIXELS:
            raise DataError(f"{self.names[row]}: {width:,} × {height:,} pixels; the limit is {MAX_PIXELS:,}")
        values = np.zeros((height, width), np.int32)
        for place, annotation in enumerate(self.objects[row]):
            try:
                values[_covered(annotation.get("segmentation"), height, width)] = annotation["category_id"]
            except (ValueError, TypeError, KeyError, OverflowError) as error:
                name = annotation.get("id", f"number {place + 1} of the image")
                raise DataError(f"{self.names[row]}: annotation {name}: {error}") from error
        return self.coding.meant(Stored(values, False, "annotations"), self.names[row])

    def take(self, rows: npt.NDArray[np.int64]) -> DrawnMasks:
        """Return the masks at `rows`."""
        chosen = rows.tolist()
        return DrawnMasks(
            [self.names[row] for row in chosen],
            [self.sizes[row] for row in chosen],
            [self.objects[row] for row in chosen],
            self.coding,
        )

    def joined(self, other: DrawnMasks) -> DrawnMasks:
        """Return these masks and others of the same source behind them."""
        return DrawnMasks(
            [*self.names, *other.names], [*self.sizes, *other.sizes], [*self.objects, *other.objects], self.coding
        )


def from_annotations(store: Store, listing: Listing, origin: str, data: Data, watch: Watch | None) -> MaskSet:
    """Return the masks that the files of annotations draw, which data.masks names.

    Args:
        store: The folder or archive.
        listing: What it holds.
        origin: What errors call it.
        data: The config's `data` section, with both patterns.
        watch: Called with the progress.

    Raises:
        DataError: If there are no such files, or they are of another form.
    """
    documents = split_files(listing.names, data.masks or "")
    if not documents:
        raise DataError(f'{origin} has no file that matches "{data.masks}"', "Set data.masks to the annotations' file.")
    files = [_File.read(store, listing.names[place], split) for split, place in documents.items()]
    for file in files[1:]:
        if file.categories != files[0].categories:
            raise DataError(f"{file.name} has other categories than {files[0].name}")
    coding = _coding(data, files[0].categories)
    images = below(listing.names, data.images or "")
    has_splits = "{split}" in (data.images or "")
    drawn: list[_Drawn] = []
    unpaired: list[tuple[str, str, str]] = []
    for file in files:
        left = {
            posixpath.normpath(rest): at for at, rest in images.get(file.split if has_splits else "train", {}).items()
        }
        for entry in file.images:
            image = left.pop(posixpath.normpath(entry["file_name"]), None)
            if image is None:
                unpaired.append((entry["file_name"], file.split, f"named in {file.name}, but there is no such image"))
            else:
                size = entry["height"], entry["width"]
                drawn.append(_Drawn(listing.names[image], image, file.split, size, file.objects[entry["id"]]))
        if has_splits or len(files) == 1:
            unpaired += [(listing.names[image], file.split, f"{file.name} does not name it") for image in left.values()]
    drawn.sort()
    masks = DrawnMasks([one.name for one in drawn], [one.size for one in drawn], [one.objects for one in drawn], coding)
    contents = " ".join(file.content for file in files)
    return MaskSet(
        coding=coding,
        splits=[one.split for one in drawn],
        images=[one.image for one in drawn],
        names=masks.names,
        source=masks,
        facts=_measured(masks, f"{_VERSION} {coding.identity} {contents} {data.images} {store.identity}", watch),
        unpaired=unpaired,
        ignored=len(listing.names) - len(documents) - sum(map(len, images.values())),
    )


class _Drawn(NamedTuple):
    """An image with its objects."""

    name: str
    image: int
    split: str
    size: tuple[int, int]
    objects: Sequence[Mapping[str, Any]]


class _File(NamedTuple):
    """A file of annotations.

    Attributes:
        name: Its path.
        split: Of its images.
        content: Hash of it.
        images: What it says of each image.
        objects: Annotations of each image, by the image's number.
        categories: Number of each category, in their order.
    """

    name: str
    split: str
    content: str
    images: Sequence[Mapping[str, Any]]
    objects: Mapping[int, Sequence[Mapping[str, Any]]]
    categories: Mapping[str, int]

    @classmethod
    def read(cls, store: Store, name: str, split: str) -> _File:
        """Read a file.

        Raises:
            DataError: If it is of another form, or has an annotation of an image that it does not name.
        """
        content = store.read(name)
        document = read_annotations(content, name, _FORM)
        objects: dict[int, list[Mapping[str, Any]]] = {entry["id"]: [] for entry in document["images"]}
        for annotation in document["annotations"]:
            of = annotation["image_id"]
            if of not in objects:
                raise DataError(f"{name} has an annotation of the image {of}, which it does not name")
            objects[of].append(annotation)
        categories = sorted((entry["id"], entry["name"]) for entry in document["categories"])
        hashed = content_hash(content).hex()
        return cls(name, split, hashed, document["images"], objects, {called: number for number, called in categories})


def _coding(data: Data, categories: Mapping[str, int]) -> Coding:
    """Return the classes: as data.classes gives their categories' numbers, or all, and the background."""
    given = data.classes
    if given is not None and not isinstance(given, dict):
        listed_so = ", ".join(f"{name}: {number}" for name, number in list(categories.items())[:3])
        raise DataError(
            "data.classes is a list, but the categories of annotations have numbers of their own",
            f"Leave it out for all of them, or give their numbers: data.classes: {{{BACKGROUND}: 0, {listed_so}}}.",
        )
    ignored = ignored_values(data)
    every: dict[str, Value] = {BACKGROUND: 0, **categories}
    return Coding.of(given or {name: value for name, value in every.items() if value not in ignored}, ignored)


def _measured(masks: DrawnMasks, identity: str, watch: Watch | None) -> MaskFacts:
    """Return what is known of masks: from the cache, where annotations and classes are the same."""
    facts = MaskFacts.empty(len(masks), len(masks.coding.classes))
    identity = f"annotations {identity}"
    known = cache.load_arrays(identity)
    if known is not None and len(known["sizes"]) == len(masks):
        for name, column in facts.columns().items():
            column[:] = known[name]
        return facts
    with ThreadPoolExecutor(available_threads(), thread_name_prefix="draw") as pool:
        for done, _ in enumerate(pool.map(partial(_measure, masks, facts), range(len(masks)))):
            if watch is not None and done % 64 == 0:
                watch(done, len(masks))
    if not any(facts.reasons):
        cache.save_arrays(identity, facts.columns())
    return facts


def _measure(masks: DrawnMasks, facts: MaskFacts, row: int) -> None:
    try:
        facts.set(row, masks.read(row))
    except DataError as error:
        facts.reasons[row] = error.message.removeprefix(f"{masks.names[row]}: ")


def _covered(segmentation: Any, height: int, width: int) -> Covered:
    """Return what a segmentation covers: polygons, or run lengths.

    Raises:
        ValueError: If it is none; also TypeError or KeyError.
    """
    if isinstance(segmentation, dict):
        if list(segmentation["size"]) != [height, width]:
            raise ValueError(f"run lengths of {segmentation['size']} pixels; the image has {[height, width]}")
        counts = segmentation["counts"]
        return run_lengths(packed_run_lengths(counts) if isinstance(counts, str) else counts, height, width)
    if not isinstance(segmentation, list) or not segmentation:
        raise ValueError("it has no segmentation; expected polygons or run lengths")
    covered = np.zeros((height, width), np.bool_)
    for corners in segmentation:
        if len(corners) < 6 or len(corners) % 2:
            raise ValueError(f"a polygon of {len(corners)} numbers; expected x and y of three corners or more")
        covered |= polygon(corners, height, width)
    return covered
