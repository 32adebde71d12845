"""What each random change makes of the numbers that it draws, against Pillow, SciPy and NumPy; how they are drawn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps
from scipy import ndimage, stats

from cnncli.config.schema import augmentation as specs

pytestmark = pytest.mark.engine

HEIGHT, WIDTH = 9, 7


@pytest.fixture
def images() -> np.ndarray:
    """Five smooth colour images of 9 × 7 pixels, of whole values from 0 to 255."""
    noise = np.random.default_rng(0).random((5, HEIGHT, WIDTH, 3))
    smooth = ndimage.gaussian_filter(noise, (0, 1, 1, 0))
    return np.rint(255 * (smooth - smooth.min()) / np.ptp(smooth)).astype(np.float32) / 255


class Told:
    """Draws that are told: each number is at a share of its range, and the ranges are written down."""

    def __init__(self, *shares: float, chosen: int = 0, betas: tuple[float, ...] = ()) -> None:
        self._shares, self._chosen, self._betas = list(shares), chosen, list(betas)
        self.ranges: list[tuple[float, float, tuple[int, ...]]] = []
        self.alphas: list[float] = []
        self.number = 0
        self.count = 5

    def uniform(self, low: float, high: float, shape: tuple[int, ...] = ()) -> Any:
        """Return the next number for each image."""
        import tensorflow as tf

        self.ranges.append((low, high, shape))
        return tf.fill([5, *shape], np.float32(low + self._shares.pop(0) * (high - low)))

    def choice(self, number: int) -> Any:
        """Return the same choice for each image."""
        import tensorflow as tf

        self.number = number
        return tf.fill([5], self._chosen)

    def beta(self, alpha: Any) -> Any:
        """Return the next share for each image."""
        import tensorflow as tf

        self.alphas.append(float(alpha))
        return tf.fill([5], np.float32(self._betas.pop(0)))

    def order(self) -> Any:
        """Return the images backwards."""
        import tensorflow as tf

        return tf.range(5)[::-1]


def pillow(images: np.ndarray, change: Callable[[Image.Image], Image.Image]) -> np.ndarray:
    """Return images changed by Pillow."""
    return np.stack([np.asarray(change(Image.fromarray(np.rint(i * 255).astype(np.uint8)))) for i in images]) / 255


def moved(images: np.ndarray, matrix: list[list[float]]) -> np.ndarray:
    """Return what SciPy reads at a linear function of the places about the centre, mirrored at the edges."""
    centre = np.array([(HEIGHT - 1) / 2, (WIDTH - 1) / 2])
    full = np.array([[*matrix[0], 0], [*matrix[1], 0], [0, 0, 1.0]])
    offset = np.append(centre - np.array(matrix) @ centre, 0)
    return np.stack([ndimage.affine_transform(i, full, offset, order=1, mode="reflect") for i in images])


def turned(images: np.ndarray, turns: float) -> np.ndarray:
    """Return images turned against the clock."""
    angle = 2 * np.pi * turns
    return moved(images, [[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])


def contrast(images: np.ndarray, by: float) -> np.ndarray:
    """Return images with their distance from the mean stretched."""
    mean = images.mean((1, 2), keepdims=True)
    return np.clip(mean + by * (images - mean), 0, 1)


def equalized(images: np.ndarray) -> np.ndarray:
    """Return images whose values are their ranks, channel by channel; the lowest is 0, the highest 1."""
    planes = images.transpose(0, 3, 1, 2).reshape(-1, HEIGHT * WIDTH)
    found = np.empty_like(planes)
    for plane, ranks in zip(planes, found, strict=True):
        least = np.sum(plane == plane.min())
        ranks[:] = [(np.sum(plane <= value) - least) / (plane.size - least) for value in plane]
    return found.reshape(-1, 3, HEIGHT, WIDTH).transpose(0, 2, 3, 1)


INSIDE = (slice(None), slice(1, -1), slice(1, -1))
"""All pixels but those at the edges, where Pillow and SciPy have rules of their own."""

CHANGES: list[Callable[[np.ndarray], np.ndarray]] = [
    lambda images: moved(images, [[1, 0.15], [0.15, 1]]),
    lambda images: np.stack(
        [ndimage.shift(i, (0.225 * HEIGHT, 0.225 * WIDTH, 0), order=1, mode="reflect") for i in images]
    ),
    lambda images: turned(images, 0.5 * 30 / 360),
    lambda images: np.clip(images + 0.45, 0, 1),
    lambda images: contrast(images, 1.45),
    lambda images: pillow(images, lambda image: ImageEnhance.Color(image).enhance(1 - 0.45)),
    lambda images: pillow(images, lambda image: ImageEnhance.Sharpness(image).enhance(1 + 0.45)),
    lambda images: pillow(images, lambda image: ImageOps.solarize(image, 128)),
    lambda images: pillow(images, lambda image: ImageOps.posterize(image, 6)),
    lambda images: pillow(images, ImageOps.autocontrast),
    lambda images: equalized(images),
]
"""RandAugment's changes in their order, at half their strength."""


