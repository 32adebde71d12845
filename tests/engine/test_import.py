"""What importing the engine leaves behind."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.engine

REPORT = (
    "import cnncli.engine, gc, sys; print(gc.isenabled(), gc.get_freeze_count() > 100_000, 'sklearn' in sys.modules)"
)


def test_the_collector_is_back_and_spares_the_import() -> None:
    """Garbage is collected again, what TensorFlow's import left is out of it, and nothing is hidden any longer."""
    done = subprocess.run([sys.executable, "-c", REPORT], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "True", "False"]
