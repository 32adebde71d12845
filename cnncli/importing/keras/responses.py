"""The operations that an exported `.keras` file holds for a local response normalization → that layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cnncli.importing.graph import GraphImportError, make_layer
from cnncli.layers.base import Layer


def local_responses(config: Mapping[str, Any], name: str) -> Layer:
    """Return the layer that a model of operations stands for.

    Squares, a margin of r channels, 2r + 1 shifted slices and their sum, times alpha, plus bias, to the power of
    beta, and the input divided by that.

    Raises:
        GraphImportError: If the operations are others.
    """
    layers = config.get("layers")
    steps = [step for step in layers if isinstance(step, dict)] if isinstance(layers, list) else []
    kinds = [str(step.get("class_name")) for step in steps]
    try:
        radius = _numbers(steps[kinds.index("Pad")])[-1]
        slices = kinds.count("GetItem")
        expected = [
            "InputLayer",
            "Square",
            "Pad",
            *["GetItem"] * slices,
            *["Add"] * slices,
            "Multiply",
            "Power",
            "Divide",
        ]
        if sorted(kinds) != sorted(expected) or slices != 2 * int(radius) + 1:
            raise ValueError(kinds)
        arguments = {
            "depth_radius": int(radius),
            "alpha": _constant(steps[kinds.index("Multiply")]),
            "bias": _constant([s for s, k in zip(steps, kinds, strict=True) if k == "Add"][-1]),
            "beta": _constant(steps[kinds.index("Power")]),
        }
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError):
        raise GraphImportError(f"{name}: nested models are not supported") from None
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
