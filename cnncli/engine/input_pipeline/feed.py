"""Where the step loop gets its batches from: the order of an epoch, and the arrays it is cut from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from cnncli.datasets.files import Files
from cnncli.datasets.splits import Split
from cnncli.datasets.targets import Targets
from cnncli.engine.input_pipeline.decoder import AHEAD_BYTES, Decoder, FileImages
from cnncli.engine.input_pipeline.preprocessing import Preprocessing
from cnncli.engine.input_pipeline.share import Share
from cnncli.engine.input_pipeline.targets_ahead import targets_ahead


def epoch_order(seed: int, epoch: int, num_examples: int) -> np.ndarray:
    """Return the order in which epoch `epoch` (from 0) visits the examples.

    A permutation from (seed, epoch) alone, so that a resumed run can start at any batch of it.

    Returns:
        int32 array of shape (num_examples,); every index exactly once.
    """
    generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, epoch])))
    return generator.permutation(num_examples).astype(np.int32)


def even(num_examples: int, limit: int) -> np.ndarray:
    """Return at most `limit` places spread evenly over a split: its first ones are often of one class."""
    return np.linspace(0, num_examples - 1, min(limit, num_examples)).astype(np.int32)


WHOLE = Share()
"""The share of a process that has every batch to itself."""


class Chunk(NamedTuple):
    """Batches of one size, to be run without a word from Python.

    Attributes:
        images: uint8 tensor (examples, height, width, channels).
        targets: What the network should answer, a tensor (examples, …) as the task's objective takes it.
        plan: int32 array (batches, rows): indices into `images` and `targets`, of the rows that this worker computes.
        batch_size: Examples of each whole batch, of all workers.
    """

    images: tf.Tensor
    targets: tf.Tensor
    plan: np.ndarray
    batch_size: int

    @property
    def num_examples(self) -> int:
        """Number of examples of all its batches, of all workers."""
        return len(self.plan) * self.batch_size


class Feed(Protocol):
    """A training split that can be entered at any batch of any epoch."""

    num_examples: int

    def chunk(self, epoch: int, first_batch: int, max_batches: int) -> Chunk:
        """Return the batches from `first_batch` on: at least one, at most `max_batches`, of equal size."""
        ...

    def first_batch(self) -> Chunk:
        """Return the batch of the run's first step, wherever the training is: all of it, whoever computes what."""
        ...

    def sample(self, limit: int) -> tf.Tensor:
        """Return at most `limit` images as the network reads them, uint8; always the same ones."""
        ...


class Examples(NamedTuple):
    """A split as the network reads it.

    Attributes:
        images: uint8 (examples, height, width, channels) of the config's size: a tensor, or what gives
            one for every slice and has a length.
        targets: What the network should answer for each.
    """

    images: Any
    targets: Targets


def to_memory(split: Split, preprocessing: Preprocessing) -> Examples:
    """Return a split in the config's size, resized a part at a time: a float copy of the whole would be large."""
    size = 4096
    if isinstance(split.images, Files):
        raise TypeError("images in files must be decoded first")
    parts = [preprocessing.resize_uint8(split.images[i : i + size]) for i in range(0, len(split), size)]
    return Examples(tf.concat(parts, axis=0) if len(parts) != 1 else parts[0], split.targets)


class MemoryFeed:
    """A split held as one uint8 tensor; a batch is gathered from it by index."""

    def __init__(
        self, split: Split, preprocessing: Preprocessing, seed: int, batch_size: int, share: Share = WHOLE
    ) -> None:
        examples = to_memory(split, preprocessing)
        self.images = examples.images
        self.targets = tf.constant(examples.targets.fit(preprocessing.data))
        self.num_examples = len(split)
        self._seed = seed
        self._batch_size = batch_size
        self._share = share
        self._epoch = -1
        self._order = np.empty(0, np.int32)

    def chunk(self, epoch: int, first_batch: int, max_batches: int) -> Chunk:
        """Return the batches from `first_batch` on; the last, smaller one of an epoch comes alone."""
        if epoch != self._epoch:
            self._epoch, self._order = epoch, epoch_order(self._seed, epoch, self.num_examples)
        size = self._batch_size
        rest = self._order[first_batch * size : (first_batch + max_batches) * size]
        whole = len(rest) // size
        plan = rest[: whole * size].reshape(whole, size) if whole else rest[None]
        batch_size = plan.shape[1]
        return Chunk(self.images, self.targets, plan[:, self._share.rows(batch_size)], batch_size)

    def first_batch(self) -> Chunk:
        """Return the whole batch of the run's first step."""
        plan = epoch_order(self._seed, 0, self.num_examples)[None, : self._batch_size]
        return Chunk(self.images, self.targets, plan, plan.shape[1])

    def sample(self, limit: int) -> tf.Tensor:
        """Return images spread evenly over the split."""
        return self.images if limit >= self.num_examples else tf.gather(self.images, even(self.num_examples, limit))


MEMORY_LIMIT = 2**30
"""Bytes up to which a split and its targets are held in memory, in the size that the network reads."""


_BLOCK = 256


