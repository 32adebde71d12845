"""The random changes of training images, held against Keras's own operations and their promises."""

from __future__ import annotations

import numpy as np
import pytest

from cnncli.config.schema import augmentation as specs

pytestmark = pytest.mark.engine

EVERY = [
    specs.RandomFlip(),
    specs.RandomTranslation(height_factor=0.2, width_factor=0.3),
    specs.RandomTranslation(height_factor=0.2, width_factor=0.3, fill_mode="constant", fill_value=128.0),
    specs.RandomRotation(factor=0.1),
    specs.RandomRotate90(),
    specs.RandomZoom(height_factor=0.3, width_factor=0.2),
    specs.RandomZoom(height_factor=(-0.3, -0.1)),
    specs.RandomElasticTransform(fill_mode="wrap"),
    specs.RandomCrop(padding=4),
    specs.RandomCrop(height=7, width=9),
    specs.RandomBrightness(factor=0.3),
    specs.RandomContrast(factor=0.5),
    specs.RandomErasing(),
    specs.RandomErasing(factor=0.5, fill_value=0.0),
    specs.MixUp(),
    specs.CutMix(),
    specs.Mosaic(),
    specs.RandAugment(num_ops=3, factor=1.0),
]


@pytest.fixture
def images():
    """Sixteen colour images of 12 × 10 pixels."""
    return np.random.default_rng(0).random((16, 12, 10, 3), np.float32)


def compiled(changes, shape, num_classes=4):
    """Return changes as one graph, as the step loop has them: images, labels, seed, first place → images, targets."""
    import tensorflow as tf

    from cnncli.config.schema.schema import Loss
    from cnncli.engine.input_pipeline.augmentation import Augmentation
    from cnncli.engine.tasks.classification import CrossEntropy

    specifications = [
        tf.TensorSpec((None, *shape), tf.float32),
        tf.TensorSpec((None,), tf.int32),
        tf.TensorSpec(2, tf.int32),
        tf.TensorSpec((), tf.int32),
    ]
    objective = CrossEntropy(Loss(), num_classes=num_classes)
    return tf.function(Augmentation(changes, objective).__call__, input_signature=specifications)


def augment(changes, images, num_classes=4):
    """Change images once."""
    import tensorflow as tf

    labels = np.arange(len(images), dtype=np.int32) % num_classes
    call = compiled(changes, images.shape[1:], num_classes)
    changed, targets = call(images, labels, tf.constant([0, 0]), tf.constant(0))
    return changed.numpy(), targets.numpy()


@pytest.mark.parametrize("change", EVERY, ids=repr)
def test_draws_follow_from_seed_step_and_place(change, images):
    """The same seed and step give the same bits, another step others; a shared batch draws as a whole one."""
    import tensorflow as tf

    call = compiled([change], images.shape[1:])
    labels = np.arange(16, dtype=np.int32) % 4
    once, targets = (part.numpy() for part in call(images, labels, tf.constant([0, 0]), tf.constant(0)))
    again, other = (call(images, labels, tf.constant([0, s]), tf.constant(0))[0].numpy() for s in (0, 1))
    assert once.tobytes() == again.tobytes()
    assert not np.array_equal(once, other)
    assert once.shape == images.shape
    assert np.isfinite(once).all()
    assert once.min() >= -1e-5
    assert once.max() <= 1 + 1e-5
    if targets.ndim == 2:
        np.testing.assert_allclose(targets.sum(axis=1), 1, atol=1e-6)
        return
    part = call(images[10:], labels[10:], tf.constant([0, 0]), tf.constant(10))[0].numpy()
    np.testing.assert_allclose(part, once[10:], atol=1e-6)


def test_no_change_leaves_images_and_labels_alone(images):
    """Without changes nothing is touched."""
    changed, labels = augment([], images)
    assert np.array_equal(changed, images)
    assert labels.dtype == np.int32


