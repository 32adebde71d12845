"""Cores and memory of a process, against what it was given and what it takes."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

TAKING = """
from cnncli.resources import peak_memory
before = peak_memory()
taken = bytearray(b"x") * 2**26
del taken
print(before, peak_memory())
"""


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system cannot confine a process to cores")
def test_only_the_cores_that_the_process_may_use_are_counted():
    """Confined to one core, it is one, however many the machine has."""
    core = min(os.sched_getaffinity(0))
    code = f"import os; os.sched_setaffinity(0, {{{core}}}); from cnncli.resources import *; print(available_threads())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"


@pytest.mark.skipif(sys.platform == "win32", reason="the system does not tell")
def test_the_peak_stays_when_the_memory_is_given_back():
    """64 MiB, taken and given back, raise the peak by about as much."""
    done = subprocess.run([sys.executable, "-c", TAKING], capture_output=True, text=True, check=True)
    before, after = map(int, done.stdout.split())
    assert 0.5 * 2**26 <= after - before <= 1.5 * 2**26
    assert 2**20 < before < 2**30
