"""Images that a user names, decoded as those of a training are, of which nothing is known before."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from PIL import Image

from cnncli.datasets.images import Pixels, decode
from cnncli.datasets.pictures import Picture
from cnncli.engine.input_pipeline.decoder import ImageDecoder, decoders_agree
from cnncli.engine.input_pipeline.preprocessing import Preprocessing
from cnncli.errors import DataError
from cnncli.resources import available_threads

_NOTHING: Pixels = np.zeros((1, 1, 1), np.uint8)


class DecodedPicture(NamedTuple):
    """An image in the network's size, or why there is none.

    Attributes:
        image: (height, width, channels) uint8; without meaning where there is an error.
        size: Height and width of the image as it came.
        error: Why the file cannot be read, or None.
    """

    image: Pixels
    size: tuple[int, int]
    error: str | None


class PictureDecoder(ImageDecoder):
    """Decodes and resizes pictures, some at a call; calls may come from several threads at once.

    A file's first and last bytes say whether TensorFlow may decode it. What it refuses nevertheless, Pillow decodes.

    Args:
        preprocessing: Of the run.
    """

    def __init__(self, preprocessing: Preprocessing) -> None:
        super().__init__(preprocessing, preprocessing.channels)
        self._numbers = count()
        self._pictures: dict[int, Picture] = {}
        self._errors: dict[int, str] = {}
        # Of the pictures nothing is known; a few small files of each kind tell as much, and sooner.
        self._agree = all(decoders_agree(content, self._channels, "trial") for content in _trial(self._channels))
        signature = [tf.TensorSpec([None], kind) for kind in (tf.int64, tf.bool, tf.string)]
        self._images = tf.function(self._all_images, input_signature=signature)

    def read(self, pictures: Sequence[Picture]) -> list[DecodedPicture]:
        """Return the images of some pictures, at least one, in their order."""
        numbered = {next(self._numbers): picture for picture in pictures}
        self._pictures |= numbered
        try:
            plain = self._plain(pictures)
            numbers, places = list(numbered), [os.fsencode(Path(picture.name)) for picture in pictures]
            try:
                images, sizes = self._images(numbers, plain, places)
            except tf.errors.OpError:
                images, sizes = self._images(numbers, [False] * len(plain), places)
            errors = [self._errors.pop(number, None) for number in numbers]
        finally:
            for number in numbered:
                del self._pictures[number]
        return list(map(DecodedPicture, images.numpy(), map(tuple, sizes.numpy().tolist()), errors))

    def _all_images(self, numbers: tf.Tensor, plain: tf.Tensor, places: tf.Tensor) -> Any:
        """Return the images in the network's size, and the sizes that they had."""
        options, threads = tf.data.Options(), available_threads()
        options.autotune.enabled = False
        options.threading.private_threadpool_size = threads
        examples = tf.data.Dataset.from_tensor_slices((numbers, plain, places))
        images = examples.map(self._image, num_parallel_calls=threads, deterministic=True)
        return images.batch(tf.size(numbers, tf.int64)).with_options(options).get_single_element()

    def _image(self, number: tf.Tensor, plain: tf.Tensor, place: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        pixels = self._pixels(number, plain, place, (None, None))
        return self._resized(pixels), tf.shape(pixels)[:2]

    def _decode(self, index: np.int32) -> Pixels:
        picture = self._pictures[int(index)]
        try:
            return decode(picture.content(), self._channels, picture.name)
        except DataError as error:
            self._errors[int(index)] = error.message.removeprefix(f"{picture.name}: ")
            return np.repeat(_NOTHING, self._channels, axis=-1)

    def _plain(self, pictures: Sequence[Picture]) -> list[bool]:
        """Say of each picture whether TensorFlow may decode it."""
        return [self._agree and picture.is_plain(self._channels) for picture in pictures]


def _trial(channels: int) -> Iterator[bytes]:
    """Yield a JPEG file of each kind that TensorFlow may decode: grey, and with colour at each resolution."""
    noise = np.random.default_rng(0).integers(0, 256, (37, 45, 3), np.uint8)
    image = Image.fromarray(noise)
    kinds = [(image.convert("L"), 0), *((image, subsampling) for subsampling in range(3) if channels == 3)]
    for kind, subsampling in kinds:
        for progressive in (False, True):
            content = io.BytesIO()
            kind.save(content, "JPEG", subsampling=subsampling, progressive=progressive)
            yield content.getvalue()
