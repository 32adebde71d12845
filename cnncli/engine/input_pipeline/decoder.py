"""Images from files, decoded beside the training: in a fixed order, from any batch on, in bounded memory."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import partial

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from cnncli.datasets.files import Files
from cnncli.datasets.images import Pixels, decode
from cnncli.datasets.store import Folder
from cnncli.engine.input_pipeline.preprocessing import Preprocessing
from cnncli.errors import DataError
from cnncli.resources import available_threads

AHEAD_BYTES = 2**25
"""Bytes of decoded batches that wait for their turn."""

_PROBES = 4

Indices = npt.NDArray[np.int32]


class ImageDecoder(ABC):
    """Decodes and resizes one file, as operations of a graph: the same in training and in prediction.

    Pillow decides what a file shows, in the passport as in prediction. TensorFlow decodes faster, so
    it does so for JPEG files that leave no choice to a decoder, after a trial that both give the same
    pixels here. Every image then goes through the same preprocessing as in the exported graph.

    Args:
        preprocessing: Of the run.
        channels: 1 or 3: what the files are decoded to.
    """

    def __init__(self, preprocessing: Preprocessing, channels: int) -> None:
        self._preprocessing = preprocessing
        self._channels = channels

    @abstractmethod
    def _decode(self, index: np.int32) -> Pixels:
        """Return the image of a file as Pillow decodes it."""

    def _content(self, index: tf.Tensor, place: tf.Tensor) -> tf.Tensor:  # noqa: ARG002 - for files without a place
        """Return a file as it is stored."""
        return tf.io.read_file(place)

    def _pixels(
        self, index: tf.Tensor, plain: tf.Tensor | bool, place: tf.Tensor, size: tuple[int | None, int | None]
    ) -> tf.Tensor:
        """Return the image as it comes: (height, width, channels).

        Args:
            index: What `_decode` calls the file.
            plain: Whether TensorFlow decodes it.
            place: Its path.
            size: Height and width where they are known.
        """
        if plain is True:
            image = self._by_tensorflow(index, place)
        else:
            image = tf.cond(plain, lambda: self._by_tensorflow(index, place), lambda: self._by_pillow(index))
        return tf.ensure_shape(image, (*size, self._channels))

    def _resized(self, pixels: tf.Tensor) -> tf.Tensor:
        """Return the image in the size that the network reads."""
        resize = self._preprocessing.resize_uint8
        if pixels.shape.is_fully_defined():
            return resize(pixels[tf.newaxis])[0]
        height, width = tf.unstack(tf.shape(pixels)[:2])
        most_read = self._preprocessing.reads_most_of(height, width)
        images = pixels[tf.newaxis]
        return tf.cond(most_read, lambda: resize(images, True), lambda: resize(images, False))[0]

    def _by_tensorflow(self, index: tf.Tensor, place: tf.Tensor) -> tf.Tensor:
        return decode_jpeg(self._content(index, place), self._channels)

    def _by_pillow(self, index: tf.Tensor) -> tf.Tensor:
        image = tf.numpy_function(self._decode, [index], tf.uint8)
        return tf.ensure_shape(image, (None, None, self._channels))


class Decoder(ImageDecoder):
    """Decodes and resizes the files of a split on all processors.

    Args:
        files: The images.
        preprocessing: Of the run.
    """

    def __init__(self, files: Files, preprocessing: Preprocessing) -> None:
        super().__init__(preprocessing, files.channels)
        self._files = files
        self.data = preprocessing.data
        self.shape = (preprocessing.height, preprocessing.width, preprocessing.channels)
        self._plain = files.plain.copy()
        self._failure: DataError | None = None
        if not self._decoders_agree():
            self._plain[:] = False

    def __len__(self) -> int:
        return len(self._files)

    @property
    def image_bytes(self) -> int:
        """Bytes of one image in the size that the network reads."""
        return int(np.prod(self.shape))

    def batches_ahead(self, batch_size: int) -> int:
        """Return the number of batches that are decoded before they are asked for."""
        return max(1, min(8, AHEAD_BYTES // (batch_size * self.image_bytes)))

    def batches(self, order: Indices, batch_size: int) -> Iterator[tf.Tensor]:
        """Yield the images at `order`, in that order, `batch_size` at a time; the last batch may be smaller.

        Each is a uint8 tensor (examples, height, width, channels) in the size that the network reads.

        Raises:
            DataError: If a file can no longer be read, or has changed since it was scanned; names it.
        """
        start = 0
        while start < len(order):
            batches = iter(self._dataset(order[start:], batch_size))
            try:
                for batch in batches:
                    self._files.require_unchanged(order[start : start + batch_size])
                    yield batch
                    start += batch_size
            except tf.errors.OpError as error:
                self._blame(order[start : start + batch_size], error)

    def _dataset(self, order: Indices, batch_size: int) -> tf.data.Dataset:
        options = tf.data.Options()
        options.autotune.enabled = False
        # Two for each processor: while one waits for the disk, the other decodes.
        options.threading.private_threadpool_size = 2 * available_threads()
        examples = tf.data.Dataset.from_tensor_slices((order, self._plain[order], self._places(order)))
        image = partial(self._image, plain_only=bool(self._plain[order].all()), size=self._common_size(order))
        images = examples.map(image, num_parallel_calls=2 * available_threads(), deterministic=True)
        return images.batch(batch_size).prefetch(self.batches_ahead(batch_size)).with_options(options)

    def _places(self, order: Indices) -> list[bytes]:
        """Return the paths that TensorFlow reads by itself; "" for files in an archive."""
        store, names = self._files.store, self._files.names
        if not isinstance(store, Folder):
            return [b""] * len(order)
        return [os.fsencode(store.root / names[i]) for i in order.tolist()]

    def _common_size(self, order: Indices) -> tuple[int | None, int | None]:
        """Return height and width that all images share; None where they differ or are unknown."""
        sizes = self._files.sizes[order]
        first = sizes[0].tolist()
        return (first[0], first[1]) if all(first) and bool((sizes == sizes[0]).all()) else (None, None)

    def _image(
        self,
        index: tf.Tensor,
        plain: tf.Tensor,
        place: tf.Tensor,
        *,
        plain_only: bool,
        size: tuple[int | None, int | None],
    ) -> tf.Tensor:
        return self._resized(self._pixels(index, plain_only or plain, place, size))

    def _content(self, index: tf.Tensor, place: tf.Tensor) -> tf.Tensor:
        if isinstance(self._files.store, Folder):
            return super()._content(index, place)
        return tf.numpy_function(self._read, [index], tf.string)

    def _read(self, index: np.int32) -> bytes:
        return self._files.read(int(index))

    def _decode(self, index: np.int32) -> Pixels:
        return self._files.decode(int(index))

    def _blame(self, indices: Indices, error: Exception) -> None:
        """Name the file that stopped a batch; if Pillow reads them all, let it decode these from now on."""
        self._files.require_unchanged(indices)
        for index in indices.tolist():
            self._files.decode(index)
        if not self._plain[indices].any():
            raise DataError(f"the images could not be decoded: {error}") from error
        self._plain[indices] = False

    def _decoders_agree(self) -> bool:
        """Try both decoders on a few of the files that TensorFlow would decode."""
        probes = np.flatnonzero(self._plain)[:_PROBES].tolist()
        return all(decoders_agree(self._files.read(i), self._channels, self._files.names[i]) for i in probes)


def decoders_agree(content: bytes, channels: int, name: str) -> bool:
    """Say whether TensorFlow gives the very pixels of a JPEG file that Pillow gives.

    Raises:
        DataError: If Pillow cannot decode it; calls it by its name.
    """
    try:
        pixels = decode_jpeg(content, channels).numpy()
    except tf.errors.OpError:
        return False
    return np.array_equal(pixels, decode(content, channels, name))


def decode_jpeg(content: tf.Tensor | bytes, channels: int) -> tf.Tensor:
    """Decode a JPEG file with the settings that Pillow uses: (height, width, channels) uint8."""
    return tf.io.decode_jpeg(content, channels=channels, dct_method="INTEGER_ACCURATE", fancy_upscaling=True)


class FileImages:
    """The images of files as if they were one array: `len`, and slices that are decoded when they are asked for.

    Args:
        decoder: Decodes them.
    """

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self._next = 0
        self._step = 0
        self._batches: Iterator[tf.Tensor] = iter(())

    def __len__(self) -> int:
        return len(self._decoder)

    def __getitem__(self, part: slice) -> tf.Tensor:
        """Return consecutive images; slices of one length that follow each other are decoded ahead."""
        start, stop, _ = part.indices(len(self))
        if start != self._next or stop != min(start + self._step, len(self)):
            self._step = stop - start
            self._batches = self._decoder.batches(np.arange(start, len(self), dtype=np.int32), self._step)
        self._next = stop
        return next(self._batches)
