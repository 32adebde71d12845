"""`cnn train --seeds`: a run among others has the bits of one that was trained alone."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "faults"))
import forked

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(sys.platform == "win32", reason="--seeds is refused on Windows"),
]

DENSE = [
    "--set=model.layers=[Flatten, {Dense: {units: 8, activation: relu}}, {Dropout: {rate: 0.2}}, {Dense: {units: 10}}]",
    "--set=train.epochs=1",
]


def test_a_run_of_a_group_is_the_run_of_its_seed(small_config: Callable[..., Any], tmp_path: Path) -> None:
    """Bit by bit, though another run was trained before it; it says its group, and the one trained alone none."""
    from cnncli.runs.run import Run

    small_config()

    def train(*arguments: str) -> Any:
        done = forked.run(forked.CNN, "train", str(tmp_path / "small.yaml"), *DENSE, *arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    found = train("--seeds", "2", "--runs-dir", str(tmp_path / "runs"))
    alone = train("--set", "seed=4", "--runs-dir", str(tmp_path / "alone"))
    assert [run["seed"] for run in found["runs"]] == [3, 4]
    assert all(0 <= run["test"]["accuracy"] <= 1 for run in found["runs"])
    runs = [Run.open(Path(path)) for path in (found["runs"][0]["run"], found["runs"][1]["run"], alone["run"])]
    assert [run.record.get("group") for run in runs] == [found["group"], found["group"], None]
    other, own, expected = (checkpoint.arrays for run in runs if (checkpoint := run.checkpoints.latest()) is not None)
    assert own.keys() == expected.keys()
    assert all(np.asarray(own[name]).tobytes() == np.asarray(expected[name]).tobytes() for name in expected)
    assert any(np.asarray(other[name]).tobytes() != np.asarray(own[name]).tobytes() for name in own)
    assert own_epochs(runs[1]) == own_epochs(runs[2])


def own_epochs(run: Any) -> list[Any]:
    """Return the metrics of a run's epochs, which time does not change."""
    return [(line["train"], line["validation"]) for line in run.metrics()]
