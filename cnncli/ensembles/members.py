"""The runs of an ensemble: which ones are meant, and whether their networks can be averaged."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from cnncli.config.schema.schema import Config
from cnncli.errors import RunError
from cnncli.plural import counted
from cnncli.runs.find import all_runs, find_all
from cnncli.runs.group import runs_of_group
from cnncli.runs.run import Run

MOST_SHOWN = 50
"""Characters of a value in an error."""


@dataclass(frozen=True)
class Member:
    """A run whose network is averaged with others.

    Attributes:
        run: The run.
        weight: Its share of the mean; the shares of all members add up to 1.
    """

    run: Run
    weight: float

    @cached_property
    def config(self) -> Config:
        """Its config."""
        return self.run.config()

    @cached_property
    def passport(self) -> dict[str, Any]:
        """What is known of its examples."""
        return self.run.passport()

    @property
    def label(self) -> str:
        """What tables and messages call it."""
        return f"{self.run.name}/{self.run.id}"


def read_members(references: Sequence[str], runs_dir: Path, weights: Sequence[float] | None = None) -> list[Member]:
    """Return the runs that are to be averaged.

    Args:
        references: Runs as `find_all` takes them; groups by their ids; the folders of a sweep's trials. What stands for
            several runs adds all of them, the oldest first.
        runs_dir: Folder of all runs.
        weights: One positive number for each run, of which only the ratios count; None for equal ones.

    Raises:
        CnnError: If there are fewer than two, one is not trained to the end, there are not as many weights, or their
            networks cannot be averaged.
    """
    named = {run.path.resolve(): run for reference in references for run in _runs_of(reference, runs_dir)}
    runs = list(named.values())
    if len(runs) < 2:
        raise RunError(
            f"{len(runs)} run to average, expected at least two",
            "cnn ensemble RUN RUN …; the name of several runs, or of a group, stands for all of them.",
        )
    for run in runs:
        _require_done(run)
    if weights is not None and len(weights) != len(runs):
        raise RunError(
            f"--weights has {counted(len(weights), 'number')} for {len(runs)} runs",
            f"Give one for each, in this order: {', '.join(f'{run.name}/{run.id}' for run in runs)}.",
        )
    given = [1.0] * len(runs) if weights is None else list(weights)
    members = [Member(run, weight / sum(given)) for run, weight in zip(runs, given, strict=True)]
    _require_alike(members)
    return members


def _runs_of(reference: str, runs_dir: Path) -> list[Run]:
    """Return all runs that a reference stands for, the oldest first."""
    folder = Path(reference)
    if folder.is_dir() and not (folder / "run.json").is_file():
        # Trials of a sweep lie deeper than what `find_all` looks through.
        inside = [run for run in all_runs(folder.parent) if run.path.parent == folder]
        return sorted(inside, key=lambda run: run.started) or find_all(reference, runs_dir)
    return runs_of_group(reference, runs_dir) or find_all(reference, runs_dir)


def _require_done(run: Run) -> None:
    status = run.status
    if status != "done":
        hint = "Wait for it to end" if status == "running" else f"Train it: cnn resume {shlex.quote(str(run.path))}"
        raise RunError(
            f"{run.path} is {status}: only runs that are trained to the end are averaged", f"{hint}; or leave it out."
        )


def _require_alike(members: Sequence[Member]) -> None:
    """Refuse networks whose outputs do not mean the same, or that do not read the same images.

    Raises:
        RunError: With what differs first.
    """
    first = members[0]
    if first.config.task_spec.reads_boxes:
        raise RunError(
            "networks for detection cannot be averaged: each finds boxes of its own, and no box has a counterpart",
            "Choose the best one: cnn compare RUN RUN ….",
        )
    for name, value_of, hint in _ALIKE:
        for other in members[1:]:
            values = [json.dumps(value_of(member), ensure_ascii=False) for member in (first, other)]
            if values[0] != values[1]:
                shown = [text if len(text) <= MOST_SHOWN else f"{text[: MOST_SHOWN - 1]}…" for text in values]
                raise RunError(
                    f"the runs differ in {name}: {first.label} has {shown[0]}, {other.label} has {shown[1]}", hint
                )


def _data(key: str) -> Callable[[Member], Any]:
    return lambda member: member.config.document["data"].get(key)


_SAME_IMAGES = "All networks of an ensemble read the same image: train them with equal image_size, channels and resize."

_ALIKE: tuple[tuple[str, Callable[[Member], Any], str], ...] = (
    ("their task", lambda member: member.config.task, "Average runs of one task."),
    ("their classes", lambda member: member.passport["classes"], "Average runs with the same classes in one order."),
    ("data.image_size", _data("image_size"), _SAME_IMAGES),
    ("data.channels", _data("channels"), _SAME_IMAGES),
    ("data.resize", _data("resize"), _SAME_IMAGES),
    (
        "the content of their data (content_hash)",
        lambda member: member.passport.get("content_hash"),
        "What one was tested on, another may have been trained on: average runs of the same examples.",
    ),
)
"""In what all members must agree: what a message calls it, its value, and what to do."""
