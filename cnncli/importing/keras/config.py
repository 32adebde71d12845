"""A `.keras` file's config.json → our layers: by a list of what is allowed, without importing what it names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cnncli.importing.graph import IMAGE, GraphImportError, ImportedGraph, Operation, make_layer
from cnncli.importing.keras.entries import Entry, call_arguments, field, read_entries
from cnncli.importing.keras.operations import exported, operation
from cnncli.importing.keras.other_words import in_our_words
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

OPERATIONS = "keras.src.ops.numpy"
"""Where Keras's operations are defined."""


@dataclass(frozen=True)
class InputSize:
    """What a user says of a network's input, for files that leave it open.

    Attributes:
        image: Height and width.
        channels: Number of channels.
    """

    image: tuple[int, int] | None = None
    channels: int | None = None


def read_config(model: Any, name: str, ours: bool, size: InputSize = InputSize()) -> ImportedGraph:
    """Return the network that a config.json describes.

    Args:
        model: What the file holds.
        name: What to call the network.
        ours: Whether `cnn export` wrote it: then its preprocessing and its softmax are the config's, not layers.
        size: What to take where the file gives no height, width or channels.

    Raises:
        GraphImportError: If it holds anything but layers of the vocabulary, or is damaged.
    """
    entries, outputs = read_entries(model, lambda entry: _is_preprocessing(entry, ours) or _exported(entry) is not None)
    source, shape = _input(entries, size)
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
    if len(outputs) != 1 or outputs[0] not in makers:
        raise GraphImportError(
            f"the network has {len(outputs)} outputs; only networks with a single output are supported"
        )
    if not operations or operations[-1].name != makers[outputs[0]]:
        raise GraphImportError("the network's output is not its last layer")
    height, width, channels = shape
    scaled, notes = _scaled(operations, ours)
    return ImportedGraph(name, (height, width, channels), tuple(scaled), notes, _precision(entries))


def _input(entries: list[Entry], size: InputSize) -> tuple[str, tuple[Any, Any, Any]]:
    """Return the input's name and the shape of one image."""
    inputs = [entry for entry in entries if entry.kind == "InputLayer"]
    if len(inputs) != 1:
        raise GraphImportError(
            f"the network has {len(inputs)} inputs; only networks with a single image as input are supported"
        )
    shape = inputs[0].config.get("batch_shape")
    if not (isinstance(shape, list) and len(shape) == 4):
        raise GraphImportError(f"the input has shape {str(shape)[:60]}; expected (any, height, width, channels)")
    open_size = shape[1:3] == [None, None]
    image_size = (_size_after_frame(entries) or size.image or shape[1:3]) if open_size else shape[1:3]
    height, width = image_size
    channels = shape[3] or size.channels
    if not all(type(n) is int and 1 <= n <= 2**16 for n in (height, width, channels)):
        raise GraphImportError(
            f"the input has shape {str(shape)[:60]}; height, width and channels must be fixed",
            "Give them with --image-size HEIGHT WIDTH and --channels N.",
        )
    return inputs[0].name, (height, width, channels)


def _size_after_frame(entries: list[Entry]) -> tuple[Any, Any] | None:
    """Return the size that an export's preprocessing gives to images of any size."""
    models = (entry for entry in entries if entry.kind == "Functional")
    steps = (step for model in models for step in field(model.config, "layers", list))
    for step in steps:
        size = field(step, "config", dict).get("size")
        if step.get("class_name") == "Resize" and isinstance(size, list) and len(size) == 2:
            return size[0], size[1]
    return None


def _is_frame(entry: Entry, entries: list[Entry]) -> bool:
    """Whether a layer is what `cnn export` puts before and behind a network."""
    behind = entry is entries[-1] and entry.kind == "Softmax" and entry.name.rstrip("_") == "probabilities"
    return behind or _is_preprocessing(entry, ours=True)


def _is_preprocessing(entry: Entry, ours: bool) -> bool:
    return ours and entry.kind == "Functional" and entry.name.rstrip("_") == "preprocessing"


def _exported(entry: Entry) -> Layer | None:
    """Return the layer that a nested model stands for, if it does for one."""
    return exported(entry.config, entry.name) if entry.kind == "Functional" else None


def _layer(entry: Entry) -> Layer:
    """Return a layer of the vocabulary for an entry of the file."""
    registered = entry.whole.get("registered_name")
    module = str(entry.whole.get("module", ""))
    if module == OPERATIONS:
        return operation(entry.kind, call_arguments(entry), entry.name)
    other = _exported(entry) or in_our_words(entry)
    if other is not None:
        return other
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


def _argument(value: Any, entry: Entry, key: str) -> Any:
    """Return an argument as our layer takes it."""
    if isinstance(value, dict):
        kind, config = field(value, "class_name", str), field(value, "config", dict)
        if key.endswith(("_initializer", "_regularizer")):
            return {kind: {k: v for k, v in config.items() if k != "seed" and v is not None}}
        raise GraphImportError(f"{entry.name}.{key}: {kind[:80]} is not supported")
    return value


def _check_neutral(entry: Entry, key: str, value: Any) -> None:
    allowed = _NEUTRAL.get(key, (None, False, 0, "", [], {}))
    if entry.kind == "Concatenate" and key == "axis" and value in (-1, _last_axis_of_input(entry)):
        return
    if key == "axis" and entry.kind.endswith("Normalization") and _last_axis(value):
        return
    if value not in allowed:
        raise GraphImportError(f"{entry.name}: {entry.kind} with {key[:40]}={str(value)[:60]} is not supported")


def _last_axis_of_input(entry: Entry) -> int | None:
    """Return the number of the channels' axis, the batch axis counted; None where the file does not say the shapes."""
    given = call_arguments(entry)[:1]
    (tensor, *_) = given[0] if given and isinstance(given[0], list) and given[0] else [None]
    shape = field(tensor, "config", dict).get("shape") if isinstance(tensor, dict) else None
    return len(shape) - 1 if isinstance(shape, list) else None


def _last_axis(value: Any) -> bool:
    return value in (3, [3], (3,), -1, [-1])


def _precision(entries: list[Entry]) -> str:
    """Return the precision that most of the network computes with."""
    found = set()
    for entry in entries:
        dtype = entry.config.get("dtype")
        config = dtype.get("config") if isinstance(dtype, dict) else None
        found.add(str(config.get("name") if isinstance(config, dict) else dtype))
    return next((name for name in ("mixed_bfloat16", "mixed_float16") if name in found), "float32")


def _scaled(operations: list[Operation], ours: bool) -> tuple[list[Operation], tuple[str, ...]]:
    """Return the network for values from 0 to 1, which is what a config's network reads."""
    if ours:
        return operations, ()
    first, *others = operations
    is_scaled = first.layer.type_name() == "Rescaling" and not any(IMAGE in other.inputs for other in others)
    if not is_scaled:
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
