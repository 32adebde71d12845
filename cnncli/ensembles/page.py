"""An ensemble beside its members as a table, and its gain as a sentence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from cnncli.ensembles.results import Gain, Results
from cnncli.report.grid import Column, Grid
from cnncli.report.runs import value_cell

WEIGHT = ".3g"


def results_page(results: Results) -> Iterator[Grid | str]:
    """Yield what `cnn ensemble` shows above the evaluation of the ensemble."""
    yield _table(results)
    if results.gain is not None:
        yield f"\n{_sentence(results.gain)}"


def _table(results: Results) -> Grid:
    columns = (
        Column(f"{results.split} split", left=True),
        Column("weight", rank=1),
        *(Column(name.replace("_", " ")) for name in results.metrics),
    )
    rows = [(member.label, format(member.weight, WEIGHT), *_cells(results, found)) for member, found in results.members]
    return Grid(columns, rows, [("ensemble", "", *_cells(results, results.ensemble))])


def _cells(results: Results, found: Mapping[str, float]) -> Iterator[str]:
    return (value_cell(found.get(name)) for name in results.metrics)


def _sentence(gain: Gain) -> str:
    told = f"In {gain.metric.replace('_', ' ')}, the ensemble is {_amount(gain)} its best member, {gain.over}"
    details = []
    if gain.interval is not None:
        low, high = (_number(gain, end) for end in gain.interval)
        details.append(f"95 % interval of the gain {low} to {high}")
    if gain.test is not None:
        p = gain.test.cells()["p"]
        details.append(f"{gain.test.title}: p = {p}; {gain.test.remark}")
    return f"{told} ({'; '.join(details)})." if details else f"{told}."


def _amount(gain: Gain) -> str:
    if gain.value == 0:
        return "equal to"
    size = _number(gain, abs(gain.value)) + (" points" if gain.is_share else "")
    return f"{size} {'above' if gain.value > 0 else 'below'}"


def _number(gain: Gain, value: float) -> str:
    text = f"{100 * value:.2f}" if gain.is_share else f"{value:.4g}"
    return text.replace("-", "−") if float(text) else text.replace("-", "")
