"""What the shell offers where an argument is a config or a run; nothing is offered that would have to be opened."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import typer


def configs(incomplete: str) -> list[str]:
    """Return the networks of the zoo, and the YAML files of the folder that the word names, that begin so."""
    from cnncli.config.zoo import names

    return _beginning(incomplete, (*names(), *_yaml_files(incomplete)))


def runs(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return `latest` and the names of runs that begin so."""
    from cnncli.runs.find import LATEST

    return _beginning(incomplete, (LATEST, *_names_of_runs(_runs_dir(ctx))))


def configs_and_runs(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return what `configs` and `runs` do."""
    return _beginning(incomplete, (*configs(incomplete), *runs(ctx, incomplete)))


def _beginning(incomplete: str, words: Iterable[str]) -> list[str]:
    return sorted({word for word in words if word.startswith(incomplete)})


def _runs_dir(ctx: typer.Context) -> Path:
    """Return the folder of runs of the line so far; Typer leaves defaults out while it completes."""
    return Path(ctx.params.get("runs_dir") or os.environ.get("CNN_RUNS_DIR") or "runs")


def _names_of_runs(folder: Path) -> list[str]:
    try:
        return [path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")]
    except OSError:
        return []


def _yaml_files(incomplete: str) -> list[str]:
    """Return the YAML files of the folder that a word names, written as the word was."""
    before = incomplete[: incomplete.rfind("/") + 1]
    try:
        return [before + path.name for path in Path(before).iterdir() if path.suffix in (".yaml", ".yml")]
    except (OSError, ValueError):
        return []
