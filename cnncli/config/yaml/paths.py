"""Paths in a config: "model.layers[0].Conv2D.filters" as steps, and the steps taken."""

from __future__ import annotations

import re

from cnncli.config.yaml.tree import Mapping, Sequence, Value

MAX_STEPS = 64
Steps = tuple[str | int, ...]

_KEY = r"[^.\[\]\s={}]+"
_PATH = re.compile(rf"{_KEY}(\[\d{{1,6}}\])*(\.{_KEY}(\[\d{{1,6}}\])*)*")
_STEP = re.compile(rf"({_KEY})|\[(\d+)\]")


def parse(path: str) -> Steps | None:
    """Return the steps of a path, or None if the text is not a path."""
    placed = parse_with_columns(path)
    return tuple(step for step, _, _ in placed) if placed else None


def parse_with_columns(path: str) -> list[tuple[str | int, int, int]] | None:
    """Return the steps of a path, each with the column (from 0) at which it begins and its length."""
    if len(path) > 1000 or not _PATH.fullmatch(path):
        return None
    matches = list(_STEP.finditer(path))
    if len(matches) > MAX_STEPS:
        return None
    return [(int(m[2]) if m[2] else m[1], m.start(), len(m[0])) for m in matches]


def child(value: Value | None, step: str | int) -> Value | None:
    """Return what a step leads to, or None if it does not exist."""
    if isinstance(value, Mapping) and isinstance(step, str):
        return value.get(step)
    if isinstance(value, Sequence) and isinstance(step, int) and step < len(value.items):
        return value.items[step]
    return None
