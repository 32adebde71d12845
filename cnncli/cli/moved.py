"""Options that say where a run's examples are now, `--data PATH` and `--set data.path=PATH`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

_KEY = "data.path"

MovedData = Annotated[
    Path | None,
    typer.Option("--data", metavar="PATH", help="Where the run's examples are now, if they have moved."),
]


MovedSet = Annotated[
    list[str] | None, typer.Option("--set", metavar="data.path=PATH", help="Where the run's examples are now.")
]


def moved_path(data: Path | None, sets: Sequence[str] | None) -> Path | None:
    """Return where a run's examples are now, or None where nobody says it.

    Raises:
        BadParameter: If anything but data.path is set: a trained run's config stays what it was.
    """
    path, others = without_path(data, sets)
    if others:
        raise typer.BadParameter(f"only {_KEY} can be set of a trained run; got {others[0]}", param_hint="--set")
    return path


def without_path(data: Path | None, sets: Sequence[str] | None) -> tuple[Path | None, list[str]]:
    """Return where a run's examples are now, and the overrides that say something else."""
    others = []
    for text in sets or ():
        if text.partition("=")[0].strip() == _KEY and "=" in text:
            data = _path(text)
        else:
            others.append(text)
    return data, others


def override_of(path: Path) -> str:
    """Return the override that has a config say where its examples are, from any working folder."""
    from cnncli.config.dump import scalar

    return f"{_KEY}={scalar(str(path.expanduser().absolute()))}"


def _path(text: str) -> Path:
    from cnncli.config.language.override import parse
    from cnncli.config.yaml.tree import plain

    value = plain(parse(text).value)
    if not isinstance(value, str):
        raise typer.BadParameter(f"{_KEY} is a path; got {text.partition('=')[2] or 'nothing'}", param_hint="--set")
    return Path(value)
