"""A loss, gradient or input that is not a number stops the run within a step, with evidence and a way on."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnncli.runs.events import Silence
from tests.engine.conftest import SMALL

sys.path.insert(0, str(Path(__file__).parents[2] / "faults"))
from nan_injection import injected

pytestmark = pytest.mark.engine

STEPS_PER_EPOCH = 12


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return how the run ends into which nobody puts a NaN."""
    from cnncli.config.load import loads
    from cnncli.engine.training.train import train

    whole = train(loads(SMALL, overrides=["train.epochs=3"]), tmp_path_factory.mktemp("good"), Silence())
    assert whole.final is not None
    return whole.final


@pytest.mark.parametrize(("what", "step"), [("input", 1), ("loss", 17), ("gradient", 24), ("output", 30)])
def test_injected_nan_is_found(
    small_config: Callable[..., Any],
    tmp_path: Path,
    undisturbed: Any,
    what: str,
    step: int,
) -> None:
    """A NaN at one step: named within that step, its batch kept, the newest checkpoint finite, and the run goes on."""
    from cnncli.engine.training.divergence import DivergedError
    from cnncli.engine.training.train import resume, train
    from cnncli.runs.find import find

    config = small_config("train.epochs=3")
    with injected(what, step), pytest.raises(DivergedError) as caught:
        train(config, tmp_path / "bad", Silence())
    assert f"at step {step} " in caught.value.message
    assert caught.value.hint is not None
    assert "learning_rate" in caught.value.hint

    run = find("latest", tmp_path / "bad")
    assert run.status == "failed"
    evidence = run.path / f"diverged-step-{step:08d}"
    finding = json.loads((evidence / "finding.json").read_text(encoding="utf-8"))
    assert finding["what"] == what
    assert (finding["epoch"], finding["batch"]) == ((step - 1) // STEPS_PER_EPOCH + 1, (step - 1) % STEPS_PER_EPOCH + 1)
    assert len(finding["recent_losses"]) == min(step - 1, 20)
    assert np.isfinite(finding["recent_losses"]).all()
    assert len(list(evidence.glob("*.png"))) == len(finding["labels"])

    newest = run.checkpoints.latest()
    assert newest is not None
    assert newest.step == (step - 1) // STEPS_PER_EPOCH * STEPS_PER_EPOCH
    assert all(np.isfinite(array).all() for array in newest.arrays.values())

    result = resume(run, run.config(), Silence())
    assert result.status == "done"
    assert result.final is not None
    assert result.final["train"] == undisturbed["train"]


def test_too_large_learning_rate(small_config: Callable[..., Any], tmp_path: Path) -> None:
    """What happens without anyone's help: steps too large, and a layer is named."""
    from cnncli.engine.training.divergence import DivergedError
    from cnncli.engine.training.train import train
    from cnncli.runs.find import find

    config = small_config("train.optimizer={SGD: {learning_rate: 1.0e+30}}")
    with pytest.raises(DivergedError) as caught:
        train(config, tmp_path, Silence())
    assert "non-finite values in the " in caught.value.message
    run = find("latest", tmp_path)
    (evidence,) = run.path.glob("diverged-*")
    assert json.loads((evidence / "finding.json").read_text(encoding="utf-8"))["layer"]
    newest = run.checkpoints.latest()
    assert newest is not None
    assert newest.step == 0
