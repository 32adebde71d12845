"""A signal while training is heard at once; the second one ends the process."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "faults"))
from training_process import Workplace, differences, newest_checkpoint

pytestmark = pytest.mark.engine

STEADY = """
import signal, sys
from cnncli.engine.signals import StopRequest
import tensorflow as tf

@tf.function
def step():
    return tf.while_loop(lambda x: True, lambda x: (tf.linalg.matmul(x, x) / 300.0,), (tf.ones([300, 300]),))

with StopRequest(lambda line: print(line, flush=True)) as stop:
    print("training", flush=True)
    step()
"""
"""A single step that takes minutes."""


def test_first_signal_is_remembered() -> None:
    """The first signal is kept, told of, and the handlers from before come back."""
    from cnncli.engine.signals import StopRequest

    told: list[str] = []
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with StopRequest(told.append) as stop:
        assert stop.signal is None
        signal.raise_signal(signal.SIGTERM)
        assert stop.signal == signal.SIGTERM
    assert told == ["Stopping after the running steps, with a checkpoint; once more stops at once."]
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
    assert signal.set_wakeup_fd(-1) == -1


def test_second_signal_ends_a_long_step_at_once() -> None:
    """Both signals are heard in the middle of a step; the second one ends the process with its exit code."""
    with subprocess.Popen([sys.executable, "-c", STEADY], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "training\n"
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline().startswith("Stopping")
        begun = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 143
        assert time.monotonic() - begun < 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_while_starting(tmp_path: Path, number: signal.Signals) -> None:
    """While TensorFlow is imported a signal ends the command with its exit code and without a word."""
    place = Workplace(tmp_path, [])
    with place.start() as process:
        while not place.in_main:
            time.sleep(0.001)
        time.sleep(0.6)
        assert place.run is None
        process.send_signal(number)
        assert process.wait(30) == 128 + number
    assert place.stderr() == ""


SLOW_DATA = """
import sys, time
from cnncli.datasets import background
background.load = lambda config, watch: time.sleep(60)
from cnncli.__main__ import main
main()
"""
"""Data that take a minute to load, in a thread of their own."""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_while_data_are_loaded(tmp_path: Path, number: signal.Signals) -> None:
    """The process does not wait for the thread that loads the data."""
    command = [sys.executable, "-c", SLOW_DATA, "train", "digits_lenet", "--runs-dir", str(tmp_path)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        time.sleep(8)
        begun = time.monotonic()
        process.send_signal(number)
        _, stderr = process.communicate(timeout=30)
    assert process.returncode == 128 + number
    assert time.monotonic() - begun < 5
    assert "Traceback" not in stderr


def test_stopped_run_is_resumable(tmp_path: Path) -> None:
    """SIGTERM while training: exit code 143, what to do next, and a run that ends like one never stopped."""
    place, whole = Workplace(tmp_path / "stopped", []), Workplace(tmp_path / "whole", [])
    whole.finish()
    with place.start() as process:
        while place.run is None or newest_checkpoint(place.run) is None:
            time.sleep(0.001)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 143
    run = place.run
    assert json.loads((run / "run.json").read_text(encoding="utf-8"))["status"] == "interrupted"
    assert "Go on with: cnn resume" in place.stderr()
    assert "Traceback" not in place.stderr()
    place.finish()
    assert whole.run is not None
    assert differences(run, whole.run) == []