@pytest.mark.parametrize("chosen", range(11))
def test_each_change_of_rand_augment(chosen: int, images: np.ndarray) -> None:
    """At half of the strongest, each is what Pillow, SciPy or NumPy make of it."""
    import tensorflow as tf

    from cnncli.engine.input_pipeline.augmentation.rand_augment import rand_augment

    told = Told(0.75, chosen=chosen)
    found = rand_augment(specs.RandAugment(num_ops=1, factor=1.0), tf.constant(images), told)
    assert told.number == 11
    assert told.ranges == [(-1.0, 1.0, (2,))]
    tolerance = {5: 1.6, 6: 1.6, 9: 1.01}.get(chosen, 0.6) / 255  # Pillow rounds on its way
    where = INSIDE if chosen in (0, 2, 6) else (slice(None),)
    np.testing.assert_allclose(np.asarray(found)[where], CHANGES[chosen](images)[where], atol=tolerance)


def test_weaker_and_negative_draws_of_rand_augment(images: np.ndarray) -> None:
    """The factor bounds the draw; a colour that is drawn below zero grows, thresholds fall either way."""
    import tensorflow as tf

    from cnncli.engine.input_pipeline.augmentation.rand_augment import rand_augment

    for chosen, expected in (
        (5, lambda image: ImageEnhance.Color(image).enhance(1.45)),
        (6, lambda image: ImageEnhance.Sharpness(image).enhance(0.55)),
        (7, lambda image: ImageOps.solarize(image, 128)),
        (8, lambda image: ImageOps.posterize(image, 6)),
    ):
        told = Told(0.0, chosen=chosen)
        found = rand_augment(specs.RandAugment(num_ops=1, factor=0.5), tf.constant(images), told)
        assert told.ranges == [(-0.5, 0.5, (2,))]
        np.testing.assert_allclose(np.asarray(found)[INSIDE], pillow(images, expected)[INSIDE], atol=1.6 / 255)
    told = Told(0.75, 0.75, 0.75, chosen=3)
    thrice = rand_augment(specs.RandAugment(num_ops=3, factor=0.1), tf.constant(images), told)
    np.testing.assert_allclose(thrice, np.clip(images + 3 * 0.045, 0, 1), atol=1e-5)


