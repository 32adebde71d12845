"""A sweep's trials on the terminal."""

from __future__ import annotations

from collections.abc import Iterator

from cnncli.config.dump import flow
from cnncli.config.yaml.tree import Plain
from cnncli.plural import counted
from cnncli.report.grid import Column, Grid
from cnncli.report.key_names import short_name, short_names
from cnncli.report.numbers import full, percent
from cnncli.report.page import Part, Title
from cnncli.report.sparkline import NARROWEST, fitted, sparkline
from cnncli.sweeps.directory import SweepDirectory, Trial
from cnncli.sweeps.importance import Importance
from cnncli.sweeps.landscape import Landscape, Variable
from cnncli.sweeps.proposal import Proposal
from cnncli.sweeps.results import Results

NOTHING = "–"
FEWEST = 3
"""Trials from which on a history is drawn."""
WHOLE = 1000
"""From here on a mean that is a whole number is written as one: 61,706 parameters, the same with each seed."""


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
    return ", ".join(f"{short_name(key)} {value_text(value)}" for key, value in proposal.params.items())


def results_lines(found: Results) -> Iterator[Grid | str]:
    """Yield a table of the trials, the best marked, and in a line how many there are."""
    keys = list(dict.fromkeys(key for trial in found.trials for key in trial.proposal.params))
    names = short_names(keys)
    columns = (
        Column("trial"),
        Column("state", left=True, rank=1),
        *([Column("epochs", rank=1)] if found.sweep.rungs else []),
        *(Column(name) for name in found.sweep.objectives),
        *(Column(names[key], rank=2 + place) for place, key in enumerate(keys)),
    )
    cells = [
        (
            f"{'* ' if trial.proposal.number in found.best else ''}{trial.proposal.number}",
            trial.state,
            *([str(trial.epochs)] if found.sweep.rungs else []),
            *_value_cells(trial, found),
            *(value_text(trial.proposal.params[key]) if key in trial.proposal.params else NOTHING for key in keys),
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


def front_parts(shown: Landscape) -> Iterator[Part]:
    """Yield the trials that no other beats in all objectives; of one objective, in that and a count of the network's.

    Nothing is yielded where it is a single trial, the best.
    """
    others = shown.objectives[1:] or tuple(other for _, other in shown.tradeoffs[-1:])
    variables = (shown.objectives[0], *others)
    front = shown.front(*variables)
    if len(front) < 2:
        return
    yield ""
    yield Title(f"Pareto front of {' and '.join(each.name for each in variables)}")
    columns = (Column("trial"), *(Column(each.name) for each in variables))
    yield Grid(columns, [(str(n), *(value_text(each.values[n]) for each in variables)) for n in front])


def history_parts(shown: Landscape, width: int) -> Iterator[Part]:
    """Yield for each objective the best value so far, trial by trial, as small bars; nothing for a few trials.

    Args:
        shown: The sweep.
        width: Characters to fit into.
    """
    if len(shown.done) < FEWEST:
        return
    longest = max(len(each.name) for each in shown.objectives)
    yield ""
    yield Title("Best so far, trial by trial")
    yield from (_history_line(shown, each, longest, width) for each in shown.objectives)


def _history_line(shown: Landscape, objective: Variable, longest: int, width: int) -> str:
    best = [step.best for step in shown.history(objective)]
    head, tail = f"{objective.name:<{longest}}  ", f"  {value_text(best[0])} → {value_text(best[-1])}"
    bars = fitted(best, max(width - len(head) - len(tail), NARROWEST))
    return head + sparkline(bars, min(best), max(best)) + tail


def importance_parts(found: Importance) -> Iterator[Part]:
    """Yield how much each key mattered for each objective, as a table, and which keys could not be judged."""
    if found.shares:
        keys = list(next(iter(found.shares.values())))
        names = short_names(keys)
        yield ""
        yield Title(f"Importance of the keys ({found.method.full_name})")
        columns = (Column("key", left=True, cut=True), *(Column(objective) for objective in found.shares))
        yield Grid(columns, [(names[key], *(percent(of[key]) for of in found.shares.values())) for key in keys])
    if found.left_out:
        yield f"{found.method.full_name} cannot judge keys that some trials do not have: {', '.join(found.left_out)}."


def values_text(trial: Trial) -> str:
    """Return what a trial came to in a line."""
    return ", ".join(f"{name} {value_text(value)}" for name, value in (trial.values or {}).items())


def _value_cells(trial: Trial, found: Results) -> list[str]:
    if trial.values is None:
        return [NOTHING] * len(found.sweep.objectives)
    if trial.deviations is None:
        return [value_text(value) for value in trial.values.values()]
    return [f"{value_text(value)} ± {value_text(trial.deviations[name])}" for name, value in trial.values.items()]


def value_text(value: Plain) -> str:
    """Return a value as it stands in tables."""
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, bool):
        return flow(value)
    if isinstance(value, int) or (value.is_integer() and abs(value) >= WHOLE):
        return full(int(value))
    return f"{value:.4g}"
