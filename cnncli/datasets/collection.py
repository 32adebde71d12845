"""What a source holds, before the config's division into splits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cnncli.datasets.boxes.bad_boxes import BadBoxes
from cnncli.datasets.facts import Facts
from cnncli.datasets.splits import Split


@dataclass(frozen=True)
class Part:
    """A split with what is known of its images.

    Attributes:
        split: The examples.
        facts: What is known of each image.
        groups: Person or place of each example, as `data.group` finds it; None where the config names none.
    """

    split: Split
    facts: Facts
    groups: Sequence[str] | None = None

    def __len__(self) -> int:
        return len(self.split)

    def take(self, indices: npt.NDArray[np.int64], name: str) -> Part:
        """Return the examples at `indices`, in that order, as a part called `name`."""
        groups = None if self.groups is None else [self.groups[row] for row in indices.tolist()]
        return Part(self.split.take(indices, name), self.facts.take(indices), groups)

    def joined(self, other: Part) -> Part:
        """Return these examples and those of another part of the same source behind them."""
        groups = None if self.groups is None or other.groups is None else [*self.groups, *other.groups]
        return Part(self.split.joined(other.split), self.facts.joined(other.facts), groups)


@dataclass(frozen=True)
class BadFile:
    """A file that is not an example because it cannot be read.

    Attributes:
        file: Its path below the root of the data.
        split: The split it stands in.
        reason: Why it cannot be read.
    """

    file: str
    split: str
    reason: str


@dataclass(frozen=True)
class Collection:
    """Examples by split, as the source divides them.

    Attributes:
        classes: Class names in the order of the labels.
        parts: The source's own splits by name; "train" is always there.
        bad_files: What could not be read.
        ignored_files: Number of files that belong to no class, hidden ones too.
        ignored_folders: Folders beside the split folders.
        bad_boxes: Objects that cannot be used as they are; None of a source without boxes.
    """

    classes: tuple[str, ...]
    parts: Mapping[str, Part]
    bad_files: Sequence[BadFile] = ()
    ignored_files: int = 0
    ignored_folders: Sequence[str] = ()
    bad_boxes: BadBoxes | None = None
