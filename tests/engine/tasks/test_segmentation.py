"""The loss of a segmentation and what it counts, against Keras's losses and metrics and plain loops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import special

from cnncli.config.schema.schema import Loss
from cnncli.errors import CnnError

pytestmark = pytest.mark.engine

SIZE, NUMBER = (12, 10), 4


@pytest.fixture(scope="module")
def masks() -> np.ndarray:
    """Three masks of four classes with ignored pixels; the last is ignored altogether."""
    drawn = np.random.default_rng(0).integers(0, NUMBER + 1, (3, *SIZE)).astype(np.uint8)
    drawn[drawn == NUMBER] = 255
    drawn[1][drawn[1] == 2] = 1  # a class that an image does not have
    drawn[2] = 255
    return drawn


@pytest.fixture(scope="module")
def logits() -> np.ndarray:
    """Logits of every pixel."""
    return np.random.default_rng(1).normal(0, 2, (3, *SIZE, NUMBER)).astype(np.float32)


def losses(masks: np.ndarray, logits: Any, weights: np.ndarray | None = None, **options: Any) -> np.ndarray:
    """Return the objective's loss of each image."""
    import tensorflow as tf

    from cnncli.engine.tasks.segmentation import PixelCrossEntropy

    objective = PixelCrossEntropy(Loss(**options), SIZE, NUMBER, weights)
    return np.asarray(objective.loss(tf.constant(masks), logits))


def by_pixel(loss: Any, masks: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """Return the mean of a Keras loss over each image's pixels that count; 0 where none does."""
    counted = masks != 255
    truth = np.where(counted, masks, 0)
    values = np.asarray(loss(truth, logits)) * counted
    return values.sum(axis=(1, 2)) / np.maximum(counted.sum(axis=(1, 2)), 1)


def test_cross_entropy_of_the_pixels_that_count(masks: np.ndarray, logits: np.ndarray) -> None:
    """It is Keras's, ignored pixels left out; an image without any that counts has no loss."""
    import keras

    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction=None)
    expected = by_pixel(loss, masks, logits)
    np.testing.assert_allclose(losses(masks, logits), expected, rtol=1e-5)
    assert expected[2] == 0
    ignoring = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=255, reduction=None)
    whole = np.asarray(ignoring(masks[:1].astype(np.int32), logits[:1])).sum() / (masks[0] != 255).sum()
    np.testing.assert_allclose(losses(masks[:1], logits[:1]), whole, rtol=1e-5)


def test_focal_loss(masks: np.ndarray, logits: np.ndarray) -> None:
    """It is Keras's categorical focal cross-entropy with alpha 1."""
    import keras

    focal = keras.losses.CategoricalFocalCrossentropy(alpha=1.0, gamma=1.5, from_logits=True, reduction=None)
    expected = by_pixel(lambda truth, found: focal(np.eye(NUMBER)[truth], found), masks, logits)
    np.testing.assert_allclose(losses(masks, logits, focal=1.5), expected, rtol=1e-4)


def test_focal_loss_of_certain_pixels_has_a_gradient(masks: np.ndarray) -> None:
    """A gamma below 1 has an infinite slope at a loss of 0, which must not become NaN."""
    import tensorflow as tf

    certain = tf.Variable(np.eye(NUMBER, dtype=np.float32)[np.where(masks == 255, 0, masks)] * 200)
    with tf.GradientTape() as tape:
        from cnncli.engine.tasks.segmentation import PixelCrossEntropy

        loss = PixelCrossEntropy(Loss(focal=0.5), SIZE, NUMBER).loss(tf.constant(masks), certain)
    assert np.isfinite(tape.gradient(loss, certain)).all()


def test_dice_loss_of_the_classes_that_occur(masks: np.ndarray, logits: np.ndarray) -> None:
    """It is Keras's Dice loss class by class, averaged over the classes that an image has."""
    import keras

    probabilities = special.softmax(logits, axis=-1)
    expected = []
    for mask, values in zip(masks[:2], probabilities, strict=False):
        counted = (mask != 255)[..., None]
        truth = np.eye(NUMBER)[np.where(mask == 255, 0, mask)] * counted
        dice = keras.losses.Dice(axis=(0, 1), reduction=None)
        every = np.asarray(dice(truth.astype(np.float32), (values * counted).astype(np.float32)))
        expected.append(every[truth.sum(axis=(0, 1)) > 0].mean())
    found = losses(masks, logits, dice=1.0)
    np.testing.assert_allclose(found[:2], expected, rtol=1e-4)
    assert found[2] == 0
    half = losses(masks, logits, dice=0.5)
    np.testing.assert_allclose(half, 0.5 * found + 0.5 * losses(masks, logits), rtol=1e-5)


