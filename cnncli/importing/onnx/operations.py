"""What each of ONNX's operations is in our layers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import isfinite, prod
from typing import TYPE_CHECKING, Any

from cnncli.importing.flat_order import channels_first_places
from cnncli.importing.graph import GraphImportError
from cnncli.importing.onnx.model import OnnxNode
from cnncli.importing.onnx.values import CHANNELS_FIRST, Activation, Net
from cnncli.importing.onnx.windows import convolution, padding, pooling, transposed_convolution

if TYPE_CHECKING:
    from cnncli.importing.onnx.values import Array

Translate = Callable[[Net, OnnxNode], Activation]


def _number(node: OnnxNode, attribute: str, default: float) -> float:
    value = node.attributes.get(attribute, default)
    if type(value) not in (int, float) or not isfinite(value):
        raise GraphImportError(f"{attribute}: got {str(value)[:40]}, expected a number")
    return float(value)


def _layer(kind: str, **arguments: Any) -> Translate:
    return lambda net, node: net.add(node, kind, arguments, [net.activation(node)])


def _activation(name: str, **expected: float) -> Translate:
    """Return what translates an activation of fixed numbers; each attribute with ONNX's default and the one needed."""

    def translate(net: Net, node: OnnxNode) -> Activation:
        for attribute, needed in expected.items():
            default = {"alpha": 0.2, "beta": 0.5}[attribute] if name == "hard_sigmoid" else 1.0
            value = _number(node, attribute, default)
            if abs(value - needed) > 1e-6:
                raise GraphImportError(f"{attribute}: got {value:g}; only {needed:g} is supported")
        return net.add(node, "Activation", {"activation": name}, [net.activation(node)])

    return translate


def _gelu(net: Net, node: OnnxNode) -> Activation:
    if node.attributes.get("approximate") not in (None, "none"):
        raise GraphImportError("an approximate Gelu is not supported")
    return _activation("gelu")(net, node)


def _leaky_relu(net: Net, node: OnnxNode) -> Activation:
    arguments = {"negative_slope": _number(node, "alpha", 0.01)}
    return net.add(node, "LeakyReLU", arguments, [net.activation(node)])


def _parametric_relu(net: Net, node: OnnxNode) -> Activation:
    slope = net.constant(node, 1)
    if slope is None or slope.size == 0 or not (slope == slope.reshape(-1)[0]).all():
        raise GraphImportError("a PRelu with unlike slopes is not supported")
    return net.add(node, "LeakyReLU", {"negative_slope": float(slope.reshape(-1)[0])}, [net.activation(node)])


def _clip(net: Net, node: OnnxNode) -> Activation:
    limits: list[float | None] = []
    for index, attribute in enumerate(("min", "max"), 1):
        given = net.constant(node, index)
        value = node.attributes.get(attribute) if given is None else float(given.reshape(-1)[:1].sum())
        limits.append(None if value is None or abs(value) > 1e38 else float(value))
    match limits:
        case [0.0, None]:
            return _layer("ReLU")(net, node)
        case [0.0, float(top)] if top > 0:
            return _layer("ReLU", max_value=top)(net, node)
        case [-1.0, 1.0]:
            return _activation("hard_tanh")(net, node)
        case [None, None]:
            return net.activation(node)
    raise GraphImportError(f"limits of {limits[0]} and {limits[1]} are not supported, only 0 and a number, or -1 and 1")


def _softmax(net: Net, node: OnnxNode) -> Activation:
    given = net.activation(node)
    rank = len(given.axes) + 1
    axis = node.attributes.get("axis", 1 if net.opset < 13 else -1)
    if not isinstance(axis, int) or not -rank <= axis < rank:
        raise GraphImportError(f"axis: got {str(axis)[:40]}, expected an axis of its input")
    # Before opset 13 all axes from this one on are taken together.
    whole = net.opset < 13 and prod(given.onnx_shape[axis % rank - 1 :]) != given.shape[-1]
    if axis % rank == 0 or given.axes[axis % rank - 1] != len(given.shape) - 1 or whole:
        raise GraphImportError("Softmax is supported along the channels only")
    kind = "Softmax" if node.op == "Softmax" else "Activation"
    return net.add(node, kind, {} if kind == "Softmax" else {"activation": "log_softmax"}, [given])


