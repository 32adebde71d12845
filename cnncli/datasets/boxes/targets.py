"""The objects of an image, each a box and a class, as its target."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from cnncli.datasets.boxes import statistics
from cnncli.datasets.masks.targets import padded_place
from cnncli.plural import counted

if TYPE_CHECKING:
    from cnncli.config.schema.schema import Data
    from cnncli.datasets.targets import Labels

Corners = npt.NDArray[np.float64]
"""Boxes as xmin, ymin, xmax, ymax in pixels, (boxes, 4): edges, so one over a whole image is 0, 0, width, height."""

NUM_FITTED = 6
"""Numbers of an object as `Boxes.fit` returns it: its four edges, its class, and whether training counts it."""

NOTHING = -1
"""Class of the rows that fill up an image's objects."""


class Objects(NamedTuple):
    """The objects of one image.

    Attributes:
        corners: Their boxes in the original image's pixels, float64 (objects, 4).
        labels: Their class numbers, int64 (objects,).
        difficult: Which the source marks as hard to tell (VOC's `difficult`): evaluation leaves them out.
        crowd: Which stand for many objects together (COCO's `iscrowd`).
        areas: Their areas in pixels, by which COCO groups objects by size: float64 (objects,).
        size: Height and width of the image.
    """

    corners: Corners
    labels: Labels
    difficult: npt.NDArray[np.bool_]
    crowd: npt.NDArray[np.bool_]
    areas: npt.NDArray[np.float64]
    size: tuple[int, int]


@dataclass(frozen=True)
class Boxes:
    """The objects of each image.

    Attributes:
        objects: Of every image.
        capacity: Most objects of an image of the source; the same for every part of it, so that parts fit together.
        unclear: Which images EXIF turns while nothing tells whether their boxes are turned too; these are taken for
            boxes of the upright image. None where there is no such image.
    """

    objects: tuple[Objects, ...]
    capacity: int
    unclear: npt.NDArray[np.bool_] | None = None

    @classmethod
    def of(cls, objects: Sequence[Objects]) -> Boxes:
        """Return the targets of a whole source."""
        return cls(tuple(objects), max((len(own.labels) for own in objects), default=0))

    def __len__(self) -> int:
        return len(self.objects)

    def take(self, rows: npt.NDArray[np.int64]) -> Boxes:
        """Return the objects of the images at `rows`."""
        unclear = None if self.unclear is None else self.unclear[rows]
        return Boxes(tuple(self.objects[row] for row in rows.tolist()), self.capacity, unclear)

    def joined(self, other: Boxes) -> Boxes:
        """Return the objects of these images and of others of the same source behind them."""
        unclear = [np.zeros(len(own), np.bool_) if own.unclear is None else own.unclear for own in (self, other)]
        either = np.concatenate(unclear)
        return Boxes((*self.objects, *other.objects), self.capacity, either if either.any() else None)

    def read(self, row: int) -> Objects:
        """Return the objects of one image in its own pixels."""
        return self.objects[row]

    def name(self, row: int, classes: Sequence[str]) -> str:
        """Return the number of objects by class, the most frequent first: "12 RBC, 1 WBC"."""
        numbers = Counter(self.objects[row].labels.tolist()).most_common()
        return ", ".join(f"{number} {classes[label]}" for label, number in numbers) or counted(0, "object")

    def digests(self) -> npt.NDArray[np.uint8]:
        """Return a hash of each image's objects: uint8 (examples, 16)."""
        digests = [hashlib.blake2b(_bytes(own), digest_size=16).digest() for own in self.objects]
        return np.frombuffer(b"".join(digests), np.uint8).reshape(len(self), 16)

    def content(self) -> bytes:
        """Return the hashes' bytes."""
        return self.digests().tobytes()

    def counts(self, classes: Sequence[str]) -> dict[str, int]:
        """Return the number of images in which each class occurs."""
        present = Counter(label for own in self.objects for label in set(own.labels.tolist()))
        return {name: present[label] for label, name in enumerate(classes)}

    def passport(self, classes: Sequence[str], ids: Sequence[str]) -> dict[str, Any]:
        """Return how many objects there are and how large they are; see `statistics.told`."""
        return statistics.told(self, classes, ids)

    def strata(self) -> None:
        """An image has objects of many classes, so a division is not stratified."""

    def fit(self, data: Data) -> npt.NDArray[np.float32]:
        """Return all objects in the network's pixels: float32 (examples, capacity, 6).

        Each row is xmin, ymin, xmax, ymax, class number, and 1 where training counts the object, 0 where it stands for
        a crowd. The class is -1 where an image has fewer objects.
        """
        fitted = np.zeros((len(self), self.capacity, NUM_FITTED), np.float32)
        fitted[..., 4] = NOTHING
        for row, own in enumerate(self.objects):
            number = len(own.labels)
            fitted[row, :number, :4] = to_network(own.corners, own.size, data.image_size, data.resize.fit)
            fitted[row, :number, 4], fitted[row, :number, 5] = own.labels, ~own.crowd
        return fitted

    def fitted_bytes(self, data: Data) -> int:  # noqa: ARG002 - as many for images of every size
        """Return the bytes of one image's objects as `fit` returns them."""
        return self.capacity * NUM_FITTED * np.dtype(np.float32).itemsize


class Frame(NamedTuple):
    """How an image's pixels lie in the network's: place = offset + scale · place, for x and y each.

    Attributes:
        scale: Network pixels a pixel of the image, along x and y.
        offset: Place of the image's left and upper edge.
    """

    scale: tuple[float, float]
    offset: tuple[float, float]


def frame(size: tuple[int, int], image_size: tuple[int, int], fit: str) -> Frame:
    """Return how an image of some height and width lies in the network's.

    Args:
        size: Height and width of the image.
        image_size: Height and width that the network reads.
        fit: "stretch", or "pad".
    """
    inner, (top, left) = padded_place(size, image_size) if fit == "pad" else (image_size, (0, 0))
    return Frame((inner[1] / size[1], inner[0] / size[0]), (left, top))


def to_network(corners: Corners, size: tuple[int, int], image_size: tuple[int, int], fit: str) -> Corners:
    """Return boxes of an image's own pixels in the network's."""
    scale, offset = (np.array(values * 2, np.float64) for values in frame(size, image_size, fit))
    return corners * scale + offset


def to_original(corners: Corners, size: tuple[int, int], image_size: tuple[int, int], fit: str) -> Corners:
    """Return boxes of the network's pixels in the image's own, cut off at its edges."""
    scale, offset = (np.array(values * 2, np.float64) for values in frame(size, image_size, fit))
    height, width = size
    limits = np.array([width, height, width, height], np.float64)
    return np.clip((corners.astype(np.float64) - offset) / scale, 0.0, limits)


def _bytes(own: Objects) -> bytes:
    """Return all that an image's objects say, as bytes."""
    arrays = (own.corners, own.labels, own.difficult, own.crowd, own.areas, np.array(own.size))
    return b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)
