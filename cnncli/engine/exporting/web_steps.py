"""What each layer is to the page's JavaScript: a kind of step, its numbers and its weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cnncli.layers.base import Shape
from cnncli.layers.sliding import Sliding

Floats = npt.NDArray[np.float32]

ACTIVATIONS = (
    *("celu", "elu", "exponential", "gelu", "hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh", "leaky_relu"),
    *("linear", "log_sigmoid", "log_softmax", "mish", "relu", "relu6", "selu", "sigmoid", "silu", "softmax"),
    *("softplus", "softsign", "swish", "tanh", "tanh_shrink"),
)
"""Activations that the page computes."""


@dataclass(frozen=True)
class Step:
    """One layer while it becomes a step.

    Attributes:
        layer: Our layer.
        keras: Keras's, with the weights.
        given: Shapes of its inputs.
        shape: Shape of its output.
    """

    layer: Any
    keras: Any
    given: tuple[Shape, ...]
    shape: Shape

    def weight(self, name: str) -> Floats | None:
        """Return a weight of the layer, or None where it has none of that name."""
        found = [np.asarray(w, np.float32) for w in self.keras.weights if w.name == name]
        return found[0] if found else None

    def weights(self, *names: str) -> dict[str, Floats]:
        """Return the weights of some names that there are."""
        return {name: weight for name in names if (weight := self.weight(name)) is not None}


def _window(step: Step) -> dict[str, Any]:
    """Return how a window slides: one entry an image axis."""
    layer: Sliding = step.layer
    slides, windows = layer.slides(), layer.windows(step.given[0]) or ()
    return {
        "size": _pair([slide.size for slide in slides], 1),
        "strides": _pair([slide.stride for slide in slides], 1),
        "dilation": _pair([slide.dilation for slide in slides], 1),
        "margin": _pair([int(window.before) for window in windows], 0),
        "image": True,
    }


def _pair(numbers: Sequence[int], before: int) -> list[int]:
    return [before, *numbers] if len(numbers) == 1 else list(numbers)


def _convolution(step: Step) -> dict[str, Any]:
    arrays = step.weights("kernel", "bias")
    return {
        "kind": "conv",
        **_window(step),
        "groups": step.layer.groups,
        "activation": step.layer.activation,
        "arrays": arrays,
    }


def _transposed(step: Step) -> dict[str, Any]:
    """Return a convolution backwards: where its patches begin, as the forward convolution of its output would pad."""
    layer, kernel = step.layer, step.keras.kernel
    reach = [(n - 1) * s + extent for n, s, extent in zip(step.given[0], layer.strides, layer.extents, strict=False)]
    cut = [max(end - n, 0) // 2 for end, n in zip(reach, step.shape, strict=False)]
    return {
        "kind": "transposed",
        "size": list(layer.kernel_size),
        "strides": list(layer.strides),
        "dilation": list(layer.dilation_rate),
        "margin": cut if layer.padding == "same" else [0, 0],
        "activation": layer.activation,
        "arrays": {"kernel": np.asarray(kernel, np.float32).swapaxes(2, 3), **step.weights("bias")},
    }


def _depthwise(step: Step) -> dict[str, Any]:
    own = {"multiplier": step.layer.depth_multiplier, "activation": step.layer.activation}
    return {"kind": "depthwise", **_window(step), **own, "arrays": step.weights("kernel", "bias")}


def _separable(step: Step) -> dict[str, Any]:
    own = {"multiplier": step.layer.depth_multiplier, "activation": step.layer.activation}
    arrays = step.weights("depthwise_kernel", "pointwise_kernel", "bias")
    return {"kind": "separable", **_window(step), **own, "arrays": arrays}


def _dense(step: Step) -> dict[str, Any]:
    return {"kind": "dense", "activation": step.layer.activation, "arrays": step.weights("kernel", "bias")}


def _pooling(largest: bool) -> Callable[[Step], dict[str, Any]]:
    return lambda step: {"kind": "pool", "largest": largest, **_window(step)}


def _pooling_of_all(largest: bool) -> Callable[[Step], dict[str, Any]]:
    return lambda _: {"kind": "poolAll", "largest": largest}


def _affine(scale: Any, shift: Any) -> dict[str, Any]:
    arrays = {
        "scale": np.atleast_1d(np.asarray(scale, np.float32)),
        "shift": np.atleast_1d(np.asarray(shift, np.float32)),
    }
    return {"kind": "affine", "arrays": arrays}


def _batch_normalization(step: Step) -> dict[str, Any]:
    arrays = step.weights("gamma", "beta", "moving_mean", "moving_variance")
    return {"kind": "batchNorm", "epsilon": step.layer.epsilon, "arrays": arrays}


def _normalization(step: Step) -> dict[str, Any]:
    mean, variance = (np.asarray(v, np.float64).reshape(-1) for v in (step.keras.mean, step.keras.variance))
    scale = 1 / np.maximum(np.sqrt(variance), 1e-7)
    return _affine(scale, -mean * scale)


def _layer_scale(step: Step) -> dict[str, Any]:
    return _affine(step.weight("gamma"), 0.0)


def _learned_normalization(kind: str) -> Callable[[Step], dict[str, Any]]:
    def make(step: Step) -> dict[str, Any]:
        groups = getattr(step.layer, "groups", 1)
        groups = step.given[0][-1] if groups == -1 else groups
        arrays = step.weights("gamma", "beta")
        return {"kind": kind, "epsilon": step.layer.epsilon, "groups": groups, "arrays": arrays}

    return make


def _arguments(kind: str, *names: str) -> Callable[[Step], dict[str, Any]]:
    """Return a step that takes a layer's own arguments along."""
    return lambda step: {"kind": kind, **{name: getattr(step.layer, name) for name in names}}


