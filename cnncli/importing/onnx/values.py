"""The network of an ONNX file while it is translated: what its values are here, and the operations made so far."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Any

from cnncli.importing.document import config_name
from cnncli.importing.flat_order import MOST_PARTS, Order, channels_first_places, is_reordered
from cnncli.importing.graph import Blobs, GraphImportError, make_layer
from cnncli.importing.onnx.model import OnnxModel, OnnxNode
from cnncli.layers.base import Shape

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

CHANNELS_FIRST = (2, 0, 1)
"""Where height, width and channels of ours stand in an image of ONNX's, batch left out."""

_EPSILON = 1e-5
_OVERHEAD = 2**24
"""Bytes of weights that layers may have beyond those of the file: small arrays that several layers share."""


@dataclass(frozen=True)
class Activation:
    """A value that depends on the image.

    Attributes:
        blob: What it is called here.
        shape: Its shape here, channels last.
        axes: For each axis of ONNX's, which of ours it is; the batch left out.
        order: Of a vector, what its values are made of (see `flat_order`).
    """

    blob: str
    shape: Shape
    axes: tuple[int, ...]
    order: Order = ()

    @property
    def onnx_shape(self) -> Shape:
        """Its shape in ONNX, batch left out."""
        return tuple(self.shape[axis] for axis in self.axes)

    @property
    def is_reordered(self) -> bool:
        """Whether it is a vector with its values in another order than in ONNX."""
        return bool(self.order) and is_reordered(self.order)