def test_moves_of_what_is_drawn(images: np.ndarray) -> None:
    """Shares of the height come first, then of the width; ranges as the config states them."""
    import tensorflow as tf

    from cnncli.engine.input_pipeline.augmentation import geometry

    told = Told(1.0, 0.0)
    spec = specs.RandomTranslation(height_factor=1 / 9, width_factor=(-2 / 7, 1 / 7), fill_mode="wrap")
    found = geometry.translate(spec, tf.constant(images), told)
    assert told.ranges == [(-1 / 9, 1 / 9, ()), (-2 / 7, 1 / 7, ())]
    np.testing.assert_allclose(found, np.roll(images, (1, -2), (1, 2)), atol=1e-5)
    told = Told(0.75)
    found = geometry.rotate(specs.RandomRotation(factor=0.1), tf.constant(images), told)
    assert told.ranges == [(-0.1, 0.1, ())]
    np.testing.assert_allclose(np.asarray(found)[INSIDE], turned(images, 0.05)[INSIDE], atol=1e-3)
    told = Told(1.0)
    found = geometry.zoom(specs.RandomZoom(height_factor=0.2), tf.constant(images), told)
    assert told.ranges == [(-0.2, 0.2, ())]
    np.testing.assert_allclose(np.asarray(found)[INSIDE], moved(images, [[1.2, 0], [0, 1.2]])[INSIDE], atol=1e-3)
    told = Told(0.5, 1.0)
    found = geometry.zoom(specs.RandomZoom(height_factor=0.2, width_factor=0.3), tf.constant(images), told)
    np.testing.assert_allclose(np.asarray(found)[INSIDE], moved(images, [[1.0, 0], [0, 1.3]])[INSIDE], atol=1e-3)


@pytest.mark.parametrize(
    ("mode", "shares", "axes"),
    [
        ("horizontal", (0.4,), (2,)),
        ("vertical", (0.4,), (1,)),
        ("horizontal_and_vertical", (0.4, 0.4), (1, 2)),
        ("horizontal_and_vertical", (0.4, 0.6), (2,)),
        ("horizontal", (0.6,), ()),
    ],
)
def test_a_flip_by_its_coins(mode: Any, shares: tuple[float, ...], axes: tuple[int, ...], images: np.ndarray) -> None:
    """Below a half an axis is mirrored; only the axes of the mode have a coin."""
    import tensorflow as tf

    from cnncli.engine.input_pipeline.augmentation import geometry

    told = Told(*shares)
    found = geometry.flip(specs.RandomFlip(mode=mode), tf.constant(images), told)
    np.testing.assert_array_equal(found, np.flip(images, axes))
    assert len(told.ranges) == len(shares)


def test_a_crop_at_the_place_drawn(images: np.ndarray) -> None:
    """After a border of zeros; a part that is smaller than the image is enlarged to it."""
    import tensorflow as tf

    from cnncli.engine.input_pipeline.augmentation import geometry

    found = geometry.crop(specs.RandomCrop(padding=2), tf.constant(images), Told(0.99, 0.25))
    padded = np.pad(images, ((0, 0), (2, 2), (2, 2), (0, 0)))
    np.testing.assert_array_equal(found, padded[:, 4 : 4 + HEIGHT, 1 : 1 + WIDTH])
    for fill_mode, theirs in (("reflect", "symmetric"), ("nearest", "edge"), ("wrap", "wrap")):
        filled = specs.RandomCrop(padding=2, fill_mode=fill_mode)
        found = geometry.crop(filled, tf.constant(images), Told(0.99, 0.25))
        padded = np.pad(images, ((0, 0), (2, 2), (2, 2), (0, 0)), theirs)
        np.testing.assert_array_equal(found, padded[:, 4 : 4 + HEIGHT, 1 : 1 + WIDTH])
    told = Told(1.0, 0.5)
    found = geometry.crop(specs.RandomCrop(height=5, width=WIDTH), tf.constant(images), told)
    assert told.ranges == [(0.0, 5.0, ()), (0.0, 1.0, ())]
    np.testing.assert_allclose(found, tf.image.resize(images[:, 4:9], (HEIGHT, WIDTH)), atol=1e-6)


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("size", [(9, 9), (9, 7), (6, 10), (8, 5), (3, 8)])
def test_quarter_turns(size: tuple[int, int], turns: int) -> None:
    """A turned image is NumPy's: its middle where it is longer, in the middle of a plain area where it is shorter."""
    import tensorflow as tf

    from cnncli.engine.input_pipeline.augmentation import geometry

    image = np.random.default_rng(0).random((5, *size, 3)).astype(np.float32)
    expected = np.full_like(image, 0.2)
    turned = np.rot90(image, turns, (1, 2))
    into, out = [slice(None)], [slice(None)]
    for length, own in zip(size, turned.shape[1:3], strict=True):
        shown, start = min(length, own), (own - length) // 2
        into.append(slice(max(-start, 0), max(-start, 0) + shown))
        out.append(slice(max(start, 0), max(start, 0) + shown))
    expected[tuple(into)] = turned[tuple(out)]
    told = Told(chosen=turns)
    spec = specs.RandomRotate90(fill_value=51.0)
    np.testing.assert_array_equal(geometry.rotate_90(spec, tf.constant(image), told), expected)
    assert told.number == 4
    repeated = geometry.rotate_90(specs.RandomRotate90(fill_mode="nearest"), tf.constant(image), told).numpy()
    np.testing.assert_array_equal(repeated[tuple(into)], turned[tuple(out)])
    assert (repeated[:, :, 0] == repeated[:, :, into[2].start]).all()
    assert (repeated[:, -1] == repeated[:, into[1].stop - 1]).all()


