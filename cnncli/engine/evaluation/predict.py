"""A run's own network, to predict for images one by one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from cnncli.datasets.images import Pixels
from cnncli.datasets.pictures import Picture
from cnncli.engine.evaluation.predictor import Predictor
from cnncli.engine.evaluation.trained import Trained
from cnncli.engine.input_pipeline.picture_decoder import PictureDecoder
from cnncli.serving.predict import ReadFile, ReadImage, in_threads, is_blank, read_by_pillow
from cnncli.tasks.outputs import BATCH_SIZE, NamedOutputs
from cnncli.tasks.predictions import PredictedFile
from cnncli.tasks.task import task_of

TOGETHER = 64
"""Pictures that are decoded at a call."""

CALLS = 3
"""Calls at a time: while one finishes its last pictures, or looks at files, others decode on all processors."""


class RunNetwork:
    """A run's own network, which computes the batches that evaluation computes."""

    def __init__(self, trained: Trained) -> None:
        data = trained.config.data
        self.task, self.classes, self.channels = trained.config.task, trained.classes, int(data.channels)
        self.image_size, self.fit = data.image_size, str(data.resize.fit)
        self.detector, self.thresholds = trained.detector, trained.thresholds
        self._task = task_of(trained.config)
        self._preprocessing = trained.preprocessing
        self._predictor = Predictor(trained.model, trained.preprocessing)
        self.batch_size = self._predictor.batch_size
        self._decoder = PictureDecoder(trained.preprocessing)

    def read(self, pictures: Iterable[Picture], *, thumbnails: bool) -> Iterator[ReadFile]:
        """Yield each picture in order, in the network's size; those to be drawn are few, and Pillow decodes them."""
        if thumbnails:
            return read_by_pillow(pictures, self.channels, self._prepare, self.batch_size, thumbnails=True)
        remaining = iter(pictures)
        parts = iter(lambda: list(islice(remaining, TOGETHER)), [])
        read = in_threads(self._read, parts, BATCH_SIZE // TOGETHER, CALLS)
        return (file for part in read for file in part)

    def _read(self, pictures: Sequence[Picture]) -> list[ReadFile]:
        decoded = zip(pictures, self._decoder.read(pictures), strict=True)
        return [
            (PredictedFile(picture.name, error=error), ReadImage(size, image) if error is None else None)
            for picture, (image, size, error) in decoded
        ]

    def _prepare(self, pixels: Pixels) -> npt.NDArray[np.uint8]:
        """Return the image in the network's size."""
        resized: npt.NDArray[np.uint8] = self._preprocessing.resize_uint8(pixels[None])[0].numpy()
        return resized

    def outputs(self, prepared: Sequence[Any]) -> NamedOutputs:
        """Return what an exported network returns, and the logits where a detector reads them."""
        logits = self._predictor.logits(tf.constant(np.stack(prepared)))
        outputs = self._task.outputs(logits, self.image_size)
        return outputs if self.detector is None else {**outputs, "logits": logits}

    def is_blank(self, prepared: npt.NDArray[np.uint8]) -> bool:
        """Say whether all pixels of an image have the same value."""
        return is_blank(prepared)
