"""What a network predicts for image files that nobody labelled."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from cnncli.datasets.facts import Facts
from cnncli.datasets.image_statistics import ImageStatistics, differences, image_statistics
from cnncli.datasets.images import Decoded, Pixels, thumbnail
from cnncli.datasets.images import examine as decode
from cnncli.datasets.pictures import Picture
from cnncli.errors import DataError
from cnncli.serving.artifact import Artifact
from cnncli.tasks.outputs import NamedOutputs
from cnncli.tasks.predictions import PredictedFile, PredictionOptions
from cnncli.tasks.task import get_task

BATCH_SIZE = 256
"""Images computed together."""

Prepared = Any
"""What is kept of an image until its batch is computed."""

THUMBNAIL = 64
"""Longest side of the images that predictions carry along, to be drawn."""


class Network(Protocol):
    """What predicts for images one by one.

    Attributes:
        task: What it was trained for.
        classes: Names of the classes.
        channels: 1 for grey, 3 for red, green and blue.
        image_size: Height and width that it reads.
        fit: What happens to images of another aspect ratio.
    """

    task: str
    classes: tuple[str, ...]
    channels: int
    image_size: tuple[int, int]
    fit: str

    def prepare(self, pixels: Pixels) -> Prepared:
        """Return what is to be kept of an image."""

    def outputs(self, prepared: Sequence[Prepared]) -> NamedOutputs:
        """Return what the network computes for a batch, by the names of its task's outputs."""


class ArtifactNetwork:
    """An exported network, which computes one image at a time in its own runtime: it does the resizing."""

    def __init__(self, artifact: Artifact) -> None:
        about = artifact.description
        self.task, self.classes, self.channels = about.task, about.classes, about.channels
        self.image_size, self.fit = (about.height, about.width), about.fit
        self._artifact = artifact

    def prepare(self, pixels: Pixels) -> dict[str, npt.NDArray[Any]]:
        """Return the image's outputs."""
        return self._artifact.outputs(pixels[None])

    def outputs(self, prepared: Sequence[Prepared]) -> NamedOutputs:
        """Return the outputs of all images."""
        return {name: np.concatenate([one[name] for one in prepared]) for name in prepared[0]}


def predict(
    network: Network, pictures: Iterable[Picture], usual: ImageStatistics, top: int = 3
) -> Iterator[PredictedFile]:
    """Yield what a network predicts for each picture, in their order; memory for one batch at a time.

    Args:
        network: The network.
        pictures: Images as they are stored.
        usual: How training images look: `passport["looks"]["train"]`.
        top: Number of classes to name.
    """
    task, options = get_task(network.task), PredictionOptions(network.classes, network.image_size, network.fit, top)
    remaining = iter(pictures)
    while batch := list(islice(remaining, BATCH_SIZE)):
        read = [_read(network, picture, usual) for picture in batch]
        images = [image for _, image in read if image is not None]
        outputs = network.outputs([image.prepared for image in images]) if images else {}
        predictions = iter(task.predictions(outputs, [image.size for image in images], options) if images else ())
        for file, image in read:
            yield file if image is None else replace(file, prediction=next(predictions))


class _Image(NamedTuple):
    """An image that could be read: its height and width as it came, and what is kept of it."""

    size: tuple[int, int]
    prepared: Prepared


def _read(network: Network, picture: Picture, usual: ImageStatistics) -> tuple[PredictedFile, _Image | None]:
    """Decode a picture as training did, and compare it with what training saw."""
    try:
        decoded = decode(picture.content(), network.channels, picture.name)
    except DataError as error:
        return PredictedFile(picture.name, error=error.message.removeprefix(f"{picture.name}: ")), None
    pixels = decoded.pixels
    doubts = differences(image_statistics(_facts(decoded)), usual)
    file = PredictedFile(picture.name, doubts=doubts, pixels=thumbnail(pixels, THUMBNAIL))
    return file, _Image((pixels.shape[0], pixels.shape[1]), network.prepare(pixels))


def _facts(decoded: Decoded) -> Facts:
    facts = Facts.empty(1, decoded.pixels.shape[-1], ("file",))
    facts.set(0, decoded, 0)
    return facts
