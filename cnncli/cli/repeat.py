"""`cnn train --seeds` and `--folds`: several runs of a config, one after the other, and one table of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import typer

from cnncli.cli.console import out, print_json, print_line, print_note
from cnncli.cli.training import show_warnings
from cnncli.errors import CnnError, RunError

if TYPE_CHECKING:
    from cnncli.cli.repetition import Repetition
    from cnncli.config.schema.schema import Config
    from cnncli.runs.group import Member, RunGroup
    from cnncli.runs.outcomes import Outcome
    from cnncli.runs.run import Run
    from cnncli.tasks.out_of_fold import OutOfFold
    from cnncli.workers.stop_signals import StopSignals


@dataclass(frozen=True)
class Job:
    """A command that trains several runs.

    Attributes:
        source: The config as the user named it.
        overrides: What `--set` and the like change in it.
        repetition: Which runs there are to be.
        runs_dir: Folder of all runs.
        options: Options for `cnn train` and `cnn resume` of each run.
        as_json: Whether to print JSON.
    """

    source: str
    overrides: Sequence[str]
    repetition: Repetition
    runs_dir: Path
    options: Sequence[str]
    as_json: bool

    def overrides_of(self, member: Member) -> list[str]:
        """Return what `--set` changes in the config for one run."""
        return [*self.overrides, *member.overrides]

    def config(self, member: Member) -> Config:
        """Load the config of one run."""
        from cnncli.config.load import load

        return load(self.source, self.overrides_of(member))

    def group(self, name: str) -> AbstractContextManager[RunGroup]:
        """Return the group to hold, a new one or that which `--group` names."""
        from cnncli.runs.group import begun_group, new_group

        if self.repetition.group is None:
            return new_group(self.runs_dir, name)
        return begun_group(self.repetition.group, self.runs_dir, name)


def repeat(job: Job, config: Config) -> None:
    """Train and evaluate every run of a group that is not done, and print a table of all; exit code 1 if one failed.

    Args:
        job: The command.
        config: The config without what each run has of its own.

    Raises:
        CnnError: If the config of any run is wrong, before the first one starts; or the group is not of this config.
    """
    from cnncli.workers.stop_signals import StopSignals

    configs = {member: job.config(member) for member in job.repetition.members(config)}
    for index, each in enumerate(configs.values()):
        show_warnings(each, quiet=index > 0)
    with job.group(config.name) as group, StopSignals() as stop:
        series = _Series(job, group, configs, stop)
        series.require_own_runs()
        failures = list(series.run())
        _show(job, group, configs)
        if failures:
            print_note(f"Failed: {'; '.join(failures)}. Try again with: {series.command()}")
            raise typer.Exit(1)


class _Series:
    """The runs of a group, trained one after the other, each by a process of its own.

    A process that trained before has other random states, other memory and other compiled functions: only one that is
    fresh gives the bits of `cnn train --set seed=…`.
    """

    def __init__(self, job: Job, group: RunGroup, configs: Mapping[Member, Config], stop: StopSignals) -> None:
        self._job, self._group, self._configs, self._stop = job, group, configs, stop

    def require_own_runs(self) -> None:
        """Refuse a group with other runs than these, of another config, or with one that another process trains."""
        from cnncli.runs.group import require_same_config

        for member, run in self._group.runs().items():
            config = self._configs.get(member)
            if config is None:
                raise RunError(
                    f"the group {self._group.id} has a run of {member}, which this command leaves out: {run.path}",
                    "Give --seeds and --folds as before, or more of them, or leave --group out to begin a new group.",
                )
            require_same_config(self._group, run, config)
            if run.locked:
                raise RunError(f"{run.path} is in use by another process", "Wait for it to end, or stop it.")

    def run(self) -> Iterator[str]:
        """Train and evaluate all; yield what failed."""
        for number, member in enumerate(self._configs, start=1):
            title = f"run {number} of {len(self._configs)}: {member}"
            run = self._group.runs().get(member)
            if run is None or run.status != "done":
                self._require_unchanged(member)
                print_note(title if run is None else f"{title}, going on with {run.path}")
                if self._child(self._training(member, run)) != 0:
                    print_note(f"{title} failed")
                    yield str(member)
                    continue
                run = self._group.runs()[member]
            else:
                print_note(f"{title} is done: {run.path}")
            split = _split_to_measure(run, member)
            if split is not None and not self._measure(run, split):
                yield f"the evaluation of {member}"

    def command(self) -> str:
        """Return the command that goes on with the group."""
        from cnncli.runs.environment import command

        is_named = self._job.repetition.group is not None or not self._group.runs()
        return command() if is_named else f"{command()} --group {self._group.id}"

    def _training(self, member: Member, run: Run | None) -> list[str]:
        """Return the command that trains a run, or goes on with it."""
        if run is not None:
            return ["resume", str(run.path), *self._job.options]
        sets = [argument for text in self._job.overrides_of(member) for argument in ("--set", text)]
        return ["train", self._job.source, *sets, *self._job.options]

    def _measure(self, run: Run, split: str) -> bool:
        """Evaluate a run unless that is done already; return whether its evaluation is there."""
        from cnncli.runs.outcomes import evaluation_of

        if evaluation_of(run, split) is not None:
            return True
        command = ["eval", str(run.path), "--split", split, "--runs-dir", str(self._job.runs_dir)]
        return self._child(command) == 0 and evaluation_of(run, split) is not None

    def _child(self, arguments: Sequence[str]) -> int:
        """Run a command to its end and return its exit code; end with it where a signal asked to stop."""
        from cnncli.runs.group import VARIABLE
        from cnncli.workers.child import is_stop, run_child

        code = run_child(arguments, self._stop, {VARIABLE: self._group.id})
        if is_stop(code) or self._stop.first is not None:
            self._end(code if is_stop(code) or self._stop.first is None else 128 + self._stop.first)
        return code

    def _end(self, code: int) -> NoReturn:
        print_note(f"Stopped. Go on with all runs of the group: {self.command()}")
        raise typer.Exit(code)

    def _require_unchanged(self, member: Member) -> None:
        """Refuse to go on with a config that was edited while other runs were trained."""
        if self._job.config(member).document != self._configs[member].document:
            raise CnnError(
                f"{self._job.source} has changed since the first run of the group was trained",
                f"Undo the change, then go on: {self.command()}",
            )


def _split_to_measure(run: Run, member: Member) -> str | None:
    """Return the split that says how good a run is: its fold, else the test split where there is one."""
    if member.fold is not None:
        return "validation"
    return "test" if run.passport()["num_examples"].get("test") else None


def _show(job: Job, group: RunGroup, configs: Mapping[Member, Config]) -> None:
    """Print what all runs came to."""
    from cnncli.report.group import group_lines
    from cnncli.runs.outcomes import Outcome, spreads

    runs = group.runs()
    outcomes = [Outcome.of(member, runs.get(member)) for member in configs]
    found = spreads(outcomes)
    joined, notes = _out_of_fold(group, outcomes, configs) if job.repetition.folds is not None else ([], [])
    if job.as_json:
        folds = {
            "number": job.repetition.folds,
            "out_of_fold": [each.to_json() for each in joined],
            "notes": notes,
        }
        print_json(
            {
                "group": group.id,
                "runs": [outcome.to_json() for outcome in outcomes],
                "metrics": {name: spread.to_json() for name, spread in found.items()},
                "folds": None if job.repetition.folds is None else folds,
            }
        )
        return
    for part in group_lines(group.id, outcomes, found):
        if isinstance(part, str):
            print_line(part)
        elif out().is_terminal:
            out().print(part)
        else:
            print_line("\n".join(part.lines()))
    for line in (*(sentence for each in joined for sentence in each.sentences()), *notes):
        print_line(line)


def _out_of_fold(
    group: RunGroup, outcomes: Sequence[Outcome], configs: Mapping[Member, Config]
) -> tuple[list[OutOfFold], list[str]]:
    """Write what the folds of each seed predicted as a whole; return that, and why something is missing."""
    from cnncli.tasks.out_of_fold import write_out_of_fold
    from cnncli.tasks.task import task_of

    task = task_of(next(iter(configs.values())))
    seeds = dict.fromkeys(outcome.member.seed for outcome in outcomes)
    joined: list[OutOfFold] = []
    notes: list[str] = []
    for seed in seeds:
        own = [outcome for outcome in outcomes if outcome.member.seed == seed]
        suffix = f"-seed-{seed}" if len(seeds) > 1 else ""
        try:
            joined.append(write_out_of_fold(group.folder, suffix, own, task))
        except CnnError as error:
            notes.append(f"There are no out-of-fold predictions for seed {seed}: {error.message}.")
    return joined, notes
