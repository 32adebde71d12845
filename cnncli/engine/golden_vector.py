"""A small computation whose bits tell whether a machine still computes as it did."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256

import keras
import numpy as np
import tensorflow as tf

_EXAMPLES = 16


def golden_vector(precision: str) -> str | None:
    """Hash the outputs and gradients of a convolution and a product of fixed numbers.

    Another processor, instruction set, library or number of threads that gives training steps other bits gives these
    other ones as well, whatever it is called and whether or not its name is recorded.

    Args:
        precision: As in `train.precision`.

    Returns:
        16 hexadecimal digits; None where the same computation gives other bits each time, or cannot be done.
    """
    dtype = keras.DTypePolicy(precision).compute_dtype
    try:
        first, second = (_hash(dtype) for _ in range(2))
    except tf.errors.OpError:
        return None
    return first if first == second else None


def _hash(dtype: str) -> str:
    total = sha256()
    for result in _results(dtype):
        total.update(tf.cast(result, tf.float32).numpy().tobytes())
    return total.hexdigest()[:16]


def _results(dtype: str) -> Iterator[tf.Tensor]:
    generator = np.random.Generator(np.random.PCG64(0))

    def draw(*shape: int) -> tf.Tensor:
        return tf.cast(generator.uniform(-0.5, 0.5, shape).astype(np.float32), dtype)

    images, kernel, bias, matrix = draw(_EXAMPLES, 12, 12, 8), draw(3, 3, 8, 16), draw(16), draw(576, 10)
    labels = tf.constant(np.arange(_EXAMPLES) % 10)
    with tf.GradientTape() as tape:
        tape.watch([kernel, bias, matrix])
        maps = tf.nn.max_pool2d(tf.nn.bias_add(tf.nn.conv2d(images, kernel, 1, "SAME"), bias), 2, 2, "VALID")
        logits = tf.cast(tf.matmul(tf.reshape(maps, (_EXAMPLES, -1)), matrix), tf.float32)
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
    yield maps
    yield logits
    yield loss
    yield from tape.gradient(loss, [kernel, bias, matrix])
