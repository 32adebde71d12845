"""What a user means by CONFIG or RUN: a file, a name of the zoo, or a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cnncli.errors import RunError

if TYPE_CHECKING:
    from cnncli.config.schema.schema import Config


def load_reference(reference: str, runs_dir: Path, overrides: Sequence[str] = ()) -> Config:
    """Return the config that a reference means; files come first, then the zoo, then runs.

    Raises:
        ConfigError: If it is none of these, or the config has errors.
    """
    from cnncli.config import zoo
    from cnncli.config.load import load

    if Path(reference).is_file() or zoo.find(reference):
        return load(reference, overrides)
    from cnncli.runs.find import find

    try:
        run = find(reference, runs_dir)
    except RunError:
        return load(reference, overrides)  # says that there is no such config, with the nearest names
    return run.config(overrides)