@pytest.mark.parametrize("fill_mode", ["reflect", "constant", "nearest"])
@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
def test_moves_equal_the_general_warp(fill_mode, interpolation, images):
    """Translation and zoom by matrices give what Keras's affine transform gives for the same numbers."""
    import tensorflow as tf

    from cnncli.engine.input_pipeline.augmentation import geometry

    spec = specs.RandomTranslation(
        height_factor=0, width_factor=0, fill_mode=fill_mode, interpolation=interpolation, fill_value=51.0
    )
    down, right = np.linspace(-0.71, 0.83, 16, dtype=np.float32), np.linspace(0.62, -0.53, 16, dtype=np.float32)
    ours = geometry.translated(spec, tf.constant(images), tf.constant(down), tf.constant(right)).numpy()
    zero, one = np.zeros(16), np.ones(16)
    matrix = np.stack([one, zero, -right * 10, zero, one, -down * 12, zero, zero], axis=1)
    theirs = warp(images, matrix, fill_mode, interpolation)
    np.testing.assert_allclose(ours, theirs, atol=2e-5)


def test_wrapping_goes_round(images):
    """With fill_mode wrap, what leaves on one side comes in on the other."""
    import tensorflow as tf

    from cnncli.engine.input_pipeline.augmentation import geometry

    spec = specs.RandomTranslation(height_factor=0, width_factor=0, fill_mode="wrap")
    moved = geometry.translated(spec, tf.constant(images), tf.fill([16], 5 / 12), tf.fill([16], -0.3)).numpy()
    np.testing.assert_allclose(moved, np.roll(images, (5, -3), (1, 2)), atol=1e-4)


def warp(images, matrix, fill_mode, interpolation):
    """Return what TensorFlow's general warp makes of images."""
    import tensorflow as tf

    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=matrix.astype(np.float32),
        output_shape=images.shape[1:3],
        interpolation=interpolation.upper(),
        fill_mode=fill_mode.upper(),
        fill_value=0.2,
    ).numpy()


def test_rotation_is_that_of_keras(images):
    """A fixed angle turns as Keras's RandomRotation does."""
    import keras
    import tensorflow as tf

    from cnncli.engine.input_pipeline.augmentation import geometry

    layer = keras.layers.RandomRotation((0.07, 0.07))
    theirs = layer(images, training=True).numpy()
    ours = geometry.rotated(specs.RandomRotation(factor=0.1), tf.constant(images), tf.fill([16], 0.07)).numpy()
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


@pytest.mark.parametrize("factors", [(0.25, 0.25), (-0.4, -0.2)])
def test_zoom_is_that_of_keras(factors, images):
    """A fixed zoom gives what Keras's RandomZoom gives."""
    import keras

    height, width = factors
    ours, _ = augment([specs.RandomZoom(height_factor=(height, height), width_factor=(width, width))], images)
    theirs = keras.layers.RandomZoom((height, height), (width, width))(images, training=True).numpy()
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


@pytest.mark.parametrize("name", ["RandomBrightness", "RandomContrast"])
def test_tone_changes_are_those_of_keras(name, images):
    """A fixed factor changes values as the Keras layer of the same name does."""
    import keras
    import tensorflow as tf

    from cnncli.engine.input_pipeline.augmentation import pixels

    if name == "RandomBrightness":
        ours = pixels.shifted(tf.constant(images), tf.fill([16], 0.3)).numpy()
        theirs = keras.layers.RandomBrightness((0.3, 0.3), value_range=(0, 1))(images, training=True)
    else:
        ours = pixels.stretched(tf.constant(images), tf.fill([16], 0.6)).numpy()
        theirs = keras.layers.RandomContrast((0.4, 0.4), value_range=(0, 1))
        theirs = theirs.transform_images(tf.constant(images), {"contrast_factor": 0.6})
    np.testing.assert_allclose(ours, np.asarray(theirs), atol=1e-5)


