"""Two networks side by side: for `cnn diff`, and for `cnn summary --what-if`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from cnncli.analysis.diff import Change, Difference, Pair
from cnncli.analysis.summary import Row
from cnncli.plural import counted
from cnncli.report.grid import Column, Grid
from cnncli.report.numbers import full, short, signed, size
from cnncli.report.page import Page, Title
from cnncli.report.tables import label, sees

COLUMNS = (
    Column("Layer", left=True, cut=True),
    Column("Output", left=True, rank=3),
    Column("Parameters"),
    Column("Δ"),
    Column("MACs", rank=4),
    Column("Δ MACs"),
    Column("Sees", left=True, rank=2),
)
SIGNS = {"same": " ", "changed": "~", "shifted": " ", "added": "+", "removed": "−"}


def what_if_table(difference: Difference, changes: Sequence[str]) -> Page:
    """Return both networks with every layer, for `--what-if`."""
    title = f"{difference.before.name}, what if {' and '.join(changes)}"
    rows = [_row(pair) for pair in difference.pairs]
    return Page((Title(title), "", Grid(COLUMNS, rows, [_totals(difference)]), "", *_facts(difference)))


def diff_table(difference: Difference) -> Page:
    """Return what differs, unchanged layers only counted."""
    before, after = difference.before.name, difference.after.name
    title = Title(f"{before} → {after}" if before != after else before)
    if difference.is_empty:
        return Page((title, "", "No difference."))
    parts: list[str | Title | Grid] = [title]
    rows = list(_differing(difference.pairs))
    if any(pair.status != "same" for pair in difference.pairs):
        parts += ["", Grid(COLUMNS, rows, [_totals(difference)]), "", *_facts(difference)]
        arguments = [line for pair in difference.pairs for line in _arguments(pair)]
        parts += ["", Title("Changed layers"), *arguments] if arguments else []
    else:
        parts += ["", f"The networks are identical: {full(difference.before.total_params)} parameters."]
    if difference.settings:
        parts += ["", Title("Changed settings"), *(f"  {_change(change)}" for change in difference.settings)]
    return Page(tuple(parts))


def _differing(pairs: Sequence[Pair]) -> Iterator[tuple[str, ...]]:
    for same, group in groupby(pairs, lambda pair: pair.status == "same"):
        found = list(group)
        if same:
            layers = counted(len(found), "layer")
            yield (f"  {layers} unchanged", *[""] * (len(COLUMNS) - 1))
        else:
            yield from map(_row, found)


def _row(pair: Pair) -> tuple[str, ...]:
    row = pair.row
    return (
        f"{SIGNS[pair.status]} {_name(pair, row)}",
        _step(pair, lambda r: size(r.output_shape)),
        _after(pair, lambda r: r.params),
        signed(pair.delta_params) if pair.delta_params else "",
        _after(pair, lambda r: r.macs),
        signed(pair.delta_macs) if pair.delta_macs else "",
        _step(pair, sees),
    )


def _name(pair: Pair, row: Row) -> str:
    if pair.before and pair.after and pair.before.name != pair.after.name:
        return f"{pair.before.name} → {label(pair.after)}"
    return label(row)


def _step(pair: Pair, text: Any) -> str:
    old = text(pair.before) if pair.before else ""
    new = text(pair.after) if pair.after else ""
    return f"{old} → {new}" if old and new and old != new else new or old


def _after(pair: Pair, number: Any) -> str:
    return full(number(pair.after)) if pair.after else ""


def _totals(difference: Difference) -> tuple[str, ...]:
    params = difference.after.total_params - difference.before.total_params
    macs = difference.after.macs - difference.before.macs
    total = full(difference.after.total_params), signed(params), full(difference.after.macs), signed(macs)
    return ("  Total", "", *total, "")


def _facts(difference: Difference) -> list[str]:
    rows = (
        ("Parameters", "total_params", ""),
        ("One image", "macs", "MACs"),
        ("Weights", "weight_bytes", "B"),
        ("Training", "training_bytes", "B"),
    )
    totals = difference.totals()
    return [f"{title:<11} {_fact(totals[name], unit)}" for title, name, unit in rows]


def _fact(total: dict[str, int], unit: str) -> str:
    before, after = total["before"], total["after"]
    if before == after:
        return f"{short(after, unit)}, unchanged"
    share = f" ({100 * (after - before) / before:+.1f} %)".replace("-", "−") if before else ""
    return f"{short(before, unit)} → {short(after, unit)}{share}"


def _arguments(pair: Pair) -> Iterator[str]:
    if pair.changes and pair.after:
        yield f"  {pair.after.name}: " + ", ".join(_change(change) for change in pair.changes)


def _change(change: Change) -> str:
    return f"{change.key} {_value(change.before)} → {_value(change.after)}"


def _value(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, list):
        return size(value) if all(isinstance(item, int) for item in value) else str(value)
    return str(value).lower() if isinstance(value, bool) else str(value)
