"""ONNX's convolutions and poolings: margins, ceil_mode, auto_pad."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cnncli.importing.graph import GraphImportError
from cnncli.importing.onnx.model import OnnxNode
from cnncli.importing.onnx.values import Activation, Net

_NOT_NEGATIVE = ("relu", "sigmoid", "softmax", "hard_sigmoid", "relu6")

Edges = list[tuple[int, int]]
"""Margins before and after, along height and width."""


@dataclass(frozen=True)
class Window:
    """What slides over an image, along height and width.

    Attributes:
        size: Of the window.
        strides: Between neighbouring ones.
        dilations: Between values of one.
        edges: Margins.
        is_same: Whether the margins are those of Keras's `padding: same`.
    """

    size: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    edges: Edges
    is_same: bool

    @property
    def is_bare(self) -> bool:
        """Whether there are no margins."""
        return not any(before or after for before, after in self.edges)


def pair(node: OnnxNode, attribute: str, default: int) -> tuple[int, ...]:
    """Return an attribute of two whole numbers."""
    given = node.attributes.get(attribute)
    found = (default, default) if given is None else tuple(given) if isinstance(given, list) else ()
    if len(found) != 2 or not all(isinstance(n, int) and 1 <= n < 2**31 for n in found):
        raise GraphImportError(f"{attribute}: got {str(given)[:40]}, expected two positive integers")
    return found


def window(node: OnnxNode, lengths: tuple[int, ...], size: tuple[int, ...]) -> Window:
    """Return the windows of a node over an image of some height and width.

    Raises:
        GraphImportError: If an attribute is not what ONNX says.
    """
    strides, dilations = pair(node, "strides", 1), pair(node, "dilations", 1)
    spans = [d * (k - 1) + 1 for k, d in zip(size, dilations, strict=True)]
    same = [_same(*axis) for axis in zip(lengths, spans, strides, strict=True)]
    how = node.attributes.get("auto_pad") or "NOTSET"
    if how == "SAME_UPPER":
        edges = same
    elif how == "SAME_LOWER":
        edges = [(after, before) for before, after in same]
    elif how == "VALID":
        edges = [(0, 0), (0, 0)]
    elif how == "NOTSET":
        edges = _pads(node)
    else:
        raise GraphImportError(f"auto_pad: {how[:40]} is not known")
    if node.attributes.get("ceil_mode"):
        edges = [_ceil(*axis) for axis in zip(lengths, spans, strides, edges, strict=True)]
    return Window(size, strides, dilations, edges, edges == same)


def _pads(node: OnnxNode) -> Edges:
    pads = node.attributes.get("pads") or [0, 0, 0, 0]
    if not isinstance(pads, list) or len(pads) != 4 or not all(isinstance(n, int) and 0 <= n < 2**31 for n in pads):
        raise GraphImportError(f"pads: got {str(pads)[:40]}, expected four integers of at least 0")
    return [(pads[0], pads[2]), (pads[1], pads[3])]


def _same(length: int, span: int, stride: int) -> tuple[int, int]:
    total = max((-(-length // stride) - 1) * stride + span - length, 0)
    return total // 2, total - total // 2


def _ceil(length: int, span: int, stride: int, edge: tuple[int, int]) -> tuple[int, int]:
    """Return margins with which rounding down gives what `ceil_mode` gives; no window begins behind the image."""
    before, after = edge
    number = -(-(length + before + after - span) // stride) + 1
    if (number - 1) * stride >= length + before:
        number -= 1
    return before, max(after, (number - 1) * stride + span - length - before)


def convolution(net: Net, node: OnnxNode) -> Activation:
    """Translate Conv: with groups of one channel a DepthwiseConv2D."""
    given = net.image(node)
    kernel, bias = net.constant(node, 1), net.constant(node, 2)
    if kernel is None or kernel.ndim != 4:
        raise GraphImportError("its kernel is missing or not of four axes")
    groups = node.attributes.get("group", 1)
    size = tuple(kernel.shape[2:])
    over = window(node, given.shape[:2], size)
    if (
        not over.is_bare
        and not (over.is_same and over.strides == (1, 1))
        and node.attributes.get("auto_pad") not in ("SAME_UPPER",)
    ):
        given = _padded(net, node, given, over.edges)
        padding = "valid"
    else:
        padding = "valid" if over.is_bare else "same"
    channels = given.shape[-1]
    arguments: dict[str, Any] = {
        "kernel_size": size,
        "strides": over.strides,
        "dilation_rate": over.dilations,
        "padding": padding,
        "use_bias": bias is not None,
    }
    weights = {} if bias is None else {"bias": bias}
    regular = over.strides[0] == over.strides[1] and over.dilations[0] == over.dilations[1]
    if groups == channels > 1 and kernel.shape[0] % channels == 0 and kernel.shape[1] == 1 and regular:
        multiplier = kernel.shape[0] // channels
        weights["kernel"] = kernel.reshape(channels, multiplier, *size).transpose(2, 3, 0, 1)
        return net.add(node, "DepthwiseConv2D", {**arguments, "depth_multiplier": multiplier}, [given], weights)
    weights["kernel"] = kernel.transpose(2, 3, 1, 0)
    return net.add(node, "Conv2D", {**arguments, "filters": kernel.shape[0], "groups": groups}, [given], weights)


def transposed_convolution(net: Net, node: OnnxNode) -> Activation:
    """Translate ConvTranspose: one without margins, and what ONNX cuts off."""
    given = net.image(node)
    kernel, bias = net.constant(node, 1), net.constant(node, 2)
    if kernel is None or kernel.ndim != 4:
        raise GraphImportError("its kernel is missing or not of four axes")
    if node.attributes.get("group", 1) != 1:
        raise GraphImportError("groups of a transposed convolution are not supported")
    if node.attributes.get("auto_pad") not in (None, "NOTSET", "VALID") or "output_shape" in node.attributes:
        raise GraphImportError("auto_pad and output_shape of a transposed convolution are not supported")
    extra = node.attributes.get("output_padding") or [0, 0]
    cuts = [(before, after - more) for (before, after), more in zip(_pads(node), extra, strict=False)]
    if any(after < 0 for _, after in cuts):
        raise GraphImportError("output_padding beyond pads is not supported")
    arguments = {
        "filters": kernel.shape[1],
        "kernel_size": tuple(kernel.shape[2:]),
        "strides": pair(node, "strides", 1),
        "dilation_rate": pair(node, "dilations", 1),
        "use_bias": bias is not None,
    }
    weights = {"kernel": kernel.transpose(2, 3, 1, 0), **({} if bias is None else {"bias": bias})}
    strides, size = arguments["strides"], arguments["kernel_size"]
    if any(stride > length for stride, length in zip(strides, size, strict=True)):
        raise GraphImportError("a transposed convolution with strides beyond its kernel is not supported")
    made = net.add(node, "Conv2DTranspose", arguments, [given], weights)
    return made if cuts == [(0, 0), (0, 0)] else net.add(node, "Cropping2D", {"cropping": cuts}, [made], suffix="_crop")


def _padded(net: Net, node: OnnxNode, given: Activation, edges: Edges) -> Activation:
    return net.add(node, "ZeroPadding2D", {"padding": edges}, [given], suffix="_pad")


def pooling(kind: str, net: Net, node: OnnxNode) -> Activation:
    """Translate MaxPool and AveragePool.

    Margins of a MaxPool are minus infinity, and an AveragePool may leave them out: what Keras has only as `padding:
    same`. Where those margins are others, a pooling with strides of 1 is made, of which every second place is taken.
    """
    given = net.image(node)
    if len(node.outputs) > 1 and net.readers[node.outputs[1]]:
        raise GraphImportError("places of the maxima are not supported")
    over = window(node, given.shape[:2], pair(node, "kernel_shape", 0))
    if over.dilations != (1, 1):
        raise GraphImportError("a pooling with dilations is not supported")
    arguments: dict[str, Any] = {"pool_size": over.size, "strides": over.strides}
    counts_margins = kind == "AveragePooling2D" and node.attributes.get("count_include_pad", 0) == 1
    if over.is_bare:
        return net.add(node, kind, arguments, [given])
    if counts_margins:
        if node.attributes.get("ceil_mode") and over.edges != _pads(node):
            raise GraphImportError("windows beyond the margin (ceil_mode with count_include_pad) are not supported")
        return net.add(node, kind, arguments, [_padded(net, node, given, over.edges)])
    if over.is_same:
        return net.add(node, kind, {**arguments, "padding": "same"}, [given])
    if kind == "MaxPooling2D" and _is_not_negative(net, given):
        return net.add(node, kind, arguments, [_padded(net, node, given, over.edges)])
    return _by_places(kind, net, node, given, over)


def _is_not_negative(net: Net, given: Activation) -> bool:
    name = net.blobs.makers[given.blob]
    last = next((o for o in reversed(net.blobs.operations) if o.name == name), None)
    if last is None:
        return False
    if last.layer.type_name() == "ReLU":
        return not getattr(last.layer, "negative_slope", 0)
    return getattr(last.layer, "activation", None) in _NOT_NEGATIVE


def _by_places(kind: str, net: Net, node: OnnxNode, given: Activation, over: Window) -> Activation:
    """Return a pooling at every place, and of those the ones at which the windows stand."""
    cuts = []
    for length, size, stride, (before, after) in zip(given.shape[:2], over.size, over.strides, over.edges, strict=True):
        number = (length + before + after - size) // stride + 1
        begin = (size - 1) // 2 - before
        end = length - (begin + (number - 1) * stride + 1)
        if begin < 0 or end < 0:
            raise GraphImportError("a pooling with margins of more than half its window is not supported")
        cuts.append((begin, end))
    every = {"pool_size": over.size, "strides": 1, "padding": "same"}
    made = net.add(node, kind, every, [given])
    if any(begin or end for begin, end in cuts):
        made = net.add(node, "Cropping2D", {"cropping": cuts}, [made], suffix="_crop")
    if over.strides == (1, 1):
        return made
    return net.add(node, "MaxPooling2D", {"pool_size": 1, "strides": over.strides}, [made], suffix="_places")


def padding(net: Net, node: OnnxNode) -> Activation:
    """Translate Pad: zeros around an image, or behind its channels."""
    import numpy as np

    given = net.activation(node)
    pads = net.integers(node, "pads", 1)
    value = net.constant(node, 2)
    number = float(node.attributes.get("value") or 0.0) if value is None else float(np.sum(value))
    rank = len(given.axes) + 1
    if node.attributes.get("mode") not in (None, "constant") or number:
        raise GraphImportError("margins of anything but zeros are not supported")
    if net.is_constant(node, 3) or pads is None or len(pads) != 2 * rank or rank != 4 or pads[0] or pads[rank]:
        raise GraphImportError("pads: expected two integers for each axis of an image, and none for the batch")
    by_axis = {axis: (pads[i + 1], pads[i + 1 + rank]) for i, axis in enumerate(given.axes)}
    edges = [by_axis[0], by_axis[1]]
    if any(n < 0 or n >= 2**31 for edge in by_axis.values() for n in edge):
        raise GraphImportError("negative pads are not supported")
    made = given
    if any(map(any, edges)):
        made = net.add(node, "ZeroPadding2D", {"padding": edges}, [made])
    if any(by_axis[2]):
        made = net.add(node, "ChannelPadding", {"padding": list(by_axis[2])}, [made], suffix="_channels")
    return made
