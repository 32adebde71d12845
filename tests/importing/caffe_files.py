"""Files of Caffe's, written as Protocol Buffers and caffe.proto describe them, and three networks computed by hand."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from tests.importing import numpy_layers as by_hand
from tests.importing.numpy_layers import Array, drawn

Blob = npt.NDArray[np.float32]
Blobs = dict[str, list[Blob]]


def varint(number: int) -> bytes:
    """Return a number, seven bits a byte."""
    found = b""
    while number > 127:
        found += bytes([number & 127 | 128])
        number >>= 7
    return found + bytes([number])


def field(number: int, content: bytes | int) -> bytes:
    """Return a field: a number, or bytes with their length before them."""
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    return varint(number << 3 | 2) + varint(len(content)) + content


def packed_blob(array: Blob) -> bytes:
    """Return a blob as Caffe writes it since 2014."""
    shape = field(1, b"".join(map(varint, array.shape)))
    return field(7, shape) + field(5, array.astype("<f4").tobytes())


def old_blob(array: Blob) -> bytes:
    """Return a blob with the four lengths of old files."""
    dims = (1,) * (4 - array.ndim) + array.shape
    return b"".join(field(i, n) for i, n in enumerate(dims, 1)) + field(5, array.astype("<f4").tobytes())


def unpacked_blob(array: Blob) -> bytes:
    """Return a blob whose lengths and values are fields of their own."""
    shape = b"".join(field(1, n) for n in array.shape)
    values = b"".join(varint(5 << 3 | 5) + struct.pack("<f", value) for value in array.ravel())
    return field(7, shape) + values


def double_blob(array: Blob) -> bytes:
    """Return a blob of doubles, in two parts, with gradients that nobody needs."""
    shape = field(1, b"".join(map(varint, array.shape)))
    values = array.astype("<f8").tobytes()
    half = len(values) // 16 * 8
    return field(7, shape) + field(8, values[:half]) + field(8, values[half:]) + field(6, bytes(12))


def caffemodel(blobs: Mapping[str, Sequence[Blob]], write: Callable[[Blob], bytes] = packed_blob) -> bytes:
    """Return a NetParameter; with old blobs in the layers of that time."""
    whole, of_name, of_blobs = (2, 4, 6) if write is old_blob else (100, 1, 7)
    content = field(1, b"net")
    for name, arrays in blobs.items():
        layer = field(of_name, name.encode()) + b"".join(field(of_blobs, write(array)) for array in arrays)
        content += field(whole, layer)
    return content


def _input(channels: int, size: int) -> str:
    return f'input: "data"\ninput_shape {{ dim: 1 dim: {channels} dim: {size} dim: {size} }}'


def _layer(kind: str, name: str, bottom: str, parameters: str = "", top: str = "") -> str:
    return f'\nlayer {{ name: "{name}" type: "{kind}" bottom: {bottom} top: "{top or name}" {parameters} }}'


def _conv(name: str, bottom: str, parameters: str) -> str:
    return _layer("Convolution", name, f'"{bottom}"', f"convolution_param {{ {parameters} }}")


def _dense(name: str, bottom: str, units: int, more: str = "") -> str:
    return _layer("InnerProduct", name, f'"{bottom}"', f"inner_product_param {{ num_output: {units} {more} }}")


def _relu(name: str) -> str:
    return _layer("ReLU", f"{name}_relu", f'"{name}"', top=name)


def _pool(name: str, bottom: str, size: int) -> str:
    return _layer("Pooling", name, f'"{bottom}"', f"pooling_param {{ pool: MAX kernel_size: {size} stride: 2 }}")


LENET = "".join(
    [
        _input(1, 24),
        *(_conv("conv1", "data", "num_output: 4 kernel_size: 5"), _pool("pool1", "conv1", 2)),
        *(_conv("conv2", "pool1", "num_output: 6 kernel_size: 5"), _pool("pool2", "conv2", 2)),
        *(_dense("ip1", "pool2", 9), _relu("ip1"), _dense("ip2", "ip1", 5)),
        _layer("Softmax", "prob", '"ip2"'),
    ]
)


def lenet_blobs(g: np.random.Generator) -> Blobs:
    """Return weights of LeNet."""
    return {
        "conv1": [drawn(g, 4, 1, 5, 5), drawn(g, 4)],
        "conv2": [drawn(g, 6, 4, 5, 5), drawn(g, 6)],
        "ip1": [drawn(g, 9, 54), drawn(g, 9)],
        "ip2": [drawn(g, 5, 9), drawn(g, 5)],
    }


def lenet(x: Array, w: by_hand.Weights) -> Array:
    """Return what LeNet makes of an image."""
    x = by_hand.max_pooling(by_hand.convolution(x, *w["conv1"]), 2, 2)
    x = by_hand.max_pooling(by_hand.convolution(x, *w["conv2"]), 2, 2)
    return by_hand.softmax(by_hand.dense(by_hand.relu(by_hand.dense(x, *w["ip1"])), *w["ip2"]))


ALEXNET = "".join(
    [
        _input(3, 23),
        *(_conv("conv1", "data", "num_output: 8 kernel_size: 5 stride: 2"), _relu("conv1")),
        _layer("LRN", "norm1", '"conv1"', "lrn_param { local_size: 5 alpha: 0.5 beta: 0.75 }"),
        _pool("pool1", "norm1", 3),
        *(_conv("conv2", "pool1", "num_output: 6 kernel_size: 3 pad: 1 group: 2"), _relu("conv2")),
        _pool("pool2", "conv2", 3),
        *(_dense("fc6", "pool2", 7), _relu("fc6"), _layer("Dropout", "drop6", '"fc6"', top="fc6")),
        _dense("fc8", "fc6", 4),
        _layer("SoftmaxWithLoss", "loss", '"fc8"'),
    ]
)


def alexnet_blobs(g: np.random.Generator) -> Blobs:
    """Return weights of a small AlexNet with two groups."""
    return {
        "conv1": [drawn(g, 8, 3, 5, 5), drawn(g, 8)],
        "conv2": [drawn(g, 6, 4, 3, 3), drawn(g, 6)],
        "fc6": [drawn(g, 7, 24), drawn(g, 7)],
        "fc8": [drawn(g, 4, 7), drawn(g, 4)],
    }


def alexnet(x: Array, w: by_hand.Weights) -> Array:
    """Return what it makes of an image."""
    x = by_hand.responses(by_hand.relu(by_hand.convolution(x, *w["conv1"], stride=2)), 5, 0.5, 0.75)
    x = by_hand.max_pooling(x, 3, 2)
    x = by_hand.max_pooling(by_hand.relu(by_hand.convolution(x, *w["conv2"], pad=1, groups=2)), 3, 2)
    return by_hand.dense(by_hand.relu(by_hand.dense(x, *w["fc6"])), *w["fc8"])


def _normalized(name: str, bottom: str, parameters: str) -> str:
    scale = _layer("Scale", f"scale_{name}", f'"{name}"', "scale_param { bias_term: true }", top=name)
    norm = _layer("BatchNorm", f"bn_{name}", f'"{name}"', top=name)
    return _conv(name, bottom, f"{parameters} bias_term: false") + norm + scale


RESNET = "".join(
    [
        _input(3, 8),
        *(_normalized("stem", "data", "num_output: 4 kernel_size: 3 pad: 1"), _relu("stem")),
        *(_normalized("a", "stem", "num_output: 6 kernel_size: 3 pad: 1"), _relu("a")),
        _normalized("b", "a", "num_output: 6 kernel_size: 3 pad: 1"),
        _normalized("short/cut", "stem", "num_output: 6 kernel_size: 1"),
        *(_layer("Eltwise", "sum", '"b" bottom: "short/cut"'), _relu("sum")),
        _layer("Pooling", "pool", '"sum"', "pooling_param { pool: AVE global_pooling: true }"),
        _dense("fc", "pool", 3, "transpose: true"),
    ]
)


def resnet_blobs(g: np.random.Generator) -> Blobs:
    """Return weights of a residual block; the statistics are sums, with the factor by which they are divided."""
    found: Blobs = {}
    for name, shape in {"stem": (4, 3, 3, 3), "a": (6, 4, 3, 3), "b": (6, 6, 3, 3), "short/cut": (6, 4, 1, 1)}.items():
        found[name] = [drawn(g, *shape)]
        factor = np.float32(g.uniform(1, 900))
        statistics = [drawn(g, shape[0]) * factor, g.uniform(0.5, 2, shape[0]).astype(np.float32) * factor]
        found[f"bn_{name}"] = [*statistics, np.full(1, factor, np.float32)]
        found[f"scale_{name}"] = [drawn(g, shape[0]), drawn(g, shape[0])]
    # `transpose: true`: a row for each input.
    found["fc"] = [drawn(g, 6, 3), drawn(g, 3)]
    found |= {"unused": [drawn(g, 5)], "no_blobs": []}
    return found


def resnet(x: Array, w: by_hand.Weights) -> Array:
    """Return what it makes of an image."""

    def normalized(x: Array, name: str, pad: int) -> Array:
        mean, variance, factor = w[f"bn_{name}"]
        x = by_hand.convolution(x, w[name][0], None, pad=pad)
        return by_hand.normalization(x, mean / factor, variance / factor, *w[f"scale_{name}"])

    x = by_hand.relu(normalized(x, "stem", 1))
    y = normalized(by_hand.relu(normalized(x, "a", 1)), "b", 1)
    x = by_hand.relu(y + normalized(x, "short/cut", 0)).mean((1, 2))
    return by_hand.dense(x, w["fc"][0].T, w["fc"][1])