def test_brightness_and_contrast_of_what_is_drawn(images: np.ndarray) -> None:
    """Brightness is added; contrast is from 1 − the first factor to 1 + the second times the distance from the mean."""
    import tensorflow as tf

    from cnncli.engine.input_pipeline.augmentation import pixels

    told = Told(0.75)
    found = pixels.brighten(specs.RandomBrightness(factor=0.4), tf.constant(images), told)
    assert told.ranges == [(-0.4, 0.4, ())]
    np.testing.assert_allclose(found, np.clip(images + 0.2, 0, 1), atol=1e-6)
    for factor, bounds in ((0.25, (0.75, 1.25)), ((0.5, 0.25), (0.5, 1.25))):
        told = Told(1.0)
        found = pixels.contrast(specs.RandomContrast(factor=factor), tf.constant(images), told)
        assert told.ranges == [(*bounds, ())]
        np.testing.assert_allclose(found, contrast(images, 1.25), atol=1e-6)


def test_erasing_the_rectangle_drawn(images: np.ndarray) -> None:
    """A quarter of the area is half of each side; it lies where it was drawn, and is filled or left alone."""
    import tensorflow as tf

    from cnncli.engine.input_pipeline.augmentation import pixels

    spec = specs.RandomErasing(factor=(0.25, 0.75), scale=(0.0, 0.25), fill_value=51.0)
    for coin, erased in ((0.4, True), (0.6, False)):
        told = Told(1.0, 1.0, 0.0, coin, 0.5)
        found = np.asarray(pixels.erase(spec, tf.constant(images), told))
        assert told.ranges == [(0.0, 0.25, (2,)), *[(0.0, 1.0, ())] * 3, (0.25, 0.75, ())]
        expected = images.copy()
        if erased:
            expected[:, 5:9, :4] = 0.2  # from 4.5 to 9 and from 0 to 3.5
        np.testing.assert_allclose(found, expected, atol=1e-6)
    noise = Told(1.0, 0.0, 0.0, 0.4, 0.5, 0.125)
    found = np.asarray(pixels.erase(specs.RandomErasing(scale=(0.0, 0.25)), tf.constant(images), noise))
    assert noise.ranges[-2:] == [(1.0, 1.0, ()), (0.0, 1.0, (HEIGHT, WIDTH, 3))]
    assert np.all(found[:, :5, :4] == 0.125)
    np.testing.assert_array_equal(found[:, 5:], images[:, 5:])


