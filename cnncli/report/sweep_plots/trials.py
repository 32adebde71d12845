"""The trials of a sweep as a table that its page sorts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cnncli.report.html import Html, element, joined, scrolling
from cnncli.report.key_names import short_names
from cnncli.report.sweep import NOTHING, value_text
from cnncli.sweeps.directory import Trial
from cnncli.sweeps.landscape import Landscape, Variable
from cnncli.sweeps.spec import COUNTS

TALL = 20
"""Rows from which on the table scrolls by itself."""


def trials_table(shown: Landscape) -> Html:
    """Return a row for each trial; the best are marked, and those without a result say why."""
    names = short_names([key.name for key in shown.keys])
    counts = [name for name in COUNTS if name not in shown.found.sweep.objectives]
    titles = [*("trial", "state"), *(each.name for each in shown.objectives), *counts]
    heads = [element("th", title, scope="col") for title in titles]
    heads += [element("th", names[key.name], scope="col", title=key.name) for key in shown.keys]
    rows = [
        element(
            "tr",
            list(_cells(shown, trial, counts)),
            data_trial=trial.proposal.number,
            class_="best" if trial.proposal.number in shown.found.best else None,
        )
        for trial in shown.found.trials
    ]
    caption = f"All {len(rows)} trials; ★ the best"
    inside = element("caption", caption), element("thead", element("tr", heads)), element("tbody", rows)
    made = element("table", *inside, class_="numbers", id="trials-table")
    return scrolling(made, "All trials", tall=len(rows) > TALL)


def _cells(shown: Landscape, trial: Trial, counts: Sequence[str]) -> Iterator[Html]:
    number = trial.proposal.number
    star = "★ " if number in shown.found.best else None
    yield element("th", star, str(number), scope="row", data_value=number)
    reason = element("small", trial.proposal.refused) if trial.proposal.refused else None
    yield element("td", joined(trial.state, reason), class_=f"state {trial.state}", data_value=trial.state)
    for objective in shown.objectives:
        deviation = (trial.deviations or {}).get(objective.name)
        yield _cell(objective, number, "" if deviation is None else f" ± {value_text(deviation)}")
    for name in counts:
        count = trial.proposal.counts.get(name)
        yield element("td", NOTHING if count is None else value_text(count), data_value=count)
    for key in shown.keys:
        yield _cell(key, number)


def _cell(variable: Variable, number: int, more: str = "") -> Html:
    if number not in variable.values:
        return element("td", NOTHING)
    value = variable.values[number]
    # Choices are sorted in the order in which the file has them.
    return element("td", f"{value_text(value)}{more}", data_value=variable.number(number))
