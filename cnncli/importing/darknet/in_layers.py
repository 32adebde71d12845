"""What a step of Darknet's is in layers of ours: activations, shortcuts of unlike shapes, [reorg], pooling margins."""

from __future__ import annotations

from typing import Any

from cnncli.importing.graph import GraphImportError

Steps = list[tuple[str, dict[str, Any]]]
"""Keras's class names and arguments of layers, each of which reads the one before."""


def _named(activation: str) -> Steps:
    return [("Activation", {"activation": activation})]


ACTIVATIONS: dict[str, Steps] = {
    "linear": [],
    "relu": [("ReLU", {})],
    "relu6": [("ReLU", {"max_value": 6.0})],
    "leaky": [("LeakyReLU", {"negative_slope": 0.1})],
    "relie": [("LeakyReLU", {"negative_slope": 0.01})],
    # x + 0.1 · x above 0, 0.1 · x below.
    "ramp": [("LeakyReLU", {"negative_slope": 0.1 / 1.1}), ("Rescaling", {"scale": 1.1})],
    "logistic": _named("sigmoid"),
    "hardtan": _named("hard_tanh"),
    **{name: _named(name) for name in ("tanh", "elu", "swish", "mish", "selu", "gelu")},
}
"""What follows a layer, by Darknet's name of the activation."""


def shortcut(shape: tuple[int, ...], other: tuple[int, ...], where: str) -> Steps:
    """Return what makes another layer's output fit to be added: Darknet adds the channels that both have.

    Of a larger plane it takes every second (third, …) place along both axes.

    Args:
        shape: (height, width, channels) of what is added to, which the sum keeps.
        other: Of what is added.
        where: What errors call it.

    Raises:
        GraphImportError: If one plane is not the same number of times as high and as wide as the other.
    """
    stride = max(other[0] // shape[0], 1)
    if len(shape) != 3 or len(other) != 3 or other[:2] != (stride * shape[0], stride * shape[1]):
        raise GraphImportError(
            f"{where}: [shortcut] adds {'×'.join(map(str, other))} values to {'×'.join(map(str, shape))}",
            "Supported: planes of one size, or the one added larger by a whole number.",
        )
    steps: Steps = []
    if stride > 1:
        steps.append(("MaxPooling2D", {"pool_size": 1, "strides": stride}))
    if other[2] != shape[2]:
        steps.append(("ChannelPadding", {"padding": [0, shape[2] - other[2]]}))
    return steps


def reorg(shape: tuple[int, ...], stride: int, where: str) -> Steps:
    """Return what makes a plane smaller by a stride and moves its values into channels, in Darknet's order.

    Its loop takes the values, which it has channels first, for a plane that is larger by the stride, with fewer
    channels; windows of that become channels, and the result is taken for a plane that is smaller by the stride.

    Args:
        shape: (height, width, channels) of the input.
        stride: Height and width of a window.
        where: What errors call it.

    Raises:
        GraphImportError: If the lengths are not divisible.
    """
    height, width, channels = shape
    if height % stride or width % stride or channels % stride**2:
        raise GraphImportError(
            f"{where}: [reorg] with stride={stride} of {height}×{width}×{channels} values: expected a height and width "
            f"divisible by {stride}, and channels by {stride**2}"
        )
    if stride == 1:
        return []
    return [
        ("Permute", {"dims": [3, 1, 2]}),
        ("Reshape", {"target_shape": [channels // stride**2, height, stride, width, stride]}),
        ("Permute", {"dims": [3, 5, 1, 2, 4]}),
        ("Reshape", {"target_shape": [channels * stride**2, height // stride, width // stride]}),
        ("Permute", {"dims": [2, 3, 1]}),
    ]


def flattened(shape: tuple[int, ...], extra: int) -> Steps:
    """Return what makes one row of all values, channels first, and adds zeros behind them."""
    steps: Steps = [("Permute", {"dims": [3, 1, 2]})] if shape[-1] > 1 and len(shape) == 3 else []
    return [*steps, ("Flatten", {}), ("ChannelPadding", {"padding": [0, extra]})]


def pool_edges(length: int, size: int, stride: int, total: int) -> tuple[int, int]:
    """Return the margins of Darknet's pooling: half of `total` before, after it what the last window needs."""
    number = (length + total - size) // stride + 1
    before = total // 2
    return before, (number - 1) * stride + size - length - before


def same_edges(length: int, size: int, stride: int) -> tuple[int, int]:
    """Return the margins that `padding: same` has."""
    total = max((-(-length // stride) - 1) * stride + size - length, 0)
    return total // 2, total - total // 2