def test_mixing_with_the_images_drawn(images: np.ndarray) -> None:
    """The drawn share is of the image itself; a pasted rectangle counts by its pixels."""
    import tensorflow as tf

    from cnncli.engine.input_pipeline.augmentation import mixing

    told = Told(betas=(0.75,))
    mixed, order, share, pasted = mixing.mix_up(specs.MixUp(alpha=0.3), tf.constant(images), told)
    assert told.alphas == [pytest.approx(0.3)]
    np.testing.assert_allclose(mixed, 0.75 * images + 0.25 * images[::-1], atol=1e-6)
    np.testing.assert_array_equal(order, np.arange(5)[::-1])
    np.testing.assert_allclose(share, np.full(5, 0.75), atol=1e-6)
    assert pasted is None
    told = Told(0.5, 0.0, 1.0, betas=(0.75,))
    mixed, order, share, pasted = mixing.cut_mix(specs.CutMix(factor=0.8), tf.constant(images), told)
    assert told.alphas == [pytest.approx(0.4)]
    assert told.ranges[0] == (0.0, 0.8, ())
    expected = images.copy()
    expected[:, :5, 4:] = images[::-1, :5, 4:]  # sides of a half: from 0 to 4.5 and from 3.5 to 7
    np.testing.assert_array_equal(mixed, expected)
    np.testing.assert_array_equal(order, np.arange(5)[::-1])
    np.testing.assert_allclose(share, np.full(5, 1 - 15 / 63), atol=1e-6)
    covered = np.zeros((5, HEIGHT, WIDTH, 1), bool)
    covered[:, :5, 4:] = True
    np.testing.assert_array_equal(pasted, covered)


def test_a_mosaic_of_what_is_drawn() -> None:
    """Four images meet where they were drawn to; each shows a part of itself, or all of it beside what is filled."""
    import tensorflow as tf

    from cnncli.engine.input_pipeline.augmentation.mosaic import mosaic

    images = np.random.default_rng(0).random((5, 8, 12, 2)).astype(np.float32)
    spec = specs.Mosaic(probability=0.5, offset=(0.125, 0.625), scale=(0.5, 1.0), fill_value=51.0)
    other = images[::-1]
    # Half of the height and a quarter of the width belong to the image itself, and the others are its batch backwards.
    told = Told(0.4, 0.75, 0.25, 1.0, 1.0)
    found = mosaic(spec, tf.constant(images), told).numpy()
    assert told.ranges == [(0.0, 1.0, ()), *[(0.125, 0.625, ())] * 2, (0.5, 1.0, (4,)), (0.0, 1.0, (4, 2))]
    np.testing.assert_allclose(found[:, :4, :3], images[:, 4:, 9:], atol=1e-5)
    np.testing.assert_allclose(found[:, :4, 3:], other[:, 4:, 3:], atol=1e-5)
    np.testing.assert_allclose(found[:, 4:, :3], other[:, 4:, 9:], atol=1e-5)
    np.testing.assert_allclose(found[:, 4:, 3:], other[:, 4:, 3:], atol=1e-5)
    half = images.reshape(5, 4, 2, 6, 2, 2).mean((2, 4))
    found = mosaic(spec, tf.constant(images), Told(0.4, 0.75, 0.25, 0.0, 0.0)).numpy()
    expected = np.full_like(images, 0.2)
    expected[:, :4, :3] = half[:, :, :3]
    expected[:, :4, 3:9] = expected[:, 4:, 3:9] = half[::-1]
    expected[:, 4:, :3] = half[::-1, :, :3]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    means = specs.Mosaic(offset=(0.125, 0.625), scale=(0.5, 1.0), fill_value="mean")
    found = mosaic(means, tf.constant(images), Told(0.4, 0.75, 0.25, 0.0, 0.0)).numpy()
    expected[:, :4, 9:] = expected[:, 4:, 9:] = other.mean((1, 2), keepdims=True)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    left_alone = mosaic(spec, tf.constant(images), Told(0.6, 0.75, 0.25, 0.0, 0.3)).numpy()
    assert left_alone.tobytes() == images.tobytes()


