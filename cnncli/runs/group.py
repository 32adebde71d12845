"""Runs that one command trains: a config with several seeds, with every fold, or both."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnncli.errors import RunError
from cnncli.files import durable
from cnncli.runs.find import all_runs
from cnncli.runs.flat_config import differing_values
from cnncli.runs.lock import lock
from cnncli.runs.run import Run

if TYPE_CHECKING:
    from cnncli.config.schema.schema import Config

VARIABLE = "CNNCLI_GROUP"
"""The group of the run that a process is to train, in its environment; run.json has it as `group`."""

ID = re.compile(r"\d{8}-\d{6}(-\d+)?")
"""The start of a group as that of a run: YYYYMMDD-HHMMSS, and a number where several began in one second."""

MOST_TOLD = 3
"""Keys in which two configs differ that are named."""


@dataclass(frozen=True, order=True)
class Member:
    """What one run of a group has of its own.

    Attributes:
        seed: The config's seed.
        fold: The fold that is its validation split, from 1; None where there are no folds.
        folds: Of how many.
    """

    seed: int
    fold: int | None = None
    folds: int | None = None

    @classmethod
    def of(cls, config: Config) -> Member:
        """Return the member that a config says."""
        return cls(config.seed, config.data.fold, None if config.data.fold is None else config.data.folds)

    @property
    def overrides(self) -> tuple[str, ...]:
        """What `--set` makes of the group's config."""
        folds = () if self.fold is None else (f"data.folds={self.folds}", f"data.fold={self.fold}")
        return (f"seed={self.seed}", *folds)

    def __str__(self) -> str:
        return f"seed {self.seed}" + ("" if self.fold is None else f", fold {self.fold} of {self.folds}")


@dataclass(frozen=True)
class RunGroup:
    """The runs of one command.

    Attributes:
        id: When it began, in the form of `ID`.
        name: Name of the experiment.
        runs_dir: Folder of all runs.
    """

    id: str
    name: str
    runs_dir: Path

    @property
    def folder(self) -> Path:
        """Where what is computed from all folds together is kept."""
        return self.runs_dir / self.name / f"folds-{self.id}"

    @property
    def lock_file(self) -> Path:
        """Held by the process that trains the group."""
        return self.runs_dir / self.name / f".group-{self.id}.lock"

    def runs(self) -> dict[Member, Run]:
        """Return the runs that there are, of several alike the latest."""
        own = (run for run in all_runs(self.runs_dir) if run.name == self.name)
        found = sorted(
            ((run, record) for run in own if (record := _record(run)).get("group") == self.id),
            key=lambda pair: pair[0].started_of(pair[1]),
        )
        return {Member(record.get("seed", 0), record.get("fold"), record.get("folds")): run for run, record in found}


def members(seeds: Sequence[int], folds: int | None) -> tuple[Member, ...]:
    """Return every seed with every fold, the seeds in their order."""
    numbers = [None] if folds is None else range(1, folds + 1)
    return tuple(Member(seed, fold, folds) for seed in seeds for fold in numbers)


def group_in(environment: Mapping[str, str]) -> str | None:
    """Return the group of the run that a process is to train, None where it belongs to none."""
    found = environment.get(VARIABLE, "")
    return found if ID.fullmatch(found) else None


@contextmanager
def new_group(runs_dir: Path, name: str) -> Iterator[RunGroup]:
    """Yield a group that no other process has, and hold it.

    Args:
        runs_dir: Folder of all runs; made when missing.
        name: Name of the experiment.

    Raises:
        OSError: If the disk refuses.
    """
    durable.make_directories(runs_dir / name)
    stamp = datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
    for number in count(1):
        group = RunGroup(stamp if number == 1 else f"{stamp}-{number}", name, runs_dir)
        with suppress(FileExistsError):
            durable.add_file(group.lock_file, "")
            break
    with lock(group.lock_file):
        yield group


@contextmanager
def begun_group(group_id: str, runs_dir: Path, name: str) -> Iterator[RunGroup]:
    """Yield a group that was stopped, and hold it.

    Args:
        group_id: Its id.
        runs_dir: Folder of all runs.
        name: Name of the experiment.

    Raises:
        RunError: If there is no run of such a group, or another process trains it.
    """
    group = RunGroup(group_id, name, runs_dir)
    if not ID.fullmatch(group_id) or not group.runs():
        known = sorted(_ids(runs_dir, name))
        hint = f"Groups of {name}: {', '.join(known)}." if known else "Leave --group out to begin a new one."
        raise RunError(f"no run of {runs_dir / name} belongs to a group {group_id!r}", hint)
    with lock(group.lock_file):
        yield group


def runs_of_group(reference: str, runs_dir: Path) -> list[Run]:
    """Return the runs of a group, in the order in which they began; none where there is no such group.

    Args:
        reference: The group's id, alone or as "name/id".
        runs_dir: Folder of all runs.
    """
    name, _, group_id = reference.rpartition("/")
    if not ID.fullmatch(group_id):
        return []
    own = [run for run in all_runs(runs_dir) if name in ("", run.name) and _record(run).get("group") == group_id]
    found = [run for each in {run.name for run in own} for run in RunGroup(group_id, each, runs_dir).runs().values()]
    return sorted(found, key=lambda run: run.started)


def require_same_config(group: RunGroup, run: Run, config: Config) -> None:
    """Refuse a run that was trained with another config than its group is to have.

    Args:
        group: The group.
        run: One of its runs.
        config: The config that this run must have.

    Raises:
        RunError: With what differs.
    """
    before = run.config()
    differing = differing_values([before.document, config.document])
    if not differing:
        return
    told = [f"{key} was {_text(old)} and is {_text(new)}" for key, (old, new) in list(differing.items())[:MOST_TOLD]]
    more = len(differing) - len(told)
    also = f"; and {more} more" if more else ""
    raise RunError(
        f"{run.path} of the group {group.id} was trained with another config: {'; '.join(told)}{also}",
        "Undo the change, or leave --group out to begin a new group.",
    )


def _text(value: object) -> str:
    """Return a value of a config as YAML has it."""
    return "not set" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _ids(runs_dir: Path, name: str) -> set[str]:
    """Return the groups of all runs of a name."""
    return {found for run in all_runs(runs_dir) if run.name == name and (found := _record(run).get("group"))}


def _record(run: Run) -> Mapping[str, Any]:
    """Return what run.json holds; nothing where it cannot be read."""
    with suppress(RunError):
        return run.record
    return {}