def _leaky(step: Step) -> dict[str, Any]:
    return {"kind": "rectify", "threshold": 0.0, "negative_slope": step.layer.negative_slope, "max_value": None}


def _moved(kind: str, sign: int, name: str) -> Callable[[Step], dict[str, Any]]:
    def make(step: Step) -> dict[str, Any]:
        edges = getattr(step.layer, name)
        return {"kind": kind, "by": [sign * edges[0][0], sign * edges[1][0]]}

    return make


def _enlarged(step: Step) -> dict[str, Any]:
    smooth = step.layer.interpolation == "bilinear"
    return {"kind": "interpolate"} if smooth else {"kind": "enlarge", "by": list(step.layer.size)}


def _resized(step: Step) -> dict[str, Any]:
    return {"kind": "interpolate" if step.layer.interpolation == "bilinear" else "pick"}


def _combined(step: Step) -> dict[str, Any]:
    return {"kind": "combine", "how": step.layer.type_name()}


STEPS: dict[str, Callable[[Step], dict[str, Any]]] = {
    "Conv1D": _convolution,
    "Conv2D": _convolution,
    "Conv2DTranspose": _transposed,
    "DepthwiseConv2D": _depthwise,
    "SeparableConv2D": _separable,
    "MaxPooling1D": _pooling(True),
    "MaxPooling2D": _pooling(True),
    "AveragePooling1D": _pooling(False),
    "AveragePooling2D": _pooling(False),
    "GlobalAveragePooling1D": _pooling_of_all(False),
    "GlobalAveragePooling2D": _pooling_of_all(False),
    "GlobalMaxPooling1D": _pooling_of_all(True),
    "GlobalMaxPooling2D": _pooling_of_all(True),
    "Dense": _dense,
    "Flatten": _arguments("same"),
    "Reshape": _arguments("same"),
    "Permute": _arguments("permute", "dims"),
    "Dropout": _arguments("same"),
    "SpatialDropout2D": _arguments("same"),
    "BatchNormalization": _batch_normalization,
    "LayerNormalization": _learned_normalization("layerNorm"),
    "GroupNormalization": _learned_normalization("groupNorm"),
    "LocalResponseNormalization": _arguments("localResponses", "depth_radius", "bias", "alpha", "beta"),
    "LayerScale": _layer_scale,
    "Activation": _arguments("activation", "activation"),
    "ReLU": _arguments("rectify", "max_value", "negative_slope", "threshold"),
    "LeakyReLU": _leaky,
    "Softmax": lambda _: {"kind": "activation", "activation": "softmax"},
    "ZeroPadding2D": _moved("shift", 1, "padding"),
    "Cropping2D": _moved("shift", -1, "cropping"),
    "ChannelPadding": _arguments("padChannels", "padding"),
    "UpSampling2D": _enlarged,
    "Resizing": _resized,
    "Rescaling": lambda step: _affine(step.layer.scale, step.layer.offset),
    "Normalization": _normalization,
    **dict.fromkeys(("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"), _combined),
    "Concatenate": _arguments("concatenate"),
}
"""The layers that the page computes."""