def test_class_numbers_are_mixed_as_shares() -> None:
    """Mixed once, class numbers become shares of the classes; mixed again, the shares are mixed."""
    import tensorflow as tf

    from cnncli.config.schema.schema import Loss
    from cnncli.engine.input_pipeline.augmentation.mixing import Mixed
    from cnncli.engine.tasks.classification import CrossEntropy

    objective, order = CrossEntropy(Loss(), num_classes=3), tf.constant([1, 0])
    once = objective.mix(tf.constant([0, 2]), Mixed(tf.zeros(2), order, tf.constant([0.75, 1.0])))
    np.testing.assert_allclose(once, [[0.75, 0.0, 0.25], [0.0, 0.0, 1.0]], atol=1e-6)
    again = objective.mix(once, Mixed(tf.zeros(2), order, tf.constant([0.5, 0.5])))
    np.testing.assert_allclose(again, [[0.375, 0.0, 0.625], [0.375, 0.0, 0.625]], atol=1e-6)


def draws(first: int = 0, count: int = 4000, seed: int = 3) -> Any:
    """Return draws for many images."""
    import tensorflow as tf

    from cnncli.engine.input_pipeline.augmentation.random_draws import Draws

    return Draws(tf.constant([seed, 8]), first, count)


def test_draws_have_their_distributions() -> None:
    """Uniform numbers, choices, permutations and shares of a beta distribution, each call new ones."""
    made = draws()
    once, again = np.asarray(made.uniform(-2.0, 5.0)), np.asarray(made.uniform(-2.0, 5.0))
    assert stats.kstest(once, stats.uniform(-2.0, 7.0).cdf).pvalue > 1e-3
    assert abs(np.corrcoef(once, again)[0, 1]) < 0.06
    assert np.asarray(made.uniform(0.0, 1.0, (2, 3))).shape == (4000, 2, 3)
    chosen = np.bincount(np.asarray(made.choice(7)), minlength=7)
    assert len(chosen) == 7
    assert stats.chisquare(chosen).pvalue > 1e-3
    assert sorted(np.asarray(made.order()).tolist()) == list(range(4000))
    for alpha in (0.2, 1.0, 3.0):
        assert stats.kstest(np.asarray(made.beta(alpha)), stats.beta(alpha, alpha).cdf).pvalue > 1e-3
    assert set(np.asarray(made.beta(0.0)).tolist()) == {1.0}
    small = np.asarray(made.beta(0.003))  # gamma draws are too small for float32
    assert np.mean((small > 0.01) & (small < 0.99)) < 0.05


def test_a_shared_batch_draws_as_a_whole_one() -> None:
    """The second half of a batch draws what it would have drawn beside the first."""
    whole, half = draws(count=10), draws(first=6, count=4)
    np.testing.assert_allclose(half.uniform(0.0, 1.0, (2,)), whole.uniform(0.0, 1.0, (2,))[6:], atol=1e-7)
    np.testing.assert_allclose(half.beta(0.5), whole.beta(0.5)[6:], atol=1e-6)


@pytest.mark.parametrize(
    ("factor", "both", "upwards"),
    [(0.3, (-0.3, 0.3), (0.0, 0.3)), ((0.4, 0.1), (0.1, 0.4), (0.1, 0.4)), (-0.5, (-0.5, 0.5), (0.0, -0.5))],
)
def test_ranges_of_a_factor(factor: Any, both: tuple[float, float], upwards: tuple[float, float]) -> None:
    """One number stands for a range about zero, or from zero; two are its ends."""
    from cnncli.engine.input_pipeline.augmentation.random_draws import both_ways, from_zero

    assert both_ways(factor) == both
    assert from_zero(factor) == upwards


def test_each_change_has_draws_of_its_own(images: np.ndarray) -> None:
    """The same change twice draws twice; mixing turns labels into shares of the classes."""
    import tensorflow as tf

    from cnncli.config.schema.schema import Loss
    from cnncli.engine.input_pipeline.augmentation import Augmentation
    from cnncli.engine.tasks.classification import CrossEntropy

    objective = CrossEntropy(Loss(), num_classes=3)
    labels, seed = tf.constant([0, 1, 2, 0, 1]), tf.constant([1, 2])
    shift = specs.RandomTranslation(height_factor=0.0, width_factor=0.4, fill_mode="wrap")
    once = Augmentation([shift], objective)(tf.constant(images), labels, seed)[0]
    twice = Augmentation([shift, shift], objective)(tf.constant(images), labels, seed)[0]
    again = Augmentation([shift], objective)(once, labels, seed)[0]
    assert not np.allclose(twice, again, atol=1e-3)
    mixes = Augmentation([shift, specs.MixUp()], objective)
    assert mixes(tf.constant(images), labels, seed)[1].shape == (5, 3)
    assert Augmentation([shift], objective)(tf.constant(images), labels, seed)[1].shape == (5,)
    assert not Augmentation([], objective)


