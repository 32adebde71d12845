"""`cnn export`: a run's network as something to give away."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from cnncli.cli.console import out, print_json
from cnncli.cli.train import Json, RunsDir


class Format(str, Enum):
    """What an artifact can be."""

    keras = "keras"
    saved_model = "saved_model"


def export_cli(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's path or name, or `latest`.")] = "latest",
    formats: Annotated[list[Format] | None, typer.Option("--format", help="May be given several times.")] = None,
    checkpoint: Annotated[str, typer.Option(help="best, last, or a checkpoint's path.")] = "best",
    runs_dir: RunsDir = Path("runs"),
    as_json: Json = False,
) -> None:
    """Write a run's network for use elsewhere, preprocessing inside, and prove that it answers as the run does.

    Example: cnn export latest --format saved_model
    """
    from cnncli.runs.find import find

    found = find(run, runs_dir)
    names = [kind.value for kind in formats or [Format.keras]]
    from cnncli.engine.export import export

    artifacts = [artifact.__dict__ for artifact in export(found, names, checkpoint)]
    if as_json:
        print_json({"artifacts": artifacts})
        return
    for artifact in artifacts:
        out().print(
            f"{artifact['path']}  {artifact['bytes']:,} bytes, same answers as the run on "
            f"{artifact['num_examples']:,} examples (largest difference {artifact['max_abs_diff']:.1e})",
            soft_wrap=True,
        )
