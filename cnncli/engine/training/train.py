"""`cnn train` and `cnn resume`: a run from its config to its result."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cnncli.analysis.summary import summarize
from cnncli.config.dump import dump
from cnncli.config.schema.schema import Config
from cnncli.datasets import load as load_splits
from cnncli.datasets.splits import Splits
from cnncli.engine.arithmetic import arithmetic
from cnncli.engine.distribution.job import Job, job_of_chief, tell_workers
from cnncli.engine.distribution.strategy import OneProcess, Strategy, WorkerLostError
from cnncli.engine.evaluation import proof_examples
from cnncli.engine.network.pretrained import source_of
from cnncli.engine.runtime import configure
from cnncli.engine.training import resume_checks
from cnncli.engine.training.recording import Recording
from cnncli.engine.training.setup import Setup
from cnncli.engine.training.signals import StopRequest
from cnncli.engine.training.trainer import Trainer
from cnncli.errors import CnnError, DataError, RunError
from cnncli.interrupts import default_signals
from cnncli.report.resolved import origins
from cnncli.report.tables import summary_text
from cnncli.resources import warned_of_processor_limit
from cnncli.runs.events import Listener, Silence, told_if_slow
from cnncli.runs.group import group_in
from cnncli.runs.run import Run
from cnncli.workers import parent
from cnncli.workers.slurm import step_name


@dataclass(frozen=True)
class Result:
    """What a training run came to.

    Attributes:
        run: Path of the run's directory.
        status: "done" or "interrupted".
        epochs: Number of epochs completed.
        best: Best epoch, its step, the monitor and its value, or None before the first epoch's end.
        final: Last line of metrics.jsonl, or None before the first epoch's end.
        signal: Number of the signal that interrupted the run, or None.
        is_out_of_time: Whether the run has used the time that its config gives it.
    """

    run: str
    status: str
    epochs: int
    best: dict[str, Any] | None
    final: dict[str, Any] | None
    signal: int | None = None
    is_out_of_time: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the fields of `cnn train --json`."""
        document = asdict(self)
        del document["signal"], document["is_out_of_time"]
        return document


def train(
    config: Config,
    runs_dir: Path,
    listener: Listener,
    splits: Splits | None = None,
    strategy: Strategy | None = None,
    stop_after: int | None = None,
) -> Result:
    """Train a new run of `config` under `runs_dir`.

    Args:
        config: The experiment.
        runs_dir: Folder of all runs.
        listener: Hears of progress.
        splits: The config's examples, where they are loaded already.
        strategy: How several processes share the work, this one being the chief; by default this one does it all.
        stop_after: Number of the epoch after which the run stops, to be resumed; None to train to its end.

    Raises:
        CnnError: If the data are missing, or training diverges; what was reached is kept.
    """
    settings = configure(config)
    strategy = strategy or OneProcess.of(config)
    strategy.divide(config.train.shards)
    if splits is None:
        with told_if_slow(listener.noted, _reading(config)):
            splits = load_splits(config)
    source = source_of(config, runs_dir)
    run = Run.create(runs_dir, config.name, dump(config), _begun(config, settings))
    with run.lock(), _failure_recorded(run):
        parent.report_run(run.path)
        run.write_json(run.origins_file, origins(config))
        _record_differences(run, 0, strategy.differences)
        trainer = _trainer(Job(run, config, splits), listener, strategy)
        run.update(arithmetic=arithmetic(config.train, trainer.setup.model))
        trainer.begin(source)
        trainer.notes += strategy.differences
        trainer.share_state()
        result = _train(trainer, stop_after)
    _leave_together(strategy)
    return result


