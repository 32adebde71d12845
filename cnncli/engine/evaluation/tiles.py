"""A run's network that computes images in tiles, at their own size: in bounded memory, however large they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from PIL import Image

from cnncli.analysis.tiling import Cut, tiling
from cnncli.datasets.images import MOST_IN_TILES, Pixels, examine, thumbnail
from cnncli.datasets.pictures import Picture
from cnncli.engine.evaluation.trained import Trained
from cnncli.engine.tasks.objective import make_objective
from cnncli.errors import DataError
from cnncli.serving.predict import THUMBNAIL, ReadFile, ReadImage
from cnncli.tasks.ood import OodDetector
from cnncli.tasks.outputs import NamedOutputs
from cnncli.tasks.predictions import NO_PIXELS, PredictedFile

Size = tuple[int, int]


class _Waiting:
    """An image that has been decoded, until it is computed: it may be too large to be there any longer.

    Attributes:
        images: The image.
        is_blank: Whether all its pixels have the same value.
    """

    def __init__(self, image: Image.Image) -> None:
        self.images, self.is_blank = [image], _is_blank(image)


class _Whole(NamedTuple):
    """The classes of an image's pixels, and the mean probability of them."""

    mask: npt.NDArray[np.uint8]
    confidence: float


class TiledNetwork:
    """A run's network, applied to overlapping tiles of an image that is not resized.

    Of each tile, the part is kept that sees nothing beyond the tile's edge: the result is that of the whole image,
    enlarged to a multiple of the network's strides.

    Args:
        trained: The run's network.

    Raises:
        CnnError: If something in the network looks at the whole image.
    """

    detector: OodDetector | None = None
    thresholds: tuple[float, ...] | None = None
    batch_size = 1

    def __init__(self, trained: Trained) -> None:
        data = trained.config.data
        self.task, self.classes, self.channels = trained.config.task, trained.classes, int(data.channels)
        self.image_size, self.fit = data.image_size, str(data.resize.fit)
        self.tiling = tiling(trained.config)
        self._trained = trained
        self._size: Size = (0, 0)
        self._compute: Any = None

    def read(self, pictures: Iterable[Picture], *, thumbnails: bool) -> Iterator[ReadFile]:
        """Yield each picture in order, one at a time, decoded but not as an array."""
        for picture in pictures:
            try:
                image = examine(picture.content(), self.channels, picture.name, MOST_IN_TILES).image
            except DataError as error:
                yield PredictedFile(picture.name, error=error.message.removeprefix(f"{picture.name}: ")), None
                continue
            small = _thumbnail(image) if thumbnails else NO_PIXELS
            size, waiting = (image.height, image.width), _Waiting(image)
            del image
            yield PredictedFile(picture.name, pixels=small), ReadImage(size, waiting)

    def outputs(self, prepared: Sequence[_Waiting]) -> NamedOutputs:
        """Return the class of each pixel of one image, and the mean probability of the classes; the image goes."""
        (waiting,) = prepared
        whole = self._whole(waiting.images.pop())
        return {"mask": whole.mask[None], "confidence": np.array([whole.confidence])}

    def is_blank(self, prepared: _Waiting) -> bool:
        """Say whether all pixels of an image have the same value."""
        return prepared.is_blank

    def _whole(self, image: Image.Image) -> _Whole:
        """Compute an image tile by tile."""
        height, width = self.tiling.whole(image.height), self.tiling.whole(image.width)
        self._prepare((min(self.tiling.side, height), min(self.tiling.side, width)))
        mask = np.empty((image.height, image.width), np.uint8)
        total = 0.0
        for row in self.tiling.cuts(height):
            band = self._band(image, row, width)
            for column in self.tiling.cuts(width):
                found, confidences = self._compute(band[:, column.start : column.start + self._size[1]])
                kept, inside = zip(_kept(row, image.height), _kept(column, image.width), strict=True)
                mask[kept] = found.numpy()[inside]
                total += float(confidences.numpy()[inside].sum(dtype=np.float64))
        return _Whole(mask, total / mask.size)

    def _band(self, image: Image.Image, row: Cut, width: int) -> Pixels:
        """Return the rows of a row of tiles, enlarged to whole tiles."""
        end = row.start + self._size[0]
        pixels = np.asarray(image.crop((0, row.start, image.width, min(end, image.height))))
        pixels = pixels.reshape(*pixels.shape[:2], -1)
        margins = ((0, self._size[0] - len(pixels)), (0, width - pixels.shape[1]), (0, 0))
        return np.pad(pixels, margins, "edge")

    def _prepare(self, size: Size) -> None:
        """Build the network for tiles of a size, unless the last ones had it."""
        if size == self._size:
            return
        trained = self._trained.at_size(size)
        model, preprocessing, objective = trained.model, trained.preprocessing, make_objective(trained.config)

        @tf.function(autograph=False)
        def compute(tile: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            logits = model(preprocessing.to_float(tile[tf.newaxis]), training=False)
            outputs = objective.outputs(logits)
            return outputs["mask"][0], tf.reduce_max(outputs["probabilities"], axis=-1)[0]

        self._size, self._compute = size, compute


def _is_blank(image: Image.Image) -> bool:
    bands = image.getextrema()
    pairs = bands if isinstance(bands[0], tuple) else (bands,)
    return all(low == high for low, high in pairs)


def _kept(cut: Cut, length: int) -> tuple[slice, slice]:
    """Return which of the image's own pixels a tile is kept for, and where these are in the tile."""
    first, end = min(cut.first, length), min(cut.end, length)
    return slice(first, end), slice(first - cut.start, end - cut.start)


def _thumbnail(image: Image.Image) -> Pixels:
    small = image.reduce(max(1, min(image.size) // (4 * THUMBNAIL)))
    pixels = np.asarray(small)
    return thumbnail(pixels.reshape(*pixels.shape[:2], -1), THUMBNAIL)
