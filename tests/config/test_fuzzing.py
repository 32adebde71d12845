"""A small campaign against the config language; the large one is `tests/campaigns/fuzz_configs.py`."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

CAMPAIGN = Path(__file__).parents[1] / "campaigns" / "fuzz_configs.py"


@pytest.fixture(scope="module")
def fuzzing() -> ModuleType:
    """The campaign's module."""
    spec = importlib.util.spec_from_file_location("fuzz_configs", CAMPAIGN)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["fuzz_configs"] = module
    spec.loader.exec_module(module)
    return module


def test_five_hundred_fuzzed_configs_end_in_a_config_or_in_problems(fuzzing: ModuleType) -> None:
    """No traceback, no hang, and every problem has its place, its key and its page."""
    figures = fuzzing.campaign(500, seed=2)
    assert figures.failures == []
    assert figures.loaded + figures.refused == 500
    assert figures.loaded > 20
    assert figures.slowest < fuzzing.LIMIT_SECONDS


def test_a_failure_would_be_seen(fuzzing: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """The campaign tells an exception that is no ConfigError."""
    monkeypatch.setattr(fuzzing, "problems_of", lambda *_: 1 // 0)
    figures = fuzzing.campaign(3)
    assert len(figures.failures) == 3
    assert "ZeroDivisionError" in figures.failures[0]
