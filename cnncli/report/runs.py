"""Runs as tables on the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cnncli.report.effects import effect_paragraphs
from cnncli.report.grid import Column, Grid
from cnncli.report.numbers import full
from cnncli.runs.compare import Comparison
from cnncli.runs.groups import Group
from cnncli.runs.listing import Row

NOTHING = "–"
NARROW = 10
"""Characters that a run's column has at least."""
RULES = ("best", "last")
"""Checkpoints that are chosen for each run; others have one name."""
SHORT = {"accuracy": "acc."}
"""Abbreviations of metrics, for narrow columns."""


@dataclass(frozen=True)
class _Field:
    """A column of the list of runs.

    Attributes:
        column: Its heading.
        keys: What the runs can be sorted by for which it is the column.
        cell: Returns a run's text.
    """

    column: Column
    keys: tuple[str, ...]
    cell: Callable[[Row], str]


def runs_table(rows: Sequence[Row], keys: Sequence[str] = ()) -> Grid:
    """Return the table of `cnn runs`.

    Args:
        rows: At least one run.
        keys: What the runs were sorted and chosen by: each has a column, whatever the width.
    """
    fields = _fields(rows, "tag" in keys or "tags" in keys)
    known = {key for each in fields for key in each.keys}
    asked = [replace(f, column=replace(f.column, rank=0)) if set(f.keys) & set(keys) else f for f in fields]
    others = [key for key in keys if key not in known]
    titles = _titles(others, {each.column.title for each in fields})
    asked += [_value_field(key, title, rows) for key, title in zip(others, titles, strict=True)]
    return Grid(tuple(each.column for each in asked), [tuple(each.cell(row) for each in asked) for row in rows])


def _fields(rows: Sequence[Row], with_tags: bool) -> tuple[_Field, ...]:
    """Return the columns that a list of runs has by itself."""
    found = tuple(dict.fromkeys(row.metric for row in rows))
    one_metric, folds = len(found) == 1, any(row.fold for row in rows)
    best = f"best val. {SHORT.get(found[0], found[0])}" if one_metric else "best val."
    fields = (
        _Field(Column("run", left=True), ("name", "id"), lambda row: f"{row.name}/{row.id}"),
        _Field(Column("fold"), ("fold", "folds"), lambda row: f"{row.fold}/{row.folds}" if row.fold else NOTHING),
        _Field(Column("status", left=True, rank=1), ("status",), lambda row: row.status),
        _Field(Column("epochs", rank=2), ("epochs",), lambda row: str(row.epochs)),
        _Field(
            Column(best),
            (*found, *(f"best_validation_{metric}" for metric in found)),
            lambda row: value_cell(row.best) if one_metric else f"{row.metric} {value_cell(row.best)}",
        ),
        _Field(
            Column("parameters", rank=3),
            ("params", "total_params"),
            lambda row: NOTHING if row.total_params is None else full(row.total_params),
        ),
        _Field(Column("seconds", rank=4), ("seconds",), lambda row: f"{row.seconds:,.0f}"),
        _Field(Column("tags", left=True, cut=True), ("tag", "tags"), lambda row: ", ".join(row.tags) or NOTHING),
    )
    left_out = {"fold": not folds, "tags": not (with_tags or any(row.tags for row in rows))}
    return tuple(each for each in fields if not left_out.get(each.column.title, False))


def _value_field(key: str, title: str, rows: Sequence[Row]) -> _Field:
    """Return the column of a key that has none by itself: of texts with them at the left, of numbers at the right."""
    is_text = any(isinstance(row.values.get(key), str) for row in rows)
    show = value_cell if key.startswith("test_") else _setting
    return _Field(Column(title, left=is_text, cut=is_text), (key,), lambda row: show(row.values.get(key)))


def _titles(keys: Sequence[str], taken: set[str]) -> list[str]:
    """Return the shortest ends of keys by which they can be told apart, from what is taken too: learning_rate."""
    for length in range(1, max((key.count(".") + 1 for key in keys), default=0)):
        ends = {".".join(key.split(".")[-length:]): key for key in keys}
        if len(ends) == len(keys) and taken.isdisjoint(ends):
            return list(ends)
    return list(keys)