def _batch_normalization(net: Net, node: OnnxNode) -> Activation:
    given = net.activation(node)
    if node.attributes.get("training_mode") or any(net.readers[name] for name in node.outputs[1:]):
        raise GraphImportError("a batch normalization in training mode is not supported")
    if len(given.axes) > 1 and given.axes[0] != len(given.shape) - 1:
        raise GraphImportError("normalizes another axis than the channels")
    names = ("gamma", "beta", "moving_mean", "moving_variance")
    weights = {}
    for index, name in enumerate(names, 1):
        array = net.constant(node, index)
        if array is None or array.shape != (given.shape[-1],):
            raise GraphImportError(f"its {name} has shape {None if array is None else array.shape}")
        weights[name] = array[channels_first_places(given.order)] if given.is_reordered else array
    momentum = _number(node, "momentum", 0.9)
    arguments = {"epsilon": _number(node, "epsilon", 1e-5), "momentum": momentum if 0 < momentum < 1 else 0.9}
    return net.add(node, "BatchNormalization", arguments, [given], weights)


def _responses(net: Net, node: OnnxNode) -> Activation:
    given = net.image(node)
    size = node.attributes.get("size")
    if not isinstance(size, int) or size < 1 or size % 2 == 0:
        raise GraphImportError(f"size: got {str(size)[:40]}, expected an odd number of channels")
    arguments = {
        "depth_radius": size // 2,
        "alpha": _number(node, "alpha", 1e-4) / size,
        "beta": _number(node, "beta", 0.75),
        "bias": _number(node, "bias", 1.0),
    }
    return net.add(node, "LocalResponseNormalization", arguments, [given])


def _global_pooling(kind: str, net: Net, node: OnnxNode) -> Activation:
    return net.add(node, kind, {"keepdims": True}, [net.image(node)])


def _reduced(kind: str, net: Net, node: OnnxNode) -> Activation:
    """Translate ReduceMean and ReduceMax over height and width."""
    given = net.activation(node)
    rank = len(given.axes) + 1
    axes = {axis % rank for axis in net.integers(node, "axes", 1) or ()}
    places = {index + 1 for index, axis in enumerate(given.axes) if axis < 2}
    if rank != 4 or axes != places:
        raise GraphImportError(f"{node.op} is supported over height and width only")
    keeps = node.attributes.get("keepdims", 1) == 1
    return net.add(node, kind, {"keepdims": keeps}, [given], order=((given.shape[-1],),))


def _dense(net: Net, node: OnnxNode) -> Activation:
    """Translate Gemm and MatMul with a constant matrix."""
    import numpy as np

    given, kernel = net.activation(node), net.constant(node, 1)
    if kernel is None or kernel.ndim != 2 or len(given.shape) != 1 or node.attributes.get("transA"):
        raise GraphImportError("only a vector of each image times a constant matrix is supported")
    bias = net.constant(node, 2) if node.op == "Gemm" else None
    if node.attributes.get("transB"):
        kernel = kernel.T
    if kernel.shape[0] != given.shape[0]:
        raise GraphImportError(f"its matrix has {kernel.shape[0]:,} rows for {given.shape[0]:,} values")
    if given.is_reordered:
        kernel = kernel[channels_first_places(given.order)]
    if node.op == "Gemm":
        alpha, beta = _number(node, "alpha", 1.0), _number(node, "beta", 1.0)
        kernel = kernel if alpha == 1 else kernel * alpha
        bias = bias if beta == 1 or bias is None else bias * beta
    weights = {"kernel": kernel}
    if bias is not None:
        if bias.size not in (1, kernel.shape[1]):
            raise GraphImportError(f"its bias has shape {bias.shape}, expected ({kernel.shape[1]},)")
        weights["bias"] = np.broadcast_to(bias.reshape(-1), kernel.shape[1:])
    arguments = {"units": kernel.shape[1], "use_bias": bias is not None}
    return net.add(node, "Dense", arguments, [given], weights, order=((kernel.shape[1],),))


