"""A process that has imported what tests need and forks a child for each run of them.

Reads orders from stdin, one JSON document a line, and answers each the same way on stdout. It never imports the code
under test: every child finds that as it stands on the disk.

    python fork_server.py [--engine]
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import resource
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import pytest

LIBRARIES = (
    "numpy",
    "pydantic",
    "typer",
    "typer.testing",
    "yaml",
    "rich.console",
    "PIL.Image",
    "matplotlib.figure",
    "scipy.stats",
    "sklearn.metrics",
    "jsonschema",
    "hypothesis",
)
"""What the tests of the plain half import."""

ENGINE = ("tensorflow", "keras")
"""Imported alone, TensorFlow has no threads that a fork would lose; those begin with its first operation."""

HYPOTHESIS_IS_THERE = "ignore::pytest.PytestAssertRewriteWarning"
"""pytest would rewrite the assertions of its plugins, but these are imported already."""

WAITING = 5
"""How many times its seconds of the processor a child may take, as others use that too."""

MOST_BYTES = 12 * 2**30
"""What a child may allocate: a mutated loop must not take the whole machine."""


class Selection:
    """A pytest plugin: runs the chosen tests, quick ones first, and notes how long each took and which failed."""

    def __init__(self, chosen: dict[str, float] | None) -> None:
        self.chosen = chosen
        self.seconds: dict[str, float] = {}
        self.failed: list[str] = []

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Leave out what was not chosen; put slow tests last."""
        if self.chosen is not None:
            chosen = self.chosen
            items[:] = sorted((i for i in items if i.nodeid in chosen), key=lambda i: chosen[i.nodeid] > 1)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Note when a test begins."""
        self.seconds[nodeid] = -_processor_seconds()

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """Note how long a test took: seconds of the processor, which other processes do not lengthen."""
        self.seconds[nodeid] += _processor_seconds()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep a failure's name."""
        if report.failed:
            self.failed.append(report.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Keep the name of a file that cannot be imported."""
        if report.failed:
            self.failed.append(report.nodeid)


def _processor_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def run(order: dict[str, Any], scratch: Path) -> dict[str, Any]:
    """Run an order's tests in a child and return what it found, or that it ran out of time."""
    answer = scratch / "answer.json"
    answer.unlink(missing_ok=True)
    begun = time.monotonic()
    child = os.fork()
    if child == 0:
        _be_the_child(order, scratch, answer)
    status = _wait(child, begun + WAITING * order["limit"])
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)  # what the tests have started and left behind
    found: dict[str, Any] = {"seconds": {}, "failed": []}
    if answer.exists():
        found = json.loads(answer.read_text(encoding="utf-8"))
    code = None if status is None else os.waitstatus_to_exitcode(status)
    if code in (-signal.SIGXCPU, -signal.SIGKILL):
        code = None
    return found | {"code": code, "took": time.monotonic() - begun}


def _be_the_child(order: dict[str, Any], scratch: Path, answer: Path) -> None:
    code = 3
    try:
        os.setsid()
        resource.setrlimit(resource.RLIMIT_DATA, (MOST_BYTES, MOST_BYTES))
        resource.setrlimit(resource.RLIMIT_CPU, (order["limit"], order["limit"]))
        nothing = os.open(os.devnull, os.O_RDONLY)
        said = os.open(scratch / "output.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        for source, target in ((nothing, 0), (said, 1), (said, 2)):
            os.dup2(source, target)
        selection = Selection(order["chosen"])
        options = ["-q", "-p", "no:cacheprovider", "-W", HYPOTHESIS_IS_THERE, "--hypothesis-seed=0"]
        options += ["--numprocesses=0", *order["options"]]  # The mutated code is in this process.
        code = int(pytest.main([*options, *order["files"]], plugins=[selection]))
        answer.write_text(json.dumps({"seconds": selection.seconds, "failed": selection.failed}), encoding="utf-8")
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _wait(child: int, until: float) -> int | None:
    """Return a child's status, or None if it had to be killed."""
    while time.monotonic() < until:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status
        time.sleep(0.02)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def main() -> None:
    """Answer orders until there are no more."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    for library in LIBRARIES + (ENGINE if "--engine" in sys.argv else ()):
        importlib.import_module(library)
    scratch = Path(os.environ["TMPDIR"])
    for line in sys.stdin:
        answers.write(json.dumps(run(json.loads(line), scratch)) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
