"""The word about bfloat16: only where the machine has it, and only where there is time to win."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.engine


def test_a_long_training_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """CIFAR-10 through the small AlexNet in float32 gets the hint; in bfloat16, or on another CPU, it does not."""
    from cnncli.config.load import load
    from cnncli.engine import runtime

    monkeypatch.setattr(runtime, "cpu_features", lambda: ["avx512_bf16"])
    long, short = load("cifar10_small_alexnet"), load("digits_lenet")
    assert "mixed_bfloat16" in (runtime.hint(long, 45_000) or "")
    assert runtime.hint(short, 1_437) is None
    assert runtime.hint(load("cifar10_small_alexnet", ["train.precision=mixed_bfloat16"]), 45_000) is None
    monkeypatch.setattr(runtime, "cpu_features", lambda: ["avx2"])
    assert runtime.hint(long, 45_000) is None


def test_a_run_says_it_before_its_first_epoch(
    small_config: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hint is among the notes that a listener gets when training starts."""
    from cnncli.engine import runtime
    from cnncli.engine.training.train import train
    from cnncli.runs.events import Silence, Started

    monkeypatch.setattr(runtime, "cpu_features", lambda: ["avx512_bf16"])
    monkeypatch.setattr(runtime, "WORTHWHILE", 0.0)
    notes: list[str] = []

    class Listener(Silence):
        def started(self, event: Started) -> None:
            notes.extend(event.notes)

    train(small_config("train.epochs=1"), tmp_path / "runs", Listener())
    assert any("mixed_bfloat16" in note for note in notes)
