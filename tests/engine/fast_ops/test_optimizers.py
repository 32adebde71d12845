"""Optimizers whose update is one operation change weights as Keras's do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.engine


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("SGD", {}),
        ("SGD", {"momentum": 0.9}),
        ("SGD", {"momentum": 0.8, "nesterov": True, "weight_decay": 0.01}),
        ("Adam", {}),
        ("Adam", {"beta_1": 0.7, "beta_2": 0.95, "epsilon": 1e-3, "weight_decay": 0.01}),
        ("Adam", {"amsgrad": True}),
        ("AdamW", {"weight_decay": 0.1}),
    ],
)
def test_updates_equal_keras(name: str, arguments: dict[str, Any]) -> None:
    """After thirty steps on the same gradients, at changing rates, weights and state are Keras's."""
    import keras

    from cnncli.engine.fast_ops.optimizers import FUSED

    rng = np.random.default_rng(0)
    start = [rng.normal(size=(4, 3)).astype(np.float32), rng.normal(size=3).astype(np.float32)]
    gradients = [[rng.normal(size=w.shape).astype(np.float32) for w in start] for _ in range(30)]
    ends = []
    for make in (FUSED[name], getattr(keras.optimizers, name)):
        weights = [keras.Variable(w, name=f"weight_{number}") for number, w in enumerate(start)]
        optimizer = make(**arguments, use_ema=True, ema_momentum=0.9, global_clipnorm=2.0)
        optimizer.build(weights)
        for step, gradient in enumerate(gradients):
            optimizer.learning_rate.assign(0.1 / (1 + step))
            optimizer.apply(gradient, weights)
        ends.append([*weights, *(v for v in optimizer.variables)])
    assert len(ends[0]) == len(ends[1])
    for ours, theirs in zip(*ends, strict=True):
        np.testing.assert_allclose(np.asarray(ours), np.asarray(theirs), rtol=2e-5, atol=1e-6)
        assert ours.path.split("/")[-1] == theirs.path.split("/")[-1]
    assert not np.allclose(np.asarray(ends[0][0]), start[0], atol=1e-2)


@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_added_up_and_enlarged_gradients(name: str) -> None:
    """In a function, with gradients of three steps added up and the loss enlarged as float16 needs it: Keras's too."""
    import keras
    import tensorflow as tf

    from cnncli.engine.fast_ops.optimizers import FUSED

    rng = np.random.default_rng(0)
    start = rng.normal(size=(4, 3)).astype(np.float32)
    gradients = tf.constant(rng.normal(size=(7, 4, 3)), tf.float32)

    def end(make: Any) -> np.ndarray:
        weight = keras.Variable(start)
        inner = make(learning_rate=0.1, gradient_accumulation_steps=3)
        optimizer = keras.optimizers.LossScaleOptimizer(inner, initial_scale=8.0)
        optimizer.build([weight])

        @tf.function
        def step(gradient: tf.Tensor) -> None:
            optimizer.apply([optimizer.scale_loss(gradient)], [weight])

        for gradient in gradients:
            step(gradient)
        return np.asarray(weight)

    ours, theirs = end(FUSED[name]), end(getattr(keras.optimizers, name))
    np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=1e-6)
    assert not np.allclose(ours, start, atol=1e-2)
