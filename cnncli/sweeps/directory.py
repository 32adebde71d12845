"""The directory of a sweep, `runs/NAME.sweep/`: the only owner of its file names.

It holds `sweep.yaml`, the resolved sweep, `base.yaml`, the config that is varied, and a folder for each trial:
`trial-0007/` with `proposal.json`, `config.yaml` and its runs, which are ordinary ones, and `latency.json` where that
is sought. Nothing else is kept: what came of a trial is what these say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from io import FileIO
from pathlib import Path
from typing import Any

from cnncli.config.dump import dump
from cnncli.config.language.suggestions import suggestion
from cnncli.config.schema.schema import Config
from cnncli.errors import RunError, WriteError
from cnncli.files import durable, folders
from cnncli.files.form import number, record
from cnncli.files.locks import try_lock
from cnncli.files.read import read_json
from cnncli.runs import documents, metrics
from cnncli.runs.lock import held
from cnncli.runs.run import NAME, Run, reason
from cnncli.sweeps.measured import Measured, RunSoFar, state_of
from cnncli.sweeps.names import SUFFIX, sweep_names
from cnncli.sweeps.proposal import PROPOSAL, Outcome, Proposal
from cnncli.sweeps.spec import COUNTS, LATENCY, Sweep, differences, load_sweep

MOST_BYTES = 1 << 20
"""Size of the largest proposal.json that is read."""

BASE = "base.yaml"
"""The config that is varied: what that of the best trial extends."""

PREFIX = "trial-"
MEASURED = record({"latency_ms": number()})
"""latency.json."""

_TRIAL = re.compile(rf"{PREFIX}(\d{{4,}})")
MAY_CHANGE = ("sweep.trials", "sweep.threads")
"""Settings that may differ when a sweep goes on: more trials; the number of threads is that of the beginning."""


@dataclass(frozen=True)
class Part:
    """One of the trainings of a trial.

    Attributes:
        seed: Its seed, or None for the config's.
        fold: The fold that is its validation split, or None.
        folds: Of how many.
    """

    seed: int | None = None
    fold: int | None = None
    folds: int | None = None

    def overrides(self) -> list[str]:
        """Return what `cnn train --set` takes."""
        given = {"seed": self.seed, "data.folds": self.folds, "data.fold": self.fold}
        return [f"{key}={value}" for key, value in given.items() if value is not None]

    def is_of(self, record: Mapping[str, Any]) -> bool:
        """Say whether a run is this training."""
        return self.seed in (None, record.get("seed")) and self.fold == record.get("fold")


@dataclass(frozen=True)
class Leg:
    """What is done next of a trial.

    Attributes:
        part: One of its trainings; None to measure the latency, after the last of them.
        stop_after: Epoch after which that stops, to be resumed; None to train to its end.
    """

    part: Part | None
    stop_after: int | None = None


@dataclass(frozen=True)
class Trial:
    """What came of a trial so far.

    Attributes:
        proposal: Its values.
        state: waiting, running, interrupted, done, failed, or refused; of a trial that was judged at a rung also
            paused, until others have reached that too, or pruned.
        values: The value of each objective, or None while there is none; of a pruned trial that at its last rung.
        deviations: Standard deviation of each over seeds or folds, or None where there are none.
        runs: Paths of its runs.
        epochs: Number of epochs that the longest of them has completed.
        steps: Number of steps that all of them have taken.
        rungs: How good it was at each rung that it has reached; None where it had diverged by then.
    """

    proposal: Proposal
    state: str
    values: dict[str, float] | None = None
    deviations: dict[str, float] | None = None
    runs: tuple[str, ...] = ()
    epochs: int = 0
    steps: int = 0
    rungs: tuple[Measured | None, ...] = ()

    @property
    def outcome(self) -> Outcome | None:
        """What the sampler is told, or None while that is not known."""
        if self.state not in ("done", "failed", "pruned"):
            return None
        values = None if self.values is None else tuple(self.values.values())
        return Outcome(values, self.epochs if self.state == "pruned" else None)

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "number": self.proposal.number,
            "state": self.state,
            "params": dict(self.proposal.params),
            "values": self.values,
            "deviations": self.deviations,
            "epochs": self.epochs,
            "counts": self.proposal.counts,
            "refused": self.proposal.refused,
            "runs": list(self.runs),
        }


class TrialDirectory:
    """The folder of one trial.

    Attributes:
        number: Number of the trial.

    Args:
        path: The folder, "trial-0007".
        sweep: The sweep.
    """

    def __init__(self, path: Path, sweep: Sweep) -> None:
        self.path = path
        self.number = int(path.name.removeprefix(PREFIX))
        self.config_file = path / "config.yaml"
        self.log_file = path / "log.txt"
        self.latency_file = path / "latency.json"
        self._proposal_file = path / "proposal.json"
        self._lock_file = path / ".lock"
        self._sweep = sweep

    @cached_property
    def proposal(self) -> Proposal:
        """What is tried; raises RunError where that cannot be read."""
        hint = "Remove the trial's folder: the sweep then proposes the same again."
        try:
            document = read_json(self._proposal_file, MOST_BYTES, follow=False)
        except (OSError, ValueError) as error:
            raise RunError(f"{self._proposal_file} cannot be read: {reason(error)}", hint) from error
        documents.checked(document, PROPOSAL, str(self._proposal_file), hint)
        return Proposal.from_json(document)

    @property
    def parts(self) -> tuple[Part, ...]:
        """The trainings that the trial consists of."""
        settings = self._sweep.settings
        if settings.seeds is not None:
            return tuple(Part(seed=seed) for seed in settings.seeds)
        if settings.folds is not None:
            return tuple(Part(fold=fold, folds=settings.folds) for fold in range(1, settings.folds + 1))
        return (Part(),)

    def run_of(self, part: Part) -> Run | None:
        """Return the run of one of its trainings, or None if that has not begun."""
        # A run that is hidden is being made by another process, and is about to be renamed.
        visible = (path for path in sorted(self.path.iterdir()) if not path.name.startswith("."))
        runs = (Run(path) for path in visible if (path / "run.json").is_file())
        return next((run for run in runs if part.is_of(run.record)), None)

    def next_leg(self, stop_after: int | None) -> Leg | None:
        """Return the training to begin or to go on with, or the measurement; None where a process does that now.

        Args:
            stop_after: Epoch to which all its trainings are to be taken; None to train them to their ends.
        """
        for part in self.parts:
            run = self.run_of(part)
            if run is None:
                return Leg(part, stop_after)
            if not RunSoFar.of(run).is_through(stop_after):
                return None if run.locked else Leg(part, stop_after)
        return Leg(None) if self.lacks_latency else None

    @property
    def lacks_latency(self) -> bool:
        """Whether its trainings are done and the time of one image is still to be measured."""
        if LATENCY not in self._sweep.objectives or self.latency_file.is_file():
            return False
        runs = [self.run_of(part) for part in self.parts]
        return all(run is not None and state_of(run) == "done" for run in runs)

    def _latency(self) -> float | None:
        """Return the milliseconds for one image, or None where they are not measured; raises RunError."""
        hint = "Remove the file: the sweep then measures again."
        try:
            document = read_json(self.latency_file, MOST_BYTES, follow=False)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise RunError(f"{self.latency_file} cannot be read: {reason(error)}", hint) from error
        documents.checked(document, MEASURED, str(self.latency_file), hint)
        return float(document["latency_ms"])

    def num_epochs(self) -> int:
        """Return the number of epochs that all its trainings have completed."""
        runs = (self.run_of(part) for part in self.parts)
        return sum(len(run.metrics()) for run in runs if run is not None)

    @property
    def is_held(self) -> bool:
        """Whether a process trains it now."""
        return held(self._lock_file)

    def try_hold(self) -> FileIO | None:
        """Hold the trial, so that no other process trains it, until the file is closed; None if one does."""
        try:
            file = durable.reopen(self._lock_file)
        except OSError as error:
            raise WriteError(f"{self._lock_file} cannot be made: {reason(error)}") from error
        if try_lock(file):
            return file
        file.close()
        return None

    def read(self) -> Trial:
        """Return what came of the trial so far."""
        if self.proposal.refused is not None:
            return Trial(self.proposal, "refused")
        runs = [self.run_of(part) for part in self.parts]
        begun = [RunSoFar.of(run) for run in runs if run is not None]
        trial = Trial(
            self.proposal,
            state="interrupted" if begun else "waiting",
            runs=tuple(str(each.run.path) for each in begun),
            epochs=max((len(each.lines) for each in begun), default=0),
            steps=sum(each.lines[-1].get("step") or 0 for each in begun if each.lines),
            rungs=tuple(self._rungs(begun)),
        )
        states = {each.state for each in begun}
        if "failed" in states or None in trial.rungs:
            return replace(trial, state="failed")
        if states == {"done"} and len(begun) == len(runs) and not self.lacks_latency:
            found = Measured.of([self._values(each.lines, each.best_line) for each in begun])
            if found is None:
                return replace(trial, state="failed")
            return replace(trial, state="done", values=found.values, deviations=found.deviations)
        return replace(trial, state="running") if "running" in states or self.is_held else trial

    def _rungs(self, begun: Sequence[RunSoFar]) -> Iterator[Measured | None]:
        """Yield how good the trial was at each rung that it has reached; None, and no more, where it had diverged."""
        for epochs in self._sweep.rungs:
            if any(each.state == "failed" and len(each.lines) < epochs for each in begun):
                yield None
                return
            if len(begun) < len(self.parts) or not all(each.is_through(epochs) for each in begun):
                return
            found = Measured.of([self._values_at(each.lines[:epochs]) for each in begun])
            yield found
            if found is None:
                return

    def _values_at(self, lines: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
        """Return the value of each objective in a run that has completed these epochs."""
        base = self._sweep.base
        best = metrics.best_line(lines, base.monitor, base.task_spec.higher_is_better(base.monitor))
        return self._values(lines, best or {})

    def _values(self, lines: Sequence[Mapping[str, Any]], best: Mapping[str, Any]) -> dict[str, float | None]:
        """Return the value of each objective in one run with these epochs; None where it is not a number."""
        known = {
            **(best.get("validation") or {}),
            **{name: self.proposal.counts[name] for name in COUNTS},
            "seconds": sum(line.get("seconds") or 0 for line in lines),
            **({LATENCY: self._latency()} if LATENCY in self._sweep.objectives else {}),
        }
        return {name: known.get(name) for name in self._sweep.objectives}


class SweepDirectory:
    """The folder of a sweep.

    Args:
        path: The folder.
        sweep: The sweep, as its sweep.yaml has it.
    """

    def __init__(self, path: Path, sweep: Sweep) -> None:
        self.path = path
        self.sweep = sweep

    @classmethod
    def begin(cls, sweep: Sweep, runs_dir: Path, threads: int) -> SweepDirectory:
        """Make the directory of a sweep, or find the one that it has; sweep.yaml then says the new number of trials.

        Args:
            sweep: The sweep, as the user's file says it.
            runs_dir: Folder of all runs.
            threads: CPU threads of a training, where neither the sweep nor its config says how many.

        Raises:
            RunError: If there is another sweep of that name, or the disk refuses.
        """
        if not NAME.fullmatch(sweep.name):
            raise RunError(f"invalid sweep name {sweep.name!r}", "Use letters, digits, '_', '.' and '-'.")
        path = runs_dir / f"{sweep.name}{SUFFIX}"
        file = path / "sweep.yaml"
        try:
            durable.make_directories(path)
            folders.remove_unfinished(path)
            if file.is_file():
                return cls(path, _continued(sweep, file))
            if sweep.settings.threads is None:
                sweep = sweep.with_settings(threads=sweep.base.train.threads or threads)
            durable.replace_file(path / BASE, dump(sweep.base))
            durable.add_file(file, sweep.dump())
        except FileExistsError:  # Another process was quicker.
            return cls(path, _continued(sweep, file))
        except OSError as error:
            raise WriteError(f"{file} cannot be written: {reason(error)}") from error
        return cls(path, load_sweep(file))

    @classmethod
    def find(cls, reference: str, runs_dir: Path) -> SweepDirectory:
        """Return the sweep that a user means: the path of its directory, or its name.

        Raises:
            RunError: If there is none, with the nearest name.
        """
        for path in (Path(reference), runs_dir / f"{reference}{SUFFIX}"):
            if (path / "sweep.yaml").is_file():
                return cls(path, load_sweep(path / "sweep.yaml"))
        hint = suggestion(reference, sweep_names(runs_dir)).strip() or "Start one: cnn sweep FILE."
        raise RunError(f"no sweep {reference!r} in {runs_dir}", hint)

    def directory_of(self, number: int) -> TrialDirectory:
        """Return the folder of a trial, which need not be there."""
        return TrialDirectory(self.path / f"{PREFIX}{number:04d}", self.sweep)

    def recalled(self, number: int) -> Proposal | None:
        """Return the proposal of a trial that was made before, or None."""
        directory = self.directory_of(number)
        return directory.proposal if directory.path.is_dir() else None

    def trials(self) -> Iterator[TrialDirectory]:
        """Yield the folders of all trials, in the order of their numbers."""
        numbers = [int(match[1]) for path in self.path.iterdir() if (match := _TRIAL.fullmatch(path.name))]
        yield from map(self.directory_of, sorted(numbers))

    def add(self, proposal: Proposal, config: Config | None) -> TrialDirectory:
        """Make the folder of a new trial, all at once; one that another process has made in the meantime stays.

        Args:
            proposal: What is tried.
            config: Its config; None where it is refused.
        """
        directory = self.directory_of(proposal.number)
        try:
            with folders.work_folder(self.path) as made:
                durable.write_file(made / "proposal.json", [durable.to_json(proposal.to_json()).encode()])
                if config is not None:
                    durable.write_file(made / "config.yaml", [dump(config).encode()])
                durable.fsync_directory(made)
                folders.take_name(made, directory.path)
                durable.fsync_directory(self.path)
        except OSError as error:
            raise WriteError(f"{directory.path} cannot be written: {reason(error)}") from error
        return directory


def _continued(wanted: Sweep, file: Path) -> Sweep:
    """Return a sweep that was begun, with as many trials as are wanted now.

    Raises:
        RunError: If something else differs.
    """
    stored = load_sweep(file)
    changed = [path for path in differences(stored.document, wanted.document) if path not in MAY_CHANGE]
    before, now = stored.settings.trials, wanted.settings.trials
    if changed:
        more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
        raise RunError(
            f"{file.parent} was begun with another sweep: {', '.join(changed[:3])}{more} changed",
            "Give the new one another name (--set name=NAME), or undo the change; only sweep.trials may be raised.",
        )
    if before is not None and now is not None and now != before:
        if now < before:
            raise RunError(f"{file.parent} was begun with {before} trials, now {now}", "The number may only be raised.")
        stored = stored.with_settings(trials=now)
        durable.replace_file(file, stored.dump())
    return stored