class StreamFeed:
    """A training split whose images and targets are decoded beside the training.

    Args:
        split: Its images are `Files`.
        decoder: Of these files.
        seed: Of the run.
        batch_size: Examples a step.
        share: The rows of every batch that are decoded.
    """

    def __init__(self, split: Split, decoder: Decoder, seed: int, batch_size: int, share: Share = WHOLE) -> None:
        self.num_examples = len(split)
        self._decoder = decoder
        self._targets, self._data = split.targets, decoder.data
        self._seed, self._batch_size, self._share = seed, batch_size, share
        self._place = (-1, -1)
        self._order = np.empty(0, np.int32)
        self._batches: Iterator[tf.Tensor] = iter(())
        self._fitted: Iterator[npt.NDArray[Any]] = iter(())

    def chunk(self, epoch: int, first_batch: int, max_batches: int) -> Chunk:
        """Return the batches from `first_batch` on; the last, smaller one of an epoch comes alone."""
        size = self._batch_size
        if (epoch, first_batch) != self._place:
            self._order = epoch_order(self._seed, epoch, self.num_examples)
            self._enter(self._order[first_batch * size :])
        whole = self.num_examples // size - first_batch
        count = max(1, min(max_batches, whole, AHEAD_BYTES // (size * self._decoder.image_bytes)))
        batches = [next(self._batches) for _ in range(count)]
        images = batches[0] if count == 1 else tf.concat(batches, axis=0)
        targets = np.concatenate([next(self._fitted) for _ in range(count)])
        self._place = (epoch, first_batch + count)
        return _chunk(images, targets, count, size if whole > 0 else self.num_examples % size)

    def _enter(self, rest: npt.NDArray[np.int32]) -> None:
        """Begin to decode this worker's rows of the batches that are left of an epoch."""
        parts = [(rest, self._batch_size)] if self._share.is_whole else self._rows_of(rest)
        ahead = self._decoder.batches_ahead(self._batch_size)
        self._batches = chain.from_iterable(self._decoder.batches(order, size) for order, size in parts)
        self._fitted = chain.from_iterable(
            targets_ahead(self._targets, self._data, order, size, ahead) for order, size in parts
        )

    def _rows_of(self, rest: npt.NDArray[np.int32]) -> list[tuple[npt.NDArray[np.int32], int]]:
        """Return the rows of whole batches one after the other and how many each has; then those of a smaller one."""
        size, whole = self._batch_size, len(rest) // self._batch_size
        batches, last = rest[: whole * size].reshape(whole, size), rest[whole * size :]
        parts = [batches[:, self._share.rows(size)].reshape(-1), last[self._share.rows(len(last))]]
        rows = [len(parts[0]) // max(whole, 1), len(parts[1])]
        return [(part, count) for part, count in zip(parts, rows, strict=True) if count]

    def first_batch(self) -> Chunk:
        """Return the whole batch of the run's first step, decoded now and no image beyond it."""
        batch = epoch_order(self._seed, 0, self.num_examples)[: self._batch_size]
        targets = self._targets.take(batch.astype(np.int64)).fit(self._data)
        return _chunk(next(self._decoder.batches(batch, len(batch))), targets, 1, len(batch))

    def sample(self, limit: int) -> tf.Tensor:
        """Return images spread evenly over the split, decoded now."""
        indices = even(self.num_examples, limit)
        return tf.constant(np.concatenate(list(self._decoder.batches(indices, _BLOCK))))


def _chunk(images: tf.Tensor, targets: npt.NDArray[Any], count: int, batch_size: int) -> Chunk:
    """Return `count` batches that follow each other."""
    plan = np.arange(len(images), dtype=np.int32).reshape(count, -1)
    return Chunk(images, tf.constant(targets), plan, batch_size)


def make_feed(split: Split, preprocessing: Preprocessing, seed: int, batch_size: int, share: Share = WHOLE) -> Feed:
    """Return a feed of a training split, or of a worker's share: from memory where it fits, else from its files."""
    if not isinstance(split.images, Files):
        return MemoryFeed(split, preprocessing, seed, batch_size, share)
    decoder = Decoder(split.images, preprocessing)
    if fits(decoder, split.targets.fitted_bytes(decoder.data)):
        return MemoryFeed(in_memory(split, decoder), preprocessing, seed, batch_size, share)
    return StreamFeed(split, decoder, seed, batch_size, share)


def fits(decoder: Decoder, target_bytes: int = 0) -> bool:
    """Say whether images are held in memory.

    Args:
        decoder: Of the images.
        target_bytes: Bytes of the target that is held beside each; a mask has a third of its image's, or as many.
    """
    return len(decoder) * (decoder.image_bytes + target_bytes) <= MEMORY_LIMIT


def in_memory(split: Split, decoder: Decoder) -> Split:
    """Return a split of files with all its images decoded, in the size that the network reads."""
    images = np.empty((len(split), *decoder.shape), np.uint8)
    for number, batch in enumerate(decoder.batches(np.arange(len(split), dtype=np.int32), _BLOCK)):
        images[number * _BLOCK : number * _BLOCK + len(batch)] = batch.numpy()
    return replace(split, images=images)


def cached(split: Split, preprocessing: Preprocessing) -> Examples:
    """Return a split to be read again and again: in memory where it fits, else decoded each time."""
    if not isinstance(split.images, Files):
        return to_memory(split, preprocessing)
    decoder = Decoder(split.images, preprocessing)
    if fits(decoder):
        return Examples(tf.constant(in_memory(split, decoder).images), split.targets)
    return Examples(FileImages(decoder), split.targets)


def decoded(split: Split, preprocessing: Preprocessing) -> npt.NDArray[np.uint8]:
    """Return all images of a split in the size that the network reads."""
    if isinstance(split.images, Files):
        images = in_memory(split, Decoder(split.images, preprocessing)).images
    else:
        images = to_memory(split, preprocessing).images
    return np.asarray(images)