_MERGES = {"Add": "Add", "Sum": "Add", "Sub": "Subtract", "Mul": "Multiply", "Max": "Maximum", "Min": "Minimum"}
_MERGES["Mean"] = "Average"


def _arithmetic(net: Net, node: OnnxNode) -> Activation:
    """Translate what combines values place by place: two of the image, or one with constants."""
    import numpy as np

    if not any(net.is_constant(node, index) for index in range(len(node.inputs))):
        return _merged(net, node)
    if len(node.inputs) != 2 or node.op not in ("Add", "Sub", "Mul", "Div"):
        raise GraphImportError(f"{node.op} of a constant is not supported")
    first_is_constant = net.is_constant(node, 0)
    given = net.activation(node, 1 if first_is_constant else 0)
    constant = net.constant(node, 0 if first_is_constant else 1)
    assert constant is not None  # noqa: S101 - asked above
    if node.op == "Div" and first_is_constant:
        raise GraphImportError("a constant divided by a value is not supported")
    with np.errstate(all="ignore"):
        number = constant.astype(np.float64)
        one, zero = np.ones_like(number), np.zeros_like(number)
        scale = {"Add": one, "Sub": -one if first_is_constant else one, "Mul": number, "Div": 1 / number}[node.op]
        offset = {"Add": number, "Sub": number if first_is_constant else -number}.get(node.op, zero)
    if not (np.isfinite(scale).all() and np.isfinite(offset).all()):
        raise GraphImportError("its constant contains values that are not finite")
    if constant.size == 1:
        if constant.ndim > len(given.axes) + 1:
            raise GraphImportError("adds an axis to its input")
        arguments = {"scale": float(scale.sum()), "offset": float(offset.sum())}
        return net.add(node, "Rescaling", arguments, [given])
    if not _is_by_channel(constant, given):
        raise GraphImportError(f"a constant of shape {constant.shape} is not one number a channel")
    scale, offset = scale.reshape(-1), offset.reshape(-1)
    if node.op == "Add" and not given.is_reordered:
        taken = net.with_bias(node, given, offset)
        if taken is not None:
            return taken
    return net.affine(node, given, scale, offset)


def _is_by_channel(constant: Array, given: Activation) -> bool:
    rank = len(given.axes) + 1
    shape = (1,) * (rank - constant.ndim) + constant.shape
    channels = len(given.shape) - 1
    return len(shape) == rank and shape == (
        1,
        *(n if a == channels else 1 for n, a in zip(given.onnx_shape, given.axes, strict=True)),
    )


def _merged(net: Net, node: OnnxNode) -> Activation:
    given = [net.activation(node, index) for index in range(len(node.inputs))]
    kind = _MERGES.get(node.op)
    if kind is None:
        raise GraphImportError(f"{node.op} of two values is not supported")
    if len({value.axes for value in given}) > 1 or len({value.order for value in given if value.is_reordered}) > 1:
        raise GraphImportError("its inputs have their axes in unlike orders")
    if any(value.is_reordered for value in given) and len({value.order for value in given}) > 1:
        raise GraphImportError("its inputs flatten images of different shapes")
    return given[0] if len(given) == 1 else net.add(node, kind, {}, given)


def _concatenation(net: Net, node: OnnxNode) -> Activation:
    given = [net.activation(node, index) for index in range(len(node.inputs))]
    axes = {value.axes for value in given}
    axis = node.attributes.get("axis", 1)
    rank = len(given[0].axes) + 1 if given else 0
    is_whole = isinstance(axis, int) and -rank <= axis < rank and axis % rank > 0
    if len(axes) != 1 or not is_whole or given[0].axes[axis % rank - 1] != len(given[0].shape) - 1:
        raise GraphImportError("values can be concatenated along the channels only")
    if len(given) == 1:
        return given[0]
    return net.add(node, "Concatenate", {}, given, order=net.joined(given) if rank == 2 else ())


