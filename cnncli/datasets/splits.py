"""The examples of an experiment: what trains, what selects, what measures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from cnncli.datasets.files import Files
from cnncli.datasets.images import Pixels
from cnncli.errors import DataError

Images = npt.NDArray[np.uint8]
"""Images of one size: (number, height, width, channels), 0 to 255."""

Labels = npt.NDArray[np.int64]
"""Class numbers, one an example."""


@dataclass(frozen=True)
class Split:
    """Examples with one purpose.

    Attributes:
        name: "train", "validation" or "test".
        images: An array for a set in memory, `Files` for images that are decoded when needed. The
            channels are the config's, the size is the source's.
        labels: Class number of each example.
        ids: What each example is called in reports: its file, or its number in the source.
    """

    name: str
    images: Images | Files
    labels: Labels
    ids: Sequence[str]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: npt.NDArray[np.int64], name: str) -> Split:
        """Return the examples at `indices`, in that order, as a split called `name`."""
        images = self.images.take(indices) if isinstance(self.images, Files) else self.images[indices]
        return Split(name, images, self.labels[indices], [self.ids[i] for i in indices.tolist()])

    def renamed(self, name: str) -> Split:
        """Return the same examples under another name."""
        return replace(self, name=name)


@dataclass(frozen=True)
class Splits:
    """All examples of an experiment, and the class order that training fixed.

    Attributes:
        classes: Names of the classes; a label is a place in this tuple.
        passport: What `data.json` of a run holds; see `datasets.passport`.
    """

    classes: tuple[str, ...]
    train: Split
    validation: Split | None
    test: Split | None
    passport: dict[str, Any] = field(default_factory=dict)

    def present(self) -> tuple[Split, ...]:
        """Return the splits that there are, train first."""
        return tuple(split for split in (self.train, self.validation, self.test) if split is not None)

    def named(self, name: str) -> Split:
        """Return one split by its name.

        Raises:
            DataError: If the data have no such split.
        """
        for split in self.present():
            if split.name == name:
                return split
        names = ", ".join(split.name for split in self.present())
        raise DataError(f'the data has no split "{name}"', hint=f"Available: {names}.")

    def require_units(self, units: int) -> None:
        """Refuse a network whose last layer is too narrow for the labels.

        Raises:
            DataError: If a label is outside 0 to `units` − 1.
        """
        if len(self.classes) > units:
            raise DataError(
                f"the data has {len(self.classes)} classes, the network ends in {units} outputs",
                hint=f"Set units: {len(self.classes)} in the last Dense layer.",
                code="E301",
            )


def image(split: Split, index: int) -> Pixels:
    """Return one image of a split at its own size: (height, width, channels)."""
    return split.images.decode(index) if isinstance(split.images, Files) else split.images[index]