def resume(
    run: Run,
    config: Config,
    listener: Listener,
    strategy: Strategy | None = None,
    stop_after: int | None = None,
) -> Result:
    """Go on with a stopped run exactly where its newest good checkpoint was written.

    Args:
        run: The run, locked by the caller.
        config: Its config from here on; the run's config.yaml is rewritten.
        listener: Hears of progress.
        strategy: As for `train`; the number of workers may be another one than before.
        stop_after: As for `train`; a run that is as far already stops at once.

    Raises:
        CnnError: If there is nothing to go on from, or training diverges.
    """
    before = run.config()
    resume_checks.refuse_other_experiment(before, config)
    recorded = run.record
    if recorded.get("imported"):
        raise RunError(
            f"{run.path} has imported weights, but no training to resume",
            f"Train a new run from them: cnn train CONFIG --set 'train.start_from={{run: {run.path}}}'",
        )
    if recorded.get("ensemble"):
        raise RunError(
            f"{run.path} is an ensemble: its networks were trained in other runs, and there is no training to resume",
            "Resume one of them, and make a new ensemble: cnn ensemble RUN RUN ….",
        )
    settings = configure(config, recorded.get("threads"))
    strategy = strategy or OneProcess.of(config)
    strategy.divide(config.train.shards)
    with told_if_slow(listener.noted, _reading(config)):
        splits = load_splits(config, run.passport()["classes"] if run.data_file.exists() else None)
    _refuse_other_data(run, splits)
    trainer = _trainer(Job(run, config, splits), listener, strategy)
    settings["arithmetic"] = arithmetic(config.train, trainer.setup.model)
    checkpoint = run.checkpoints.latest()
    if checkpoint is None:
        recorded = {**recorded, "arithmetic": settings["arithmetic"]}
        run.update(arithmetic=settings["arithmetic"])
        run.truncate_metrics(0)
        trainer.begin(source_of(config, run.path.parent.parent))
    else:
        trainer.restore(checkpoint)
    trainer.share_state()
    differences = [*resume_checks.environment_changes(recorded, settings), *strategy.differences]
    change = resume_checks.schedule_change(before, config, trainer.progress, trainer.setup.steps_per_epoch)
    trainer.notes += tuple(filter(None, (*differences, change, resume_checks.standstill(config, trainer.progress))))
    _record_differences(run, trainer.progress.step, differences)
    run.write_text(run.config_file, dump(config))
    run.write_json(run.origins_file, _origins_from_here_on(run, config))
    with _failure_recorded(run):
        result = _train(trainer, stop_after)
    _leave_together(strategy)
    return result


def work(strategy: Strategy, config: Config | None = None, splits: Splits | None = None) -> int | None:
    """Take a share of every step of a run that the chief began or resumes.

    Args:
        strategy: How the workers share the work.
        config: The experiment, where this worker was told it by itself; where its data are is its own matter.
        splits: Its examples, where they are loaded already.

    Returns:
        Number of the signal that interrupted the run, or None.

    Raises:
        CnnError: If this worker has another config or other examples than the chief, or another worker is lost.
    """
    with default_signals():  # The chief may take long before it says what to do.
        job = job_of_chief(strategy, config, splits)
    setup = Setup.of(job.config, job.splits, strategy)
    trainer = Trainer(setup, Recording(job.run, setup), Silence())
    trainer.share_state()
    with StopRequest() as stop, warned_of_processor_limit():
        trainer.train(stop)
    _leave_together(strategy)
    return stop.signal


def _record_differences(run: Run, step: int, differences: Sequence[str]) -> None:
    """Let run.json say from which step on, and why, the run is no longer exact, if there is a reason."""
    if differences:
        told = {"step": step, "because": list(differences)}
        run.change(lambda record: {"no_longer_exact": [*record.get("no_longer_exact", []), told]})


def _origins_from_here_on(run: Run, config: Config) -> dict[str, str]:
    """Return where each value came from: what this process was told, and of the rest what the run knows."""
    known = run.origins()
    return {path: known.get(path, place) if place != "--set" else place for path, place in origins(config).items()}


