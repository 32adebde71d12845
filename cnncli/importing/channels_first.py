"""The arrays that a network needs, as frameworks store them that put the channels first: Caffe, Darknet, PyTorch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cnncli.config.schema.schema import Config
from cnncli.importing.flat_order import Order, channels_first_places, is_reordered, orders
from cnncli.importing.graph import GraphImportError
from cnncli.layers.base import Merge, Shape, Weight
from cnncli.layers.graph import input_shapes, shapes

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[np.float32]

_SUPPORTED = {"Conv1D", "Conv2D", "Conv3D", "Conv2DTranspose", "DepthwiseConv2D", "SeparableConv2D", "Dense"}
_SUPPORTED |= {"BatchNormalization", "LayerNormalization", "GroupNormalization"}
"""Layers with weights that other frameworks have too."""


def stored_shape(weight: Weight) -> Shape:
    """Return the shape that an array has where channels come first.

    Kernels are outputs × inputs × window: (3, 3, 16, 32) here is (32, 16, 3, 3) there, and of a transposed convolution
    inputs × outputs × window likewise. A depthwise kernel has one channel a filter: (3, 3, 16, 2) is (32, 1, 3, 3).
    """
    if _is_depthwise(weight):
        *window, channels, multiplier = weight.shape
        return (channels * multiplier, 1, *window)
    return (*weight.shape[:-3:-1], *weight.shape[:-2])


def _is_depthwise(weight: Weight) -> bool:
    return weight.axes[-1:] == ("depth multiplier",)


@dataclass(frozen=True)
class Slot:
    """One array that a network needs.

    Attributes:
        layer: Name of the layer.
        weight: The array with Keras's name and shape.
        order: What the layer's input is made of; empty if that is no vector.
    """

    layer: str
    weight: Weight
    order: Order

    @property
    def name(self) -> str:
        """Layer and weight: "conv2d/kernel"."""
        return f"{self.layer}/{self.weight.name}"

    @property
    def shape(self) -> Shape:
        """Shape of the array where channels come first."""
        return stored_shape(self.weight)

    def placed(self, array: Array) -> Array:
        """Return an array of shape `shape` as Keras has it.

        Raises:
            GraphImportError: If a value is not finite.
        """
        import numpy as np

        if not np.isfinite(array).all():
            raise GraphImportError(f"{self.name} contains values that are not finite")
        if len(self.shape) > 1:
            array = _kernel(array, self.weight)
        if is_reordered(self.order):
            # The first axis of their arrays is the input's: rows of a Dense kernel, values of a normalization.
            array = array[channels_first_places(self.order)]
        return np.ascontiguousarray(array, np.float32)


def _kernel(array: Array, weight: Weight) -> Array:
    if _is_depthwise(weight):
        *window, channels, multiplier = weight.shape
        array = array.reshape(channels, multiplier, *window)
        axes = (*range(2, array.ndim), 0, 1)
    else:
        axes = (*range(2, array.ndim), 1, 0)
    return array.transpose(axes)


def slots(config: Config) -> list[Slot]:
    """Return the arrays that a network needs, layer by layer and in Keras's order.

    Raises:
        GraphImportError: If a layer has weights that other frameworks lack.
    """
    outputs = shapes(config.nodes, config.input_shape)
    found: list[Slot] = []
    for node, order in zip(config.nodes, orders(config), strict=True):
        if isinstance(node.layer, Merge):
            continue
        weights = node.layer.weights(input_shapes(node, outputs, config.input_shape)[0])
        kind = node.layer.type_name()
        if weights and kind not in _SUPPORTED:
            raise GraphImportError(
                f"{node.name}: the weights of {kind} cannot be imported", "Give mean and variance in the config."
            )
        # A bias counts outputs, whatever order the inputs have.
        found += [Slot(node.name, w, order if w.name != "bias" else ()) for w in weights]
    return found


def place(arrays: Mapping[str, Any], needed: Sequence[Slot]) -> dict[str, Array]:
    """Return the arrays as Keras has them.

    Args:
        arrays: By "layer/weight", each of the shape that its slot expects.
        needed: The slots.

    Raises:
        GraphImportError: If a value is not finite.
    """
    import numpy as np

    with np.errstate(over="ignore"):  # What is too large for float32 is found to be infinite.
        return {slot.name: slot.placed(np.asarray(arrays[slot.name], np.float32)) for slot in needed}


def refuse(problems: Sequence[str], where: str, hint: str) -> None:
    """Refuse weights that do not fit, with everything that is wrong.

    Raises:
        GraphImportError: If there are problems.
    """
    if problems:
        lines = "\n".join(f"  {problem}" for problem in problems)
        raise GraphImportError(f"{where}: {len(problems)} of its weights do not fit:\n{lines}", hint)