class Net:
    """One network on its way.

    Args:
        model: The file's content.
        where: What errors call the file.
    """

    def __init__(self, model: OnnxModel, where: str) -> None:
        self.model, self.where, self.opset = model, where, model.opset
        self.blobs = Blobs()
        self.values: dict[str, Activation] = {}
        self.constants: dict[str, Array] = dict(model.tensors)
        self.weights: dict[str, Array] = {}
        self.readers = Counter(name for node in model.nodes for name in node.inputs)
        self.readers.update(model.outputs)
        self._num_bytes = 0
        self._num_blobs = 0

    def begin(self, name: str, shape: Shape, axes: tuple[int, ...]) -> None:
        """Name the network's input."""
        self.blobs.begin("image", shape)
        self.values[name] = Activation("image", shape, axes)

    def activation(self, node: OnnxNode, index: int = 0) -> Activation:
        """Return an input that depends on the image.

        Raises:
            GraphImportError: If it is missing, a constant, or made by no earlier node.
        """
        name = node.inputs[index] if index < len(node.inputs) else ""
        found = self.values.get(name)
        if found is None:
            problem = "is a constant" if name in self.constants else "is made by no earlier node"
            raise GraphImportError(f'its input "{name[:60]}" {problem}')
        return found

    def image(self, node: OnnxNode) -> Activation:
        """Return the first input, which must be an image with its channels first."""
        found = self.activation(node)
        if found.axes != CHANNELS_FIRST:
            raise GraphImportError("reads no image of the form batch, channels, height, width")
        return found

    def is_constant(self, node: OnnxNode, index: int) -> bool:
        """Whether an input is given and does not depend on the image."""
        return index < len(node.inputs) and node.inputs[index] in self.constants

    def constant(self, node: OnnxNode, index: int) -> Array | None:
        """Return an input that does not depend on the image, or None where it is left out.

        Raises:
            GraphImportError: If it does depend on it.
        """
        name = node.inputs[index] if index < len(node.inputs) else ""
        if not name:
            return None
        if name not in self.constants:
            raise GraphImportError(f'its input "{name[:60]}" is computed; a config can only say a constant')
        return self.constants[name]

    def integers(self, node: OnnxNode, attribute: str, index: int) -> list[int] | None:
        """Return whole numbers that old files have as an attribute and newer ones as an input."""
        given = node.attributes.get(attribute)
        if given is None:
            array = self.constant(node, index)
            given = None if array is None else array.reshape(-1)[:16].tolist()
        return None if given is None else [int(n) for n in (given if isinstance(given, list) else [given])]

    def add(
        self,
        node: OnnxNode,
        kind: str,
        arguments: dict[str, Any],
        sources: Sequence[Activation],
        weights: dict[str, Array] | None = None,
        *,
        suffix: str = "",
        order: Order | None = None,
    ) -> Activation:
        """Add a layer that reads values, and return what it makes, its axes and order like the first value's."""
        layer = make_layer(kind, arguments, node.name[:60])
        blob = f"{self._num_blobs}"
        self._num_blobs += 1
        name = f"{config_name(node.name)}{suffix}"
        self.blobs.add(name, layer, [source.blob for source in sources], blob, origin=name)
        operation = self.blobs.operations[-1]
        needed = {weight.name: weight.shape for stored in operation.stored for weight in stored.weights}
        given = weights or {}
        for key, shape in needed.items():
            if key not in given or given[key].shape != tuple(shape):
                got = given[key].shape if key in given else "none"
                raise GraphImportError(f"its {key} has shape {got}, expected {tuple(shape)}")
            self._keep(f"{operation.name}/{key}", given[key])
        shape, first = self.blobs.shapes[blob], sources[0]
        axes = first.axes if len(shape) == len(first.axes) else CHANNELS_FIRST if len(shape) == 3 else (0,)
        return Activation(blob, shape, axes, (first.order if order is None else order) if len(shape) == 1 else ())

    def _keep(self, key: str, array: Array) -> None:
        import numpy as np

        self._num_bytes += 4 * array.size
        if self._num_bytes > 4 * self.model.size + _OVERHEAD:
            raise GraphImportError("its weights are shared by several layers, which a config cannot say")
        with np.errstate(over="ignore"):
            kept = np.ascontiguousarray(array, np.float32)
        if not np.isfinite(kept).all():
            raise GraphImportError(f"its {key.split('/')[-1]} contains values that are not finite")
        self.weights[key] = kept

    def with_bias(self, node: OnnxNode, given: Activation, bias: Array) -> Activation | None:
        """Return a value with a bias that the layer before takes over; None if it cannot."""
        name = self.blobs.makers[given.blob]
        if not self.blobs.operations or self.readers[node.inputs[0]] + self.readers[node.inputs[1]] > 2:
            return None
        last = self.blobs.operations[-1]
        if last.name != name or not last.layer.is_weighted_sum or getattr(last.layer, "use_bias", True):
            return None
        if f"{name}/bias" in self.weights or bias.shape != (given.shape[-1],):
            return None
        self.blobs.operations[-1] = replace(last, layer=last.layer.model_copy(update={"use_bias": True}))
        self._keep(f"{name}/bias", bias)
        return given

    def affine(self, node: OnnxNode, given: Activation, scale: Array, offset: Array) -> Activation:
        """Return a value times and plus one number a channel: a batch normalization whose statistics are 0 and 1."""
        import numpy as np

        weights = {
            "gamma": scale,
            "beta": offset,
            "moving_mean": np.zeros(len(scale)),
            "moving_variance": np.full(len(scale), 1 - _EPSILON),
        }
        if given.is_reordered:
            places = channels_first_places(given.order)
            weights = {key: array[places] for key, array in weights.items()}
        note = "products and sums with one number a channel became batch normalizations"
        self.blobs.notes.append(note)
        return self.add(node, "BatchNormalization", {"epsilon": _EPSILON}, [given], weights)

    def flattened(self, node: OnnxNode, given: Activation) -> Activation:
        """Return a value as a vector."""
        if len(given.shape) == 1:
            return given
        if given.axes == CHANNELS_FIRST:
            order: Order = (given.shape,)
        elif given.axes == tuple(range(len(given.shape))):
            order = ((prod(given.shape),),)
        else:
            raise GraphImportError("flattens axes in an order that is not supported")
        return self.add(node, "Flatten", {}, [given], order=order)

    def joined(self, given: Sequence[Activation]) -> Order:
        """Return what vectors that stand one after the other are made of."""
        if sum(len(value.order) for value in given) > MOST_PARTS:
            raise GraphImportError(f"joins more than {MOST_PARTS:,} vectors")
        return tuple(part for value in given for part in value.order)
