"""Layers that elsewhere are two and here are one: an activation goes into the layer before it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from cnncli.importing.graph import GraphImportError, Operation
from cnncli.layers.base import Layer

ACTIVATIONS = ("relu", "tanh", "sigmoid", "elu")
"""Activations that become an argument of the layer before them."""


def num_readers(operations: Sequence[Operation]) -> Counter[str]:
    """Count how many inputs of operations each name is."""
    return Counter(name for operation in operations for name in operation.inputs)


def folded(operations: Sequence[Operation]) -> tuple[Operation, ...]:
    """Put activations into the layers before them, and Caffe's two halves of a batch normalization together."""
    readers = num_readers(operations)
    kept: dict[str, Operation] = {}
    renamed: dict[str, str] = {}
    for operation in operations:
        inputs = tuple(renamed.get(name, name) for name in operation.inputs)
        before = kept.get(inputs[0]) if len(inputs) == 1 and readers.get(operation.inputs[0]) == 1 else None
        together = _together(before.layer, operation.layer) if before else None
        if before is not None and together is not None:
            kept[before.name] = replace(before, layer=together, stored=before.stored + operation.stored)
            renamed[operation.name] = before.name
            continue
        if _is_half(operation.layer):
            raise GraphImportError(f"{operation.name}: Scale is supported only after BatchNorm")
        kept[operation.name] = replace(operation, inputs=inputs)
    return tuple(kept.values())


def _is_half(layer: Layer) -> bool:
    return layer.type_name() == "BatchNormalization" and getattr(layer, "momentum", None) == 0.0


def _together(before: Layer, layer: Layer) -> Layer | None:
    """Return the one layer that two mean, or None."""
    if _is_half(layer) and before.type_name() == "BatchNormalization" and not getattr(before, "scale", True):
        return before.model_copy(update={"scale": True, "center": getattr(layer, "center", False)})
    if before.type_name() not in ("Conv2D", "Dense") or getattr(before, "activation", None) is not None:
        return None
    activation = "relu" if layer.type_name() == "ReLU" else getattr(layer, "activation", None)
    if layer.type_name() not in ("ReLU", "Activation") or activation not in ACTIVATIONS:
        return None
    return before.model_copy(update={"activation": activation})
