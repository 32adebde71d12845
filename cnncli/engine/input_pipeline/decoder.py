"""Images from files, decoded beside the training: in a fixed order, from any batch on, in bounded memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from cnncli.datasets.files import Files
from cnncli.datasets.scan import num_workers
from cnncli.datasets.splits import Split
from cnncli.datasets.store import Folder
from cnncli.engine.input_pipeline.feed import Chunk, Examples, Feed, MemoryFeed, epoch_order, to_memory
from cnncli.engine.input_pipeline.preprocessing import Preprocessing
from cnncli.errors import DataError

MEMORY_LIMIT = 2**30
"""Bytes up to which a split is held in memory, in the size that the network reads."""

AHEAD_BYTES = 2**25
"""Bytes of decoded batches that wait for their turn."""

_PROBES = 4
_BLOCK = 256

Indices = npt.NDArray[np.int32]


class Decoder:
    """Decodes and resizes files on all processors.

    Pillow decides what a file shows, in the passport as in prediction. TensorFlow decodes faster, so
    it does so for JPEG files that leave no choice to a decoder, after a trial that both give the same
    pixels here. Every image then goes through the same preprocessing as in the exported graph.

    Args:
        files: The images.
        preprocessing: Of the run.
    """

    def __init__(self, files: Files, preprocessing: Preprocessing) -> None:
        self._files = files
        self._preprocessing = preprocessing
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

    def batches(self, order: Indices, batch_size: int) -> Iterator[tf.Tensor]:
        """Yield the images at `order`, in that order, `batch_size` at a time; the last batch may be smaller.

        Each is a uint8 tensor (examples, height, width, channels) in the size that the network reads.

        Raises:
            DataError: If a file can no longer be read; names it.
        """
        start = 0
        while start < len(order):
            batches = iter(self._dataset(order[start:], batch_size))
            try:
                for batch in batches:
                    yield batch
                    start += batch_size
            except tf.errors.OpError as error:
                self._blame(order[start : start + batch_size], error)

    def _dataset(self, order: Indices, batch_size: int) -> tf.data.Dataset:
        options = tf.data.Options()
        options.autotune.enabled = False
        # Two for each processor: while one waits for the disk, the other decodes.
        options.threading.private_threadpool_size = 2 * num_workers()
        ahead = max(1, min(8, AHEAD_BYTES // (batch_size * self.image_bytes)))
        examples = tf.data.Dataset.from_tensor_slices((order, self._plain[order], self._places(order)))
        image = partial(self._image, plain_only=bool(self._plain[order].all()), size=self._common_size(order))
        images = examples.map(image, num_parallel_calls=2 * num_workers(), deterministic=True)
        return images.batch(batch_size).prefetch(ahead).with_options(options)

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
        self, index: tf.Tensor, plain: tf.Tensor, place: tf.Tensor, *, plain_only: bool, size: tuple[int | None, ...]
    ) -> tf.Tensor:
        if plain_only:
            image = self._by_tensorflow(index, place)
        else:
            image = tf.cond(plain, lambda: self._by_tensorflow(index, place), lambda: self._by_pillow(index))
        image = tf.ensure_shape(image, (*size, self._files.channels))
        return self._preprocessing.resize_uint8(image[tf.newaxis])[0]

    def _by_tensorflow(self, index: tf.Tensor, place: tf.Tensor) -> tf.Tensor:
        if isinstance(self._files.store, Folder):
            content = tf.io.read_file(place)
        else:
            content = tf.numpy_function(self._read, [index], tf.string)
        return decode_jpeg(content, self._files.channels)

    def _by_pillow(self, index: tf.Tensor) -> tf.Tensor:
        image = tf.numpy_function(self._decode, [index], tf.uint8)
        return tf.ensure_shape(image, (None, None, self._files.channels))

    def _read(self, index: np.int32) -> bytes:
        return self._files.read(int(index))

    def _decode(self, index: np.int32) -> npt.NDArray[np.uint8]:
        return self._files.decode(int(index))

    def _blame(self, indices: Indices, error: Exception) -> None:
        """Name the file that stopped a batch; if Pillow reads them all, let it decode these from now on."""
        for index in indices.tolist():
            self._files.decode(index)
        if not self._plain[indices].any():
            raise DataError(f"the images could not be decoded: {error}") from error
        self._plain[indices] = False

    def _decoders_agree(self) -> bool:
        """Try both decoders on a few of the files that TensorFlow would decode."""
        for index in np.flatnonzero(self._plain)[:_PROBES].tolist():
            try:
                pixels = decode_jpeg(self._files.read(index), self._files.channels).numpy()
            except tf.errors.OpError:
                return False
            if not np.array_equal(pixels, self._files.decode(index)):
                return False
        return True


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


class StreamFeed:
    """A training split whose images are decoded beside the training.

    Args:
        split: Its images are `Files`.
        decoder: Of these files.
        seed: Of the run.
        batch_size: Examples a step.
    """

    def __init__(self, split: Split, decoder: Decoder, seed: int, batch_size: int) -> None:
        self.num_examples = len(split)
        self._decoder = decoder
        self._labels = split.labels.astype(np.int32)
        self._seed, self._batch_size = seed, batch_size
        self._place = (-1, -1)
        self._order = np.empty(0, np.int32)
        self._batches: Iterator[tf.Tensor] = iter(())

    def chunk(self, epoch: int, first_batch: int, max_batches: int) -> Chunk:
        """Return the batches from `first_batch` on; the last, smaller one of an epoch comes alone."""
        size = self._batch_size
        if (epoch, first_batch) != self._place:
            self._order = epoch_order(self._seed, epoch, self.num_examples)
            self._batches = self._decoder.batches(self._order[first_batch * size :], size)
        whole = self.num_examples // size - first_batch
        count = max(1, min(max_batches, whole, AHEAD_BYTES // (size * self._decoder.image_bytes)))
        batches = [next(self._batches) for _ in range(count)]
        images = batches[0] if count == 1 else tf.concat(batches, axis=0)
        indices = self._order[first_batch * size :][: len(images)]
        self._place = (epoch, first_batch + count)
        plan = np.arange(len(images), dtype=np.int32).reshape(count, -1)
        return Chunk(images, tf.constant(self._labels[indices]), plan)

    def sample(self, limit: int) -> tf.Tensor:
        """Return images spread evenly over the split, decoded now."""
        indices = np.linspace(0, self.num_examples - 1, min(limit, self.num_examples)).astype(np.int32)
        return tf.constant(np.concatenate(list(self._decoder.batches(indices, _BLOCK))))


def make_feed(split: Split, preprocessing: Preprocessing, seed: int, batch_size: int) -> Feed:
    """Return a feed of a training split: from memory where it fits, else from its files."""
    if not isinstance(split.images, Files):
        return MemoryFeed(split, preprocessing, seed, batch_size)
    decoder = Decoder(split.images, preprocessing)
    if fits(decoder):
        return MemoryFeed(in_memory(split, decoder), preprocessing, seed, batch_size)
    return StreamFeed(split, decoder, seed, batch_size)


def fits(decoder: Decoder) -> bool:
    """Say whether the images are held in memory."""
    return len(decoder) * decoder.image_bytes <= MEMORY_LIMIT


def in_memory(split: Split, decoder: Decoder) -> Split:
    """Return a split of files with all its images decoded, in the size that the network reads."""
    images = np.empty((len(split), *decoder.shape), np.uint8)
    for number, batch in enumerate(decoder.batches(np.arange(len(split), dtype=np.int32), _BLOCK)):
        images[number * _BLOCK : number * _BLOCK + len(batch)] = batch.numpy()
    return Split(split.name, images, split.labels, split.ids)


def hold(split: Split, preprocessing: Preprocessing) -> Examples:
    """Return a split to be read again and again: in memory where it fits, else decoded each time."""
    if not isinstance(split.images, Files):
        return to_memory(split, preprocessing)
    decoder = Decoder(split.images, preprocessing)
    if fits(decoder):
        return Examples(tf.constant(in_memory(split, decoder).images), split.labels)
    return Examples(FileImages(decoder), split.labels)


def decoded(split: Split, preprocessing: Preprocessing) -> npt.NDArray[np.uint8]:
    """Return all images of a split in the size that the network reads."""
    if isinstance(split.images, Files):
        images = in_memory(split, Decoder(split.images, preprocessing)).images
    else:
        images = to_memory(split, preprocessing).images
    return np.asarray(images)
