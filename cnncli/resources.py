"""What this process may use of the machine, and what it has used: cores, processor time and memory."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cnncli.errors import CnnError

ADDRESS_SPACE = 4_000_000_000
"""Bytes of addresses that TensorFlow takes for a small network, most of them never used; with 2 GB it crashes."""


_PROC = Path("/proc")
_GROUP = Path("/sys/fs/cgroup")

MOST_THREADS = 1024
"""Most threads that anybody may ask for."""

THREADS_PER_CORE = 8
"""Threads for each core that may be asked for here; with thousands, TensorFlow takes all memory or aborts."""

ALWAYS_ALLOWED = 64
"""Threads that every machine bears: a run of a larger machine is evaluated on a smaller one with as many."""

WARNING_PER_CORE = 10
"""Seconds of processor time for each core that remain for a checkpoint when the limit on it is told."""


def available_threads() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def take_cores(rank: int, num_workers: int) -> None:
    """Keep to a share of the cores that this process may use, of as many processes as share them.

    Args:
        rank: Number of this process, from 0.
        num_workers: Number of processes.
    """
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        first, end = (len(cores) * number // num_workers for number in (rank, rank + 1))
        os.sched_setaffinity(0, cores[first:end] or [cores[rank % len(cores)]])


def require_threads(threads: int) -> None:
    """Refuse more threads than this machine's cores could be busy with.

    Raises:
        CnnError: With the number, and the most that may be asked for here.
    """
    cores = os.cpu_count() or 1
    most = max(ALWAYS_ALLOWED, THREADS_PER_CORE * cores)
    if threads > most:
        raise CnnError(
            f"train.threads is {threads:,}; with {cores} processors at most {most:,} threads are started here",
            "Leave it out, or set it to the number of processors: --set train.threads=null.",
        )


def peak_memory() -> int | None:
    """Return the most memory that this process has held, in bytes, or None where the system does not tell."""
    # getrusage would count what the parent held when it started this process.
    listed = _listed("self/status", "VmHWM")
    if listed is not None:
        return listed
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def available_memory() -> int | None:
    """Return the bytes of memory that a process may still take, or None where the system does not tell."""
    found = [_listed("meminfo", "MemAvailable")]
    with suppress(OSError, StopIteration, ValueError):  # A container may have less; "max" is no number.
        limit, used = (int((_GROUP / name).read_text(encoding="ascii")) for name in ("memory.max", "memory.current"))
        found.append(max(0, limit - used + _file_cache(_GROUP)))
    return min((each for each in found if each is not None), default=None)


def total_memory() -> int | None:
    """Return the bytes of memory that all processes may take together, or None where the system does not tell."""
    found = [_listed("meminfo", "MemTotal")]
    with suppress(OSError, ValueError):
        found.append(int((_GROUP / "memory.max").read_text(encoding="ascii")))
    return min((each for each in found if each is not None), default=None)


def memory_of(pid: int) -> int | None:
    """Return the bytes of memory that a process holds now, or None where the system does not tell."""
    return _listed(f"{pid}/status", "VmRSS")


def _listed(file: str, name: str) -> int | None:
    """Return the bytes that a file of Linux's /proc lists under a name."""
    with suppress(OSError, StopIteration, ValueError):
        lines = (_PROC / file).read_text(encoding="utf-8", errors="replace").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))
    return None


def _file_cache(group: Path) -> int:
    """Return the bytes of a control group that only cache files, and go when memory is wanted."""
    lines = (group / "memory.stat").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("inactive_file "))


@contextmanager
def warned_of_processor_limit() -> Iterator[None]:
    """Let the limit on processor time be told by SIGXCPU while a block runs, some seconds before the system kills.

    `ulimit -t` sets the limit that warns and the one that kills to the same value: then nothing would be heard of it.
    """
    if sys.platform == "win32":
        yield
        return
    import resource

    before, hard = resource.getrlimit(resource.RLIMIT_CPU)
    used = resource.getrusage(resource.RUSAGE_SELF)
    left = hard - int(used.ru_utime + used.ru_stime)
    early = hard - max(1, min(WARNING_PER_CORE * available_threads(), left // 2))
    lower = hard != resource.RLIM_INFINITY and left > 1 and (before == resource.RLIM_INFINITY or early < before)
    if lower:
        resource.setrlimit(resource.RLIMIT_CPU, (early, hard))
    try:
        yield
    finally:
        if lower:
            resource.setrlimit(resource.RLIMIT_CPU, (before, hard))


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
