"""The first layers on folded images compute what Keras computes on the images as they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnncli.layers import Conv2D, Dense, Flatten, MaxPooling2D
from cnncli.layers.layout import flatten

pytestmark = pytest.mark.engine


def network(*layers: Any, shape: tuple[int, int, int]) -> Any:
    """Return a Keras model of the layers and a classifier after them, its biases not zero."""
    from cnncli.engine.network.model import build_network

    model = build_network(flatten([*layers, Flatten(), Dense(units=3)]), shape, 0)
    for weight in model.weights:
        weight.assign(np.random.default_rng(1).normal(0.0, 0.3, weight.shape))
    return model


def rows(model: Any) -> list[int]:
    """Return the rows in one, at each block that is folded."""
    from cnncli.engine.fast_ops.row_folding import foldable

    return [stage.rows for stage in foldable(model)]


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let these tests be of the CPU wherever they run."""
    import tensorflow as tf

    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind=None: [])


LENET = (
    Conv2D(filters=6, kernel_size=5, padding="same", activation="relu"),
    MaxPooling2D(pool_size=2),
    Conv2D(filters=16, kernel_size=5, activation="relu"),
    MaxPooling2D(pool_size=2),
)

CASES = {
    "LeNet": (LENET, (28, 28, 1), [4, 2]),
    "valid, with colours": ((Conv2D(filters=4, kernel_size=5), *LENET[1:]), (32, 20, 3), [4, 2]),
    "a pooling of 4×2": ((LENET[0], MaxPooling2D(pool_size=(4, 2))), (16, 18, 1), [4]),
    "a pooling of 1×3, then of 2×1": (
        (LENET[0], MaxPooling2D(pool_size=(1, 3)), LENET[0], MaxPooling2D(pool_size=(2, 1))),
        (16, 18, 2),
        [2, 2],
    ),
    "two convolutions and a pooling of 3×3": ((LENET[0], LENET[0], MaxPooling2D(pool_size=3)), (18, 21, 1), [3]),
    "an even kernel": ((Conv2D(filters=5, kernel_size=(4, 2), padding="same"), LENET[1]), (16, 16, 1), [2]),
    "a tall kernel, without bias": (
        (Conv2D(filters=5, kernel_size=(9, 3), padding="same", use_bias=False), LENET[1]),
        (16, 16, 1),
        [2],
    ),
    "as many filters as pay": ((Conv2D(filters=8, kernel_size=5), LENET[1]), (16, 16, 1), [2]),
    "tanh": ((Conv2D(filters=5, kernel_size=3, activation="tanh"), MaxPooling2D(pool_size=2)), (18, 18, 1), [2]),
    "swish, whose largest value is not of the largest sum": (
        (Conv2D(filters=5, kernel_size=3, activation="swish"), MaxPooling2D(pool_size=2)),
        (18, 18, 1),
        [2],
    ),
    "many filters at the end": ((*LENET[:2], Conv2D(filters=40, kernel_size=5), LENET[1]), (28, 28, 1), [4, 2]),
    "many channels in the middle": (
        (*LENET[:2], LENET[2], Conv2D(filters=9, kernel_size=5), LENET[1]),
        (40, 28, 1),
        [2],
    ),
    "a second block that does not divide": ((*LENET[:2], Conv2D(filters=9, kernel_size=4), LENET[1]), (20, 20, 1), [2]),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("training", [True, False])
def test_values_and_gradients_are_those_of_the_model(case: str, training: bool) -> None:
    """Logits and the gradients of every weight, rounding aside, for kernels, paddings and poolings of many kinds."""
    import tensorflow as tf

    from cnncli.engine.fast_ops.row_folding import forward

    layers, shape, expected = CASES[case]
    model = network(*layers, shape=shape)
    assert rows(model) == expected
    images = tf.constant(np.random.default_rng(0).normal(size=(5, *shape)), tf.float32)
    found = []
    for compute in (forward(model), model):
        with tf.GradientTape() as tape:
            logits = compute(images, training=training)
            loss = tf.reduce_mean(logits**2)
        found.append([logits, *tape.gradient(loss, [weight.value for weight in model.trainable_weights])])
    for folded, plain in zip(*found, strict=True):
        np.testing.assert_allclose(folded, plain, rtol=1e-4, atol=1e-5 * np.abs(plain).max())


@pytest.mark.parametrize("case", CASES)
def test_weights_folded_before_change_no_bit(case: str) -> None:
    """Logits and gradients with weights that were folded once are those with weights folded by each call."""
    import tensorflow as tf

    from cnncli.engine.fast_ops.row_folding import FoldedForward, foldable

    layers, shape, _ = CASES[case]
    model = network(*layers, shape=shape)
    compute = FoldedForward(model, foldable(model))
    images = tf.constant(np.random.default_rng(0).normal(size=(5, *shape)), tf.float32)

    @tf.function
    def results(folded_before: bool) -> list[Any]:
        known = compute.weights() if folded_before else []
        with tf.GradientTape() as tape:
            logits = compute(images, training=True, known=known)
            loss = tf.reduce_mean(logits**2)
        return [logits, *tape.gradient(loss, [weight.value for weight in model.trainable_weights])]

    for once, always in zip(results(True), results(False), strict=True):
        np.testing.assert_array_equal(once, always)


def test_bfloat16_is_as_near_to_float32_as_the_model() -> None:
    """Logits and gradients of kernels miss those in float32 by what the model's own do, or little more."""
    import keras
    import tensorflow as tf

    from cnncli.engine.fast_ops.row_folding import forward

    images = tf.constant(np.random.default_rng(0).random((64, 28, 28, 1)), tf.float32)

    def results(model: Any, compute: Any) -> list[np.ndarray]:
        with tf.GradientTape() as tape:
            logits = compute(images, training=True)
            loss = tf.reduce_mean(tf.cast(logits, tf.float32) ** 2)
        kernels = [weight.value for weight in model.trainable_weights if weight.name == "kernel"]
        return [np.asarray(tf.cast(value, tf.float32)) for value in (logits, *tape.gradient(loss, kernels))]

    exact_model = network(*LENET, shape=(28, 28, 1))
    exact = results(exact_model, exact_model)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = network(*LENET, shape=(28, 28, 1))
        assert rows(model) == [4, 2]
        folded, plain = results(model, forward(model)), results(model, model)
    finally:
        keras.config.set_dtype_policy("float32")
    for ours, keras_, expected in zip(folded, plain, exact, strict=True):
        size = np.linalg.norm(expected)
        error, usual = np.linalg.norm(ours - expected) / size, np.linalg.norm(keras_ - expected) / size
        assert 0 < usual < 0.05
        assert error < 1.5 * usual


@pytest.mark.parametrize("how", ["float16", "on a GPU"])
def test_where_nothing_is_folded(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In float16 and on a GPU networks are computed as they are."""
    import keras
    import tensorflow as tf

    if how == "on a GPU":
        monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind=None: ["GPU:0"])
    keras.config.set_dtype_policy("mixed_float16" if how == "float16" else "float32")
    try:
        assert rows(network(*LENET, shape=(28, 28, 1))) == []
    finally:
        keras.config.set_dtype_policy("float32")


@pytest.mark.parametrize(
    "layers",
    [
        [Conv2D(filters=9, kernel_size=5), MaxPooling2D(pool_size=2)],
        [
            Conv2D(filters=8, kernel_size=5),
            Conv2D(filters=9, kernel_size=5),
            Conv2D(filters=8, kernel_size=5),
            LENET[1],
        ],
        [Conv2D(filters=6, kernel_size=1), MaxPooling2D(pool_size=2)],
        [Conv2D(filters=6, kernel_size=5, strides=2, padding="same"), MaxPooling2D(pool_size=2)],
        [Conv2D(filters=6, kernel_size=3, dilation_rate=2, padding="same"), MaxPooling2D(pool_size=2)],
        [Conv2D(filters=6, kernel_size=5, activation="softmax"), MaxPooling2D(pool_size=2)],
        [Conv2D(filters=6, kernel_size=5), MaxPooling2D(pool_size=4, strides=2)],
        [Conv2D(filters=6, kernel_size=[5, 4]), MaxPooling2D(pool_size=2)],
        [Conv2D(filters=6, kernel_size=5, padding="same"), MaxPooling2D(pool_size=7)],
        [Conv2D(filters=2, kernel_size=5), Conv2D(filters=6, kernel_size=5, groups=2), MaxPooling2D(pool_size=2)],
        [MaxPooling2D(pool_size=2), Conv2D(filters=6, kernel_size=5)],
        [Conv2D(filters=6, kernel_size=5)],
    ],
    ids=lambda layers: ", ".join(type(layer).__name__ for layer in layers),
)
def test_what_is_not_folded(layers: list[Any]) -> None:
    """Many filters, 1×1 kernels, strides, gaps, groups, mixed channels, poolings that overlap or leave pixels out."""
    from cnncli.engine.fast_ops.row_folding import forward

    model = network(*layers, shape=(28, 28, 1))
    assert rows(model) == []
    assert forward(model) is model


def test_a_branch_is_not_folded() -> None:
    """A convolution whose output two layers read stays as it is."""
    import keras

    inputs = keras.Input((28, 28, 1))
    maps = keras.layers.Conv2D(6, 5)(inputs)
    pooled = keras.layers.Flatten()(keras.layers.MaxPooling2D(2)(maps))
    beside = keras.layers.Flatten()(keras.layers.GlobalAveragePooling2D()(maps))
    assert rows(keras.Model(inputs, keras.layers.Concatenate()([pooled, beside]))) == []