@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
@pytest.mark.parametrize(
    ("fill_mode", "theirs"),
    [("reflect", "reflect"), ("constant", "constant"), ("nearest", "nearest"), ("wrap", "grid-wrap")],
)
def test_elastic_images_are_read_where_smoothed_noise_says(interpolation: str, fill_mode: str, theirs: str) -> None:
    """Displacements are SciPy's Gaussian of the noise, as wide and strong as Keras's; pixels are SciPy's there."""
    import tensorflow as tf
    from keras.layers import RandomElasticTransform

    from cnncli.engine.input_pipeline.augmentation.elastic import elastic_transform

    class Noise(Told):
        """Draws with noise that is written down."""

        def normal(self, shape: tuple[int, ...]) -> Any:
            """Return other noise for each image and call."""
            noises.append(np.random.default_rng(len(noises)).normal(size=(5, *shape)).astype(np.float32))
            return tf.constant(noises[-1])

    height, width = 30, 48
    images = np.random.default_rng(9).random((5, height, width, 2)).astype(np.float32)
    for scale in (0.9, 0.5):  # Of the second the Gaussian is narrower than a pixel: the noise stays as it is.
        noises: list[np.ndarray] = []
        told = Noise(0.2, 0.5, scale)
        spec = specs.RandomElasticTransform(
            factor=(0.1, 0.7), interpolation=interpolation, fill_mode=fill_mode, fill_value=51.0
        )
        found = elastic_transform(spec, tf.constant(images), told).numpy()
        assert told.ranges == [(0.0, 1.0, ()), (0.1, 0.7, ()), (0.0, 1.0, ())]
        alpha, sigma = RandomElasticTransform().get_elastic_transform_params(height, width, scale)
        size = 3 * int(sigma)
        down, right = (
            alpha * sigma * ndimage.gaussian_filter(noise, (0, sigma, sigma), mode="constant", radius=size)
            if size
            else alpha * sigma * noise
            for noise in noises
        )
        for row in range(5):
            y, x = np.mgrid[:height, :width] + np.stack([down[row], right[row]])
            for channel in range(2):
                order = ("nearest", "bilinear").index(interpolation)
                if order == 0:  # SciPy rounds a half as it likes; none is there.
                    y, x = np.floor(y + 0.5), np.floor(x + 0.5)
                if fill_mode == "constant":
                    grown = np.pad(images[row, ..., channel], 40, constant_values=0.2)
                    expected = ndimage.map_coordinates(grown, (y + 40, x + 40), order=order, cval=0.2)
                else:
                    expected = ndimage.map_coordinates(images[row, ..., channel], (y, x), order=order, mode=theirs)
                wrong = np.abs(found[row, ..., channel] - expected) > 2e-4
                assert wrong.mean() <= (0.002 if order == 0 else 0)  # A place between two pixels may round either way.
        assert np.abs(found - images).mean() > 0.01


def test_elastic_images_that_are_not_bent(images: np.ndarray) -> None:
    """Where the coin says no, and where the scale is 0, images stay as they are to the last bit."""
    import tensorflow as tf

    from cnncli.engine.input_pipeline.augmentation.elastic import elastic_transform
    from cnncli.engine.input_pipeline.augmentation.random_draws import Draws

    for spec in (specs.RandomElasticTransform(factor=0.0), specs.RandomElasticTransform(scale=0.0)):
        found = elastic_transform(spec, tf.constant(images), Draws(tf.constant([0, 0]), 0, len(images)))
        assert found.numpy().tobytes() == images.tobytes()
