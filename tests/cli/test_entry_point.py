"""`cnn` as a process: known errors, signals and closed pipes become exit codes and a few lines, never a traceback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from cnncli.errors import ConfigError, Problem

BEHAVING = """
import os, signal, sys, time
import cnncli.cli.app
from cnncli.__main__ import main

def app(prog_name):
    assert prog_name == "cnn" and os.environ["PYDANTIC_DISABLE_PLUGINS"] == "1"
    {behaviour}

cnncli.cli.app.app = app
main()
"""


# Buffered output is what can be lost.
BUFFERED = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}


def process(behaviour: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the entry point with a command line that behaves in a certain way."""
    command = [sys.executable, "-c", BEHAVING.format(behaviour=behaviour), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=BUFFERED)


@pytest.mark.parametrize(
    ("behaviour", "code", "stdout", "stderr"),
    [
        ("print('done')", 0, "done\n", ""),
        ("raise SystemExit(2)", 2, "", ""),
        ("from cnncli.errors import RunError; raise RunError('no run', 'train one')", 1, "", "no run\n  train one\n"),
        ("print('half', end=''); raise KeyboardInterrupt", 130, "half", ""),
        ("print('half', end=''); os.kill(os.getpid(), signal.SIGTERM); time.sleep(60)", 143, "half", ""),
        ("print('half', end=''); raise SystemExit(130)", 130, "half", ""),
        ("raise BrokenPipeError", 0, "", ""),
    ],
)
def test_ends(behaviour: str, code: int, stdout: str, stderr: str) -> None:
    """What was printed is flushed; the exit code says what happened; nothing else is on stderr."""
    result = process(behaviour)
    assert (result.returncode, result.stdout) == (code, stdout)
    assert result.stderr.removeprefix("error: ") == stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_at_the_very_end(number: int) -> None:
    """In the interpreter's own end a signal no longer changes the exit code."""
    late = f"import atexit; atexit.register(os.kill, os.getpid(), {int(number)})"
    assert process(f"{late}; raise SystemExit(128 + 7)").returncode == 128 + 7
    ignored = "import cnncli.interrupts; cnncli.interrupts._ignore()"
    assert process(f"{ignored}; os.kill(os.getpid(), {int(number)}); raise SystemExit(9)").returncode == 9


def test_a_thread_that_hangs_is_not_waited_for() -> None:
    """Ctrl-C ends the process though another thread still reads a large folder."""
    thread = "import threading; threading.Thread(target=time.sleep, args=(600,)).start()"
    for end in ("KeyboardInterrupt", "SystemExit(130)", "SystemExit(143)"):
        begun = process(f"print('{end}'); {thread}; raise {end}")
        assert (begun.returncode, begun.stdout) == (143 if "143" in end else 130, f"{end}\n")


def test_blocks_that_cannot_be_left_by_an_exception() -> None:
    """Within such a block a signal ends the process at once; after it, what was set before holds again."""
    from cnncli.interrupts import leave, leaving_at_once

    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with leaving_at_once():
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == [leave, leave]
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
    held = "from cnncli.interrupts import leaving_at_once\n    with leaving_at_once(): os.kill(os.getpid(), 15)"
    assert process(held).returncode == 143


def test_the_reader_of_a_pipe_may_go() -> None:
    """`cnn … | head -0`: nothing is said of the pipe, not even as Python ends."""
    command = [sys.executable, "-c", BEHAVING.format(behaviour="print('line', flush=True)")]
    read, write = os.pipe()
    os.close(read)
    try:
        result = subprocess.run(
            command, stdout=write, stderr=subprocess.PIPE, text=True, timeout=60, check=False, env=BUFFERED
        )
    finally:
        os.close(write)
    assert (result.returncode, result.stderr) == (0, "")


def test_errors_of_a_config_as_text() -> None:
    """The first problem with its place, and how many more there are: what a traceback or a log would show."""
    first = Problem(code="E012", message="Conv2D has no argument.", hint="Say filters.", path="model", file="a.yaml")
    placed = Problem(code="E001", message="No.", path="data", file="b.yaml", line=3, column=7)
    for problems, text in (
        ((first,), "a.yaml: model: Conv2D has no argument."),
        ((placed, first), "b.yaml:3:7: data: No. (and 1 more)"),
    ):
        error = ConfigError(problems)
        assert str(error) == error.message == text
        assert (error.hint, error.code, error.problems) == (problems[0].hint, problems[0].code, problems)
