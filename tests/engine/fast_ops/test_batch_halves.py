"""Batches computed in parts give what whole batches give."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.engine

SETS = ["data.source=digits", "train.epochs=1", "train.batch_size=118", "train.optimizer=SGD"]


def trained(folder: Path) -> dict[str, np.ndarray]:
    """Train LeNet on the digits for an epoch; return the last weights."""
    from cnncli.config.load import load
    from cnncli.engine.training.train import train
    from cnncli.runs.events import Silence
    from cnncli.runs.run import Run

    run = Run.open(Path(train(load("mnist_lenet5", SETS), folder, Silence()).run))
    checkpoint = run.checkpoints.latest()
    assert checkpoint is not None
    return {name: array for name, array in checkpoint.arrays.items() if name.startswith("model/")}


def test_parts_change_nothing_but_rounding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An epoch in halves ends at the weights of whole batches; the last batch of an epoch is of one example."""
    from cnncli.engine.fast_ops import batch_halves as parts

    asked: list[int] = []
    in_halves = parts.in_halves

    def noted(function: Any, batch: Any, number: int) -> Any:
        asked.append(number)
        return in_halves(function, batch, number)

    monkeypatch.setattr(parts, "in_halves", noted)
    monkeypatch.setattr(parts, "number", lambda: 1)
    whole = trained(tmp_path / "whole")
    assert set(asked) == {1}
    asked.clear()
    monkeypatch.setattr(parts, "number", lambda: 2)
    halves = trained(tmp_path / "halves")
    assert set(asked) == {2}
    assert len(whole) > 5
    for name, array in whole.items():
        np.testing.assert_allclose(halves[name], array, rtol=1e-4, atol=1e-5, err_msg=name)


def test_who_is_computed_in_halves() -> None:
    """Small networks on several threads; not large ones, none with batch normalization, none on a single thread."""
    from cnncli.config.load import load
    from cnncli.engine.fast_ops.batch_halves import halves_for

    assert halves_for(load("mnist_lenet5"), 2) == 2
    assert halves_for(load("mnist_lenet5"), 1) == 1
    assert halves_for(load("cifar10_small_alexnet"), 2) == 1
    assert halves_for(load("mnist_fast"), 2) == 1


@pytest.mark.parametrize("length", [1, 2, 3, 4, 9])
@pytest.mark.parametrize("parts", [2, 4])
def test_every_example_once_and_in_order(length: int, parts: int) -> None:
    """However short the batch: no part is empty, and together they are the batch."""
    import tensorflow as tf

    from cnncli.engine.fast_ops.batch_halves import in_halves

    seen = []
    result = in_halves(lambda part: seen.append(len(part)) or part * 10, tf.range(length), parts)
    np.testing.assert_array_equal(result, np.arange(length) * 10)
    assert len(seen) == parts
    assert min(seen) > 0
