"""Conditions between the keys of a config, `train.batch_size * 2 <= 512`: read as Python, computed without it."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from cnncli.config.language.suggestions import suggestion
from cnncli.config.yaml.paths import Steps
from cnncli.config.yaml.problems import dotted

MOST_TEXT = 500
"""Characters of a condition."""

FORM = "numbers, keys, + - * / // %, comparisons, and, or, not"
WORDS = {"true": True, "false": False, "null": None}

_ARITHMETIC: Mapping[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_ORDER: Mapping[type, Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_SAME = (ast.Eq, ast.NotEq)
_KNOWN = (
    *(ast.BoolOp, ast.And, ast.Or, ast.UnaryOp, ast.Not, ast.USub, ast.UAdd, ast.Compare, ast.BinOp),
    *(ast.Name, ast.Attribute, ast.Subscript, ast.Constant, ast.Load, *_ARITHMETIC, *_ORDER, *_SAME),
)


@dataclass(frozen=True)
class Verdict:
    """Whether a condition holds.

    Attributes:
        holds: Whether it does.
        excess: By how much it does not: above 0 then, else 0 or below.
    """

    holds: bool
    excess: float

    @classmethod
    def of(cls, holds: bool, distance: float) -> Verdict:
        """Return a verdict, given how far the two sides are apart; at the border of `<`, that is 0."""
        return cls(holds, -abs(distance) if holds else abs(distance) or math.ulp(0.0))


class _AbsentError(Exception):
    """A key does not exist in a config."""


@dataclass(frozen=True)
class Condition:
    """What the values of a config's keys must fulfil.

    Args:
        text: As it is written.

    Raises:
        ValueError: If it cannot be read.
    """

    text: str

    def __post_init__(self) -> None:
        for node in ast.walk(self._tree):
            if not isinstance(node, _KNOWN):
                raise ValueError(f"A condition consists of {FORM}; got {_written(node)}.")
        if not isinstance(self._tree, ast.Compare | ast.BoolOp | ast.UnaryOp | ast.Attribute | ast.Subscript):
            raise ValueError(f'Expected a comparison, such as train.batch_size <= 256; got "{self.text}".')
        list(self.paths())

    @cached_property
    def _tree(self) -> ast.expr:
        if len(self.text) > MOST_TEXT:
            raise ValueError(f"A condition has at most {MOST_TEXT} characters; got {len(self.text):,}.")
        try:
            return ast.parse(self.text.strip(), mode="eval").body
        except SyntaxError as error:
            raise ValueError(f'"{self.text}" cannot be read: {error.msg}.') from error
        except (MemoryError, RecursionError) as error:
            raise ValueError(f'"{self.text[:40]}…" is nested too deep.') from error

    def paths(self) -> Iterator[Steps]:
        """Yield the paths of the keys that it speaks of."""
        waiting: list[ast.AST] = [self._tree]
        while waiting:
            node = waiting.pop()
            if not isinstance(node, ast.Name | ast.Attribute | ast.Subscript):
                waiting += ast.iter_child_nodes(node)
            elif not _is_word(node):
                yield _steps(node)

    def judge(self, document: Mapping[str, Any]) -> Verdict | None:
        """Return whether it holds for a config, or None where a key that decides does not exist there.

        Args:
            document: The config's plain data.

        Raises:
            ValueError: If it cannot be computed: of a text is no half.
        """
        try:
            found = self._truth(self._tree, document)
            if not math.isfinite(found.excess):
                raise ValueError(f"its sides are {found.excess:g} apart")
        except _AbsentError:
            return None
        except (ValueError, ArithmeticError, RecursionError) as error:
            raise ValueError(f'"{self.text}" cannot be computed: {error}') from error
        return found

    def _truth(self, node: ast.expr, document: Mapping[str, Any]) -> Verdict:
        if isinstance(node, ast.BoolOp):
            return self._joined(node, document)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            inner = self._truth(node.operand, document)
            return Verdict.of(not inner.holds, inner.excess)
        if isinstance(node, ast.Compare):
            return self._compared(node, document)
        value = self._value(node, document)
        if not isinstance(value, bool):
            raise ValueError(f"expected true or false for {_written(node)}; got {value!r}")
        return Verdict.of(value, 1.0)

    def _joined(self, node: ast.BoolOp, document: Mapping[str, Any]) -> Verdict:
        """Return the verdict of `and` and `or`; what comes after the first part that decides is not computed."""
        wanted, found = isinstance(node.op, ast.Or), []
        for part in node.values:
            found.append(self._truth(part, document))
            if found[-1].holds == wanted:
                return found[-1]
        return min(found, key=lambda each: abs(each.excess))

    def _compared(self, node: ast.Compare, document: Mapping[str, Any]) -> Verdict:
        values = [self._value(each, document) for each in (node.left, *node.comparators)]
        found = [self._pair(kind, left, right) for kind, left, right in zip(node.ops, values, values[1:], strict=False)]
        return next((each for each in found if not each.holds), max(found, key=lambda each: each.excess))

    def _pair(self, kind: ast.cmpop, left: Any, right: Any) -> Verdict:
        both = _is_number(left) and _is_number(right)
        if not both and type(kind) in _ORDER:
            raise ValueError(f"expected two numbers; got {left!r} and {right!r}")
        distance = float(left - right) if both else 1.0
        if type(kind) in _ORDER:
            return Verdict.of(_ORDER[type(kind)](left, right), distance)
        is_same = left == right and isinstance(left, bool) == isinstance(right, bool)
        return Verdict.of(
            is_same == isinstance(kind, ast.Eq), distance or (1.0 if isinstance(kind, ast.NotEq) else 0.0)
        )

    def _value(self, node: ast.expr, document: Mapping[str, Any]) -> Any:
        if isinstance(node, ast.BinOp):
            return _ARITHMETIC[type(node.op)](self._number(node.left, document), self._number(node.right, document))
        if isinstance(node, ast.UnaryOp) and not isinstance(node.op, ast.Not):
            number = self._number(node.operand, document)
            return -number if isinstance(node.op, ast.USub) else number
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.Name) and _is_word(node):
            return WORDS[node.id]
        if isinstance(node, ast.Name | ast.Attribute | ast.Subscript):
            return _label(_lookup(_steps(node), document))
        return self._truth(node, document).holds

    def _number(self, node: ast.expr, document: Mapping[str, Any]) -> Any:
        value = self._value(node, document)
        if not _is_number(value):
            raise ValueError(f"expected a number for {_written(node)}; got {value!r}")
        return value


def missing(steps: Steps, document: Mapping[str, Any]) -> str | None:
    """Say what does not exist of a key's path in a config, with the nearest name; None where all does."""
    found: Any = document
    for number, step in enumerate(steps):
        try:
            found = found[step]
        except (KeyError, IndexError, TypeError):
            names = list(map(str, found)) if isinstance(found, Mapping) else []
            where = dotted(steps[:number]) or "The config"
            return f'"{dotted(steps)}" does not exist: {where} has no "{step}".{suggestion(str(step), names)}'
    return None


def _lookup(steps: Steps, document: Mapping[str, Any]) -> Any:
    found: Any = document
    try:
        for step in steps:
            found = found[step]
    except (KeyError, IndexError, TypeError) as error:
        raise _AbsentError from error
    return found


def _steps(node: ast.AST) -> Steps:
    """Return the path that `model.layers[0].Conv2D.filters` stands for."""
    if isinstance(node, ast.Name):
        return (node.id,)
    if isinstance(node, ast.Attribute):
        return (*_steps(node.value), node.attr)
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant) and type(node.slice.value) is int:
        return (*_steps(node.value), node.slice.value)
    raise ValueError(f"Expected the path of a key, such as model.layers[0].Conv2D.filters; got {_written(node)}.")


def _label(value: Any) -> Any:
    """Return what a condition compares: of `{SGD: {momentum: 0.9}}` the name."""
    return next(iter(value)) if isinstance(value, Mapping) and len(value) == 1 else value


def _is_word(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id in WORDS


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _written(node: ast.AST) -> str:
    return f'"{ast.unparse(node)}"' if isinstance(node, ast.expr) else f'"{type(node).__name__}"'
