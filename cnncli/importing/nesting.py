"""A flat graph → the config's lists: branches become Parallel and Residual, or layers name what they read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cnncli.importing.graph import IMAGE, GraphImportError, Operation
from cnncli.layers.base import Merge
from cnncli.layers.graph import INPUT_NAME
from cnncli.layers.merging import Add, Concatenate
from cnncli.layers.named import written

MAX_DEPTH = 40
"""Branches within branches; deeper ones are not nested."""

_SIZES = ("kernel_size", "strides", "pool_size", "dilation_rate", "size", "padding", "cropping")
"""Arguments that have one number an axis, and may be written as one number."""

Parts = list[Any]


class NotNestedError(Exception):
    """Branches that cross one another, or end in another layer than Add and Concatenate."""


def nest(operations: Sequence[Operation]) -> Parts:
    """Return the layers of a network as a config lists them: branches within Parallel and Residual, if all fit so."""
    try:
        return _Nest(operations).sequence(IMAGE, operations[-1].name, 0) if operations else []
    except NotNestedError:
        return chain(operations)


def chain(operations: Sequence[Operation], ends: Sequence[str] = ()) -> Parts:
    """Return the layers of a network in one list, where those name what they read that do not read the one before.

    Args:
        operations: The network; what its outputs do not need is left out.
        ends: Names of the operations that are its outputs; none for the last one.

    Raises:
        GraphImportError: If a layer has the name that the config language has for the network's input.
    """
    parts: Parts = []
    before = IMAGE
    ordered = _ordered(operations, ends or [operation.name for operation in operations[-1:]])
    names_in_use = {operation.name for operation in ordered}
    for operation in ordered:
        if operation.inputs == (before,):
            parts.append(_leaf(operation))
        else:
            if IMAGE in operation.inputs and INPUT_NAME in names_in_use:
                raise GraphImportError(f'a layer is named "{INPUT_NAME}", which stands for the image in a config')
            parts.append(reading(operation))
        before = operation.name
    return parts


def reading(operation: Operation) -> Any:
    """Return a layer that names what it reads."""
    ((kind, arguments),) = _leaf(operation).items()
    names = [name or INPUT_NAME for name in operation.inputs]
    return {kind: {**arguments, "inputs": names if len(names) > 1 else names[0]}}


def _ordered(operations: Sequence[Operation], ends: Sequence[str]) -> list[Operation]:
    """Return what the ends need, each behind its inputs and close behind the last of them."""
    by_name = {operation.name: operation for operation in operations}
    ordered: dict[str, Operation] = {}
    waiting = list(reversed(ends))
    while waiting:
        operation = by_name[waiting[-1]]
        missing = [name for name in operation.inputs if name != IMAGE and name not in ordered]
        if missing and operation.name not in ordered:
            waiting += missing[::-1]
        else:
            ordered.setdefault(waiting.pop(), operation)
    return list(ordered.values())


class _Nest:
    """One graph on its way."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        self._operations = {operation.name: operation for operation in operations}
        self._depths = {IMAGE: 0}
        self._forks: dict[str, str] = {}
        self._used: set[str] = set()
        for operation in operations:
            fork = self._common(operation.inputs)
            self._forks[operation.name] = fork
            self._depths[operation.name] = self._depths[fork] + 1

    def _common(self, names: Sequence[str]) -> str:
        """Return the last operation that every way to `names` passes."""
        first, *others = names
        for other in others:
            while first != other:
                if self._depths[first] >= self._depths[other]:
                    first = self._forks[first]
                else:
                    other = self._forks[other]
        return first

    def sequence(self, source: str, end: str, depth: int) -> Parts:
        """Return what leads from one operation's output to another's."""
        if depth > MAX_DEPTH:
            raise NotNestedError(end)
        parts: Parts = []
        while end != source:
            if end == IMAGE or end in self._used:
                raise NotNestedError(end)
            self._used.add(end)
            operation = self._operations[end]
            fork = self._forks[end]
            parts.append(self._part(operation, fork, depth))
            end = fork
        return parts[::-1]

    def _part(self, operation: Operation, fork: str, depth: int) -> Any:
        if not isinstance(operation.layer, Merge):
            return _leaf(operation)
        if not isinstance(operation.layer, (Add, Concatenate)):
            raise NotNestedError(operation.name)
        branches = [self.sequence(fork, name, depth + 1) for name in operation.inputs]
        if isinstance(operation.layer, Concatenate):
            return {"Parallel": branches}
        return _sum(operation, branches)


def _sum(operation: Operation, branches: list[Parts]) -> Any:
    """Return a Residual, or for more than two terms Residuals within each other."""
    layers, *others = sorted(branches, key=lambda branch: not branch)
    if not layers:
        raise NotNestedError(operation.name)
    for shortcut in others:
        residual = {"Residual": {"layers": layers, **({"shortcut": shortcut} if shortcut else {})}}
        layers = [residual]
    return layers[0]


def _leaf(operation: Operation) -> Any:
    ((kind, arguments),) = written(operation.layer.model_copy(update={"name": operation.name})).items()  # type: ignore[union-attr]
    if arguments.get("strides") == arguments.get("pool_size"):
        arguments.pop("strides", None)
    if arguments.get("activation") == "linear" and kind != "Activation":
        del arguments["activation"]
    name = arguments.pop("name")
    return {kind: {**{key: _short(key, value) for key, value in arguments.items()}, "name": name}}


def _short(key: str, value: Any) -> Any:
    """Return one number for a size that is the same along every axis and on both sides."""
    if key not in _SIZES or not isinstance(value, list):
        return value
    # One pair alone would be a height and a width, where both axes' pairs are before and after.
    numbers = {n for item in value for n in (item if isinstance(item, list) else [item])}
    return numbers.pop() if len(numbers) == 1 else value
