"""A small campaign against the config language; the large one is `tests/campaigns/fuzz_configs.py`."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import ModuleType

import pytest

from cnncli.analysis.check import check
from cnncli.config.load import load


@pytest.fixture(scope="module")
def fuzzing(script: Callable[[str], ModuleType]) -> ModuleType:
    """The campaign's module."""
    return script("campaigns/fuzz_configs.py")


def test_hundreds_of_fuzzed_configs_end_in_a_config_or_in_problems(fuzzing: ModuleType) -> None:
    """No traceback, no hang, and every problem has its place, its key and its page.

    None takes 500 times the processor time of GoogLeNet's config, which is 50 times as long as most of them.
    """
    begun = time.process_time()
    check(load("googlenet"))
    figures = fuzzing.campaign(250, seed=2, limit_seconds=500 * (time.process_time() - begun))
    assert figures.failures == []
    assert figures.loaded + figures.refused == 250
    assert figures.loaded > 10


def test_a_failure_would_be_seen(fuzzing: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """The campaign tells an exception that is no ConfigError."""
    monkeypatch.setattr(fuzzing, "problems_of", lambda *_: 1 // 0)
    figures = fuzzing.campaign(3)
    assert len(figures.failures) == 3
    assert "ZeroDivisionError" in figures.failures[0]