def test_boundary_share(masks: np.ndarray, logits: np.ndarray) -> None:
    """Pixels with a neighbour of another class, not an ignored one, count alone."""
    expected = []
    log_probabilities = special.log_softmax(logits.astype(np.float64), axis=-1)
    for mask, values in zip(masks, log_probabilities, strict=True):
        beside = []
        for y, x in np.argwhere(mask != 255).tolist():
            around = [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
            near = [mask[p] for p in around if 0 <= p[0] < SIZE[0] and 0 <= p[1] < SIZE[1]]
            if any(value not in (255, mask[y, x]) for value in near):
                beside.append(-values[y, x, mask[y, x]])
        expected.append(np.mean(beside) if beside else 0.0)
    np.testing.assert_allclose(losses(masks, logits, boundary=1.0), expected, rtol=1e-5)


def test_class_weights_and_label_smoothing(masks: np.ndarray, logits: np.ndarray) -> None:
    """A pixel's loss is multiplied by the weight of its class, after smoothing."""
    weights = np.array([0.5, 1, 2, 4], np.float32)
    log_probabilities = special.log_softmax(logits.astype(np.float64), axis=-1)
    truth = np.where(masks == 255, 0, masks)
    of_truth = np.take_along_axis(log_probabilities, truth[..., None].astype(int), axis=-1)[..., 0]
    smoothed = -0.9 * of_truth - 0.1 * log_probabilities.mean(axis=-1)
    counted = masks != 255
    expected = (smoothed * weights[truth] * counted).sum(axis=(1, 2)) / np.maximum(counted.sum(axis=(1, 2)), 1)
    np.testing.assert_allclose(losses(masks, logits, weights, label_smoothing=0.1), expected, rtol=1e-5)


def test_a_smaller_plane_is_compared_at_its_own_places_or_enlarged(masks: np.ndarray) -> None:
    """At its own places each meets the pixel in the middle; enlarged as `tf.image.resize` does, each pixel counts."""
    import tensorflow as tf

    small = np.random.default_rng(2).normal(size=(3, 4, 5, NUMBER)).astype(np.float32)
    nearest = tf.image.resize(masks[..., None], (4, 5), method="nearest").numpy()[..., 0]
    from cnncli.engine.tasks.segmentation import PixelCrossEntropy

    own = np.asarray(PixelCrossEntropy(Loss(), (4, 5), NUMBER).loss(tf.constant(nearest), small))
    np.testing.assert_allclose(losses(masks, small), own, rtol=1e-6)
    enlarged = tf.image.resize(small, SIZE).numpy()
    np.testing.assert_allclose(losses(masks, small, resolution="image"), losses(masks, enlarged), rtol=1e-5)


def test_other_outputs_help(masks: np.ndarray, logits: np.ndarray) -> None:
    """Besides the one called mask, each output adds its share."""
    other = -logits[:, ::2, ::2]
    found = losses(masks, {"mask": logits, "deep": other}, auxiliary=0.25)
    np.testing.assert_allclose(found, losses(masks, logits) + 0.25 * losses(masks, other), rtol=1e-6)


def test_sums_are_a_confusion_matrix(masks: np.ndarray, logits: np.ndarray) -> None:
    """Mean IoU and accuracy of the counted pixels are those of Keras's metrics; batches add up."""
    import keras
    import tensorflow as tf

    from cnncli.engine.tasks.segmentation import PixelCrossEntropy

    objective = PixelCrossEntropy(Loss(), SIZE, NUMBER)
    parts = [objective.sums(tf.constant(masks[i : i + 1]), logits[i : i + 1])["confusion"].numpy() for i in range(3)]
    confusion = objective.sums(tf.constant(masks), logits)["confusion"].numpy()
    np.testing.assert_array_equal(sum(parts), confusion)
    means = objective.means({"confusion": confusion.tolist()}, 3)
    metric = keras.metrics.MeanIoU(NUMBER, ignore_class=255, sparse_y_pred=False)
    metric.update_state(masks, logits)
    assert means["mean_iou"] == pytest.approx(float(metric.result()), rel=1e-6)
    counted = masks != 255
    assert means["pixel_accuracy"] == (logits.argmax(-1) == masks)[counted].mean()


def test_outputs_are_those_of_the_plain_task(logits: np.ndarray) -> None:
    """The graph's mask and probabilities are NumPy's, of the image's size, whatever the plane's."""
    from cnncli.engine.tasks.segmentation import PixelCrossEntropy
    from cnncli.tasks.segmentation.task import SegmentationTask

    for plane in (logits, logits[:, :5, :3]):
        found = PixelCrossEntropy(Loss(), SIZE, NUMBER).outputs(plane)
        expected = SegmentationTask().outputs(plane, SIZE)
        assert found["mask"].dtype == "uint8"
        np.testing.assert_array_equal(found["mask"], expected["mask"])
        np.testing.assert_allclose(found["probabilities"], expected["probabilities"], atol=1e-6)


def test_cut_mix_pastes_masks_and_mix_up_is_refused(masks: np.ndarray) -> None:
    """Where another image covers one, its classes do; a blended pixel would be of two classes."""
    import tensorflow as tf

    from cnncli.engine.input_pipeline.augmentation.mixing import Mixed
    from cnncli.engine.tasks.segmentation import PixelCrossEntropy

    objective, order, share = PixelCrossEntropy(Loss(), SIZE, NUMBER), tf.constant([2, 1, 0]), tf.ones(3)
    pasted = np.zeros((3, *SIZE, 1), bool)
    pasted[:, 3:7, 2:5] = True
    mixed = objective.mix(tf.constant(masks), Mixed(tf.zeros(3), order, share, tf.constant(pasted))).numpy()
    expected = masks.copy()
    expected[:, 3:7, 2:5] = masks[::-1, 3:7, 2:5]
    np.testing.assert_array_equal(mixed, expected)
    with pytest.raises(CnnError, match="MixUp"):
        objective.mix(tf.constant(masks), Mixed(tf.zeros(3), order, share))
