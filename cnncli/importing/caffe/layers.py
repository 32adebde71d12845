"""What each of Caffe's layers means in our vocabulary."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import Any

from cnncli.importing.caffe.text_format import Message, number, single, whole
from cnncli.importing.graph import GraphImportError, make_layer
from cnncli.layers.base import Layer


class Context:
    """A layer of the file while it is translated.

    Args:
        layer: Its message.
        shape: Of its first input.
        name: Its name.
        note: Hears what a user should know.
    """

    def __init__(self, layer: Message, shape: tuple[int, ...], name: str, note: Callable[[str], None]) -> None:
        self.layer, self.shape, self.name, self.note = layer, shape, name, note

    def parameters(self, field: str) -> Message:
        """Return the message that holds the layer's arguments."""
        found = single(self.layer, field, {})
        return found if isinstance(found, dict) else {}

    def whole(self, parameters: Message, field: str, default: int, least: int = 0) -> int:
        """Return an argument that is a whole number."""
        return whole(single(parameters, field, default), f"{self.name}: {field}", least)

    def number(self, parameters: Message, field: str, default: float) -> float:
        """Return an argument that is a number."""
        return number(single(parameters, field, default), f"{self.name}: {field}")

    def pair(self, parameters: Message, field: str, default: int) -> tuple[int, int]:
        """Return height and width of an argument that is said once, twice, or as field_h and field_w."""
        stem = "kernel" if field == "kernel_size" else field
        if f"{stem}_h" in parameters:
            return self.whole(parameters, f"{stem}_h", default, default), self.whole(
                parameters, f"{stem}_w", default, default
            )
        values = [whole(value, f"{self.name}: {field}", default) for value in parameters.get(field) or [default]]
        return values[0], values[-1]

    def make(self, kind: str, **arguments: Any) -> Layer:
        """Return a layer of the vocabulary."""
        return make_layer(kind, arguments, self.name)


Made = list[tuple[str, Layer]]
"""Suffix of the name and layer."""


def _convolution(context: Context) -> Made:
    parameters = context.parameters("convolution_param")
    size, stride = context.pair(parameters, "kernel_size", 1), context.pair(parameters, "stride", 1)
    pad, dilation = context.pair(parameters, "pad", 0), context.pair(parameters, "dilation", 1)
    same = stride == (1, 1) and all(2 * p == (k - 1) * d for p, k, d in zip(pad, size, dilation, strict=True))
    convolution = context.make(
        "Conv2D",
        filters=context.whole(parameters, "num_output", 0),
        kernel_size=size,
        strides=stride,
        padding="same" if same and pad != (0, 0) else "valid",
        dilation_rate=dilation,
        groups=context.whole(parameters, "group", 1),
        use_bias=bool(single(parameters, "bias_term", True)),
    )
    if same or pad == (0, 0):
        return [("", convolution)]
    return [("_pad", context.make("ZeroPadding2D", padding=pad)), ("", convolution)]


def _pooling(context: Context) -> Made:
    parameters = context.parameters("pooling_param")
    average = str(single(parameters, "pool", "MAX")) in ("AVE", "1")
    if single(parameters, "global_pooling", False) is True:
        kind = "GlobalAveragePooling2D" if average else "GlobalMaxPooling2D"
        return [("", context.make(kind))]
    size, stride = context.pair(parameters, "kernel_size", 1), context.pair(parameters, "stride", 1)
    pad = context.pair(parameters, "pad", 0)
    edges = [_edges(*axis) for axis in zip(context.shape[:2], size, stride, pad, strict=True)]
    kind = "AveragePooling2D" if average else "MaxPooling2D"
    pool = {"pool_size": size, "strides": stride}
    if all(edge <= (0, 0) for edge in edges):
        return [("", context.make(kind, **pool))]
    if all(_is_same(*axis) for axis in zip(context.shape[:2], size, stride, edges, strict=True)) and not (
        average and any(pad)
    ):
        return [("", context.make(kind, **pool, padding="same"))]
    if average and any(after > margin for (_, after), margin in zip(edges, pad, strict=True)):
        context.note(
            f"{context.name}: its last windows include zeros beyond the padding; in Caffe they end at the border"
        )
    if not average:
        context.note(f"{context.name}: its padding counts as 0, in Caffe as minus infinity (equal after a ReLU)")
    margins = tuple((max(0, before), max(0, after)) for before, after in edges)
    return [("_pad", context.make("ZeroPadding2D", padding=margins)), ("", context.make(kind, **pool))]


