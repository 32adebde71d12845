"""What optimizers keep, counted in Keras."""

from __future__ import annotations

import math

import pytest

from cnncli.analysis.memory import optimizer_slots
from cnncli.config.load import load
from cnncli.config.optimizers import OPTIMIZERS

pytestmark = pytest.mark.engine


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_slots_equal_keras(name: str) -> None:
    """The number of values an optimizer keeps for a kernel's weight is Keras's, but for a few numbers of its own."""
    import keras

    try:
        optimizer = getattr(keras.optimizers, name)()
    except AttributeError:
        pytest.skip(f"{name} is an optimizer of cnncli's own")
    optimizer.build([keras.Variable(keras.ops.zeros((10, 10, 10, 10)))])
    kept = sum(math.prod(variable.shape) for variable in optimizer.variables)
    config = load("digits_lenet", [f"train.optimizer={name}"])
    assert round(kept / 10_000) == optimizer_slots(config.train)
