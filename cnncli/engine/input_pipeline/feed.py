"""Where the step loop gets its batches from: the order of an epoch, and the arrays it is cut from."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from cnncli.datasets.files import Files
from cnncli.datasets.splits import Split
from cnncli.engine.input_pipeline.preprocessing import Preprocessing


def epoch_order(seed: int, epoch: int, num_examples: int) -> np.ndarray:
    """Return the order in which epoch `epoch` (from 0) visits the examples.

    A permutation from (seed, epoch) alone, so that a resumed run can start at any batch of it.

    Returns:
        int32 array of shape (num_examples,); every index exactly once.
    """
    generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, epoch])))
    return generator.permutation(num_examples).astype(np.int32)


class Chunk(NamedTuple):
    """Batches of one size, to be run without a word from Python.

    Attributes:
        images: uint8 tensor (examples, height, width, channels).
        labels: int32 tensor (examples,).
        plan: int32 array (batches, batch size): indices into `images` and `labels`.
    """

    images: tf.Tensor
    labels: tf.Tensor
    plan: np.ndarray


class Feed(Protocol):
    """A training split that can be entered at any batch of any epoch."""

    num_examples: int

    def chunk(self, epoch: int, first_batch: int, max_batches: int) -> Chunk:
        """Return the batches from `first_batch` on: at least one, at most `max_batches`, of equal size."""
        ...

    def sample(self, limit: int) -> tf.Tensor:
        """Return at most `limit` images as the network reads them, uint8; always the same ones."""
        ...


class Examples(NamedTuple):
    """A split as the network reads it.

    Attributes:
        images: uint8 (examples, height, width, channels) of the config's size: a tensor, or what gives
            one for every slice and has a length.
        labels: int64 array (examples,).
    """

    images: Any
    labels: npt.NDArray[np.int64]


def to_memory(split: Split, preprocessing: Preprocessing) -> Examples:
    """Return a split in the config's size, resized a part at a time: a float copy of the whole would be large."""
    size = 4096
    if isinstance(split.images, Files):
        raise TypeError("images in files have to be decoded first")
    parts = [preprocessing.resize_uint8(split.images[i : i + size]) for i in range(0, len(split), size)]
    return Examples(tf.concat(parts, axis=0) if len(parts) != 1 else parts[0], split.labels)


class MemoryFeed:
    """A split held as one uint8 tensor; a batch is gathered from it by index."""

    def __init__(self, split: Split, preprocessing: Preprocessing, seed: int, batch_size: int) -> None:
        examples = to_memory(split, preprocessing)
        self.images = examples.images
        self.labels = tf.constant(examples.labels.astype(np.int32))
        self.num_examples = len(split)
        self._seed = seed
        self._batch_size = batch_size
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
        return Chunk(self.images, self.labels, plan)

    def sample(self, limit: int) -> tf.Tensor:
        """Return the first images."""
        return self.images[:limit]
