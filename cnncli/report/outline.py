"""Marks before layer names that show branches: where they split, run side by side and meet again."""

from __future__ import annotations

import re
from collections.abc import Sequence

_BRANCH = re.compile(r".*?(?:Parallel(?:\.branches)?\[\d+\]|Residual\.(?:layers|shortcut)(?=\[))")


def marks(paths: Sequence[str]) -> list[str]:
    """Return a mark for each layer's path: "┌ ", "├ ", "│ ", "└ ", or nothing outside branches.

    The layer that ends a composite, whose path is the composite's own, gets "└ ".
    """
    found: list[str] = []
    before: tuple[str, ...] = ()
    for path in paths:
        branches = _branches(path)
        found.append("".join(_mark(i, branches, before) for i in range(len(branches))) + _end(path, branches, before))
        before = branches
    return found


def _branches(path: str) -> tuple[str, ...]:
    """Return the path up to each branch that the layer stands in, outermost first."""
    return tuple(path[: match.end()] for match in _BRANCH.finditer(path))


def _mark(level: int, branches: tuple[str, ...], before: tuple[str, ...]) -> str:
    branch = branches[level]
    if branch in before:
        return "│ "
    owner = _owner(branch)
    return "├ " if any(_owner(other) == owner for other in before) else "┌ "


def _end(path: str, branches: tuple[str, ...], before: tuple[str, ...]) -> str:
    deeper = len(before) > len(branches)
    return "└ " if deeper and _owner(before[len(branches)]) == path else ""


def _owner(branch: str) -> str:
    return re.sub(r"((?:\.branches)?\[\d+\]|\.layers|\.shortcut)$", "", branch)
