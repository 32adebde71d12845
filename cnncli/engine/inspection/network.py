"""The network that is inspected, a run's or a config's fresh one, and images to show it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cnncli.config.schema.schema import Config
from cnncli.datasets import Splits, own
from cnncli.datasets import load as load_splits
from cnncli.datasets.images import decode
from cnncli.datasets.splits import image as image_of
from cnncli.datasets.store import read_file
from cnncli.engine.evaluation.predictor import Predictor
from cnncli.engine.evaluation.trained import Trained, load_trained
from cnncli.engine.input_pipeline.preprocessing import Preprocessing
from cnncli.engine.network.model import build
from cnncli.engine.runtime import configure
from cnncli.errors import DataError
from cnncli.runs.run import Run
from cnncli.tasks.pages import Pages, Score
from cnncli.tasks.task import get_task


@dataclass(frozen=True)
class ShownImages:
    """Images in the network's size, and what they are.

    Attributes:
        pixels: uint8 (images, height, width, channels).
        names: File or index of each.
        truths: The right answer for each in a word, or None where it is not known.
    """

    pixels: npt.NDArray[np.uint8]
    names: tuple[str, ...]
    truths: tuple[str | None, ...]


@dataclass(frozen=True)
class InspectedNetwork:
    """A network to look at.

    Attributes:
        config: Its config.
        run: The run that trained it, or None for one with fresh weights.
        checkpoint: "best", "last", or a checkpoint's name.
        data: Where a run's examples are now, or None where its config says it.
    """

    config: Config
    run: Run | None
    checkpoint: str = "best"
    data: Path | None = None

    @cached_property
    def trained(self) -> Trained:
        """The network; with fresh weights where no run is given."""
        if self.run is not None:
            return load_trained(self.run, self.checkpoint)
        configure(self.config)
        return Trained(self.config, (), build(self.config), Preprocessing(self.config.data), "untrained")

    @property
    def pages(self) -> Pages:
        """What its task shows."""
        return get_task(self.config.task).pages

    @property
    def title(self) -> str:
        """Name of the network and where its weights are from."""
        return f"{self.config.name}, {self.trained.checkpoint}"

    @cached_property
    def splits(self) -> Splits:
        """The config's examples, with a run's class order."""
        if self.run is None:
            return load_splits(self.config)
        return own(self.config, self.run.passport(), self.data)

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        return self.trained.classes or self.splits.classes

    def file(self, path: Path) -> ShownImages:
        """Return an image of the user's."""
        content = read_file(path, str(path))
        return self._shown([decode(content, self.trained.preprocessing.channels, str(path))], [path.name], [None])

    def examples(self, split: str, index: int | None, count: int) -> ShownImages:
        """Return examples of a split: the one at `index`, or the first of each class until there are `count`.

        Raises:
            DataError: If there is no such split or index.
        """
        found = self.splits.named(split)
        if index is not None and not 0 <= index < len(found):
            raise DataError(f"no example {index} in {split}", f"Valid: 0 to {len(found) - 1}.")
        return self.rows(split, found.first_of_each(count) if index is None else [index])

    def rows(self, split: str, rows: Sequence[int]) -> ShownImages:
        """Return the examples of a split at `rows`."""
        found = self.splits.named(split)
        truths = [found.targets.name(row, self.splits.classes) for row in rows]
        return self._shown(
            [image_of(found, row) for row in rows], [_named(found.ids[row], split) for row in rows], truths
        )

    def _shown(
        self, images: Sequence[npt.NDArray[np.uint8]], names: Sequence[str], truths: Sequence[str | None]
    ) -> ShownImages:
        resize = self.trained.preprocessing.resize_uint8
        pixels = np.stack([resize(image[None])[0].numpy() for image in images])
        return ShownImages(pixels, tuple(names), tuple(truths))

    def outputs(self, shown: ShownImages) -> npt.NDArray[np.float32]:
        """Return what the network ends in for images."""
        logits: npt.NDArray[np.float32] = Predictor(self.trained.model, self.trained.preprocessing).logits(shown.pixels)
        return logits

    def score(self, shown: ShownImages, label: str | None = None) -> Score:
        """Return the number for each image whose gradient attribution shows.

        Args:
            shown: The images.
            label: Name of the class to ask about, or None for what the network predicts.

        Raises:
            CnnError: If there is no such class.
        """
        return self.pages.score(self.outputs(shown), self.classes, label)


def _named(identity: str, split: str) -> str:
    return f"no. {identity} of {split}" if identity.isdecimal() else identity
