"""A `.keras` file's config.json as a list of entries: one a layer, those of nested models in their model's place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from cnncli.importing.graph import GraphImportError, check_number

_MODELS = ("Functional", "Sequential")

MAX_DEPTH = 20
"""Models within models."""


@dataclass(frozen=True)
class Entry:
    """One layer of the file.

    Attributes:
        name: Its name.
        kind: Keras's class name.
        config: Its arguments.
        inputs: Names of the layers that it reads.
        whole: All that the file says of it.
    """

    name: str
    kind: str
    config: Mapping[str, Any]
    inputs: tuple[str, ...]
    whole: Mapping[str, Any]


def read_entries(model: Any, is_layer: Callable[[Entry], bool], depth: int = 0) -> tuple[list[Entry], tuple[str, ...]]:
    """Return the layers of a model and the names of those that are its outputs.

    Args:
        model: What the file holds.
        is_layer: Says of a nested model whether it stands for a single layer; the layers of others take its place.
        depth: Number of models around this one.

    Raises:
        GraphImportError: If it is damaged, or has layers that are used twice or bear one name.
    """
    kind = field(model, "class_name", str)
    if kind not in _MODELS:
        raise GraphImportError(f"{kind[:80]} models are not supported, only Functional and Sequential ones")
    if depth > MAX_DEPTH:
        raise GraphImportError(f"models are nested more than {MAX_DEPTH} deep")
    entries: list[Entry] = []
    outputs: dict[str, str] = {}
    found = list(_entries(model, kind))
    for entry in found:
        read = replace(entry, inputs=tuple(outputs.get(name, name) for name in entry.inputs))
        if entry.kind in _MODELS and not is_layer(entry):
            nested, outputs[entry.name] = _nested(read, is_layer, depth + 1)
            entries += nested
        else:
            entries.append(read)
    check_number(len(entries), "config.json")
    _check_names(entries)
    ends = _output_names(model) if kind == "Functional" else tuple(entry.name for entry in found[-1:])
    return entries, tuple(outputs.get(name, name) for name in ends)


def _nested(entry: Entry, is_layer: Callable[[Entry], bool], depth: int) -> tuple[list[Entry], str]:
    """Return the layers of a model within a model, which read what it reads, and the name of the last."""
    entries, outputs = read_entries(entry.whole, is_layer, depth)
    inputs = [inner.name for inner in entries if inner.kind == "InputLayer"]
    if len(inputs) != 1 or len(entry.inputs) != 1 or len(outputs) != 1:
        raise GraphImportError(
            f"{entry.name} is a model with {len(inputs)} inputs and {len(outputs)} outputs; nested models with one of "
            "each are supported"
        )
    kept = [inner for inner in entries if inner.kind != "InputLayer"]
    reading = [replace(e, inputs=tuple(entry.inputs[0] if n == inputs[0] else n for n in e.inputs)) for e in kept]
    return reading, entry.inputs[0] if outputs == tuple(inputs) else outputs[0]


def _check_names(entries: list[Entry]) -> None:
    """Refuse two layers of one name: in the file of weights, too, a layer is found by its name."""
    seen: set[str] = set()
    for entry in entries:
        if entry.name in seen:
            raise GraphImportError(
                f"two layers are named {entry.name[:80]}",
                "Give each a name of its own: layer.name = …, and save again.",
            )
        seen.add(entry.name)


def field(holder: Any, key: str, kind: type[Any]) -> Any:
    """Return a value of the file that must be of a type.

    Raises:
        GraphImportError: If it is missing or another.
    """
    value = holder.get(key) if isinstance(holder, dict) else None
    if not isinstance(value, kind):
        raise GraphImportError(f"config.json is damaged: {key} is missing")
    return value


def call_arguments(entry: Entry) -> list[Any]:
    """Return what a layer or an operation is called with: tensors, lists of them, numbers."""
    nodes = field(entry.whole, "inbound_nodes", list)
    return list(field(nodes[0], "args", list)) if nodes else []


def _entries(model: Any, kind: str) -> Iterator[Entry]:
    """Return the layers of a Functional or a Sequential model."""
    layers = field(field(model, "config", dict), "layers", list)
    check_number(len(layers), "config.json")
    before = ""
    for layer in layers:
        config = field(layer, "config", dict)
        name = str(config.get("name", ""))
        inputs = _inbound(layer, name) if kind == "Functional" else (() if not before else (before,))
        yield Entry(name, field(layer, "class_name", str), config, inputs, layer)
        before = name


def _inbound(layer: Any, name: str) -> tuple[str, ...]:
    """Return the names of the layers whose outputs a layer takes."""
    nodes = field(layer, "inbound_nodes", list)
    if len(nodes) > 1:
        raise GraphImportError(f"{name} is used {len(nodes)} times; shared layers are not supported")
    if nodes and not isinstance(nodes[0], dict):
        raise GraphImportError("the file was written by Keras 2", "Load and save it with Keras 3 first.")
    return tuple(_histories(nodes[0].get("args"))) if nodes else ()


def _histories(given: Any) -> Iterator[str]:
    if isinstance(given, list):
        for item in given:
            yield from _histories(item)
    elif isinstance(given, dict) and given.get("class_name") == "__keras_tensor__":
        history = field(given, "config", dict).get("keras_history")
        if not (isinstance(history, list) and len(history) == 3 and isinstance(history[0], str)):
            raise GraphImportError("config.json is damaged: a layer's input has no keras_history")
        yield history[0]


def _output_names(model: Any) -> tuple[str, ...]:
    outputs = field(model["config"], "output_layers", list)
    if outputs and isinstance(outputs[0], str):
        return (outputs[0],)
    return tuple(str(output[0]) for output in outputs if isinstance(output, list) and output)
