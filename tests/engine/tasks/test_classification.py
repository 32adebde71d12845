"""The loss of each example is Keras's, for class numbers and for mixed classes, smoothed and weighted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnncli.config.schema.schema import Loss

pytestmark = pytest.mark.engine

WEIGHTS = np.array([1.0, 3.0, 0.5, 0.0], np.float32)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["equal", "weighted"])
@pytest.mark.parametrize("mixed", [False, True], ids=["numbers", "mixed"])
def test_losses_are_those_of_keras(smoothing: float, weights: Any, mixed: bool) -> None:
    """Of mixed classes, as MixUp makes them, an example's weight is mixed as its classes are."""
    import keras

    from cnncli.engine.tasks.classification import CrossEntropy

    rng = np.random.default_rng(0)
    logits = rng.normal(0.0, 3.0, (20, 4)).astype(np.float32)
    numbers = rng.integers(0, 4, 20).astype(np.int32)
    shares = np.eye(4, dtype=np.float32)[numbers]
    if mixed:
        shares = 0.7 * shares + 0.3 * shares[::-1]
    loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=smoothing, reduction="none")
    expected = np.asarray(loss(shares, logits)) * (1.0 if weights is None else shares @ weights)
    import tensorflow as tf

    found = CrossEntropy(Loss(label_smoothing=smoothing), weights).loss(
        tf.constant(shares if mixed else numbers), logits
    )
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_logits_of_few_bits_are_widened() -> None:
    """The loss of bfloat16 logits is computed in float32."""
    import tensorflow as tf

    from cnncli.engine.tasks.classification import CrossEntropy

    logits = tf.constant([[0.0, 0.5, 1.0]], tf.bfloat16)
    found = CrossEntropy(Loss()).loss(tf.constant([1]), logits)
    expected = np.log(np.exp([0.0, 0.5, 1.0]).sum()) - 0.5
    assert found.dtype == tf.float32
    np.testing.assert_allclose(found, [expected], rtol=1e-6)
