"""What an artifact is asked: which examples, and what stands at the edges."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import special

pytestmark = pytest.mark.engine

NET = "[Flatten, {Dense: {units: 10}}]"


@pytest.fixture(scope="module")
def source(make_source: Callable[..., Any]) -> Any:
    """Return a network for images smaller than its data's."""
    return make_source(NET, "data.image_size=[6,7]")


def probabilities(source: Any, images: np.ndarray) -> np.ndarray:
    """Return what Keras computes of the network."""
    import tensorflow as tf

    resized = tf.image.resize(images, (6, 7)).numpy().round().clip(0, 255)
    return special.softmax(np.asarray(source.trained.model(resized / np.float32(255))), axis=1)


@pytest.fixture(scope="module")
def proof(source: Any) -> Any:
    """Return thirty examples of it."""
    from cnncli.engine.exporting.proof import Proof

    return Proof(source, 30)


def test_real_examples_reach_from_the_first_to_the_last(source: Any, proof: Any) -> None:
    """At equal distances over the test split, its first and its last example among them, with their labels."""
    import tensorflow as tf

    test = source.splits.test
    rows = [round(i * (len(test) - 1) / 29) for i in range(30)]
    assert (proof.real.targets.labels == test.targets.labels[rows]).all()
    images = tf.image.resize(test.images[rows], (6, 7)).numpy().round().clip(0, 255)
    assert (proof.real.images == images).all()
    assert proof.real.name == "real examples"


def test_all_examples_where_there_are_few(source: Any) -> None:
    """A split with fewer examples than asked for is taken whole, each example once."""
    from cnncli.engine.exporting.proof import Proof

    assert (Proof(source, 10**6).real.targets.labels == source.splits.test.targets.labels).all()


def test_edges(source: Any, proof: Any) -> None:
    """Black, white, noise, and batches of one and seven real images; to each what the run answers."""
    real = proof.real
    noise = proof.edges[2].images
    expected = {
        "all 0": np.zeros((1, 6, 7, 1)),
        "all 255": np.full((1, 6, 7, 1), 255),
        "noise": noise,
        "batch of 1": real.images[:1],
        "batch of 7": real.images[23:30],
    }
    assert [case.name for case in proof.edges] == list(expected)
    for case in proof.edges:
        assert case.images.dtype == np.uint8
        assert np.array_equal(case.images, expected[case.name])
        np.testing.assert_allclose(case.expected["probabilities"], probabilities(source, case.images), atol=1e-6)
    assert noise.shape == (16, 6, 7, 1)
    assert (noise.min(), noise.max()) == (0, 255)


def test_other_sizes(source: Any, proof: Any) -> None:
    """As stored, enlarged, padded with its mirror image, and cut: each with the run's answer."""
    stored, enlarged, padded, cut = (case.images for case in proof.other_sizes)
    some = proof.real.images[:8]
    test = source.splits.test
    assert np.array_equal(stored, test.images[[round(i * (len(test) - 1) / 29) for i in range(30)]])
    rows, columns = np.arange(11) // 2, np.arange(15) // 3
    assert np.array_equal(enlarged, some[:, rows][:, :, columns])
    assert np.array_equal(padded, some[:, [0, 1, 2, 3, 4, 5, 4, 3, 2]][:, :, [1, 0, 1, 2, 3, 4, 5, 6, 5]])
    assert np.array_equal(cut, some[:, :4, :6])
    for case in proof.other_sizes:
        assert case.name == "other sizes"
        np.testing.assert_allclose(case.expected["probabilities"], probabilities(source, case.images), atol=1e-6)


@pytest.mark.parametrize(("height", "width", "mirrored"), [(1, 1, False), (3, 9, False), (4, 4, True), (5, 4, True)])
def test_small_images_are_padded_and_cut(
    make_source: Callable[..., Any], height: int, width: int, mirrored: bool
) -> None:
    """Images of one pixel have other sizes too; where three more rows cannot be mirrored, the edge is repeated."""
    from cnncli.engine.exporting.proof import Proof

    proof = Proof(make_source(NET, f"data.image_size=[{height},{width}]"), 3)
    shapes = [case.images.shape[1:3] for case in proof.other_sizes]
    enlarged = (min(2 * height, height + 5), min(3 * width, 2 * width + 1))
    assert shapes == [(8, 8), enlarged, (height + 3, width + 2), (height // 2 + 1, max(1, width - 1))]
    some, padded = proof.real.images, proof.other_sizes[2].images
    assert np.array_equal(padded[:, :height, 1:-1], some)
    row, column = (height - 4, 1) if mirrored else (height - 1, 0)
    assert np.array_equal(padded[:, -1, 1:-1], some[:, row])
    assert np.array_equal(padded[:, :height, 0], some[:, :, column])
