"""Weights that are measured on the training split: what a whitening convolution makes of it is uncorrelated."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.decomposition import PCA

pytestmark = pytest.mark.engine

LAYERS = """
    - Normalization: {name: scaled}
    - Conv2D: {filters: %d, kernel_size: %d, kernel: whitening, use_bias: false, trainable: false, name: whitened}
    - Flatten
    - Dense: {units: 10}
"""


def trained(small_config: Callable[..., Any], tmp_path: Path, filters: int, size: int, *sets: str) -> Any:
    """Train a small network with a whitening layer for an epoch; return its run."""
    from cnncli.config.load import load
    from cnncli.engine.training.train import train
    from cnncli.runs.events import Silence
    from cnncli.runs.run import Run

    small_config()
    text = (tmp_path / "small.yaml").read_text(encoding="utf-8")
    head, _, tail = text.partition("  layers:")
    layers = LAYERS % (filters, size)
    (tmp_path / "white.yaml").write_text(f"{head}  layers:{layers}{tail[tail.index('train:') :]}", encoding="utf-8")
    config = load(tmp_path / "white.yaml", ["train.epochs=1", *sets])
    return Run.open(Path(train(config, tmp_path / "runs", Silence()).run))


def patches(run: Any, size: int) -> np.ndarray:
    """Return the standardized patches of the run's training images, by NumPy alone: (patches, size²)."""
    from cnncli.datasets import load

    images = np.asarray(load(run.config()).train.images, np.float64)[..., 0] / 255
    images = (images - images.mean()) / images.std()
    windows = np.lib.stride_tricks.sliding_window_view(images, (size, size), axis=(1, 2))
    return windows.reshape(-1, size * size)


def kernel_of(run: Any) -> np.ndarray:
    """Return the whitening layer's weights after training: (height, width, channels, filters)."""
    return np.asarray(run.checkpoints.latest().arrays["model/whitened/kernel"], np.float64)


def test_outputs_are_uncorrelated(small_config: Callable[..., Any], tmp_path: Path) -> None:
    """The outputs of the eight strongest components have no covariance, and variance 1 but for the floor."""
    run = trained(small_config, tmp_path, filters=16, size=3)
    outputs = patches(run, 3) @ kernel_of(run).reshape(9, 16)
    covariance = np.cov(outputs[:, :8].T)
    np.testing.assert_allclose(covariance - np.diag(np.diag(covariance)), 0.0, atol=1e-4)
    assert np.all(np.diff(np.diag(covariance)) < 0)  # the stronger, the less the floor matters
    assert np.all((np.diag(covariance) > 0.9) & (np.diag(covariance) <= 1.0 + 1e-4))


def test_components_are_scikit_learns(small_config: Callable[..., Any], tmp_path: Path) -> None:
    """The filters point where scikit-learn's principal components do, the second half the other way."""
    run = trained(small_config, tmp_path, filters=8, size=2)
    kernel = kernel_of(run).reshape(4, 8)
    directions = kernel[:, :4] / np.linalg.norm(kernel[:, :4], axis=0)
    cosines = np.abs(np.sum(directions * PCA().fit(patches(run, 2)).components_.T, axis=0))
    np.testing.assert_allclose(cosines, 1.0, atol=1e-4)
    np.testing.assert_array_equal(kernel[:, 4:], -kernel[:, :4])


def test_of_many_images_an_even_sample_is_measured(
    small_config: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of images in the order of their classes, as folders list them, all classes count: scikit-learn's components."""
    from cnncli.engine.network import adapt

    generator = np.random.default_rng(0)
    labels = np.repeat(np.arange(10), 100)
    # The second half of the classes has its stripes the other way.
    stripes = np.tile(np.array([0, 255], np.uint8), (8, 4))
    pixels = np.stack([stripes if label < 5 else stripes.T for label in labels])
    pixels = np.clip(pixels * 0.5 + generator.integers(0, 100, pixels.shape), 0, 255).astype(np.uint8)
    np.savez(tmp_path / "sorted.npz", x_train=pixels, y_train=labels, x_test=pixels, y_test=labels)
    monkeypatch.setattr(adapt, "WHITENING_IMAGES", 100)
    sets = ("data.source=npz", "data.validation=0", f"data.path={tmp_path / 'sorted.npz'}")
    run = trained(small_config, tmp_path, 8, 2, *sets)
    rows = patches(run, 2).reshape(1000, -1, 4)[np.linspace(0, 999, 100).astype(int)].reshape(-1, 4)
    kernel = kernel_of(run).reshape(4, 8)
    directions = kernel[:, :4] / np.linalg.norm(kernel[:, :4], axis=0)
    cosines = np.abs(np.sum(directions * PCA().fit(rows).components_.T, axis=0))
    np.testing.assert_allclose(cosines, 1.0, atol=1e-3)


def test_images_that_are_all_alike_are_told(small_config: Callable[..., Any], tmp_path: Path) -> None:
    """Without any variance there is nothing to whiten: an error, and no weight that is not a number."""
    from cnncli.errors import CnnError

    pixels = np.full((40, 8, 8), 7, np.uint8)
    labels = np.arange(40) % 10
    np.savez(tmp_path / "same.npz", x_train=pixels, y_train=labels, x_test=pixels, y_test=labels)
    with pytest.raises(CnnError, match="whitened cannot be whitened"):
        trained(
            small_config, tmp_path, 4, 2, "data.source=npz", "data.validation=0", f"data.path={tmp_path / 'same.npz'}"
        )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("filters: 10, kernel_size: 2", "10 whitening filters, but a patch of this input has 4 components"),
        ("filters: 7, kernel_size: 2", "even number of filters"),
        ("filters: 8, kernel_size: 3, groups: 2", "in one group"),
        ("kernel_size: 2", "filters"),
        ("filters: 2, kernel_size: 9, padding: same", "9×9 patch fits into this input"),
        ("filters: 2, kernel_size: 3, padding: same, dilation_rate: 4", "9×9 patch fits into this input"),
    ],
)
def test_what_cannot_be_whitened_is_told(small_config: Callable[..., Any], arguments: str, message: str) -> None:
    """Too many filters, an odd number, groups, no number: errors of the config, before any data are read."""
    from cnncli.errors import ConfigError

    with pytest.raises(ConfigError) as caught:
        small_config(f"model.layers=[Conv2D: {{{arguments}, kernel: whitening}}, Flatten, Dense: {{units: 10}}]")
    assert message in str(caught.value)
