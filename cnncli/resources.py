"""What this process may use of the machine, and what it has used: cores and memory."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from cnncli.errors import CnnError

ADDRESS_SPACE = 4_000_000_000
"""Bytes of addresses that TensorFlow takes for a small network, most of them never used; with 2 GB it crashes."""


def available_threads() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def peak_memory() -> int | None:
    """Return the most memory that this process has held, in bytes, or None where the system does not tell."""
    try:
        # getrusage would count what the parent held when it started this process.
        text = Path("/proc/self/status").read_text(encoding="utf-8")
        return next(int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        pass
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def require_address_space() -> None:
    """Refuse a limit under which TensorFlow would not be loaded, or end the process in the middle of its work.

    Raises:
        CnnError: With the limit.
    """
    if sys.platform == "win32":
        return
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY and limit < ADDRESS_SPACE:
        raise CnnError(
            f"this process may use {limit / 1e9:.1f} GB of addresses; TensorFlow needs {ADDRESS_SPACE / 1e9:.0f} GB",
            "Raise the limit: ulimit -v unlimited.",
        )
