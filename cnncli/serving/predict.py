"""What a network predicts for image files that nobody labelled."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
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
from cnncli.resources import available_threads
from cnncli.serving.artifact import Artifact
from cnncli.tasks.outputs import NamedOutputs
from cnncli.tasks.predictions import NO_PIXELS, PredictedFile, PredictionOptions
from cnncli.tasks.task import get_task

BATCH_SIZE = 256
"""Images computed together; as many are decoded ahead of them."""

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
        """Return what is to be kept of an image; called in several threads."""

    def outputs(self, prepared: Sequence[Prepared]) -> NamedOutputs:
        """Return what the network computes for a batch, by the names of its task's outputs."""


class ArtifactNetwork:
    """An exported network, which computes one image at a time in its own runtime: it does the resizing."""

    def __init__(self, artifact: Artifact) -> None:
        about = artifact.description
        self.task, self.classes, self.channels = about.task, about.classes, about.channels
        self.image_size, self.fit = (about.height, about.width), about.fit
        self._artifact = artifact
        self._lock = threading.Lock()

    def prepare(self, pixels: Pixels) -> dict[str, npt.NDArray[Any]]:
        """Return the image's outputs."""
        # Not every runtime may be called in two threads at once; the other images are decoded meanwhile.
        with self._lock:
            return self._artifact.outputs(pixels[None])

    def outputs(self, prepared: Sequence[Prepared]) -> NamedOutputs:
        """Return the outputs of all images."""
        return {name: np.concatenate([one[name] for one in prepared]) for name in prepared[0]}


def predict(
    network: Network,
    pictures: Iterable[Picture],
    usual: ImageStatistics,
    top: int = 3,
    *,
    thumbnails: bool = False,
) -> Iterator[PredictedFile]:
    """Yield what a network predicts for each picture, in their order; memory for two batches at a time.

    Pictures are decoded on all processors, and the next batch while the network computes one. Pillow decodes
    JPEG files as fast as TensorFlow does, and its image is at hand for the statistics.

    Args:
        network: The network.
        pictures: Images as they are stored.
        usual: How training images look: `passport["looks"]["train"]`.
        top: Number of classes to name.
        thumbnails: Whether each file carries a small image along, to be drawn.
    """
    task, options = get_task(network.task), PredictionOptions(network.classes, network.image_size, network.fit, top)
    reader = _Reader(network, usual, thumbnails)
    every = reader.read(pictures)
    while read := list(islice(every, BATCH_SIZE)):
        images = [image for _, image in read if image is not None]
        outputs = network.outputs([image.prepared for image in images]) if images else {}
        predictions = iter(task.predictions(outputs, [image.size for image in images], options) if images else ())
        for file, image in read:
            yield file if image is None else replace(file, prediction=next(predictions))


class _Image(NamedTuple):
    """An image that could be read: its height and width as it came, and what is kept of it."""

    size: tuple[int, int]
    prepared: Prepared


class _Reader:
    """Decodes pictures as training did, compares them with what training saw, and prepares them for a network.

    Args:
        network: The network.
        usual: How training images look.
        thumbnails: Whether to keep a small image of each.
    """

    def __init__(self, network: Network, usual: ImageStatistics, thumbnails: bool) -> None:
        self._network, self._usual, self._thumbnails = network, usual, thumbnails

    def read(self, pictures: Iterable[Picture]) -> Iterator[tuple[PredictedFile, _Image | None]]:
        """Yield each picture in order, decoded on all processors, a batch ahead."""
        remaining = iter(pictures)
        pool = ThreadPoolExecutor(available_threads(), thread_name_prefix="decode")
        try:
            ahead = deque(pool.submit(self._read, picture) for picture in islice(remaining, BATCH_SIZE))
            while ahead:
                done = ahead.popleft()
                ahead.extend(pool.submit(self._read, picture) for picture in islice(remaining, 1))
                yield done.result()
        finally:
            pool.shutdown(cancel_futures=True)

    def _read(self, picture: Picture) -> tuple[PredictedFile, _Image | None]:
        try:
            decoded = decode(picture.content(), self._network.channels, picture.name)
        except DataError as error:
            return PredictedFile(picture.name, error=error.message.removeprefix(f"{picture.name}: ")), None
        doubts = differences(_statistics(decoded), self._usual)
        pixels = decoded.pixels
        small = thumbnail(pixels, THUMBNAIL) if self._thumbnails else NO_PIXELS
        file = PredictedFile(picture.name, doubts=doubts, pixels=small)
        return file, _Image((pixels.shape[0], pixels.shape[1]), self._network.prepare(pixels))


def _statistics(decoded: Decoded) -> ImageStatistics:
    facts = Facts.empty(1, len(decoded.image.getbands()), ("file",))
    facts.set_statistics(0, decoded)
    return image_statistics(facts)