def _flatten(net: Net, node: OnnxNode) -> Activation:
    given = net.activation(node)
    axis = node.attributes.get("axis", 1)
    if axis not in (1, -len(given.axes)):
        raise GraphImportError(f"axis: got {str(axis)[:40]}; only Flatten of each image is supported")
    return net.flattened(node, given)


def _reshape(net: Net, node: OnnxNode) -> Activation:
    """Translate Reshape to a vector, to one place of an image, or to the shape that the value has."""
    given = net.activation(node)
    target = net.integers(node, "shape", 1)
    if not target:
        raise GraphImportError("its shape is missing")
    own = given.onnx_shape
    wanted = [own[i - 1] if n == 0 and 0 < i <= len(own) else n for i, n in enumerate(target)][1:]
    known = prod(n for n in wanted if n != -1)
    if wanted.count(-1) == 1 and known > 0 and prod(own) % known == 0:
        wanted[wanted.index(-1)] = prod(own) // known
    if target[0] not in (-1, 0, 1) and target[0] != _batch(net):
        raise GraphImportError(f"reshapes to {target}, which mixes the images of a batch")
    return _shaped(net, node, given, tuple(wanted))


def _batch(net: Net) -> int | None:
    return next((dims[0] for dims in (i.dims for i in net.model.inputs if i.name in net.values) if dims), None)


def _shaped(net: Net, node: OnnxNode, given: Activation, wanted: tuple[int, ...]) -> Activation:
    own = given.onnx_shape
    if wanted == own:
        return given
    if wanted == (prod(own),):
        return net.flattened(node, given)
    if len(own) == 1 and wanted == (*own, 1, 1) and not given.is_reordered:
        made = net.add(node, "Reshape", {"target_shape": [1, 1, own[0]]}, [given])
        return Activation(made.blob, made.shape, CHANNELS_FIRST)
    raise GraphImportError(f"reshapes {own} to {wanted}; only vectors and images of one place are supported")


def _squeeze(net: Net, node: OnnxNode) -> Activation:
    given = net.activation(node)
    rank = len(given.axes) + 1
    axes = net.integers(node, "axes", 1)
    gone = {axis % rank for axis in axes} if axes else {i + 1 for i, n in enumerate(given.onnx_shape) if n == 1}
    wanted = tuple(n for i, n in enumerate(given.onnx_shape, 1) if i not in gone)
    if 0 in gone or prod(wanted) != prod(given.shape):
        raise GraphImportError("leaves out axes that are not of length 1")
    return _shaped(net, node, given, wanted)


def _unsqueeze(net: Net, node: OnnxNode) -> Activation:
    given = net.activation(node)
    axes = net.integers(node, "axes", 1) or []
    rank = len(given.axes) + 1 + len(axes)
    wanted = list(given.onnx_shape)
    for axis in sorted(axis % rank for axis in axes):
        if axis == 0 or axis > len(wanted) + 1:
            raise GraphImportError(f"adds the axes {axes}; only axes behind the batch are supported")
        wanted.insert(axis - 1, 1)
    return _shaped(net, node, given, tuple(wanted))


def _transpose(net: Net, node: OnnxNode) -> Activation:
    given = net.activation(node)
    rank = len(given.axes) + 1
    order = node.attributes.get("perm") or list(range(rank))[::-1]
    if not isinstance(order, list) or sorted(order) != list(range(rank)) or order[0] != 0:
        raise GraphImportError(f"perm: got {str(order)[:40]}, expected each axis once and the batch first")
    return Activation(given.blob, given.shape, tuple(given.axes[i - 1] for i in order[1:]), given.order)


def _dropout(net: Net, node: OnnxNode) -> Activation:
    given = net.constant(node, 1)
    rate = _number(node, "ratio", 0.5) if given is None else float(given.reshape(-1)[:1].sum())
    if len(node.outputs) > 1 and net.readers[node.outputs[1]]:
        raise GraphImportError("the mask of a Dropout is not supported")
    return net.add(node, "Dropout", {"rate": rate}, [net.activation(node)])


def _same(net: Net, node: OnnxNode) -> Activation:
    return net.activation(node)


