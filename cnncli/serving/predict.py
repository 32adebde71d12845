"""A network made to answer for image files that nobody labelled."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from cnncli.datasets.facts import Facts
from cnncli.datasets.image_statistics import ImageStatistics, differences, image_statistics
from cnncli.datasets.images import Decoded, Pixels, thumbnail
from cnncli.datasets.images import examine as decode
from cnncli.datasets.pictures import Picture
from cnncli.errors import DataError
from cnncli.serving.artifact import Artifact
from cnncli.tasks.classification.answers import Answer, ranked

BATCH_SIZE = 256
"""Images asked about together."""

Floats = npt.NDArray[np.floating[Any]]
Taken = npt.NDArray[Any]
"""What is kept of an image until its batch is asked about."""

THUMBNAIL = 64
"""Longest side of the images that answers carry along, to be drawn."""


class Network(Protocol):
    """What can be asked about images one by one."""

    classes: tuple[str, ...]
    channels: int

    def take(self, pixels: Pixels) -> Taken:
        """Return what is to be kept of an image."""

    def answer(self, taken: Sequence[Taken]) -> Floats:
        """Return the probabilities (images, classes) of a batch."""


class ArtifactNetwork:
    """An exported network, asked in its own runtime about one image at a time: it does the resizing."""

    def __init__(self, artifact: Artifact) -> None:
        self.classes = artifact.classes
        self.channels: int = artifact.description.channels
        self._artifact = artifact

    def take(self, pixels: Pixels) -> Taken:
        """Return the image's probabilities."""
        probabilities: Taken = self._artifact.probabilities(pixels[None])[0]
        return probabilities

    def answer(self, taken: Sequence[Taken]) -> Floats:
        """Return the probabilities (images, classes)."""
        return np.stack(taken)


def predict(network: Network, pictures: Iterable[Picture], usual: ImageStatistics, top: int = 3) -> Iterator[Answer]:
    """Yield an answer for each picture, in their order; memory for one batch at a time.

    Args:
        network: The network.
        pictures: Images as they are stored.
        usual: How training images look: `passport["looks"]["train"]`.
        top: Number of classes to name.
    """
    remaining = iter(pictures)
    while batch := list(islice(remaining, BATCH_SIZE)):
        read = [_read(network, picture, usual) for picture in batch]
        taken = [kept for _, kept in read if kept is not None]
        probabilities = iter(network.answer(taken) if taken else ())
        for answer, kept in read:
            yield answer if kept is None else ranked(answer, next(probabilities), network.classes, top)


def _read(network: Network, picture: Picture, usual: ImageStatistics) -> tuple[Answer, Taken | None]:
    """Decode a picture as training did, and compare it with what training saw."""
    try:
        decoded = decode(picture.content(), network.channels, picture.name)
    except DataError as error:
        return Answer(picture.name, error=error.message.removeprefix(f"{picture.name}: ")), None
    pixels = decoded.pixels
    doubts = differences(image_statistics(_facts(decoded)), usual)
    return Answer(picture.name, doubts=doubts, pixels=thumbnail(pixels, THUMBNAIL)), network.take(pixels)


def _facts(decoded: Decoded) -> Facts:
    facts = Facts.empty(1, decoded.pixels.shape[-1], ("file",))
    facts.set(0, decoded, 0)
    return facts
