"""Activations that exporters write as several nodes, where ONNX's version at hand has no operation for them → one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import permutations
from math import isclose, sqrt
from typing import TYPE_CHECKING

from cnncli.importing.onnx.constants import written
from cnncli.importing.onnx.model import OnnxModel, OnnxNode

if TYPE_CHECKING:
    from cnncli.importing.onnx.values import Array

Pattern = str | float | tuple["Pattern", ...]
"""An operation with what it reads, a constant number, or "x": the value that the activation is of."""

_TOLERANCE = 1e-6
_COMMUTATIVE = ("Add", "Mul")


def _gelu() -> Iterator[Pattern]:
    """Yield the ways to write x·(1 + erf(x/√2))/2."""
    scaled: tuple[Pattern, ...] = (("Div", "x", sqrt(2)), ("Mul", "x", sqrt(0.5)))
    for inner in scaled:
        share: Pattern = ("Add", ("Erf", inner), 1.0)
        yield ("Mul", ("Mul", "x", share), 0.5)
        yield ("Mul", ("Mul", "x", 0.5), share)
        yield ("Mul", "x", ("Mul", share, 0.5))


_PATTERNS: tuple[tuple[str, Pattern], ...] = (
    *(("Gelu", pattern) for pattern in _gelu()),
    ("Softsign", ("Div", "x", ("Add", ("Abs", "x"), 1.0))),
    # PyTorch leaves out the logarithm above its threshold, where it changes less than a float32's last digit.
    ("Softplus", ("Where", ("Greater", "x", 20.0), "x", ("Softplus", "x"))),
)


def put_together(model: OnnxModel) -> list[OnnxNode]:
    """Return a model's nodes, in their order, where each activation that is written out is one node."""
    makers = {name: node for node in model.nodes for name in node.outputs[:1] if not node.domain}
    numbers = _numbers(model)
    nodes = list(model.nodes)
    for place, node in enumerate(nodes):
        for op, pattern in _PATTERNS:
            value = None if node.domain else _matched(pattern, node, makers, numbers)
            if value is not None:
                nodes[place] = replace(node, op=op, inputs=(value,), attributes={})
                break
    return list(_still_read(nodes, model)) if nodes != model.nodes else nodes


def _numbers(model: OnnxModel) -> dict[str, float]:
    """Return the constants of one floating-point number by name."""
    arrays: dict[str, Array | None] = dict(model.tensors)
    arrays.update((node.outputs[0], written(node)) for node in model.nodes if node.op == "Constant" and node.outputs)
    return {
        name: float(array.reshape(-1)[0])
        for name, array in arrays.items()
        if array is not None and array.size == 1 and array.dtype.kind == "f"
    }


def _matched(
    pattern: Pattern, node: OnnxNode, makers: Mapping[str, OnnxNode], numbers: Mapping[str, float]
) -> str | None:
    """Return the name of x where a node makes what the pattern says, else None."""

    def values(pattern: Pattern, name: str) -> Iterator[str | None]:
        """Yield the x for which a value is what the pattern says; None where the pattern has none."""
        if isinstance(pattern, str):
            yield name
        elif isinstance(pattern, float):
            if name in numbers and isclose(numbers[name], pattern, rel_tol=_TOLERANCE):
                yield None
        elif name in makers:
            yield from readings(pattern, makers[name])

    def readings(pattern: tuple[Pattern, ...], node: OnnxNode) -> Iterator[str | None]:
        op, *parts = pattern
        if node.op != op or len(node.inputs) != len(parts) or node.domain:
            return
        orders: Iterable[tuple[str, ...]] = permutations(node.inputs) if op in _COMMUTATIVE else (node.inputs,)
        for inputs in orders:
            found = [set(values(part, name)) for part, name in zip(parts, inputs, strict=True)]
            named = [given - {None} for given in found if given != {None}]
            common = set.intersection(*named) if all(found) and named else set()
            yield from common

    assert isinstance(pattern, tuple)  # noqa: S101 - a table of ours
    return next(readings(pattern, node), None)


def _still_read(nodes: list[OnnxNode], model: OnnxModel) -> Iterator[OnnxNode]:
    """Yield the nodes that something still reads, of those that were read before."""
    before = Counter(name for node in model.nodes for name in node.inputs)
    readers = Counter(name for node in nodes for name in node.inputs)
    readers.update(model.outputs)
    kept = []
    for node in reversed(nodes):
        if any(before[name] for name in node.outputs) and not any(readers[name] for name in node.outputs):
            readers.subtract(node.inputs)
            continue
        kept.append(node)
    yield from reversed(kept)