def _cast(net: Net, node: OnnxNode) -> Activation:
    if node.attributes.get("to") not in (1, 10, 11):
        raise GraphImportError("a cast to anything but floating-point numbers is not supported")
    return net.activation(node)


def _enlarged(net: Net, node: OnnxNode) -> Activation:
    """Translate Upsample and Resize by whole factors."""
    given = net.image(node)
    mode = node.attributes.get("mode") or "nearest"
    how = node.attributes.get("coordinate_transformation_mode")
    scales = node.attributes.get("scales")
    if not scales:
        found = net.constant(node, 1 if node.op == "Upsample" or net.opset < 11 else 2)
        scales = [] if found is None else found.reshape(-1)[:8].tolist()
    if not scales and (sizes := net.constant(node, 3)) is not None and sizes.size == 4:
        lengths = (1, *given.onnx_shape)
        scales = [1.0, *(float(n) / length for n, length in zip(sizes.tolist()[1:], lengths[1:], strict=True))]
    if len(scales) != 4 or scales[:2] != [1, 1] or any(not 1 <= n < 2**20 or n != int(n) for n in scales[2:]):
        raise GraphImportError(f"factors of {str(scales)[:60]}; only whole ones of height and width are supported")
    old = node.op == "Upsample" or net.opset < 11
    nearest = node.attributes.get("nearest_mode") or "round_prefer_floor"
    exact = {("nearest", "asymmetric", "floor"), ("nearest", "half_pixel", "round_prefer_floor")}
    exact |= {("nearest", "half_pixel", "round_prefer_ceil"), ("nearest", "asymmetric", "old")}
    where = (mode, "asymmetric" if old else how or "half_pixel", "old" if old else nearest)
    smooth = mode == "linear" and not old and (how or "half_pixel") in ("half_pixel", "pytorch_half_pixel")
    if where not in exact and not smooth:
        raise GraphImportError(f"a Resize of mode {' '.join(map(str, where))[:80]} is not supported")
    arguments = {"size": [int(n) for n in scales[2:]], "interpolation": "bilinear" if smooth else "nearest"}
    return net.add(node, "UpSampling2D", arguments, [given])


OPERATIONS: dict[str, Translate] = {
    "Conv": convolution,
    "ConvTranspose": transposed_convolution,
    "MaxPool": partial(pooling, "MaxPooling2D"),
    "AveragePool": partial(pooling, "AveragePooling2D"),
    "GlobalAveragePool": partial(_global_pooling, "GlobalAveragePooling2D"),
    "GlobalMaxPool": partial(_global_pooling, "GlobalMaxPooling2D"),
    "ReduceMean": partial(_reduced, "GlobalAveragePooling2D"),
    "ReduceMax": partial(_reduced, "GlobalMaxPooling2D"),
    "Gemm": _dense,
    "MatMul": _dense,
    "BatchNormalization": _batch_normalization,
    "LRN": _responses,
    "Relu": _layer("ReLU"),
    "LeakyRelu": _leaky_relu,
    "PRelu": _parametric_relu,
    "Clip": _clip,
    "Elu": _activation("elu", alpha=1.0),
    "Celu": _activation("celu", alpha=1.0),
    "Selu": _activation("selu"),
    "Gelu": _gelu,
    "Mish": _activation("mish"),
    "Sigmoid": _activation("sigmoid"),
    "HardSigmoid": _activation("hard_sigmoid", alpha=1 / 6, beta=0.5),
    "HardSwish": _activation("hard_swish"),
    "Tanh": _activation("tanh"),
    "Softplus": _activation("softplus"),
    "Softsign": _activation("softsign"),
    "Softmax": _softmax,
    "LogSoftmax": _softmax,
    **dict.fromkeys(("Add", "Sum", "Sub", "Mul", "Div", "Max", "Min", "Mean"), _arithmetic),
    "Concat": _concatenation,
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Transpose": _transpose,
    "Pad": padding,
    "Upsample": _enlarged,
    "Resize": _enlarged,
    "Dropout": _dropout,
    "Identity": _same,
    "Cast": _cast,
}
"""By ONNX's names."""
