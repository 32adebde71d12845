"""Commands that take long say what they are doing: on stderr, and nothing of it on stdout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cnncli.runs import events

pytestmark = pytest.mark.engine

COMMANDS: dict[tuple[str, ...], tuple[str, ...]] = {
    ("find-lr", "latest", "--steps", "20"): ("reading the examples, then trying learning rates",),
    ("eval", "latest", "--split", "validation"): ("reading and measuring the validation split",),
    ("show", "latest", "kernels"): ("reading what is shown, and drawing kernels",),
    ("report", "latest"): ("reading the examples, and drawing what the network does with them",),
    ("export", "latest"): (
        "writing an artifact and comparing its predictions with the run's",
        "writing an artifact and comparing its predictions with the run's",
    ),
    ("predict", "latest", "digit.png"): ("listing the files", "loading runs/small/"),
}


@pytest.fixture
def immediately(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Have everything told at once, as on a slow machine; the seconds after which it would be."""
    import cnncli.engine.training.train  # noqa: F401 - takes the real one along

    waits: list[float] = []

    @contextmanager
    def told(tell: Callable[[str], None], what: str, after: float) -> Iterator[None]:
        waits.append(after)
        tell(f"told: {what}")
        yield

    monkeypatch.setattr(events, "told_if_slow", told)
    return waits


def test_each_says_what_it_does(
    small_config: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    immediately: list[float],
) -> None:
    """Each phase that can take long has its line on stderr; stdout is the JSON document alone."""
    from cnncli.cli.app import app
    from cnncli.engine.training.train import train

    monkeypatch.chdir(tmp_path)
    train(small_config("train.epochs=1"), Path("runs"), events.Silence())
    Image.fromarray(np.zeros((8, 8), np.uint8)).save("digit.png")
    immediately.clear()
    capsys.readouterr()
    for command, expected in COMMANDS.items():
        app([*command, "--json"], standalone_mode=False)
        printed = capsys.readouterr()
        assert json.loads(printed.out)
        told = [line.removeprefix("told: ") for line in printed.err.splitlines() if line.startswith("told: ")]
        assert len(told) == len(expected), told
        assert all(map(str.startswith, told, expected))
    assert set(immediately) == {10.0}


def test_on_a_terminal_after_a_second(monkeypatch: pytest.MonkeyPatch, immediately: list[float]) -> None:
    """Someone who looks at it hears after a second; a log is not filled with what took a few."""
    from cnncli.cli.console import telling

    for is_terminal in (True, False):
        monkeypatch.setattr(sys.stderr, "isatty", lambda there=is_terminal: there)
        with telling("measuring"):
            pass
    assert immediately == [1.0, 10.0]


IMPORT = """
import sys
from cnncli.cli.console import loading_tensorflow
with loading_tensorflow():
    sys.modules["tensorflow"] = sys
with loading_tensorflow():
    pass
sys.stderr.write("loaded")
"""


def test_loading_tensorflow_is_said_before_it() -> None:
    """On a terminal there is a line while TensorFlow is imported, and none after it; elsewhere there is none."""
    master, terminal = os.openpty()
    with os.fdopen(master, "rb", buffering=0) as reader:
        subprocess.run([sys.executable, "-c", IMPORT], stderr=terminal, check=True)
        os.close(terminal)
        assert reader.read(1000).decode() == "loading TensorFlow …\r\x1b[Kloaded"
    done = subprocess.run([sys.executable, "-c", IMPORT], stderr=subprocess.PIPE, text=True, check=True)
    assert done.stderr == "loaded"
