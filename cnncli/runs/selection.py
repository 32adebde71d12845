"""Which runs of a list are shown and in what order: `cnn runs --where … --sort …`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cnncli.config.language.suggestions import nearest
from cnncli.errors import CnnError, RunError
from cnncli.files.form import MISSING
from cnncli.runs.condition import Condition, is_number
from cnncli.runs.evaluations import checkpoint_name, find_evaluation, metrics_on_test
from cnncli.runs.flat_config import flat_config
from cnncli.runs.listing import Row
from cnncli.runs.run import Run

ON_TEST = "test_"
"""How the names of metrics on the test split begin."""

MOST_NEAR = 3
"""Keys that are named in the place of one that no run has."""


@dataclass(frozen=True)
class Selection:
    """Which runs are wanted, and in what order.

    Attributes:
        conditions: What a run must meet, all of it.
        sort: Key to sort by, or None for the order in which the runs began.
        reverse: Whether the largest, or the newest, is first.
    """

    conditions: tuple[Condition, ...] = ()
    sort: str | None = None
    reverse: bool = False

    @property
    def keys(self) -> tuple[str, ...]:
        """What is compared, each key once."""
        sorted_by = () if self.sort is None else (self.sort,)
        return tuple(dict.fromkeys((*sorted_by, *(condition.key for condition in self.conditions))))


@dataclass(frozen=True)
class Selected:
    """The runs that are wanted.

    Attributes:
        rows: Each with its values of the selection's keys.
        notes: Files that could not be read, a sentence each.
    """

    rows: tuple[Row, ...]
    notes: tuple[str, ...]


def select(rows: Sequence[Row], selection: Selection) -> Selected:
    """Return the runs that meet all conditions, in the order that is wanted.

    A run without a key does not meet a condition on it, and comes last when the runs are sorted by it.

    Args:
        rows: All runs, in the order in which they began.
        selection: Which of them are wanted.

    Raises:
        RunError: If no run has one of the keys, or a condition compares a number with a text.
    """
    known, kept = _Known(), list(rows)
    for condition in selection.conditions:
        values = _column(kept, rows, condition.key, known)
        condition.require_order(values)
        kept = [row for row, value in zip(kept, values, strict=True) if condition.holds(value)]
    if selection.sort is not None:
        kept = _sorted(kept, _column(kept, rows, selection.sort, known), reverse=selection.reverse)
    elif selection.reverse:
        kept.reverse()
    return Selected(
        tuple(replace(row, values={key: _shown(known.value(row, key)) for key in selection.keys}) for row in kept),
        tuple(known.notes.values()),
    )


def _column(kept: Sequence[Row], rows: Sequence[Row], key: str, known: _Known) -> list[Any]:
    """Return what the runs that are left have under a key; raises RunError if no run at all has it."""
    values = [known.value(row, key) for row in kept]
    if rows and all(value is MISSING for value in values) and all(known.value(row, key) is MISSING for row in rows):
        raise RunError(f'no run has "{key}"', _near(key, {name for row in rows for name in known.keys(row)}))
    return values


def _sorted(rows: Sequence[Row], values: Sequence[Any], *, reverse: bool) -> list[Row]:
    """Return the rows by their values: numbers, then texts, and at the end in either direction those without any."""
    pairs = list(zip(rows, values, strict=True))
    there = [(row, value) for row, value in pairs if value not in (MISSING, None, ())]
    without = [row for row, value in pairs if value in (MISSING, None, ())]
    return [row for row, _ in sorted(there, key=lambda pair: _place(pair[1]), reverse=reverse)] + without


def _place(value: Any) -> tuple[int, float, str]:
    return (0, value, "") if is_number(value) else (1, 0, ", ".join(value) if isinstance(value, tuple) else str(value))


def _shown(value: Any) -> Any:
    """Return a value as JSON has it."""
    return None if value is MISSING else list(value) if isinstance(value, tuple) else value


class _Known:
    """What is known of the runs, read when it is asked for.

    Attributes:
        notes: What could not be read, by the run's path and what it is of.
    """

    def __init__(self) -> None:
        self.notes: dict[tuple[str, str], str] = {}
        self._read: dict[tuple[str, str], Mapping[str, Any]] = {}

    def value(self, row: Row, key: str) -> Any:
        """Return what a run has under a key, or MISSING."""
        results = row.results()
        if key in results:
            return results[key]
        return (self._on_test(row) if key.startswith(ON_TEST) else self._config(row)).get(key, MISSING)

    def keys(self, row: Row) -> Iterator[str]:
        """Yield all keys that a run has."""
        yield from row.results()
        yield from self._on_test(row)
        yield from self._config(row)

    def _config(self, row: Row) -> Mapping[str, Any]:
        return self._once(row, "config", lambda run: with_names(flat_config(run)))

    def _on_test(self, row: Row) -> Mapping[str, Any]:
        return self._once(row, "test", _on_test)

    def _once(self, row: Row, what: str, read: Callable[[Run], Mapping[str, Any]]) -> Mapping[str, Any]:
        if (row.run, what) not in self._read:
            try:
                self._read[row.run, what] = read(Run(Path(row.run)))
            except CnnError as error:
                self._read[row.run, what] = {}
                self.notes[row.run, what] = f"damaged: {error.message}"
        return self._read[row.run, what]


def _on_test(run: Run) -> dict[str, Any]:
    """Return the metrics on test of a run's best checkpoint; none where it was not evaluated."""
    evaluation = find_evaluation(run, "test", checkpoint_name(run, "best"))
    return {} if evaluation is None else dict(metrics_on_test(run, run.record, evaluation))


def with_names(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a flat config with the names of what is named: "train.optimizer" is "Adam", "model.layers[0]" "Conv2D".

    Args:
        config: As `flat_config` returns it, where such a name is a step of a path: "train.optimizer.Adam.beta_1".
    """
    found: dict[str, set[str]] = {}
    for path in config:
        steps = path.split(".")
        for index, step in enumerate(steps):
            if index and step[:1].isupper():
                found.setdefault(".".join(steps[:index]), set()).add(step)
    return {**{path: next(iter(names)) for path, names in found.items() if len(names) == 1}, **config}


def _near(key: str, keys: Iterable[str]) -> str:
    """Return a hint with the keys that were probably meant: of the same last step, or a similar one."""
    ordered = sorted(keys)
    if key.startswith(ON_TEST) and not any(name.startswith(ON_TEST) for name in ordered):
        return "No run was evaluated on the test split: cnn eval RUN --split test"
    by_end: dict[str, list[str]] = {}
    for name in ordered:
        by_end.setdefault(name.rpartition(".")[2], []).append(name)
    last = key.rpartition(".")[2]
    end = last if last in by_end else nearest(last, by_end)
    similar = nearest(key, ordered)
    names = list(dict.fromkeys((*by_end.get(end or "", ()), *([similar] if similar else []))))[:MOST_NEAR]
    if not names:
        return "Keys are paths of config.yaml, such as train.batch_size, and results, such as accuracy, epochs or tag."
    quoted = [f'"{name}"' for name in names]
    return f"Did you mean {' or '.join(quoted)}?"
