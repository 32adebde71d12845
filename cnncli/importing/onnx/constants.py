"""Parts of an ONNX graph that do not depend on the image: constants, and the shapes that exporters compute with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnncli.importing.graph import GraphImportError
from cnncli.importing.onnx.model import OnnxNode
from cnncli.importing.onnx.values import Net

if TYPE_CHECKING:
    from cnncli.importing.onnx.values import Array

MOST_VALUES = 64
"""Most values of a constant that is computed: shapes are shorter."""

_COMPUTED = {"Shape", "Gather", "Unsqueeze", "Squeeze", "Concat", "Cast", "Slice", "Identity", "Reshape", "Transpose"}


def constant(net: Net, node: OnnxNode) -> Array | None:
    """Return what a node makes if that does not depend on the image, else None.

    Raises:
        GraphImportError: If it is a constant of text.
    """
    import numpy as np

    if node.op == "Constant":
        return _written(node)
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
        made = _computed(node, given)
    except (ValueError, IndexError, TypeError, OverflowError, KeyError):
        raise GraphImportError("computes a shape in a way that is not supported") from None
    return made if made is None or made.size <= MOST_VALUES else None


def _written(node: OnnxNode) -> Array:
    import numpy as np

    for key in ("value", "value_int", "value_ints", "value_float", "value_floats"):
        value = node.attributes.get(key)
        if value is not None:
            return np.asarray(value)
    raise GraphImportError("a constant of this kind is not supported")


def _computed(node: OnnxNode, given: list[Array]) -> Array | None:
    import numpy as np

    first = given[0]
    axes = given[1].tolist() if len(given) > 1 else node.attributes.get("axes", [0])
    match node.op:
        case "Gather" if node.attributes.get("axis", 0) == 0:
            return np.asarray(first[given[1].astype(np.int64)])
        case "Unsqueeze" if first.ndim == 0:
            return first.reshape(1)
        case "Squeeze" if first.ndim == 1 and first.size == 1:
            return first.reshape(())
        case "Concat" if all(array.ndim == 1 for array in given):
            return np.concatenate(given)
        case "Cast" if node.attributes.get("to") in (1, 6, 7):
            return first.astype({1: np.float32, 6: np.int32, 7: np.int64}[node.attributes["to"]])
        case "Reshape":
            return first.reshape([int(n) for n in np.ravel(axes)])
        case "Slice" if first.ndim == 1:
            starts, ends = (
                (given[i].reshape(-1)[0] if len(given) > i else node.attributes[key][0])
                for i, key in ((1, "starts"), (2, "ends"))
            )
            return first[int(starts) : int(ends)]
    return None
