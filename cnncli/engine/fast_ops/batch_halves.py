"""A small network's batch in halves, each computed by a core of its own.

The operations of a small network are too short to be shared out between cores: two of them, one for each half of
the batch, run side by side instead. A training step of LeNet-5 took 3.2 ms so, and 3.8 ms with both cores at each
operation; in bfloat16 2.6 and 3.1 ms. A CIFAR net with 24 times the arithmetic took 56 ms either way, in bfloat16 20 ms
in parts and 18 ms whole (batch 128, 2 CPU cores, TensorFlow 2.21). So only small networks are computed in parts, none
of those that take means over the batch.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import tensorflow as tf

from cnncli.analysis.summary import summarize
from cnncli.config.schema.schema import Config
from cnncli.layers.normalization import BatchNormalization

MOST = 2
"""Parts at most: each is traced and compiled by itself."""

MOST_OF_SHARDS = 4
"""Parts at most in which a network trained in shards predicts: each operation has one thread there."""

SMALL_STEP = 300e6
"""Multiply-accumulate operations of a step's forward pass up to which a network is small."""


def halves_for(config: Config, threads: int) -> int:
    """Return in how many parts a config's batches are computed on so many threads."""
    averages = any(isinstance(node.layer, BatchNormalization) for node in config.nodes)
    on_gpu = bool(tf.config.get_visible_devices("GPU"))
    if averages or on_gpu or summarize(config).macs * config.train.batch_size > SMALL_STEP:
        return 1
    return min(MOST, threads)


_parts_of_shards: int | None = None
"""In how many parts batches are predicted where they are trained in shards; None elsewhere."""


def set_threads(threads: int, parts: int) -> int:
    """Give every part its share of the threads; return the number of threads that TensorFlow has in the end.

    TensorFlow fixes its pools at the first operation: a second run in one process keeps them.
    """
    global _parts_of_shards
    _parts_of_shards = None
    return _set(threads, threads // parts)


def set_threads_for_shards(threads: int, shards: int) -> int:
    """Give every operation one thread, so that no number of threads changes a bit; return their number in the end.

    Args:
        threads: Number of shards that are computed at the same time.
        shards: Of a batch.
    """
    global _parts_of_shards
    _parts_of_shards = min(shards, MOST_OF_SHARDS)
    return _set(threads, 1)


def _set(threads: int, threads_of_an_operation: int) -> int:
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads_of_an_operation)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    except RuntimeError:
        return tf.config.threading.get_inter_op_parallelism_threads() or threads
    return threads


def operation_threads() -> int:
    """Return the number of threads that TensorFlow gives an operation at most; 0 where it decides that by itself."""
    return int(tf.config.threading.get_intra_op_parallelism_threads())


def number() -> int:
    """Return the number of parts that TensorFlow's threads were set for."""
    if _parts_of_shards is not None:
        return _parts_of_shards
    intra = tf.config.threading.get_intra_op_parallelism_threads()
    inter = tf.config.threading.get_inter_op_parallelism_threads()
    return min(MOST, max(1, inter // intra)) if intra else 1


def in_halves(function: Callable[[Any], tf.Tensor], batch: Any, parts: int) -> tf.Tensor:
    """Apply a function to the parts of a batch side by side, and put the results together again.

    Args:
        function: Of a batch, one result an example.
        batch: A tensor, or several of one length.
        parts: Number of parts; their lengths differ by one at most.
    """
    if parts == 1:
        return function(batch)
    length = tf.shape(tf.nest.flatten(batch)[0])[0]
    # Some operations refuse an empty batch: where there are more parts than examples, the last example comes again.
    bounds = [tf.maximum(length, parts) * part // parts for part in range(parts + 1)]
    results = [
        function(tf.nest.map_structure(lambda tensor, first=first, end=end: tensor[first:end], batch))
        for first, end in ((tf.minimum(first, length - 1), end) for first, end in pairwise(bounds))
    ]
    return tf.nest.map_structure(lambda *parts: tf.concat(parts, axis=0)[:length], *results)