def _edges(length: int, size: int, stride: int, pad: int) -> tuple[int, int]:
    """Return the margins that Caffe's windows need: it rounds up where ours would leave the rest out."""
    number = ceil((length + 2 * pad - size) / stride) + 1
    if pad and (number - 1) * stride >= length + pad:
        number -= 1
    return pad, (number - 1) * stride + size - length - pad


def _is_same(length: int, size: int, stride: int, edge: tuple[int, int]) -> bool:
    total = max((ceil(length / stride) - 1) * stride + size - length, 0)
    return edge == (total // 2, total - total // 2)


def _dense(context: Context) -> Made:
    parameters = context.parameters("inner_product_param")
    units, bias = context.whole(parameters, "num_output", 0), bool(single(parameters, "bias_term", True))
    dense = context.make("Dense", units=units, use_bias=bias)
    return [("", dense)] if len(context.shape) == 1 else [("_flatten", context.make("Flatten")), ("", dense)]


def _responses(context: Context) -> Made:
    parameters = context.parameters("lrn_param")
    size = context.whole(parameters, "local_size", 5, least=1)
    if str(single(parameters, "norm_region", "ACROSS_CHANNELS")) in ("WITHIN_CHANNEL", "1"):
        context.note(f"{context.name}: normalizes within a channel in Caffe, across {size} channels here")
    arguments = {
        "depth_radius": (size - 1) // 2,
        "alpha": context.number(parameters, "alpha", 1.0) / size,
        "beta": context.number(parameters, "beta", 0.75),
        "bias": context.number(parameters, "k", 1.0),
    }
    return [("", context.make("LocalResponseNormalization", **arguments))]


def _batch_normalization(context: Context) -> Made:
    epsilon = context.number(context.parameters("batch_norm_param"), "eps", 1e-5)
    return [("", context.make("BatchNormalization", epsilon=epsilon, center=False, scale=False))]


def _scale(context: Context) -> Made:
    center = bool(single(context.parameters("scale_param"), "bias_term", False))
    # Marks what the batch normalization before it becomes; `folding` puts the two together.
    return [("", context.make("BatchNormalization", epsilon=1.0, momentum=0.0, center=center))]


def _relu(context: Context) -> Made:
    slope = context.number(context.parameters("relu_param"), "negative_slope", 0.0)
    return [("", context.make("LeakyReLU", negative_slope=slope) if slope else context.make("ReLU"))]


def _activation(name: str) -> Callable[[Context], Made]:
    return lambda context: [("", context.make("Activation", activation=name))]


def _dropout(context: Context) -> Made:
    rate = context.number(context.parameters("dropout_param"), "dropout_ratio", 0.5)
    return [("", context.make("Dropout", rate=rate))]


def _eltwise(context: Context) -> Made:
    parameters = context.parameters("eltwise_param")
    operation = str(single(parameters, "operation", "SUM"))
    if operation not in _ELTWISE or parameters.get("coeff"):
        raise GraphImportError(f"{context.name}: only plain sums, products and maxima are supported")
    return [("", context.make(_ELTWISE[operation]))]


_ELTWISE = {"PROD": "Multiply", "0": "Multiply", "SUM": "Add", "1": "Add", "MAX": "Maximum", "2": "Maximum"}
"""What combines blobs value by value, by Caffe's name and number of the operation."""


def _concat(context: Context) -> Made:
    if single(context.parameters("concat_param"), "axis", 1) != 1:
        raise GraphImportError(f"{context.name}: branches can be concatenated along the channels only")
    return [("", context.make("Concatenate"))]


def _softmax(context: Context) -> Made:
    axis = context.whole(context.parameters("softmax_param"), "axis", 1)
    if axis != 1:
        raise GraphImportError(
            f"{context.name}: Softmax is supported along the channels (axis: 1) only; got axis: {axis}"
        )
    flat = [("_flatten", context.make("Flatten"))] if context.shape[:-1] == (1, 1) else []
    return [*flat, ("", context.make("Softmax"))]


LAYERS: dict[str, Callable[[Context], Made]] = {
    "convolution": _convolution,
    "pooling": _pooling,
    "innerproduct": _dense,
    "lrn": _responses,
    "batchnorm": _batch_normalization,
    "scale": _scale,
    "relu": _relu,
    "tanh": _activation("tanh"),
    "sigmoid": _activation("sigmoid"),
    "elu": _activation("elu"),
    "dropout": _dropout,
    "eltwise": _eltwise,
    "concat": _concat,
    "flatten": lambda context: [("", context.make("Flatten"))],
    "softmax": _softmax,
}
"""By the type's name in lower case, without underscores: the old spelling of types too."""
