"""Batches computed in parts give what whole batches give."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.engine

TRAIN = """
import json, sys
from pathlib import Path
from cnncli.config.load import load
from cnncli.engine import parts
from cnncli.engine.train import train
from cnncli.runs.events import Silence
if sys.argv[2] == "whole":
    parts.MOST = 1
sets = ["data.source=digits", "train.epochs=1", "train.batch_size=118", "train.threads=2", "train.optimizer=SGD"]
config = load("mnist_lenet5", sets)
run = train(config, Path(sys.argv[1]), Silence()).run
print(json.dumps({"run": run, "parts": parts.number()}))
"""


def trained(folder: Path, how: str) -> tuple[int, dict[str, np.ndarray]]:
    """Train LeNet on the digits in a process of its own; return the number of parts and the last weights."""
    from cnncli.runs.run import Run

    done = subprocess.run([sys.executable, "-c", TRAIN, str(folder), how], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    checkpoint = Run.open(Path(found["run"])).checkpoints.latest()
    assert checkpoint is not None
    return found["parts"], {name: array for name, array in checkpoint.arrays.items() if name.startswith("model/")}


def test_parts_change_nothing_but_rounding(tmp_path: Path) -> None:
    """An epoch in halves ends at the weights of whole batches; the last batch of an epoch is of one example."""
    (whole, expected), (halves, found) = trained(tmp_path / "whole", "whole"), trained(tmp_path / "halves", "halves")
    assert (whole, halves) == (1, 2)
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, rtol=1e-4, atol=1e-5, err_msg=name)


def test_dropout_in_halves_resumes_to_the_bit(tmp_path: Path) -> None:
    """LeNet with dropout, in halves, trained to the end twice in other processes, once stopped: `cnn verify` agrees."""
    common = ["--runs-dir", str(tmp_path), "--json"]
    sets = ["--set", "train.epochs=2", "--set", "train.threads=2"]
    cnn = [sys.executable, "-m", "cnncli"]
    made = subprocess.run([*cnn, "train", "digits_lenet", *sets, *common], capture_output=True, text=True, check=True)
    run = json.loads(made.stdout)["run"]
    assert json.loads((Path(run) / "run.json").read_text(encoding="utf-8"))["parts"] == 2
    found = subprocess.run([*cnn, "verify", run, *common], capture_output=True, text=True, check=True)
    assert json.loads(found.stdout)["identical"]


def test_who_is_computed_in_parts() -> None:
    """Small networks on several threads; not large ones, none with batch normalization, none on a single thread."""
    from cnncli.config.load import load
    from cnncli.engine.parts import parts_for

    assert parts_for(load("mnist_lenet5"), 2) == 2
    assert parts_for(load("mnist_lenet5"), 1) == 1
    assert parts_for(load("cifar10_small_alexnet"), 2) == 1
    assert parts_for(load("mnist_fast"), 2) == 1


@pytest.mark.parametrize("length", [1, 2, 3, 4, 9])
@pytest.mark.parametrize("parts", [2, 4])
def test_every_example_once_and_in_order(length: int, parts: int) -> None:
    """However short the batch: no part is empty, and together they are the batch."""
    import tensorflow as tf

    from cnncli.engine.parts import in_parts

    seen = []
    result = in_parts(lambda part: seen.append(len(part)) or part * 10, tf.range(length), parts)
    np.testing.assert_array_equal(result, np.arange(length) * 10)
    assert len(seen) == parts
    assert min(seen) > 0
