"""A `.keras` file's config.json → our layers: by a list of what is allowed, without importing what it names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cnncli.importing.graph import IMAGE, GraphImportError, ImportedGraph, Operation, check_number, make_layer
from cnncli.importing.keras.responses import local_responses
from cnncli.layers import VOCABULARY
from cnncli.layers.base import Layer

_NEUTRAL: dict[str, tuple[Any, ...]] = {
    "data_format": ("channels_last", None),
    "axis": (-1, [-1], None),
    "batch_input_shape": (None,),
}
"""Arguments of Keras that ours lack, with the values that mean what ours do; others must be null, false or 0."""

_MEANINGLESS = {"name", "trainable", "dtype", "seed", "build_config", "fill_value", "fill_mode", "supports_masking"}
_MEANINGLESS |= {"batch_shape", "autocast", "sparse", "ragged", "optional", "renorm_momentum"}


@dataclass(frozen=True)
class _Entry:
    """One layer of the file."""

    name: str
    kind: str
    config: Mapping[str, Any]
    inputs: tuple[str, ...]
    whole: Mapping[str, Any]


def read_config(model: Any, name: str, ours: bool) -> ImportedGraph:
    """Return the network that a config.json describes.

    Args:
        model: What the file holds.
        name: What to call the network.
        ours: Whether `cnn export` wrote it: then its preprocessing and its softmax are the config's, not layers.

    Raises:
        GraphImportError: If it holds anything but layers of the vocabulary, or is damaged.
    """
    entries = list(_entries(model))
    source, shape = _input(entries)
    makers = {source: IMAGE}
    operations: list[Operation] = []
    for entry in entries:
        if entry.kind == "InputLayer":
            continue
        missing = [given for given in entry.inputs if given not in makers]
        if missing or not entry.inputs:
            raise GraphImportError(f'{entry.name}: no earlier layer outputs its input "{(missing or ["?"])[0]}"')
        inputs = tuple(makers[given] for given in entry.inputs)
        if ours and _is_frame(entry, entries):
            makers[entry.name] = inputs[0]
            continue
        operations.append(Operation(entry.name, _layer(entry), inputs))
        makers[entry.name] = entry.name
    last = makers[_output(model, entries)]
    if not operations or operations[-1].name != last:
        raise GraphImportError("the network's output is not its last layer")
    height, width, channels = shape
    scaled, notes = _scaled(operations, ours)
    return ImportedGraph(name, (height, width, channels), tuple(scaled), notes, _precision(entries))


def _entries(model: Any) -> Iterator[_Entry]:
    """Return the layers of a Functional or a Sequential model."""
    kind = _field(model, "class_name", str)
    if kind not in ("Functional", "Sequential"):
        raise GraphImportError(f"{kind} models are not supported, only Functional and Sequential ones")
    layers = _field(_field(model, "config", dict), "layers", list)
    check_number(len(layers), "config.json")
    before = ""
    for layer in layers:
        config = _field(layer, "config", dict)
        name = str(config.get("name", ""))
        inputs = _inbound(layer, name) if kind == "Functional" else (() if not before else (before,))
        yield _Entry(name, _field(layer, "class_name", str), config, inputs, layer)
        before = name


def _field(holder: Any, key: str, kind: type[Any]) -> Any:
    value = holder.get(key) if isinstance(holder, dict) else None
    if not isinstance(value, kind):
        raise GraphImportError(f"config.json is damaged: {key} is missing")
    return value


def _inbound(layer: Any, name: str) -> tuple[str, ...]:
    """Return the names of the layers whose outputs a layer takes."""
    nodes = _field(layer, "inbound_nodes", list)
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
        history = _field(given, "config", dict).get("keras_history")
        if not (isinstance(history, list) and len(history) == 3 and isinstance(history[0], str)):
            raise GraphImportError("config.json is damaged: a layer's input has no keras_history")
        yield history[0]


def _input(entries: list[_Entry]) -> tuple[str, tuple[int, int, int]]:
    """Return the input's name and the shape of one image."""
    inputs = [entry for entry in entries if entry.kind == "InputLayer"]
    if len(inputs) != 1:
        raise GraphImportError(
            f"the network has {len(inputs)} inputs; only networks with a single image as input are supported"
        )
    shape = inputs[0].config.get("batch_shape")
    if not (isinstance(shape, list) and len(shape) == 4):
        raise GraphImportError(f"the input has shape {str(shape)[:60]}; expected (any, height, width, channels)")
    height, width = shape[1:3] if shape[1:3] != [None, None] else _size_after_frame(entries)
    if not all(type(n) is int and 1 <= n <= 2**16 for n in (height, width, shape[3])):
        raise GraphImportError(f"the input has shape {str(shape)[:60]}; height, width and channels must be fixed")
    return inputs[0].name, (height, width, shape[3])


