"""A signal is heard at once, while the command starts and in the middle of a step; the second one ends the process."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "faults"))
from training_process import Workplace

pytestmark = pytest.mark.engine

Start = Callable[..., subprocess.Popen[str]]

GUARD = 300
"""Seconds after which a test gives up instead of hanging; what is waited for otherwise would never come."""

STEADY = """
import signal, sys
from cnncli.engine.training.signals import StopRequest
import tensorflow as tf

@tf.function
def step():
    tf.print("training", output_stream=sys.stdout)
    return tf.while_loop(lambda x: True, lambda x: (tf.linalg.matmul(x, x) / 300.0,), (tf.ones([300, 300]),))

with StopRequest(lambda line: print(line, flush=True)) as stop:
    step()
"""
"""A single step that never ends."""


def wait_for(is_there: Callable[[], object], process: subprocess.Popen[str]) -> None:
    """Wait until something is there; fail if the process has ended before."""
    while not is_there():
        assert process.poll() is None, f"ended with {process.returncode}"
        time.sleep(0.001)


def test_first_signal_is_remembered() -> None:
    """The first signal is kept, told of, and the handlers from before come back."""
    from cnncli.engine.training.signals import StopRequest

    told: list[str] = []
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with StopRequest(told.append) as stop:
        assert stop.signal is None
        signal.raise_signal(signal.SIGTERM)
        assert stop.signal == signal.SIGTERM
    assert told == ["Stopping after the current steps, with a checkpoint; press again to stop immediately."]
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
    assert signal.set_wakeup_fd(-1) == -1


def test_second_signal_ends_a_long_step_at_once(started: Start) -> None:
    """Both signals are heard within a step that has no end; the second one ends the process with its exit code."""
    process = started([sys.executable, "-c", STEADY], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == "training\n"
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline().startswith("Stopping")
    process.send_signal(signal.SIGTERM)
    assert process.wait(GUARD) == 143


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_while_starting(tmp_path: Path, number: signal.Signals) -> None:
    """While TensorFlow is imported a signal ends the command with its exit code and without a word."""
    place = Workplace(tmp_path, [])
    with place.start() as process:
        wait_for(lambda: place.imports_tensorflow, process)
        process.send_signal(number)
        assert process.wait(GUARD) == 128 + number
    assert place.run is None
    assert place.stderr() == ""


SLOW_DATA = """
import sys, time
from concurrent.futures import Future
from cnncli.datasets import background
background.load = lambda config, watch: time.sleep(3600)
result = Future.result
def wait(future):
    print("waiting", flush=True)
    return result(future)
Future.result = wait
from cnncli.__main__ import main
main()
"""
"""Data that take an hour to load, in a thread of their own; tells when nothing is left to do but to wait for them."""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_while_data_are_loaded(tmp_path: Path, started: Start, number: signal.Signals) -> None:
    """The process does not wait for the thread that loads the data."""
    command = [sys.executable, "-c", SLOW_DATA, "train", "digits_lenet", "--runs-dir", str(tmp_path)]
    process = started(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == "waiting\n"
    process.send_signal(number)
    _, stderr = process.communicate(timeout=GUARD)
    assert process.returncode == 128 + number
    assert "Traceback" not in stderr
