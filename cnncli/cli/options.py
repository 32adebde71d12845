"""Arguments and options that several commands share."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cnncli.cli import completion

RunsDir = Annotated[Path, typer.Option("--runs-dir", envvar="CNN_RUNS_DIR", help="Folder of all runs.")]


Sets = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a value: --set train.epochs=3.")
]


Name = Annotated[str | None, typer.Option("--name", help="Name of the run; the config's by default.")]


def name_overrides(name: str | None) -> list[str]:
    """Return what --name changes in a config; a name that YAML would take for a number stays a text."""
    from cnncli.config.dump import scalar

    return [] if name is None else [f"name={scalar(name)}"]


Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]


class DeviceName(StrEnum):
    """Where to train."""

    auto = "auto"
    cpu = "cpu"
    gpu = "gpu"


Device = Annotated[DeviceName, typer.Option("--device", help="auto uses a GPU if there is one.")]


Fold = Annotated[
    int | None, typer.Option("--fold", min=1, metavar="K", help="Cross-validation: validate on fold K of data.folds.")
]


StopAfter = Annotated[
    int | None,
    typer.Option("--stop-after", min=1, metavar="EPOCH", help="Stop after this epoch of the run, to be resumed."),
]


RunArgument = Annotated[
    str, typer.Argument(metavar="RUN", autocompletion=completion.runs, help="A run's path or name, or `latest`.")
]


RunOrArtifact = Annotated[
    str,
    typer.Argument(
        metavar="RUN",
        autocompletion=completion.runs,
        help="A run: its path, name or `latest`; or an exported network.",
    ),
]


Trust = Annotated[
    bool,
    typer.Option(
        "--trust", help="Run an exported network that is a program: a page, a Python script, a SavedModel with effects."
    ),
]


CheckpointOption = Annotated[str, typer.Option("--checkpoint", help="best, last, or a checkpoint's name or path.")]


ConfigArgument = Annotated[
    str,
    typer.Argument(
        metavar="CONFIG",
        autocompletion=completion.configs,
        help="A YAML file, or the name of a config of the zoo.",
    ),
]


ConfigOrRun = Annotated[
    str,
    typer.Argument(
        metavar="CONFIG|RUN",
        autocompletion=completion.configs_and_runs,
        help="A YAML file, a network of the zoo, or a run: its path, name or `latest`.",
    ),
]


Markdown = Annotated[bool, typer.Option("--markdown", help="Print Markdown.")]
