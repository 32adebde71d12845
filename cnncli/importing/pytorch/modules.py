"""The layers of a config and the modules of a state_dict, each by the arrays that it has."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cnncli.importing.channels_first import Slot
from cnncli.importing.pytorch.tensors import FLOATS, StoredTensor
from cnncli.layers.base import Shape

_NAMES = {
    "kernel": "weight",
    "depthwise_kernel": "weight",
    "pointwise_kernel": "weight",
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
"""Keras's name of an array → PyTorch's."""

_COUNTER = "num_batches_tracked"
"""What a batch normalization counts and no prediction needs."""

Signature = tuple[tuple[str, Shape], ...]
"""Names and shapes of arrays, in alphabetical order."""


@dataclass(frozen=True)
class Unit:
    """The arrays of a layer that one module has: all of them, but for a separable convolution, which is two modules.

    Attributes:
        layer: Name of the layer.
        slots: By PyTorch's names.
    """

    layer: str
    slots: Mapping[str, Slot]

    @property
    def signature(self) -> Signature:
        """What a module of it has."""
        return tuple(sorted((name, slot.shape) for name, slot in self.slots.items()))


@dataclass(frozen=True)
class Module:
    """A module of a state_dict.

    Attributes:
        prefix: What stands before the last dot of its tensors' names.
        tensors: By what stands behind it.
    """

    prefix: str
    tensors: Mapping[str, StoredTensor]

    @property
    def signature(self) -> Signature:
        """What it has."""
        return tuple(sorted((name, tensor.shape) for name, tensor in self.tensors.items()))

    @property
    def shown(self) -> str:
        """Its name as messages show it."""
        return f'"{self.prefix[:60]}"'

    @property
    def pattern(self) -> str:
        """Its name without numbers: "layer#.#.conv#"."""
        return re.sub(r"\d+", "#", self.prefix)


def units(slots: Iterable[Slot]) -> list[Unit]:
    """Return the layers' arrays as modules have them, in the layers' order."""
    found: list[tuple[str, dict[str, Slot]]] = []
    for slot in slots:
        # The pointwise kernel of a separable convolution begins a module of its own.
        if not found or found[-1][0] != slot.layer or slot.weight.name == "pointwise_kernel":
            found.append((slot.layer, {}))
        found[-1][1][_NAMES[slot.weight.name]] = slot
    return [Unit(layer, named) for layer, named in found]


def modules(tensors: Iterable[StoredTensor]) -> list[Module]:
    """Return the modules with weights, in the order in which their first tensors come."""
    found: dict[str, dict[str, StoredTensor]] = {}
    for tensor in tensors:
        prefix, _, name = tensor.name.rpartition(".")
        if name != _COUNTER:
            found.setdefault(prefix, {})[name] = tensor
    return [Module(prefix, named) for prefix, named in found.items()]


def difference(unit: Unit, module: Module) -> str | None:
    """Return why a module is not what a layer needs, or None if it is."""
    if unit.signature != module.signature:
        return f"{unit.layer}: {module.shown} has {described(module.signature)}, expected {described(unit.signature)}"
    kinds = {name: tensor.kind for name, tensor in module.tensors.items() if tensor.kind not in FLOATS}
    if kinds:
        name, kind = next(iter(kinds.items()))
        return f"{unit.layer}: {module.shown} has {name} of type {kind}, expected one of {', '.join(FLOATS)}"
    return None


def described(signature: Signature) -> str:
    """Return names and shapes in words: "bias (6), weight (6, 1, 5, 5)"."""
    shown = [f"{name[:60]} ({', '.join(map(str, shape))})" for name, shape in signature[:6]]
    return ", ".join([*shown, *(["…"] if signature[6:] else [])])


def natural(prefix: str) -> list[tuple[int, str]]:
    """Return a key that sorts "features.2" before "features.10"."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d{1,9})", prefix)]
