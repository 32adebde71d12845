"""A sweep's file, made of its section."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from textwrap import indent

import pytest

from cnncli.sweeps.spec import Sweep, load_sweep


@pytest.fixture
def sweep_file(tmp_path: Path) -> Callable[..., Path]:
    """Return what writes a sweep's file around the lines of its section."""

    def written(section: str, above: str = "extends: digits_lenet\ntrain: {epochs: 2}\n") -> Path:
        path = tmp_path / "search.yaml"
        path.write_text(f"{above}sweep:\n{indent(section, '  ')}\n")
        return path

    return written


@pytest.fixture
def load(sweep_file: Callable[..., Path]) -> Callable[..., Sweep]:
    """Return what loads a sweep of such a file."""
    return lambda section, **options: load_sweep(sweep_file(section, **options))
