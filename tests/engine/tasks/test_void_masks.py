"""An image of whose mask no pixel counts: it trains nothing, whatever the loss is made of."""

from __future__ import annotations

import numpy as np
import pytest

pytestmark = pytest.mark.engine


@pytest.mark.parametrize(
    "parts",
    [
        {},
        {"dice": 0.5},
        {"boundary": 0.3, "dice": 0.2},
        {"focal": 0.5},
        {"label_smoothing": 0.1},
        {"resolution": "image"},
    ],
    ids=str,
)
def test_it_has_neither_loss_nor_gradient(parts):
    """Beside another image, whose loss is the same as alone; and it is in no score."""
    import tensorflow as tf

    from cnncli.config.schema.schema import Loss
    from cnncli.engine.tasks.segmentation import PixelCrossEntropy

    generator = np.random.default_rng(0)
    objective = PixelCrossEntropy(Loss(**parts), (8, 12), 3)
    logits = tf.Variable(generator.normal(size=(2, 4, 6, 3)), dtype=tf.float32)
    masks = generator.integers(0, 3, (2, 8, 12)).astype(np.uint8)
    masks[0] = 255
    with tf.GradientTape() as tape:
        losses = objective.loss(tf.constant(masks), logits)
        total = tf.reduce_sum(losses)
    gradient = tape.gradient(total, logits).numpy()
    assert losses[0] == 0
    assert not gradient[0].any()
    assert np.isfinite(gradient).all()
    assert gradient[1].any()
    alone = objective.loss(tf.constant(masks[1:]), logits[1:])
    assert losses[1].numpy() == pytest.approx(alone[0].numpy(), rel=1e-6)
    sums = objective.sums(tf.constant(masks), logits)
    assert int(np.sum(sums["confusion"])) == 4 * 6
