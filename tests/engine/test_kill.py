"""The kill campaign in small: real processes, real SIGKILL, and the same bits in the end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.engine

CAMPAIGN = Path(__file__).parents[1] / "faults" / "kill_campaign.py"


def test_ten_kills() -> None:
    """Ten kills at random and at telling moments: every run resumes and ends bit-identical."""
    variants = ["augmentation", "mid-epoch checkpoints"]
    command = [sys.executable, str(CAMPAIGN), "--kills", "10", "--parallel", "2", "--variants", *variants]
    result = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "kills in" in result.stdout
