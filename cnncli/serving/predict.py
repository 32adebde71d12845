"""What a network predicts for image files that nobody labelled."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import islice, repeat
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np

from cnncli.config.schema.tasks import TASKS
from cnncli.datasets.images import Pixels, decode, thumbnail
from cnncli.datasets.pictures import Picture
from cnncli.errors import DataError
from cnncli.resources import available_threads
from cnncli.serving.artifact import Artifact
from cnncli.tasks.ood import BLANK, OodDetector, OodScore
from cnncli.tasks.outputs import NamedOutputs, images_together
from cnncli.tasks.predictions import LEAST_SCORE, NO_PIXELS, PredictedFile, PredictionOptions
from cnncli.tasks.task import get_task

Prepared = Any
"""What is kept of an image until its batch is computed."""

THUMBNAIL = 64
"""Longest side of the images that predictions carry along, to be drawn."""

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class ReadImage(NamedTuple):
    """An image that could be read: its height and width as it came, and what is kept of it."""

    size: tuple[int, int]
    prepared: Prepared


ReadFile = tuple[PredictedFile, ReadImage | None]
"""A file without its prediction, and its image; None where the file has an error."""


class Network(Protocol):
    """What reads images, as it likes, and predicts for them.

    Attributes:
        task: What it was trained for.
        classes: Names of the classes.
        channels: 1 for grey, 3 for red, green and blue.
        image_size: Height and width that it reads.
        fit: What happens to images of another aspect ratio.
        detector: Tells images unlike those of training, or None.
        thresholds: Score from which on an object of each class counts as found; None where it brings none.
        batch_size: Images computed together; as many are decoded ahead of them.
    """

    task: str
    classes: tuple[str, ...]
    channels: int
    image_size: tuple[int, int]
    fit: str
    detector: OodDetector | None
    thresholds: tuple[float, ...] | None
    batch_size: int

    def read(self, pictures: Iterable[Picture], *, thumbnails: bool) -> Iterator[ReadFile]:
        """Yield each picture in order, decoded on all processors, at most a batch ahead.

        Args:
            pictures: Images as they are stored.
            thumbnails: Whether each file carries a small image along, to be drawn.
        """

    def outputs(self, prepared: Sequence[Prepared]) -> NamedOutputs:
        """Return what the network computes for a batch, by the names of its task's outputs."""

    def is_blank(self, prepared: Prepared) -> bool:
        """Say whether all pixels of an image have the same value."""


class ArtifactNetwork:
    """An exported network, which computes one image at a time in its own runtime: it does the resizing."""

    def __init__(self, artifact: Artifact) -> None:
        about = artifact.description
        self.task, self.classes, self.channels = about.task, about.classes, about.channels
        self.image_size, self.fit = (about.height, about.width), about.fit
        self.detector = get_task(about.task).read_ood_detector(about.ood_detector or {})
        self.thresholds: tuple[float, ...] | None = None
        self.batch_size = images_together(self.image_size, TASKS[about.task].has_places)
        self._artifact = artifact
        self._lock = threading.Lock()

    def read(self, pictures: Iterable[Picture], *, thumbnails: bool) -> Iterator[ReadFile]:
        """Yield each picture in order, with its outputs."""
        return read_by_pillow(pictures, self.channels, self._outputs, self.batch_size, thumbnails=thumbnails)

    def _outputs(self, pixels: Pixels) -> _Computed:
        """Return the outputs of one image."""
        # Not every runtime may be called in two threads at once; the other images are decoded meanwhile.
        with self._lock:
            return _Computed(self._artifact.outputs(pixels[None]), is_blank(pixels))

    def outputs(self, prepared: Sequence[Prepared]) -> NamedOutputs:
        """Return the outputs of all images."""
        computed = [one.outputs for one in prepared]
        return {name: np.concatenate([one[name] for one in computed]) for name in computed[0]}

    def is_blank(self, prepared: _Computed) -> bool:
        """Say whether all pixels of an image have the same value."""
        return prepared.is_blank


