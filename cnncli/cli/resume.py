"""`cnn resume`: go on with a stopped run."""

from __future__ import annotations

from pathlib import Path

from cnncli.cli.console import loading_tensorflow
from cnncli.cli.moved import MovedData, override_of, without_path
from cnncli.cli.options import Device, DeviceName, Json, RunArgument, RunsDir, Sets
from cnncli.cli.training import choose_device, finish, make_listener, show_warnings


def resume_cli(
    run: RunArgument = "latest",
    sets: Sets = None,
    data: MovedData = None,
    runs_dir: RunsDir = Path("runs"),
    device: Device = DeviceName.auto,
    as_json: Json = False,
) -> None:
    """Resume a run exactly where it stopped.

    Example: cnn resume latest --set train.epochs=20
    """
    from cnncli.runs.find import find

    found = find(run, runs_dir)
    # Locked before anything slow is imported, so that a second process hears at once who holds the run.
    with found.lock():
        moved, overrides = without_path(data, sets)
        config = found.config([*overrides, *([] if moved is None else [override_of(moved)])])
        show_warnings(config)
        choose_device(device)
        with loading_tensorflow():
            from cnncli.engine.training.train import resume

        result = resume(found, config, make_listener())
    finish(result, as_json)
