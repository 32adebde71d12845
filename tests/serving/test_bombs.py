"""A small campaign of bombs; the large one is `tests/campaigns/bombs.py`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

KINDS = ["csv", "standard input", "pipe", "ONNX, loop", "numbers", "deep JSON", "LiteRT, noise", "Keras, time"]
"""Those that are made quickly; the others have tests of their own."""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc, pipes and devices")


@pytest.fixture(scope="module")
def bombs(script: Callable[[str], ModuleType]) -> Any:
    """Return the campaign's module."""
    return script("campaigns/bombs.py")


@pytest.mark.needs("onnx", "litert")
def test_a_bomb_of_each_kind(bombs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is one error in less than 1.0 GB, without a traceback."""
    monkeypatch.setenv("CNN_ARTIFACT_SECONDS", "1")
    endings = list(bombs.campaign(len(KINDS), 1, KINDS))
    assert [ending.kind for ending in endings] == KINDS
    assert [ending.stderr for ending in endings if ending.wrong] == []
    assert all("error" in ending.stderr for ending in endings)


def test_what_the_tests_hold_is_not_counted(bombs: Any, tmp_path: Path) -> None:
    """A command started by a large process is measured as large as it is itself."""
    held = bytearray(400_000_000)
    ending = bombs.run("none", bombs.Bomb(("--version",)), tmp_path)
    assert ending.peak < len(held) / 2


def test_the_campaign_can_fail(bombs: Any, tmp_path: Path) -> None:
    """A command that succeeds is told."""
    assert bombs.run("none", bombs.Bomb(("--version",)), tmp_path).wrong
