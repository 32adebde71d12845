"""`cnn tensorboard`: the curves of the runs in a browser."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from cnncli.cli import completion
from cnncli.cli.console import print_note
from cnncli.cli.options import RunsDir

HOST = "127.0.0.1"
"""TensorBoard asks nobody for a password, so only this machine may ask it."""

LOG = re.compile(r"[IWE]\d{4} \d\d:|\d{4}-\d\d-\d\d .*: [IWE] |WARNING: All log messages before absl")
"""How lines of TensorFlow's log begin, some of which no setting silences; TensorBoard needs nothing of it."""


def tensorboard_cli(
    run: Annotated[
        str | None,
        typer.Argument(
            metavar="RUN", autocompletion=completion.runs, help="Only this run: its path, name, or `latest`."
        ),
    ] = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on this machine.")] = 6006,
    runs_dir: RunsDir = Path("runs"),
) -> None:
    """Show the curves of all runs, or of one, in TensorBoard at http://127.0.0.1:6006 until Ctrl-C.

    Example: cnn tensorboard
    """
    from cnncli.errors import RunError
    from cnncli.runs.find import TRAIN_ONE, find

    folder = runs_dir if run is None else find(run, runs_dir).tensorboard_dir
    if not folder.is_dir():
        raise RunError(f"no runs in {folder}", TRAIN_ONE)
    print_note(f"TensorBoard on {folder}: http://{HOST}:{port} (stop it with Ctrl-C)")
    options = ["--logdir", str(folder), "--host", HOST, "--port", str(port)]
    try:
        failed = _serve([sys.executable, "-m", "cnncli.cli.tensorboard_server", *options])
    except KeyboardInterrupt:
        return
    raise typer.Exit(1 if failed else 0)


def _serve(command: list[str]) -> bool:
    """Run a command until it ends, and say whether it failed; of its stderr, TensorFlow's log is left out."""
    environment = {"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True, errors="replace") as process:  # noqa: S603 - our own arguments
        try:
            for line in process.stderr or ():
                if not LOG.match(line):
                    sys.stderr.write(line)
                    sys.stderr.flush()
            return process.wait() != 0
        except BaseException:
            process.kill()
            raise