class _Computed(NamedTuple):
    """What an exported network computed for an image, and whether that was blank."""

    outputs: NamedOutputs
    is_blank: bool


def is_blank(pixels: Pixels) -> bool:
    """Say whether all pixels of an image have the same value."""
    return bool((pixels == pixels[:1, :1]).all())


def least_score(network: Network) -> float | tuple[float, ...]:
    """Return the score from which on an object counts where nobody says another: of all classes, or of each."""
    if not TASKS[network.task].reads_boxes or network.thresholds is None:
        return LEAST_SCORE
    return network.thresholds


def predict(
    network: Network,
    pictures: Iterable[Picture],
    top: int = 3,
    threshold: float | Sequence[float] = LEAST_SCORE,
    *,
    thumbnails: bool = False,
) -> Iterator[PredictedFile]:
    """Yield what a network predicts for each picture, in their order; memory for two batches at a time.

    Pictures are decoded on all processors, and the next batch while the network computes one.

    Args:
        network: The network.
        pictures: Images as they are stored.
        top: Number of classes to name.
        threshold: Score from which on a detected object is named; of all classes, or of each.
        thumbnails: Whether each file carries a small image along, to be drawn, with what is predicted for its pixels.
    """
    task = get_task(network.task)
    options = PredictionOptions(network.classes, network.image_size, network.fit, top, threshold)
    every = network.read(pictures, thumbnails=thumbnails)
    while read := list(islice(every, network.batch_size)):
        images = [image for _, image in read if image is not None]
        outputs = network.outputs([image.prepared for image in images]) if images else {}
        predictions = iter(task.predictions(outputs, [image.size for image in images], options) if images else ())
        scores = iter(network.detector.scores(outputs) if images and network.detector else repeat(None))
        for file, image in read:
            if image is None:
                yield file
                continue
            score = next(scores)
            doubts = _doubts(network.is_blank(image.prepared), score)
            prediction = next(predictions)
            drawing = task.drawing(prediction) if thumbnails else None
            pixels = file.pixels if drawing is None else drawing.over(file.pixels)
            yield replace(file, prediction=prediction, doubts=doubts, ood=score, pixels=pixels)


def _doubts(blank: bool, score: OodScore | None) -> tuple[str, ...]:
    return (*([BLANK] if blank else ()), *([score.warning] if score and score.unlike else ()))


def read_by_pillow(
    pictures: Iterable[Picture],
    channels: int,
    prepare: Callable[[Pixels], Prepared],
    ahead: int,
    *,
    thumbnails: bool,
) -> Iterator[ReadFile]:
    """Yield each picture in order, decoded on all processors, a batch ahead.

    Args:
        pictures: Images as they are stored.
        channels: 1 for grey, 3 for red, green and blue.
        prepare: Returns what is to be kept of an image; called in several threads.
        ahead: Images that are read before they are asked for.
        thumbnails: Whether to keep a small image of each.
    """

    def read(picture: Picture) -> ReadFile:
        try:
            pixels = decode(picture.content(), channels, picture.name)
        except DataError as error:
            return PredictedFile(picture.name, error=error.message.removeprefix(f"{picture.name}: ")), None
        small = thumbnail(pixels, THUMBNAIL) if thumbnails else NO_PIXELS
        file = PredictedFile(picture.name, pixels=small)
        return file, ReadImage((pixels.shape[0], pixels.shape[1]), prepare(pixels))

    return in_threads(read, pictures, ahead, available_threads())


def in_threads(
    function: Callable[[_Item], _Result], items: Iterable[_Item], ahead: int, threads: int
) -> Iterator[_Result]:
    """Yield what a function returns for each item, in order, computed in threads, some items ahead."""
    remaining = iter(items)
    pool = ThreadPoolExecutor(threads, thread_name_prefix="decode")
    try:
        waiting = deque(pool.submit(function, item) for item in islice(remaining, ahead))
        while waiting:
            done = waiting.popleft()
            waiting.extend(pool.submit(function, item) for item in islice(remaining, 1))
            yield done.result()
    finally:
        pool.shutdown(cancel_futures=True)
