"""A sweep's file, made of its section."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from textwrap import indent
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from cnncli.sweeps.spec import Sweep, load_sweep

if TYPE_CHECKING:
    from cnncli.sweeps.landscape import Landscape


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


@pytest.fixture(scope="session")
def landscape(script: Callable[[str], ModuleType], tmp_path_factory: pytest.TempPathFactory) -> Landscape:
    """Return the variables of a sweep of sixty trials with every state, two objectives and keys that some lack."""
    pytest.importorskip("optuna")
    from cnncli.sweeps.landscape import landscape as found

    made = script("sweeps/made_results.py")
    file = tmp_path_factory.mktemp("made") / "search.yaml"
    file.write_text(f"extends: digits_lenet\nsweep:\n{indent(made.SECTION, '  ')}")
    return found(made.made_results(load_sweep(file)))
