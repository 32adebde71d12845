"""Distortions against SciPy's own, and the profile made of them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from cnncli.tasks import distortion
from cnncli.tasks.distortion import DISTORTIONS, Distortion
from cnncli.tasks.invariance import distorted, invariance


@pytest.fixture
def images() -> np.ndarray:
    """Return four random images, smooth enough that half a grey level of rounding is all that may differ."""
    noise = np.random.default_rng(0).normal(size=(4, 24, 20, 3))
    smooth = ndimage.gaussian_filter(noise, (0, 2, 2, 0))
    return np.rint(127 + 600 * smooth).clip(0, 255).astype(np.uint8)


def mapped(image: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Sample an image with SciPy, the nearest pixel outside."""
    channels = [
        ndimage.map_coordinates(image[..., c].astype(float), [rows, columns], order=1, mode="nearest")
        for c in range(image.shape[-1])
    ]
    return np.stack(channels, axis=-1)


def assert_close(found: np.ndarray, expected: np.ndarray) -> None:
    """Compare bytes with exact values: rounding explains half a level and a little more."""
    assert np.abs(found - expected).max() <= 0.51


def test_shift_moves_right_down_left_up(images: np.ndarray) -> None:
    """A quarter of a 24×20 image is 6 rows or 5 columns; images take turns."""
    found = distortion.shift(images, 0.25, 0)
    rows, columns = np.mgrid[:24, :20].astype(float)
    for number, (down, right) in enumerate([(0, 5), (6, 0), (0, -5), (-6, 0)]):
        assert_close(found[number], mapped(images[number], rows - down, columns - right))


def test_the_turn_goes_on_from_batch_to_batch(images: np.ndarray) -> None:
    """The second half of a batch is distorted alike when it comes alone."""
    for kind in (distortion.shift, distortion.rotate):
        assert (kind(images, 0.3, 0)[2:] == kind(images[2:], 0.3, 2)).all()


def test_rotation_equals_scipy(images: np.ndarray) -> None:
    """30 degrees clockwise, then 30 back."""
    found = distortion.rotate(images, 30, 0)
    y, x = np.mgrid[:24, :20].astype(float)
    y, x = y - 11.5, x - 9.5
    for number, sign in enumerate([1, -1]):
        angle = np.radians(30) * sign
        rows = np.cos(angle) * y - np.sin(angle) * x + 11.5
        columns = np.sin(angle) * y + np.cos(angle) * x + 9.5
        assert_close(found[number], mapped(images[number], rows, columns))


def test_rotation_is_clockwise_first() -> None:
    """A bright top edge lies at the right after a quarter turn clockwise."""
    image = np.zeros((2, 9, 9, 1), np.uint8)
    image[:, 0] = 255
    turned = distortion.rotate(image, 90, 0)
    assert (turned[0, :, -1] == 255).all()
    assert (turned[1, :, 0] == 255).all()


def test_scale_equals_scipy(images: np.ndarray) -> None:
    """Factor 2 shows the inner half."""
    rows, columns = np.mgrid[:24, :20].astype(float)
    expected = mapped(images[0], (rows - 11.5) / 2 + 11.5, (columns - 9.5) / 2 + 9.5)
    assert_close(distortion.scale(images, 2, 0)[0], expected)


def test_blur_equals_scipy(images: np.ndarray) -> None:
    """The normal curve is cut at four deviations, as SciPy's."""
    deviation = 0.06 * 24
    found = distortion.blur(images, 0.06, 0)
    radius = int(np.ceil(4 * deviation))
    sigma = (0, deviation, deviation, 0)
    expected = ndimage.gaussian_filter(images.astype(float), sigma, mode="nearest", radius=(0, radius, radius, 0))
    assert_close(found, expected)


def test_brightness_and_contrast_are_arithmetic(images: np.ndarray) -> None:
    """Values are added to or spread around the mean, and cut at black and white."""
    assert_close(distortion.brighten(images, 0.25, 0), (images + 63.75).clip(0, 255))
    mean = images.mean(axis=(1, 2, 3), keepdims=True)
    assert_close(distortion.stretch_contrast(images, 0.5, 0), mean + (images - mean) / 2)


def test_noise_has_the_deviation_asked_for() -> None:
    """On mid grey, where nothing is cut off, the deviation is a tenth of the range."""
    grey = np.full((8, 32, 32, 1), 128, np.uint8)
    noisy = distortion.add_noise(grey, 0.1, 0).astype(float)
    assert noisy.std() == pytest.approx(25.5, rel=0.03)
    assert noisy.mean() == pytest.approx(128, abs=1)


