"""ONNX files with random weights, their nodes as PyTorch's exporter writes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


class Builder:
    """One graph: each method adds a node and returns the name of what it makes.

    Args:
        channels: Of the image.
        size: Its height and width.
        seed: Of the weights.
        opset: Version of the operations.
    """

    def __init__(self, channels: int, size: int, seed: int = 0, opset: int = 17) -> None:
        self.shape = ["batch", channels, size, size]
        self._nodes: list[Any] = []
        self._tensors: list[Any] = []
        self._opset = opset
        self.generator = np.random.default_rng(seed)

    @staticmethod
    def array(array: Any, name: str = "") -> Any:
        """Return an array as ONNX has it, for an attribute or an initializer."""
        from onnx import numpy_helper

        return numpy_helper.from_array(np.asarray(array), name)

    def tensor(self, array: Any) -> str:
        """Add an initializer."""
        name = f"w{len(self._tensors)}"
        self._tensors.append(self.array(array, name))
        return name

    def drawn(self, *shape: int, scale: float | None = None) -> str:
        """Add an initializer of random values, small enough for sums over many of them."""
        scale = scale or float(np.prod(shape[1:])) ** -0.5
        return self.tensor((self.generator.standard_normal(shape) * scale).astype(np.float32))

    def node(self, op: str, *inputs: str, **attributes: Any) -> str:
        """Add a node."""
        from onnx import helper

        name = f"/{op}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(op, list(inputs), [f"{name}_out"], name, **attributes))
        return f"{name}_out"

    def conv(self, x: str, inputs: int, filters: int, size: int, *, bias: bool = True, **attributes: Any) -> str:
        """Add a convolution."""
        kernel = self.drawn(filters, inputs // attributes.get("group", 1), size, size)
        arrays = [kernel, *([self.drawn(filters, scale=0.1)] if bias else [])]
        return self.node("Conv", x, *arrays, kernel_shape=[size, size], **attributes)

    def normalization(self, x: str, channels: int) -> str:
        """Add a batch normalization."""
        positive = self.tensor(self.generator.uniform(0.5, 2, channels).astype(np.float32))
        around = [self.drawn(channels, scale=0.2) for _ in range(2)]
        gamma = self.tensor(self.generator.uniform(0.5, 2, channels).astype(np.float32))
        return self.node("BatchNormalization", x, gamma, *around, positive, epsilon=1e-5)

    def dense(self, x: str, inputs: int, units: int) -> str:
        """Add a Gemm, as torch.nn.Linear."""
        return self.node("Gemm", x, self.drawn(units, inputs), self.drawn(units, scale=0.1), transB=1)

    def content(self, output: str, **more: Any) -> bytes:
        """Return the file."""
        from onnx import TensorProto, helper

        graph = helper.make_graph(
            self._nodes,
            "main_graph",
            [helper.make_tensor_value_info("input", TensorProto.FLOAT, self.shape)],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
            self._tensors,
        )
        opsets = [helper.make_opsetid("", self._opset)]
        return bytes(helper.make_model(graph, opset_imports=opsets, ir_version=8, **more).SerializeToString())


def lenet() -> bytes:
    """Return LeNet, whose first Gemm reads a flattened image of more than one place."""
    net = Builder(1, 28)
    x = net.node("MaxPool", net.conv("input", 1, 6, 5, pads=[2] * 4), kernel_shape=[2, 2], strides=[2, 2])
    x = net.node("Tanh", x)
    x = net.node("MaxPool", net.conv(x, 6, 16, 5), kernel_shape=[2, 2], strides=[2, 2])
    x = net.node("Flatten", net.node("Tanh", x), axis=1)
    x = net.node("Tanh", net.dense(x, 400, 120))
    return net.content(net.node("Softmax", net.dense(x, 120, 10), axis=1))


def alexnet() -> bytes:
    """Return a small AlexNet: strides, groups, responses, overlapping windows, dropout, and a Reshape to vectors."""
    net = Builder(3, 67)
    x = net.node("Relu", net.conv("input", 3, 12, 11, strides=[4, 4], pads=[2] * 4))
    x = net.node("LRN", x, size=5, alpha=1e-2, beta=0.75, bias=1.0)
    x = net.node("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2])
    x = net.node("Relu", net.conv(x, 12, 16, 5, pads=[2] * 4, group=2))
    x = net.node("LRN", x, size=5, alpha=1e-2, beta=0.75, bias=2.0)
    x = net.node("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)
    x = net.node("Relu", net.conv(x, 16, 16, 3, pads=[1] * 4, group=2))
    x = net.node("Reshape", x, net.tensor(np.array([0, -1], np.int64)))
    x = net.node("Dropout", net.node("Relu", net.dense(x, 16 * 3 * 3, 32)))
    return net.content(net.dense(x, 32, 10))


def resnet() -> bytes:
    """Return a residual net as PyTorch's: a padded MaxPool, a shortcut with a convolution, a global mean."""
    net = Builder(3, 33)
    x = net.node("Relu", net.normalization(net.conv("input", 3, 8, 7, bias=False, strides=[2, 2], pads=[3] * 4), 8))
    x = net.node("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    channels = 8
    for filters, stride in ((8, 1), (16, 2)):
        y = net.conv(x, channels, filters, 3, bias=False, strides=[stride] * 2, pads=[1] * 4)
        y = net.node("Relu", net.normalization(y, filters))
        y = net.normalization(net.conv(y, filters, filters, 3, bias=False, pads=[1] * 4), filters)
        if stride > 1:
            x = net.normalization(net.conv(x, channels, filters, 1, bias=False, strides=[stride] * 2), filters)
        x, channels = net.node("Relu", net.node("Add", y, x)), filters
    x = net.node("Flatten", net.node("GlobalAveragePool", x), axis=1)
    return net.content(net.dense(x, 16, 10))


def darknet() -> bytes:
    """Return a darknet: leaky convolutions, a shortcut, a route of a finer plane and an enlarged coarser one."""
    net = Builder(3, 32)

    def leaky(x: str, inputs: int, filters: int, size: int, stride: int = 1) -> str:
        y = net.conv(x, inputs, filters, size, bias=False, strides=[stride] * 2, pads=[size // 2] * 4)
        return net.node("LeakyRelu", net.normalization(y, filters), alpha=0.1)

    fine = leaky(leaky("input", 3, 8, 3), 8, 16, 3, 2)
    fine = net.node("Add", fine, leaky(leaky(fine, 16, 8, 1), 8, 16, 3))
    coarse = net.node("MaxPool", fine, kernel_shape=[2, 2], strides=[2, 2])
    coarse = net.node("MaxPool", leaky(coarse, 16, 16, 3), kernel_shape=[5, 5], strides=[1, 1], pads=[2] * 4)
    scales = net.tensor(np.array([1, 1, 2, 2], np.float32))
    how = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    both = net.node("Concat", net.node("Resize", leaky(coarse, 16, 8, 1), "", scales, **how), fine, axis=1)
    x = net.node("GlobalAveragePool", net.conv(leaky(both, 24, 16, 3), 16, 10, 1))
    return net.content(net.node("Softmax", net.node("Flatten", x, axis=1), axis=1))


def mobilenet() -> bytes:
    """Return depthwise convolutions, asymmetric margins, squeeze-and-excite, Clip to 6, and sums with constants."""
    net = Builder(3, 32)
    six = [net.tensor(np.float32(0)), net.tensor(np.float32(6))]
    x = net.node(
        "Mul", net.node("Sub", "input", net.tensor(np.full((1, 3, 1, 1), 0.4, np.float32))), net.drawn(3, 1, 1)
    )
    x = net.node(
        "Clip", net.normalization(net.conv(x, 3, 8, 3, bias=False, strides=[2, 2], pads=[0, 0, 1, 1]), 8), *six
    )
    x = net.node("HardSwish", net.conv(x, 8, 8, 5, group=8, strides=[2, 2], pads=[2] * 4))
    x = net.conv(x, 8, 16, 3, group=8, dilations=[2, 2], pads=[2] * 4)
    y = net.node("ReduceMean", x, axes=[2, 3], keepdims=1)
    y = net.node("HardSigmoid", net.conv(net.node("Relu", net.conv(y, 16, 4, 1)), 4, 16, 1), alpha=1 / 6, beta=0.5)
    x = net.node("Mul", x, y)
    x = net.node("AveragePool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4, count_include_pad=1)
    shape = net.node("Gather", net.node("Shape", x), net.tensor(np.array(0, np.int64)), axis=0)
    shape = net.node("Unsqueeze", shape, net.tensor(np.array([0], np.int64)))
    shape = net.node("Concat", shape, net.tensor(np.array([-1], np.int64)), axis=0)
    x = net.node("Reshape", x, shape)
    x = net.node("MatMul", x, net.tensor((net.generator.standard_normal((256, 10)) / 16).astype(np.float32)))
    return net.content(net.node("Add", x, net.drawn(10, scale=0.1)))


def turned() -> bytes:
    """Return channels last inside, unlike margins of poolings of negative values, and a transposed convolution."""
    net = Builder(3, 21)
    x = net.conv("input", 3, 6, 3)
    x = net.node("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    x = net.node("AveragePool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    x = net.node("ConvTranspose", x, net.drawn(6, 5, 4, 4), net.drawn(5, scale=0.1), strides=[2, 2], pads=[1, 2, 1, 0])
    x = net.node("Pad", x, net.tensor(np.array([0, 0, 1, 0, 0, 0, 0, 2], np.int64)))
    x = net.node("Transpose", x, perm=[0, 2, 3, 1])
    x = net.node("Mul", x, net.tensor(net.generator.uniform(0.5, 2, 5).astype(np.float32)))
    x = net.node("Flatten", net.node("PRelu", x, net.tensor(np.array([0.3], np.float32))), axis=1)
    return net.content(net.dense(x, 11 * 12 * 5, 7))


def number(net: Builder, value: float) -> str:
    """Add a constant of one number."""
    return net.tensor(np.float32(value))


def gelu(net: Builder, x: str, kind: int = 0, half: float = 0.5) -> str:
    """Add x·(1 + erf(x/√2))·half, in one of the three ways of exporters."""
    scaled = net.node("Div", x, number(net, 2**0.5)) if kind else net.node("Mul", x, number(net, 0.5**0.5))
    share = net.node("Add", net.node("Erf", scaled), number(net, 1))
    match kind:
        case 0:
            return net.node("Mul", net.node("Mul", number(net, half), x), share)
        case 1:
            return net.node("Mul", net.node("Mul", x, share), number(net, half))
    return net.node("Mul", x, net.node("Mul", share, number(net, half)))


def computed_pads(net: Builder) -> str:
    """Return pads of a row and a column behind an image, computed as PyTorch's F.pad does."""

    def whole(*numbers: int) -> str:
        return net.tensor(np.array(numbers, np.int64))

    given = whole(0, 1, 0, 1)
    length = net.node("Gather", net.node("Shape", given), net.tensor(np.array(0, np.int64)), axis=0)
    length = net.node("Unsqueeze", net.node("Sub", net.tensor(np.array(8, np.int64)), length), whole(0))
    zero = np.zeros(1, np.int64)
    pairs = net.node("Concat", given, net.node("ConstantOfShape", length, value=net.array(zero)), axis=0)
    pairs = net.node("Reshape", pairs, whole(-1, 2))
    turned = net.node("Slice", pairs, whole(-1), whole(-(2**63) + 1), whole(0), whole(-1))
    return net.node("Cast", net.node("Reshape", net.node("Transpose", turned, perm=[1, 0]), whole(-1)), to=7)


def written_out() -> bytes:
    """Return activations that take several nodes in old versions, computed pads, and a largest value of each plane."""
    net = Builder(3, 16)
    x = net.conv(net.node("Pad", "input", computed_pads(net)), 3, 8, 3)
    for kind in range(3):
        x = gelu(net, net.conv(x, 8, 8, 3), kind)
    x = net.node("Div", x, net.node("Add", number(net, 1), net.node("Abs", x)))
    x = net.conv(x, 8, 8, 1)
    x = net.node("Where", net.node("Greater", x, number(net, 20)), x, net.node("Softplus", x))
    return net.content(net.dense(net.node("ReduceMax", x, axes=[-2, -1], keepdims=0), 8, 10))


NETWORKS: dict[str, Callable[[], bytes]] = {
    "lenet": lenet,
    "alexnet": alexnet,
    "resnet": resnet,
    "darknet": darknet,
    "mobilenet": mobilenet,
    "turned": turned,
    "written out": written_out,
}
