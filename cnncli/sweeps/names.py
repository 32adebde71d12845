"""The names of the sweeps in a folder of runs; apart, so that `cnn runs` need not load what a sweep is."""

from __future__ import annotations

from pathlib import Path

SUFFIX = ".sweep"
"""How the names of the directories of sweeps end."""


def sweep_names(runs_dir: Path) -> tuple[str, ...]:
    """Return the names of all sweeps in a folder of runs, in alphabetical order."""
    return tuple(sorted(path.parent.name.removesuffix(SUFFIX) for path in runs_dir.glob(f"*{SUFFIX}/sweep.yaml")))