def test_occlusion_covers_a_square(images: np.ndarray) -> None:
    """Half of the shorter side squared is grey, the rest as it was."""
    covered = distortion.occlude(images, 0.5, 0)
    changed = (covered != images).any(axis=-1)
    for number in range(4):
        rows, columns = np.nonzero(changed[number])
        assert rows.max() - rows.min() < 10
        assert columns.max() - columns.min() < 10
        assert changed[number].sum() >= 90


@pytest.mark.parametrize("kind", DISTORTIONS, ids=lambda kind: kind.name)
def test_distortions_repeat_and_begin_with_none(kind: Distortion, images: np.ndarray) -> None:
    """The neutral amount changes nothing, and the same call gives the same pixels."""
    neutral = 1 if kind.name in ("scale", "contrast") else 0
    assert neutral in kind.amounts
    assert (kind.apply(images, neutral, 0) == images).all()
    assert (kind.apply(images, kind.amounts[-1], 4) == kind.apply(images, kind.amounts[-1], 4)).all()


def test_profile_of_a_judge_of_brightness() -> None:
    """A judge that tells dark from bright minds brightness, and minds shifts of a plain image not at all."""
    images = np.repeat(np.array([50, 200], np.uint8), 20)[:, None, None, None] * np.ones((1, 8, 8, 1), np.uint8)
    labels = np.repeat(np.array([0, 1]), 20)
    found = invariance("test", images, labels, lambda pixels: (pixels.mean(axis=(1, 2, 3)) > 127).astype(np.int64))
    curves = {curve.distortion: curve.points for curve in found.curves}
    assert found.accuracy == 1
    assert all(point.accuracy == 1 for point in curves["shift"])
    assert curves["brightness"][-1].accuracy == 0.5
    assert curves["brightness"][-1].agreement == 0.5
    low, high = curves["brightness"][-1].accuracy_interval
    assert low < 0.5 < high


def test_the_profile_has_these_strengths() -> None:
    """What `cnn eval --invariance` measures: other programs read the names, units and amounts."""
    assert [(kind.name, kind.unit, kind.amounts) for kind in DISTORTIONS] == [
        ("shift", "fraction of the size", (0, 0.05, 0.1, 0.15, 0.2, 0.3)),
        ("rotation", "degrees", (0, 5, 10, 20, 30, 45, 90, 180)),
        ("scale", "factor", (0.5, 0.7, 0.85, 1, 1.15, 1.4, 2)),
        ("brightness", "fraction of the range", (-0.5, -0.25, -0.1, 0, 0.1, 0.25, 0.5)),
        ("contrast", "factor", (0.1, 0.25, 0.5, 1, 1.5, 2)),
        ("noise", "deviation, fraction of the range", (0, 0.05, 0.1, 0.2, 0.3, 0.5)),
        ("blur", "deviation, fraction of the height", (0, 0.02, 0.04, 0.06, 0.1)),
        ("occlusion", "side, fraction of the shorter", (0, 0.1, 0.2, 0.3, 0.4, 0.5)),
    ]


def test_squares_lie_anywhere_in_the_image() -> None:
    """Over many images they begin in every row and column where a whole square fits, and are 5 by 5 of mid grey."""
    images = np.zeros((600, 10, 14, 1), np.uint8)
    covered = distortion.occlude(images, 0.5, 0)[..., 0]
    assert set(np.unique(covered)) == {0, 128}
    assert (np.count_nonzero(covered, axis=(1, 2)) == 25).all()
    assert set((covered > 0).any(axis=2).argmax(axis=1)) == set(range(6))
    assert set((covered > 0).any(axis=1).argmax(axis=1)) == set(range(10))
    assert (distortion.occlude(images, 0.5, 0) != distortion.occlude(images, 0.5, 600)).any()


def test_many_images_are_distorted_in_batches(images: np.ndarray) -> None:
    """A batch of 128 at a time, each as if it came alone from its place."""
    many = np.resize(images, (300, *images.shape[1:]))
    for kind in DISTORTIONS:
        found = distorted(kind, many, kind.amounts[-1])
        assert found.shape == many.shape
        for start in (0, 128, 256):
            part = slice(start, start + 128)
            assert (found[part] == kind.apply(many[part], kind.amounts[-1], start)).all()