def _begun(config: Config, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return what run.json says of a run from the start."""
    folders = config.origins.folders("data.path")
    return {
        "seed": config.seed,
        "metrics": config.task_spec.metrics_json(),
        "config_directory": str(folders[0]) if folders else None,
        **_slurm_step(),
        **_group(),
        **({} if config.data.fold is None else {"fold": config.data.fold, "folds": config.data.folds}),
        **settings,
    }


def _slurm_step() -> dict[str, str]:
    """Return the step of a Slurm job that this process is a task of, if it is one."""
    with suppress(CnnError):
        return {"slurm_step": step_name(os.environ)}
    return {}


def _group() -> dict[str, str]:
    """Return the group that the run belongs to, if `cnn train --seeds` or `--folds` has started this process."""
    group = group_in(os.environ)
    return {} if group is None else {"group": group}


def _reading(config: Config) -> str:
    """Say whose examples are read."""
    where = f"{config.data.source} {config.data.path}" if config.data.path else config.data.source
    return f"reading and measuring the examples of {where}"


def _trainer(job: Job, listener: Listener, strategy: Strategy) -> Trainer:
    tell_workers(strategy, job)
    with told_if_slow(listener.noted, "preparing the network and the examples"):
        setup = Setup.of(job.config, job.splits, strategy)
    return Trainer(setup, Recording(job.run, setup), listener)


def _train(trainer: Trainer, stop_after: int | None) -> Result:
    run, setup = trainer.recording.run, trainer.setup
    summary = summarize(setup.config)
    run.write_text(run.summary_file, summary_text(summary))
    run.write_sealed(run.data_file, setup.splits.passport)
    if setup.config.train.keep_proof and not run.proof_file.exists():
        proof_examples.save(run, setup.splits, setup.loop.preprocessing)
    run.update(status="running", total_params=summary.total_params)
    with (
        StopRequest(trainer.listener.noted, stop_after) as stop,
        warned_of_processor_limit(),
        trainer.recording.opened(summary),
    ):
        trainer.train(stop)
        result = _result(trainer, stop)
        run.update(status=result.status, epochs=result.epochs, best=result.best)
    return result


def _leave_together(strategy: Strategy) -> None:
    """Let no worker end before the chief has written everything.

    Slurm ends the others when one task has ended with a signal's exit code: that is not heard any more.
    """
    if strategy.num_workers > 1:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        strategy.wait_for_all()


@contextmanager
def _failure_recorded(run: Run) -> Iterator[None]:
    """Let run.json say so when a block fails, or is interrupted by a signal before training listens for signals."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit, WorkerLostError):
        with suppress(CnnError):
            run.update(status="interrupted", epochs=len(run.metrics()))
        raise
    except Exception:
        # On a full disk run.json cannot be written either, and the first error is the one to tell.
        with suppress(CnnError):
            run.update(status="failed", epochs=len(run.metrics()))
        raise


def _result(trainer: Trainer, stop: StopRequest) -> Result:
    best, run = trainer.progress.best, trainer.recording.run
    metrics = run.metrics()
    return Result(
        run=str(run.path),
        status="done" if trainer.finished else "interrupted",
        epochs=trainer.progress.epoch,
        best=asdict(best) if best else None,
        final=metrics[-1] if metrics else None,
        signal=stop.signal,
        is_out_of_time=trainer.progress.out_of_time(trainer.setup.config.train),
    )


def _refuse_other_data(run: Run, splits: Splits) -> None:
    """Raise DataError if the examples are no longer those that the run began with."""
    if not run.data_file.exists():
        return
    recorded = run.passport()
    for name in ("content_hash", "split_hash"):
        if name in recorded and recorded[name] != splits.passport.get(name):
            raise DataError(
                f"the examples differ from those that the run started with: {name} was {recorded[name][:12]}…, "
                f"is {str(splits.passport.get(name))[:12]}…",
                "Restore the data, or start a new run with `cnn train`.",
            )
