"""A run's curves as lines of small bars, for the end of a training on the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from math import isfinite
from statistics import fmean
from typing import Any

BARS = "▁▂▃▄▅▆▇█"
UNKNOWN = "·"
NARROWEST = 8
"""Bars below which a curve says nothing."""
NAME = 9
"""Characters that the name of a metric has at least."""

SPLITS = {"train": "training", "validation": "validation"}

Values = Sequence[float | None]


def curve_lines(metrics: Sequence[Mapping[str, Any]], names: Sequence[str], width: int = 80) -> list[str]:
    """Return metrics over the epochs, training and validation to one scale; nothing for a single epoch.

    Args:
        metrics: Lines of metrics.jsonl.
        names: Names of the metrics to show.
        width: Characters to fit into, from 60 on.

    Example:
        loss      training    █▄▂▁▁▁  2.1930 → 0.0621
    """
    if len(metrics) < 2:
        return []
    longest = max(NAME, *map(len, names))
    return [line for name in names for line in _metric_lines(metrics, name, width, longest)]


def _metric_lines(metrics: Sequence[Mapping[str, Any]], metric: str, width: int, longest: int) -> Iterator[str]:
    curves = {name: [_value(line, split, metric) for line in metrics] for split, name in SPLITS.items()}
    known = [value for values in curves.values() for value in values if value is not None]
    label = metric
    for name, values in curves.items():
        ends = [value for value in values if value is not None]
        if not ends:
            continue
        head, tail = f"{label:<{longest}} {name:<10}  ", f"  {ends[0]:.4f} → {ends[-1]:.4f}"
        bars = max(width - len(head) - len(tail), NARROWEST)
        yield head + sparkline(fitted(values, bars), min(known), max(known)) + tail
        label = ""


def sparkline(values: Values, low: float, high: float) -> str:
    """Return a bar for each value, the lowest for `low` and the full one for `high`; "·" where it is not known."""
    return "".join(UNKNOWN if value is None else BARS[_height(value, low, high)] for value in values)


def _height(value: float, low: float, high: float) -> int:
    return round((value - low) / (high - low) * (len(BARS) - 1)) if high > low else 0


def fitted(values: Values, most: int) -> Values:
    """Return at most so many values: means of neighbours where there are more."""
    if len(values) <= most:
        return values
    bounds = [i * len(values) // most for i in range(most + 1)]
    groups = ([v for v in values[a:b] if v is not None] for a, b in pairwise(bounds))
    return [fmean(group) if group else None for group in groups]


def _value(line: Mapping[str, Any], split: str, metric: str) -> float | None:
    value = (line.get(split) or {}).get(metric)
    return value if isinstance(value, (int, float)) and isfinite(value) else None
