"""What a network should predict for an example: the class of an image, or whatever else its task has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from cnncli.datasets.boxes.targets import Boxes
from cnncli.errors import DataError

if TYPE_CHECKING:
    from cnncli.config.schema.schema import Data

Labels = npt.NDArray[np.int64]
"""Class numbers, one an example."""


class Targets(Protocol):
    """The targets of a split's examples, in the examples' order."""

    def __len__(self) -> int:
        """Return the number of examples."""
        ...

    def take(self, rows: npt.NDArray[np.int64]) -> Targets:
        """Return the targets at `rows`, in that order."""
        ...

    def joined(self, other: Any) -> Targets:
        """Return these targets and those of another split of the same source behind them."""
        ...

    def read(self, row: int) -> Any:
        """Return one target as its source has it."""
        ...

    def name(self, row: int, classes: Sequence[str]) -> str:
        """Return one target in a word or a number, for captions."""
        ...

    def digests(self) -> npt.NDArray[np.uint8]:
        """Return bytes that are equal where targets are: uint8 (examples, bytes)."""
        ...

    def content(self) -> bytes:
        """Return all targets as bytes, for the hash of a split."""
        ...

    def counts(self, classes: Sequence[str]) -> dict[str, int]:
        """Return the number of examples of each class; empty where targets have no classes."""
        ...

    def passport(self, classes: Sequence[str], ids: Sequence[str]) -> dict[str, Any]:
        """Return what a passport tells of them besides the counts, as plain data for JSON; often nothing.

        Args:
            classes: Names of the classes.
            ids: What each example is called.
        """
        ...

    def strata(self) -> Labels | None:
        """Return the group of each example, by which a division is stratified; None where there are none."""
        ...

    def fit(self, data: Data) -> npt.NDArray[Any]:
        """Return all targets as the step loop takes them, of one shape: (examples, …).

        Args:
            data: The size and fit of the images.
        """
        ...

    def fitted_bytes(self, data: Data) -> int:
        """Return the bytes of one target as `fit` returns it."""
        ...


@dataclass(frozen=True)
class ClassNumbers:
    """One class an image.

    Attributes:
        labels: Class number of each example, int64 (examples,).
    """

    labels: Labels

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: npt.NDArray[np.int64]) -> ClassNumbers:
        """Return the class numbers at `rows`."""
        return ClassNumbers(self.labels[rows])

    def joined(self, other: ClassNumbers) -> ClassNumbers:
        """Return these class numbers and others behind them."""
        return ClassNumbers(np.concatenate([self.labels, other.labels]))

    def read(self, row: int) -> int:
        """Return a class number."""
        return int(self.labels[row])

    def name(self, row: int, classes: Sequence[str]) -> str:
        """Return the name of a class."""
        return classes[self.read(row)]

    def digests(self) -> npt.NDArray[np.uint8]:
        """Return the eight bytes of each class number."""
        return self.labels.astype("<i8").view(np.uint8).reshape(-1, 8)

    def content(self) -> bytes:
        """Return the class numbers' bytes."""
        return self.labels.tobytes()

    def counts(self, classes: Sequence[str]) -> dict[str, int]:
        """Return the number of examples of each class."""
        return dict(zip(classes, np.bincount(self.labels, minlength=len(classes)).tolist(), strict=True))

    def passport(self, classes: Sequence[str], ids: Sequence[str]) -> dict[str, Any]:  # noqa: ARG002 - nothing to tell
        """Return nothing: the counts say all of it."""
        return {}

    def strata(self) -> Labels:
        """Return the class numbers."""
        return self.labels

    def fit(self, data: Data) -> npt.NDArray[np.int32]:  # noqa: ARG002 - a class has no size
        """Return the class numbers, int32 (examples,)."""
        return self.labels.astype(np.int32)

    def fitted_bytes(self, data: Data) -> int:  # noqa: ARG002 - a class has no size
        """Return the four bytes of a class number."""
        return np.dtype(np.int32).itemsize


class HasTargets(Protocol):
    """What a task makes its targets of: a split as its source has it."""

    @property
    def images(self) -> Any:
        """An array, or `Files`."""
        ...

    @property
    def targets(self) -> Targets:
        """The source's own targets."""
        ...


def _class_numbers(split: HasTargets) -> Targets:
    """Return the class of each image.

    Raises:
        DataError: If a split has masks or boxes.
    """
    if isinstance(split.targets, Boxes):
        raise DataError("the data has boxes of objects, not a class for each image", "Set task: detection.")
    if not isinstance(split.targets, ClassNumbers):
        raise DataError("the data has a class for every pixel, not one for each image", "Set task: segmentation.")
    return split.targets


def _masks(split: HasTargets) -> Targets:
    """Return the class of each pixel.

    Raises:
        DataError: If a split has a class for each image, or boxes.
    """
    if isinstance(split.targets, Boxes):
        raise DataError("the data has boxes of objects, not a class for every pixel", "Set task: detection.")
    if isinstance(split.targets, ClassNumbers):
        raise DataError(
            "the data has a class for each image; segmentation needs one for every pixel",
            'Masks are an array "y" of the shape (examples, height, width); or set data.source: masks.',
        )
    return split.targets


def _boxes(split: HasTargets) -> Targets:
    """Return the objects of each image.

    Raises:
        DataError: If a split has a class for each image, or for every pixel.
    """
    if not isinstance(split.targets, Boxes):
        each = "image" if isinstance(split.targets, ClassNumbers) else "pixel"
        raise DataError(
            f"the data has a class for each {each}; detection needs the boxes of objects",
            "Set data.source: voc, coco or yolo, the form of their annotations; or digit_boxes for the set that comes "
            "along.",
        )
    return split.targets


TARGETS: dict[str, Callable[[HasTargets], Targets]] = {
    "classification": _class_numbers,
    "segmentation": _masks,
    "detection": _boxes,
}
"""By task: what makes its targets from a split, whose own targets are those of its source."""
