"""The batches of an epoch: in the order that NumPy draws from seed and epoch, entered at any place."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnncli.config.schema.schema import Data
from cnncli.datasets.splits import Split
from cnncli.datasets.targets import ClassNumbers

pytestmark = pytest.mark.engine

LABELS = np.arange(23)


@pytest.fixture
def feed() -> Any:
    """A feed of 23 images of 2×3 pixels, each filled with its own number, in batches of five; the seed is 9."""
    from cnncli.engine.input_pipeline.feed import MemoryFeed
    from cnncli.engine.input_pipeline.preprocessing import Preprocessing

    images = np.broadcast_to(LABELS[:, None, None, None], (23, 2, 3, 1)).astype(np.uint8)
    split = Split("train", images, ClassNumbers(LABELS), [str(number) for number in LABELS])
    return MemoryFeed(split, Preprocessing(Data(source="digits", image_size=(2, 3))), 9, 5)


def order_of(epoch: int) -> np.ndarray:
    """Return an epoch's order."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([9, epoch]))).permutation(23)


@pytest.mark.parametrize(
    ("first", "most", "expected"),
    [(0, 1, (0, 5)), (0, 3, (0, 15)), (1, 2, (5, 15)), (2, 99, (10, 20)), (4, 1, (20, 23)), (4, 9, (20, 23))],
)
def test_a_chunk_is_a_slice_of_the_order(feed: Any, first: int, most: int, expected: tuple[int, int]) -> None:
    """Whole batches up to the most that are asked for; the last batch, of three, comes alone."""
    for epoch in (1, 0, 3, 1):
        chunk = feed.chunk(epoch, first, most)
        assert chunk.plan.ravel().tolist() == order_of(epoch)[slice(*expected)].tolist()
        assert chunk.plan.shape[1] == min(5, expected[1] - expected[0])
        assert chunk.plan.dtype == np.int32
        np.testing.assert_array_equal(np.asarray(chunk.images)[chunk.plan.ravel(), 1, 2, 0], chunk.plan.ravel())
        np.testing.assert_array_equal(np.asarray(chunk.targets)[chunk.plan.ravel()], chunk.plan.ravel())


def test_a_sample_is_spread_over_the_split(feed: Any) -> None:
    """As many as are asked for, if there are so many."""
    assert np.asarray(feed.sample(4))[:, 0, 0, 0].tolist() == [0, 7, 14, 22]
    assert len(feed.sample(99)) == feed.num_examples == 23


def test_a_large_split_is_resized_in_parts() -> None:
    """More images than one part holds come out in their order, in the network's size."""
    from cnncli.engine.input_pipeline.feed import to_memory
    from cnncli.engine.input_pipeline.preprocessing import Preprocessing

    numbers = np.arange(4099) % 251
    images = np.broadcast_to(numbers[:, None, None, None], (4099, 2, 2, 1)).astype(np.uint8)
    examples = to_memory(
        Split("train", images, ClassNumbers(numbers), []), Preprocessing(Data(source="digits", image_size=(1, 1)))
    )
    np.testing.assert_array_equal(np.asarray(examples.images).ravel(), numbers)
    np.testing.assert_array_equal(examples.targets.labels, numbers)
