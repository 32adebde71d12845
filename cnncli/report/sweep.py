"""A sweep's trials on the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cnncli.plural import counted
from cnncli.report.grid import Column, Grid
from cnncli.report.numbers import full
from cnncli.sweeps.directory import SweepDirectory, Trial
from cnncli.sweeps.proposal import Proposal
from cnncli.sweeps.results import Results

NOTHING = "–"


def beginning(directory: SweepDirectory, processes: int) -> str:
    """Return what is said before anything is trained: what, how, and where.

    Args:
        directory: The sweep's directory.
        processes: Most trainings at once.
    """
    sweep = directory.sweep
    settings = sweep.settings
    trials = len(sweep.space.grid()) if settings.trials is None else settings.trials
    number = "one training" if processes == 1 else f"up to {processes} trainings"
    threads = counted(settings.threads or 1, "thread") + (" each" if processes > 1 else "")
    return (
        f"The sweep {sweep.name} has {counted(trials, 'trial')}, proposed by the sampler {settings.sampler}: "
        f"{number} at once with {threads}, in {directory.path}."
    )


def trial_line(trial: Trial) -> str:
    """Return what is said of a trial when it is finished."""
    if trial.state == "refused":
        return proposal_line(trial.proposal)
    told = "failed" if trial.values is None else values_text(trial)
    if trial.state == "pruned":
        told = f"pruned after {counted(trial.epochs, 'epoch')}, {told}"
    return f"trial {trial.proposal.number}: {told} ({params_text(trial.proposal)})"


def proposal_line(proposal: Proposal) -> str:
    """Return what is tried in a trial, or why it is not trained."""
    params = params_text(proposal)
    told = params if proposal.refused is None else f"refused, {proposal.refused} ({params})"
    return f"trial {proposal.number}: {told}"


def params_text(proposal: Proposal) -> str:
    """Return the values of a trial in a line."""
    return ", ".join(f"{_short(key)} {_cell(value)}" for key, value in proposal.params.items())


def results_lines(found: Results) -> Iterator[Grid | str]:
    """Yield a table of the trials, the best marked, and in a line how many there are."""
    keys = list(dict.fromkeys(key for trial in found.trials for key in trial.proposal.params))
    columns = (
        Column("trial"),
        Column("state", left=True, rank=1),
        *([Column("epochs", rank=1)] if found.sweep.rungs else []),
        *(Column(name) for name in found.sweep.objectives),
        *(Column(_short(key), rank=2) for key in keys),
    )
    cells = [
        (
            f"{'* ' if trial.proposal.number in found.best else ''}{trial.proposal.number}",
            trial.state,
            *([str(trial.epochs)] if found.sweep.rungs else []),
            *_value_cells(trial, found),
            *(_cell(trial.proposal.params.get(key)) for key in keys),
        )
        for trial in found.trials
    ]
    yield Grid(columns, cells)
    states = [trial.state for trial in found.trials]
    told = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    yield f"{counted(len(states), 'trial')}: {told}." if states else "No trial has begun."
    if found.share_of_steps is not None:
        yield f"Halving took {found.share_of_steps:.0%} of the steps of a full search."
    if found.best:
        several = len(found.sweep.objectives) > 1
        yield f"* {'no other trial is better in every respect' if several else 'the best trial'}"


def importance_lines(shares: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    """Yield for each objective how much each key mattered."""
    for name, found in shares.items():
        told = ", ".join(f"{_short(key)} {share:.0%}" for key, share in found.items())
        yield f"importance for {name} (PED-ANOVA): {told}"


def values_text(trial: Trial) -> str:
    """Return what a trial came to in a line."""
    return ", ".join(f"{name} {_cell(value)}" for name, value in (trial.values or {}).items())


def _value_cells(trial: Trial, found: Results) -> list[str]:
    if trial.values is None:
        return [NOTHING] * len(found.sweep.objectives)
    if trial.deviations is None:
        return [_cell(value) for value in trial.values.values()]
    return [f"{_cell(value)} ± {_cell(trial.deviations[name])}" for name, value in trial.values.items()]


def _short(key: str) -> str:
    """Return the last part of a key, with the layer's number where it is a layer's."""
    *before, last = key.split(".")
    layer = next((part for part in reversed(before) if part.endswith("]")), None)
    return last if layer is None else f"{layer}.{last}"


def _cell(value: Any) -> str:
    if value is None:
        return NOTHING
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return full(value) if isinstance(value, int) else f"{value:.4g}"
