"""What an example's answer is: the class of an image, or whatever else a task learns to give."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from cnncli.config.schema.schema import Data
    from cnncli.datasets.splits import Split

Labels = npt.NDArray[np.int64]
"""Class numbers, one an example."""


class Targets(Protocol):
    """The answers of a split's examples, in the examples' order."""

    def __len__(self) -> int:
        """Return the number of examples."""
        ...

    def take(self, rows: npt.NDArray[np.int64]) -> Targets:
        """Return the answers at `rows`, in that order."""
        ...

    def read(self, row: int) -> Any:
        """Return one answer as its source has it."""
        ...

    def name(self, row: int, classes: Sequence[str]) -> str:
        """Return one answer in a word or a number, as a caption has it."""
        ...

    def digests(self) -> npt.NDArray[np.uint8]:
        """Return bytes that are equal where answers are: uint8 (examples, bytes)."""
        ...

    def content(self) -> bytes:
        """Return all answers as bytes, for the hash of a split."""
        ...

    def counts(self, classes: Sequence[str]) -> dict[str, int]:
        """Return the number of examples of each class; empty where answers are of no class."""
        ...

    def strata(self) -> Labels | None:
        """Return the group of each example, of each of which a share should hold as much; None where there are none."""
        ...

    def fit(self, data: Data) -> npt.NDArray[Any]:
        """Return all answers as the step loop takes them, of one shape: (examples, …).

        Args:
            data: Says which size and fit the images get.
        """
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

    def strata(self) -> Labels:
        """Return the class numbers."""
        return self.labels

    def fit(self, data: Data) -> npt.NDArray[np.int32]:  # noqa: ARG002 - a class has no size
        """Return the class numbers, int32 (examples,)."""
        return self.labels.astype(np.int32)


TARGETS: dict[str, Callable[[Split], Targets]] = {"classification": lambda split: split.targets}
"""By task: what it takes for the targets of a split, whose own targets are those that its source has."""
