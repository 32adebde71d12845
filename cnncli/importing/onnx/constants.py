"""Parts of an ONNX graph that do not depend on the image: constants, and the shapes that exporters compute with."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from cnncli.importing.graph import GraphImportError
from cnncli.importing.onnx.model import OnnxNode
from cnncli.importing.onnx.values import Net

if TYPE_CHECKING:
    from cnncli.importing.onnx.values import Array

MOST_VALUES = 64
"""Most values of a constant that is computed: shapes are shorter."""

_SHAPES = ("Shape", "Gather", "Unsqueeze", "Squeeze", "Concat", "Slice", "Reshape", "Transpose", "ConstantOfShape")
_COMPUTED = {*_SHAPES, "Cast", "Identity", "Add", "Sub", "Mul"}


def constant(net: Net, node: OnnxNode) -> Array | None:
    """Return what a node makes if that does not depend on the image, else None.

    Raises:
        GraphImportError: If it is a constant of text.
    """
    import numpy as np

    if node.op == "Constant":
        if (made := written(node)) is None:
            raise GraphImportError("a constant of this kind is not supported")
        return made
    if node.op == "Shape" and node.inputs and node.inputs[0] in net.values:
        # Whatever number of images a batch has, -1 stands for it, as in Reshape.
        return np.array([-1, *net.values[node.inputs[0]].onnx_shape], np.int64)
    if node.op not in _COMPUTED or not all(name in net.constants for name in node.inputs if name) or not node.inputs:
        return None
    given = [net.constants[name] for name in node.inputs if name]
    if node.op == "Identity":
        return given[0]
    if node.op == "Transpose" and given[0].ndim == 2 and node.attributes.get("perm", [1, 0]) == [1, 0]:
        return given[0].T
    if any(array.size > MOST_VALUES for array in given):
        return None
    try:
        with np.errstate(all="ignore"):
            made = _computed(node, given)
    except (ValueError, IndexError, TypeError, OverflowError, KeyError):
        raise GraphImportError("computes a shape in a way that is not supported") from None
    return made if made is None or made.size <= MOST_VALUES else None


def written(node: OnnxNode) -> Array | None:
    """Return the numbers that a node Constant holds, or None if it holds anything else."""
    import numpy as np

    for key in ("value", "value_int", "value_ints", "value_float", "value_floats"):
        value = node.attributes.get(key)
        if value is not None:
            return np.asarray(value)
    return None


def _computed(node: OnnxNode, given: list[Array]) -> Array | None:
    import numpy as np

    first = given[0]
    axes = given[1].tolist() if len(given) > 1 else node.attributes.get("axes", [0])
    match node.op:
        case "Gather" if node.attributes.get("axis", 0) == 0:
            return np.asarray(first[given[1].astype(np.int64)])
        case "Unsqueeze":
            return np.expand_dims(first, tuple(int(axis) for axis in np.ravel(axes)))
        case "Squeeze" if first.ndim == 1 and first.size == 1:
            return first.reshape(())
        case "Concat" if all(array.ndim == 1 for array in given):
            return np.concatenate(given)
        case "Cast" if node.attributes.get("to") in (1, 6, 7):
            return first.astype({1: np.float32, 6: np.int32, 7: np.int64}[node.attributes["to"]])
        case "Reshape":
            return first.reshape([int(n) for n in np.ravel(axes)])
        case "Shape":
            return np.array(first.shape, np.int64)
        case "ConstantOfShape" if prod(first.tolist()) <= MOST_VALUES:
            return np.full(first.tolist(), np.ravel(node.attributes.get("value", np.float32(0)))[0])
        case "Add" | "Sub" | "Mul" if all(array.dtype.kind == "i" for array in given):
            return np.asarray({"Add": np.add, "Sub": np.subtract, "Mul": np.multiply}[node.op](first, given[1]))
        case "Slice":
            return _sliced(node, first, given[1:])
    return None


def _sliced(node: OnnxNode, array: Array, given: list[Array]) -> Array:
    """Return a part of an array: starts, ends, axes and steps are inputs, in old files attributes."""
    numbers = (part.reshape(-1).tolist() for part in given)
    found = {**node.attributes, **dict(zip(("starts", "ends", "axes", "steps"), numbers, strict=False))}
    starts = found["starts"]
    axes = found.get("axes", range(len(starts)))
    steps = found.get("steps", [1] * len(starts))
    parts = [slice(None)] * array.ndim
    for axis, start, end, step in zip(axes, starts, found["ends"], steps, strict=True):
        parts[axis] = slice(start, end, step)
    return array[tuple(parts)]