def comparison_lines(comparison: Comparison, width: int) -> Iterator[Grid | str]:
    """Yield what `cnn compare` shows: tables and lines of text, in order."""
    yield from effect_paragraphs(comparison.effects, width)
    names = [chr(ord("A") + i) if len(comparison.runs) <= 26 else str(i + 1) for i in range(len(comparison.runs))]
    yield "\n".join(f"{name}  {run}" for name, run in zip(names, comparison.runs, strict=True)) + "\n"
    for title, rows, text in (("config", comparison.config, _setting), ("result", comparison.metrics, value_cell)):
        cells = {key: tuple(map(text, values)) for key, values in rows.items()}
        for grid in _blocks(title, cells, names, width):
            yield grid
            yield ""
    yield from _checkpoints(comparison, names)
    if not comparison.config:
        yield "The configs are identical.\n"
    labels = dict(zip(comparison.runs, names, strict=True))
    for group in comparison.groups:
        yield _group(group, labels)
        yield ""
    yield from _tests(comparison, labels)


def _checkpoints(comparison: Comparison, names: Sequence[str]) -> Iterator[str]:
    """Yield which checkpoints the results on test are of, and what was left out."""
    known = [f"{name} {found}" for name, found in zip(names, comparison.checkpoints, strict=False) if found]
    if known:
        rule = f"each run's {comparison.checkpoint} checkpoint" if comparison.checkpoint in RULES else "that checkpoint"
        yield f"Results on test are of {rule}: {', '.join(known)}.\n"
    for sentence in comparison.notes:
        yield f"{sentence}\n"


def _blocks(title: str, rows: Mapping[str, tuple[str, ...]], names: Sequence[str], width: int) -> Iterator[Grid]:
    """Yield a table of all runs, or several of so many as the width has room for."""
    if not rows:
        return
    room = width - max(map(len, rows))
    at_once = min(max(room // (NARROW + 2), 1), len(names))
    cut = max(room // at_once - 2, NARROW)
    for start in range(0, len(names), at_once):
        part = slice(start, start + at_once)
        columns = (Column(title, left=True), *map(Column, names[part]))
        yield Grid(columns, [(key, *(_cut(text, cut) for text in texts[part])) for key, texts in rows.items()])


def _group(group: Group, labels: dict[str, str]) -> Grid:
    """Return the table of one experiment's repetitions."""
    title = f"mean over {group.over} ({', '.join(labels[run] for run in group.runs)})"
    columns = (Column(title, left=True), Column("mean"), Column("± sd"), Column("n"))
    return Grid(columns, [(key, value_cell(m), value_cell(sd), str(n)) for key, (m, sd, n) in group.metrics.items()])


def _tests(comparison: Comparison, labels: dict[str, str]) -> Iterator[Grid | str]:
    """Yield a table of each paired test, or why there is none."""
    if not comparison.pairs:
        yield "No two of these runs have predictions-test.csv for the same examples, so no significance test."
    for name in dict.fromkeys(pair.result.name for pair in comparison.pairs):
        pairs = [pair for pair in comparison.pairs if pair.result.name == name]
        first = pairs[0].result
        yield Grid(
            (Column(f"{first.title}, test split", left=True), *map(Column, first.cells())),
            [(f"{labels[pair.first]} vs {labels[pair.second]}", *pair.result.cells().values()) for pair in pairs],
        )
        corrected = f", not corrected for the {len(pairs)} comparisons" if len(pairs) > 1 else ""
        yield f"{first.remark}{corrected}."


def _setting(value: Any) -> str:
    """Return a value of a config as YAML has it."""
    if value is None or isinstance(value, bool):
        return NOTHING if value is None else str(value).lower()
    return str(value)


def value_cell(value: float | None) -> str:
    """Return a result in four digits."""
    if value is None:
        return NOTHING
    if isinstance(value, int):
        return full(value)
    if abs(value) >= 100:
        return f"{value:,.1f}"
    return f"{value:.3g}" if 0 < abs(value) < 1e-3 else f"{value:.4f}"


def _cut(text: str, width: int) -> str:
    """Shorten a text that is too wide."""
    return text if len(text) <= width else text[: width - 1] + "…"
