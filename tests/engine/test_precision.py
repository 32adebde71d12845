"""The word about bfloat16: only where the machine has it, and only where there is time to win."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.engine


def test_a_long_training_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """CIFAR-10 through the small AlexNet in float32 gets the hint; in bfloat16, or on another CPU, it does not."""
    from cnncli.config.load import load
    from cnncli.engine import precision

    monkeypatch.setattr(precision, "cpu_features", lambda: ["avx512_bf16"])
    long, short = load("cifar10_small_alexnet"), load("digits_lenet")
    assert "mixed_bfloat16" in (precision.hint(long, 45_000) or "")
    assert precision.hint(short, 1_437) is None
    assert precision.hint(load("cifar10_small_alexnet", ["train.precision=mixed_bfloat16"]), 45_000) is None
    monkeypatch.setattr(precision, "cpu_features", lambda: ["avx2"])
    assert precision.hint(long, 45_000) is None
