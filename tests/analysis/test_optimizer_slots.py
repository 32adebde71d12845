"""What optimizers keep, counted in their variables."""

from __future__ import annotations

import math

import pytest

from cnncli.analysis.memory import optimizer_slots
from cnncli.config.load import load
from cnncli.config.schema.optimizers import OPTIMIZERS

pytestmark = pytest.mark.engine


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_slots_are_what_is_kept(name: str) -> None:
    """An optimizer keeps as many values for a kernel's weight as is said, and a few numbers of its own."""
    import keras

    from cnncli.engine.training.optimizer import make_optimizer

    config = load("digits_lenet", [f"train.optimizer={name}"])
    optimizer = make_optimizer(config.train)
    optimizer.build([keras.Variable(keras.ops.zeros((10, 10, 10, 10)))])
    kept = sum(math.prod(variable.shape) for variable in optimizer.variables)
    assert round(kept / 10_000) == optimizer_slots(config.train)
