"""Operations in a `.keras` file → layers: sums and products of tensors, and what our exports say in operations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

from cnncli.importing.graph import GraphImportError, make_layer
from cnncli.layers.base import Layer

_MERGING = ("Add", "Subtract", "Multiply", "Maximum", "Minimum")
"""Operations of two tensors, which are layers too."""


def operation(kind: str, arguments: Sequence[Any], name: str) -> Layer:
    """Return the layer that an operation of Keras's is: `x + y`, or with a number, `x / 6`.

    Args:
        kind: Keras's class name.
        arguments: Its arguments as the file has them: tensors and numbers.
        name: What errors call it.

    Raises:
        GraphImportError: If it is no sum, difference, product or quotient, or of anything but tensors and a number.
    """
    numbers = [None if _is_tensor(argument) else _number(argument, kind, name) for argument in arguments]
    if kind in _MERGING and numbers == [None, None]:
        return make_layer(kind, {}, name)
    match kind, numbers:
        case ("Add", [None, float(number)] | [float(number), None]):
            scale, offset = 1.0, number
        case ("Subtract", [None, float(number)]):
            scale, offset = 1.0, -number
        case ("Subtract", [float(number), None]):
            scale, offset = -1.0, number
        case ("Multiply", [None, float(number)] | [float(number), None]):
            scale, offset = number, 0.0
        case ("Divide" | "TrueDivide", [None, float(number)]) if number:
            scale, offset = 1 / number, 0.0
        case _:
            raise GraphImportError(
                f"{name}: the operation {kind[:40]} is not supported",
                "Supported: +, -, *, maximum and minimum of two tensors; +, -, * and / of a tensor and a number.",
            )
    return make_layer("Rescaling", {"scale": scale, "offset": offset}, name)


def _is_tensor(argument: Any) -> bool:
    return isinstance(argument, dict) and argument.get("class_name") == "__keras_tensor__"


def _number(value: Any, kind: str, name: str) -> float:
    if type(value) not in (int, float) or not isfinite(value):
        raise GraphImportError(f"{name}: {kind[:40]} of {str(value)[:40]}; expected a tensor or a number")
    return float(value)


def exported(config: Mapping[str, Any], name: str) -> Layer | None:
    """Return the layer that an export of ours says as a model of operations; None for other nested models."""
    layers = config.get("layers")
    steps = [step for step in layers if isinstance(step, dict)] if isinstance(layers, list) else []
    kinds = [str(step.get("class_name")) for step in steps]
    try:
        if "Power" in kinds:
            return _local_responses(steps, kinds, name)
        if kinds == ["InputLayer", "Pad", "GetItem"]:
            return _channel_padding(steps, name)
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError):
        raise GraphImportError(f"{name}: its operations are not those of a layer") from None
    return None


def _channel_padding(steps: Sequence[Mapping[str, Any]], name: str) -> Layer:
    """Return what adds channels and then cuts channels off."""
    before, after = steps[1]["config"]["pad_width"][-1]
    tensor, (_, kept) = steps[2]["inbound_nodes"][0]["args"]
    channels, cut = tensor["config"]["shape"][-1], kept["config"]
    return make_layer("ChannelPadding", {"padding": [before - cut["start"], after - (channels - cut["stop"])]}, name)


def _local_responses(steps: Sequence[Mapping[str, Any]], kinds: Sequence[str], name: str) -> Layer:
    """Return the normalization by neighbouring channels.

    Squares, a margin of r channels, 2r + 1 shifted slices and their sum, times alpha, plus bias, to the power of
    beta, and the input divided by that.
    """
    radius = _numbers(steps[kinds.index("Pad")])[-1]
    slices = kinds.count("GetItem")
    once = ("InputLayer", "Square", "Pad", "Multiply", "Power", "Divide")
    expected = [*once, *["GetItem"] * slices, *["Add"] * slices]
    if sorted(kinds) != sorted(expected) or slices != 2 * int(radius) + 1:
        raise ValueError(kinds)
    arguments = {
        "depth_radius": int(radius),
        "alpha": _constant(steps[kinds.index("Multiply")]),
        "bias": _constant([s for s, k in zip(steps, kinds, strict=True) if k == "Add"][-1]),
        "beta": _constant(steps[kinds.index("Power")]),
    }
    return make_layer("LocalResponseNormalization", arguments, name)


def _numbers(step: Mapping[str, Any]) -> list[float]:
    """Return the numbers in an operation's config and arguments, in their order."""
    config = step.get("config", {})
    return [*_flat(config.get("pad_width")), *_flat(step["inbound_nodes"][0]["args"])]


def _constant(step: Mapping[str, Any]) -> float:
    return _flat(step["inbound_nodes"][0]["args"])[-1]


def _flat(value: Any) -> list[float]:
    if isinstance(value, bool):
        return []
    if isinstance(value, (int, float)):
        return [float(value)]
    if isinstance(value, list):
        return [number for item in value for number in _flat(item)]
    return []
