"""The examples of an experiment: what trains, what selects, what measures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from cnncli.config.schema.schema import Config
from cnncli.datasets.files import Files
from cnncli.datasets.images import Pixels
from cnncli.datasets.targets import Targets
from cnncli.errors import DataError

Images = npt.NDArray[np.uint8]
"""Images of one size: (number, height, width, channels), 0 to 255."""


@dataclass(frozen=True)
class Split:
    """Examples with one purpose.

    Attributes:
        name: "train", "validation" or "test".
        images: An array for a set in memory, `Files` for images that are decoded when needed. The
            channels are the config's, the size is the source's.
        targets: What a network should answer for each example.
        ids: What each example is called in reports: its file, or its number in the source.
    """

    name: str
    images: Images | Files
    targets: Targets
    ids: Sequence[str]

    def __len__(self) -> int:
        return len(self.targets)

    def take(self, indices: npt.NDArray[np.int64], name: str) -> Split:
        """Return the examples at `indices`, in that order, as a split called `name`."""
        images = self.images.take(indices) if isinstance(self.images, Files) else self.images[indices]
        return Split(name, images, self.targets.take(indices), [self.ids[i] for i in indices.tolist()])

    def joined(self, other: Split) -> Split:
        """Return these examples and those of another split of the same source behind them."""
        targets = self.targets.joined(other.targets)
        if isinstance(self.images, Files) and isinstance(other.images, Files):
            return Split(self.name, self.images.joined(other.images), targets, [*self.ids, *other.ids])
        # Arrays count their examples from 0 in every split.
        others = [f"{other.name} {name}" for name in other.ids]
        return Split(self.name, np.concatenate([self.images, other.images]), targets, [*self.ids, *others])

    def first_of_each(self, count: int) -> list[int]:
        """Return the rows of the first example of each class, at most `count`; without classes, the first examples."""
        strata = self.targets.strata()
        rows = np.arange(len(self)) if strata is None else np.unique(strata, return_index=True)[1]
        chosen: list[int] = rows[:count].tolist()
        return chosen

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
        hint = f"Available: {names}."
        if name == "test":
            other = "--split validation" if self.validation is not None else "--split train"
            hint += f" Use {other}, or train with data.test: 0.15."
        raise DataError(f'the data has no split "{name}"', hint=hint)

    def require_output(self, config: Config) -> None:
        """Refuse a config whose network cannot be trained on these examples.

        Raises:
            DataError: If the network's output cannot be compared with the targets.
        """
        found = config.task_spec.check_output(config.output_shape, len(self.classes), config.data.image_size)
        if found is not None and found.is_fatal:
            raise DataError(found.message, hint=found.hint, code=found.code)


def image(split: Split, index: int) -> Pixels:
    """Return one image of a split at its own size: (height, width, channels)."""
    return split.images.decode(index) if isinstance(split.images, Files) else split.images[index]
