"""Muon makes the updates of convolutions orthogonal, and is Keras's for everything else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.engine

Shape = tuple[int, ...]


def trained(make: Any, shapes: Sequence[Shape], **arguments: Any) -> list[np.ndarray]:
    """Return weights after twenty steps on random gradients, as vectors: the same ones for shapes of the same size."""
    import keras

    rng = np.random.default_rng(0)

    def drawn() -> list[np.ndarray]:
        return [rng.normal(size=shape).astype(np.float32) for shape in shapes]

    start = drawn()
    weights = [keras.Variable(value, name=f"layer_{number}") for number, value in enumerate(start)]
    optimizer = make(**arguments)
    optimizer.build(weights)
    for step in range(20):
        optimizer.learning_rate.assign(0.1 / (1 + step))
        optimizer.apply(drawn(), weights)
    assert not any(np.allclose(np.asarray(w), s, atol=1e-3) for w, s in zip(weights, start, strict=True))
    return [np.asarray(weight).ravel() for weight in weights]


@pytest.mark.parametrize("arguments", [{}, {"nesterov": False, "rms_rate": None, "ns_steps": 3, "momentum": 0.6}])
def test_kernels_are_matrices_of_patches_and_filters(arguments: dict[str, Any]) -> None:
    """A convolution's kernel is changed as Keras's Muon changes the matrix of its patches and filters."""
    import keras

    from cnncli.engine.training.muon import Muon

    kernels = [(3, 3, 4, 8), (1, 1, 5, 7), (3, 4, 6), (2, 2, 2, 2, 40)]
    matrices = [(int(np.prod(shape[:-1])), shape[-1]) for shape in kernels]
    ours = trained(Muon, kernels, **arguments)
    theirs = trained(keras.optimizers.Muon, matrices, **arguments)
    for our, their in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(our, their, rtol=1e-4, atol=1e-5)


def test_the_rest_is_keras() -> None:
    """Kernels of dense layers, weights that are no matrices, and layers that are excluded change as in Keras."""
    import keras

    from cnncli.engine.training.muon import Muon

    shapes = [(12, 5), (5, 12), (7,), (3, 3, 6, 1), (9, 4)]  # the fourth: of a depthwise convolution
    ours = trained(Muon, shapes, exclude_layers=["layer_4"])
    theirs = trained(keras.optimizers.Muon, shapes, exclude_layers=["layer_4"])
    for our, their in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(our, their, rtol=1e-4, atol=1e-5)
    assert not np.allclose(ours[4], trained(Muon, shapes)[4], atol=1e-3)


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_updates_are_orthogonal(policy: str) -> None:
    """Singular values come near 1, as far as five iterations of that polynomial bring them, in either precision."""
    import keras
    import tensorflow as tf

    from cnncli.engine.training.muon import Muon

    rng = np.random.default_rng(0)
    keras.config.set_dtype_policy(policy)
    try:
        for shape in ((90, 20), (20, 90)):
            matrix = rng.normal(size=shape).astype(np.float32)
            update = Muon().zeropower_via_newtonschulz5(tf.constant(matrix), 5)
            singular = np.linalg.svd(np.asarray(tf.cast(update, tf.float32)), compute_uv=False)
            assert singular.min() > 0.6
            assert singular.max() < 1.3
            left, _, right = np.linalg.svd(matrix, full_matrices=False)
            overlap = np.sum(np.asarray(tf.cast(update, tf.float32)) * (left @ right)) / singular.sum()
            assert overlap > 0.98
    finally:
        keras.config.set_dtype_policy("float32")
