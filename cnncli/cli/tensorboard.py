"""`cnn tensorboard`: the curves of the runs in a browser."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from cnncli.cli.console import print_note
from cnncli.cli.options import RunsDir

HOST = "127.0.0.1"
"""TensorBoard asks nobody for a password, so only this machine may ask it."""


def tensorboard_cli(
    run: Annotated[
        str | None, typer.Argument(metavar="RUN", help="Only this run: its path, name, or `latest`.")
    ] = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on this machine.")] = 6006,
    runs_dir: RunsDir = Path("runs"),
) -> None:
    """Show the curves of all runs, or of one, in TensorBoard at http://127.0.0.1:6006 until Ctrl-C.

    Example: cnn tensorboard
    """
    from cnncli.errors import RunError
    from cnncli.runs.find import find

    folder = runs_dir if run is None else find(run, runs_dir).tensorboard_dir
    if not folder.is_dir():
        raise RunError(f"no runs in {folder}", "Train one: cnn train digits_lenet.")
    print_note(f"TensorBoard on {folder}: http://{HOST}:{port} (stop it with Ctrl-C)")
    options = ["--logdir", str(folder), "--host", HOST, "--port", str(port)]
    try:
        done = subprocess.run([sys.executable, "-m", "tensorboard.main", *options], check=False)  # noqa: S603 - our own arguments
    except KeyboardInterrupt:
        return
    raise typer.Exit(1 if done.returncode else 0)