def _size_after_frame(entries: list[_Entry]) -> tuple[Any, Any]:
    """Return the size that an export's preprocessing gives to images of any size."""
    models = (entry for entry in entries if entry.kind == "Functional")
    steps = (step for model in models for step in _field(model.config, "layers", list))
    for step in steps:
        size = _field(step, "config", dict).get("size")
        if step.get("class_name") == "Resize" and isinstance(size, list) and len(size) == 2:
            return size[0], size[1]
    return None, None


def _is_frame(entry: _Entry, entries: list[_Entry]) -> bool:
    """Whether a layer is what `cnn export` puts before and behind a network."""
    before = entry.kind == "Functional" and entry.name.rstrip("_") == "preprocessing"
    behind = entry is entries[-1] and entry.kind == "Softmax" and entry.name.rstrip("_") == "probabilities"
    return before or behind


def _output(model: Any, entries: list[_Entry]) -> str:
    if model["class_name"] == "Sequential":
        return entries[-1].name
    outputs = _field(model["config"], "output_layers", list)
    names = [outputs[0]] if outputs and isinstance(outputs[0], str) else [o[0] for o in outputs if isinstance(o, list)]
    if len(names) != 1 or names[0] not in {entry.name for entry in entries}:
        raise GraphImportError(
            f"the network has {len(names)} outputs; only networks with a single output are supported"
        )
    return str(names[0])


def _layer(entry: _Entry) -> Layer:
    """Return a layer of the vocabulary for an entry of the file."""
    if entry.kind == "Functional":
        return local_responses(entry.config, entry.name)
    registered = entry.whole.get("registered_name")
    module = str(entry.whole.get("module", ""))
    if registered not in (None, entry.kind) or not (module == "keras.layers" or module.startswith("keras.src.layers.")):
        raise GraphImportError(f"{entry.name}: {str(registered or module)[:80]} is not one of Keras's own layers")
    if entry.kind not in VOCABULARY:
        raise GraphImportError(
            f"{entry.name}: {entry.kind[:80]} is not a supported layer", f"Supported: {', '.join(VOCABULARY)}."
        )
    fields = VOCABULARY[entry.kind].model_fields
    arguments = {k: _argument(v, entry, k) for k, v in entry.config.items() if k in fields and k not in Layer.placing}
    for key, value in entry.config.items():
        if key not in fields and key not in _MEANINGLESS:
            _check_neutral(entry, key, value)
    return make_layer(entry.kind, arguments, entry.name)


def _argument(value: Any, entry: _Entry, key: str) -> Any:
    """Return an argument as our layer takes it."""
    if isinstance(value, dict):
        kind, config = _field(value, "class_name", str), _field(value, "config", dict)
        if key.endswith(("_initializer", "_regularizer")):
            return {kind: {k: v for k, v in config.items() if k != "seed" and v is not None}}
        raise GraphImportError(f"{entry.name}.{key}: {kind[:80]} is not supported")
    return value


def _check_neutral(entry: _Entry, key: str, value: Any) -> None:
    allowed = _NEUTRAL.get(key, (None, False, 0, "", [], {}))
    if entry.kind == "Concatenate" and key == "axis" and value in (-1, 1, 2, 3, 4):
        return
    if key == "axis" and entry.kind.endswith("Normalization") and _last_axis(value):
        return
    if value not in allowed:
        raise GraphImportError(f"{entry.name}: {entry.kind} with {key[:40]}={str(value)[:60]} is not supported")


def _last_axis(value: Any) -> bool:
    return value in (3, [3], (3,), -1, [-1])


def _precision(entries: list[_Entry]) -> str:
    """Return the precision that most of the network computes with."""
    found = set()
    for entry in entries:
        dtype = entry.config.get("dtype")
        config = dtype.get("config") if isinstance(dtype, dict) else None
        found.add(config.get("name") if isinstance(config, dict) else dtype)
    return next((name for name in ("mixed_bfloat16", "mixed_float16") if name in found), "float32")


def _scaled(operations: list[Operation], ours: bool) -> tuple[list[Operation], tuple[str, ...]]:
    """Return the network for values from 0 to 1, which is what a config's network reads."""
    if ours:
        return operations, ()
    first = operations[0]
    if first.layer.type_name() != "Rescaling" or first.inputs != (IMAGE,):
        return operations, (
            "the network is assumed to take values from 0 to 1; if it takes others, begin with Rescaling",
        )
    scale, offset = getattr(first.layer, "scale") * 255, getattr(first.layer, "offset")  # noqa: B009
    if abs(scale - 1) < 1e-6 and offset == 0:
        rest = [
            Operation(o.name, o.layer, tuple(IMAGE if i == first.name else i for i in o.inputs)) for o in operations
        ]
        return rest[1:], ()
    layer = make_layer("Rescaling", {"scale": scale, "offset": offset}, first.name)
    return [Operation(first.name, layer, first.inputs), *operations[1:]], ()
