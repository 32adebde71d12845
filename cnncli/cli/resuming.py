"""What `cnn resume` does, and `cnn train` in a job that Slurm has started again."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from cnncli.cli.console import loading_tensorflow
from cnncli.cli.moved import MovedData, override_of, without_path
from cnncli.cli.options import DeviceName, Sets
from cnncli.cli.training import choose_device, finish, make_listener, show_warnings
from cnncli.cli.workers import Crew, end_of_work

if TYPE_CHECKING:
    from cnncli.runs.run import Run


def resume_run(run: Run, data: MovedData, sets: Sets, device: DeviceName, as_json: bool, crew: Crew) -> None:
    """Go on with a run to its end, and print its result.

    Args:
        run: The run.
        data: Where its examples are now, or None.
        sets: Values to override.
        device: Where to train.
        as_json: Whether to print JSON.
        crew: The other workers.
    """
    # Locked before anything slow is imported, so that a second process hears at once who holds the run.
    with run.lock():
        moved, overrides = without_path(data, sets)
        config = run.config([*overrides, *([] if moved is None else [override_of(moved)])])
        crew.require_shards(config.train.shards)
        show_warnings(config)
        choose_device(device)
        with loading_tensorflow():
            from cnncli.engine.training.train import resume

        result = resume(run, config, make_listener(), crew.strategy(config.train.threads))
    finish(result, as_json)


def work_for_chief(crew: Crew, device: DeviceName) -> NoReturn:
    """Be a worker that has everything from the chief."""
    choose_device(device)
    with loading_tensorflow():
        from cnncli.engine.training.train import work
    strategy = crew.strategy()
    end_of_work(None if strategy is None else work(strategy))