@pytest.mark.parametrize("name", ["AutoContrast", "Equalization"])
def test_fixed_tone_changes_are_those_of_keras(name, images):
    """Stretching and equalising agree with Keras, up to one step of 255."""
    import keras
    import tensorflow as tf

    from cnncli.engine.input_pipeline.augmentation import tones

    whole = (images * 200).astype(np.uint8).astype(np.float32) / 255
    ours = {"AutoContrast": tones.full_contrast, "Equalization": tones.equalized}[name](tf.constant(whole)).numpy()
    layer = getattr(keras.layers, name)(value_range=(0, 255))
    if name == "AutoContrast":
        theirs = layer(whole * 255, training=True).numpy() / 255
        np.testing.assert_allclose(ours, theirs, atol=1e-4)
        return
    each = np.stack([layer(image * 255, training=True).numpy() / 255 for image in whole])
    np.testing.assert_allclose(ours, each, atol=1.01 / 255)


def test_flips_are_even(images):
    """Each axis is mirrored for about half of the images, independently of the other."""
    many = np.tile(np.arange(6, dtype=np.float32).reshape(1, 2, 3, 1) / 5, (2000, 1, 1, 1))
    flipped, _ = augment([specs.RandomFlip()], many)
    kinds, numbers = np.unique(flipped[..., 0].reshape(2000, -1), axis=0, return_counts=True)
    assert len(kinds) == 4
    assert numbers.min() > 400


def test_crop_takes_every_place(images):
    """With a border of 1 there are nine places to cut from, all about equally common."""
    many = np.tile(np.arange(1, 10, dtype=np.float32).reshape(1, 3, 3, 1) / 9, (3000, 1, 1, 1))
    cropped, _ = augment([specs.RandomCrop(padding=1)], many)
    _, numbers = np.unique(cropped.reshape(3000, -1), axis=0, return_counts=True)
    assert len(numbers) == 9
    assert numbers.min() > 250


def test_mixing_keeps_the_sum(images):
    """MixUp's images and targets are the same blend of the same two examples."""
    ones = np.broadcast_to(np.arange(4, dtype=np.float32)[:, None, None, None] / 4, (4, 5, 5, 1)).copy()
    mixed, targets = augment([specs.MixUp(alpha=1.0)], ones)
    np.testing.assert_allclose(mixed[:, 0, 0, 0], targets @ (np.arange(4) / 4), atol=1e-6)


def test_cut_mix_counts_the_area(images):
    """CutMix's targets are shares of the area, to the pixel."""
    planes = np.broadcast_to(np.arange(4, dtype=np.float32)[:, None, None, None] / 4, (4, 9, 7, 1)).copy()
    mixed, targets = augment([specs.CutMix()], planes)
    for image, target in zip(mixed, targets, strict=True):
        shares = [(np.abs(image - k / 4) < 1e-6).mean() for k in range(4)]
        np.testing.assert_allclose(shares, target, atol=1e-6)


def test_a_mosaic_counts_the_area(images):
    """Its targets are shares of the area, to the pixel, as CutMix's are; without a mosaic an image has its class."""
    planes = np.broadcast_to(np.arange(4, dtype=np.float32)[:, None, None, None] / 4, (4, 9, 7, 1)).copy()
    mixed, targets = augment([specs.Mosaic(scale=(2.0, 3.0), interpolation="nearest")], planes)
    for image, target in zip(mixed, targets, strict=True):
        shares = [(np.abs(image - k / 4) < 1e-6).mean() for k in range(4)]
        np.testing.assert_allclose(shares, target, atol=1e-6)
    assert len(np.unique(mixed[0])) > 1
    np.testing.assert_array_equal(augment([specs.Mosaic(probability=0.0)], planes)[1], np.eye(4))


def test_rand_augment_changes_each_image_by_its_own_draw(images):
    """Equal images come out different: changes are drawn for each, not for the batch."""
    same = np.repeat(images[:1], 64, axis=0)
    changed, _ = augment([specs.RandAugment(num_ops=1, factor=1.0)], same)
    assert len(np.unique(changed.reshape(64, -1), axis=0)) > 40


def test_grey_images_are_augmented_too():
    """Changes of colour leave images with one channel alone; all others take them."""
    grey = np.random.default_rng(1).random((40, 8, 8, 1), np.float32)
    changes = [specs.RandomFlip(), specs.RandomCrop(padding=1), specs.RandAugment(num_ops=1, factor=1.0)]
    assert augment(changes, grey)[0].shape == grey.shape
