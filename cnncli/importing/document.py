"""A network from elsewhere → the text of a config."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from cnncli.config.dump import dump_document
from cnncli.config.load import load_document, loads
from cnncli.config.schema.schema import Config
from cnncli.config.schema.tasks import DEFAULT
from cnncli.errors import ConfigError
from cnncli.importing.graph import GraphImportError, ImportedGraph
from cnncli.importing.nesting import chain, nest, reading
from cnncli.layers.base import Merge
from cnncli.layers.graph import INPUT, INPUT_NAME, Node, shapes
from cnncli.layers.named import snake_case
from cnncli.layers.sliding import times

Document = dict[str, Any]


def to_config(graph: ImportedGraph) -> tuple[Config, Document, tuple[str, ...]]:
    """Return the config of a network from elsewhere, as it is written down, and what a user should know of it.

    An export of ours carries its config; where its network is the one in the file, that config is
    returned as it was written. Otherwise data and training are left to the user.

    Raises:
        GraphImportError: If the config language cannot say the network.
    """
    config, document = _loaded(graph)
    if graph.document is None and config.task == DEFAULT and _ends_in_a_plane(config):
        config, document = _loaded(replace(graph, task="segmentation"))
        return config, document, (*graph.notes, _PLANE.format(times(shapes(config.nodes, config.input_shape)[-1])))
    if graph.document is None:
        return config, document, graph.notes
    carried = _carried(graph.document)
    if carried is not None and meaning(carried) == meaning(config):
        return carried, carried.document, graph.notes
    return config, document, (*graph.notes, _ANOTHER)


_PLANE = (
    "the network ends in a plane of {} values, not in one number per class: imported with task: segmentation, where "
    "each channel is a class"
)


def _ends_in_a_plane(config: Config) -> bool:
    return len(shapes(config.nodes, config.input_shape)[-1]) == 3


_ANOTHER = "the config inside the file describes another network; the network itself was imported"


def _carried(text: str) -> Config | None:
    try:
        return loads(text, "(config inside)")
    except ConfigError:
        return None


Identity = str | int
"""What stands for a layer in a comparison: its name, or of one that merges what it merges."""
Meaning = tuple[Identity, str, dict[str, Any], tuple[Identity, ...]]


def meaning(config: Config) -> list[Meaning]:
    """Return each layer's name, type, Keras arguments and inputs, in no order; a softmax at the end left out."""
    identities: dict[int, Identity] = {INPUT: INPUT_NAME}
    rows: list[Meaning] = []
    for index, node in enumerate(config.nodes):
        inputs = tuple(identities[i] for i in node.inputs)
        merged = hash((node.layer.type_name(), inputs)) if isinstance(node.layer, Merge) else None
        identities[index] = node.name if merged is None else merged
        rows.append((identities[index], node.layer.type_name(), _arguments(node), inputs))
    if rows and rows[-1][1] == "Softmax":
        rows.pop()
    if rows and rows[-1][2].get("activation") == "softmax":
        name, kind, arguments, inputs = rows.pop()
        if kind != "Activation":
            rows.append((name, kind, {**arguments, "activation": None}, inputs))
    return sorted(rows, key=lambda row: str(row[0]))


def _arguments(node: Node) -> dict[str, Any]:
    arguments = {**node.layer.keras_arguments(), "trainable": node.layer.trainable}
    if arguments.get("activation") == "linear":
        arguments["activation"] = None
    if "pool_size" in arguments:
        arguments["strides"] = arguments["strides"] or arguments["pool_size"]
    return arguments


def _loaded(graph: ImportedGraph) -> tuple[Config, Document]:
    """Return the config with branches nested, or where that cannot be, with layers that name what they read."""
    if graph.heads:
        return _load(_document(graph, *_with_heads(graph)), graph.name)
    try:
        return _load(_document(graph, nest(graph.operations)), graph.name)
    except GraphImportError as error:
        if error.code != "E042":
            raise
    # A Residual's ways have one shape; the axes of an Add may have the length 1.
    return _load(_document(graph, chain(graph.operations)), graph.name)


def _with_heads(graph: ImportedGraph) -> tuple[list[Any], Document]:
    """Return the layers that the heads share, and the heads, each of one layer that names what it reads."""
    heads = [operation for operation in graph.operations if operation.name in graph.heads]
    shared = [operation for operation in graph.operations if operation.name not in graph.heads]
    read = dict.fromkeys(name for head in heads for name in head.inputs)
    return chain(shared, tuple(read)), {head.name: [reading(head)] for head in heads}


def _load(document: Document, name: str) -> tuple[Config, Document]:
    try:
        named = load_document(document, name)
    except ConfigError as error:
        first = error.problems[0]
        raise GraphImportError(f"{name}: {first.path}: {first.message}", first.hint, first.code) from None
    return _without_names(document, named)


def _without_names(document: Document, named: Config) -> tuple[Config, Document]:
    """Return the config without the names that it would give by itself, and that no layer reads."""
    model = document["model"]
    heads = [layer for head in model.get("heads", {}).values() for layer in head]
    read = _read_names([*model["layers"], *heads])
    bare = {**document, "model": {**model, "layers": _bare(model["layers"], read)}}
    try:
        unnamed = load_document(bare)
    except ConfigError:
        return named, document
    same = [node.name for node in unnamed.nodes] == [node.name for node in named.nodes]
    return (unnamed, bare) if same else (named, document)


def _read_names(layers: list[Any]) -> set[str]:
    """Return the names that layers of the outermost list read: only there they name any."""
    inputs = [
        arguments.get("inputs", []) for part in layers for arguments in part.values() if isinstance(arguments, dict)
    ]
    return {name for names in inputs for name in ([names] if isinstance(names, str) else names)}


def _bare(part: Any, read: set[str]) -> Any:
    """Return layers without names that Keras gives, but for those that are read."""
    if isinstance(part, list):
        return [_bare(item, read) for item in part]
    if not isinstance(part, dict):
        return part
    ((kind, arguments),) = part.items()
    if kind == "Parallel":
        return {kind: _bare(arguments, read)}
    if kind == "Residual":
        return {kind: {key: _bare(value, read) for key, value in arguments.items()}}
    kept = {k: v for k, v in arguments.items() if k != "name" or v in read or not _is_automatic(kind, v)}
    return {kind: kept} if kept else kind


def _is_automatic(kind: str, name: str) -> bool:
    return re.fullmatch(rf"{snake_case(kind)}(_\d+)?", name) is not None


_SOURCES = {"classification": "folder", "segmentation": "masks", "detection": "voc"}
"""A kind of data for each task, for the user to replace."""


def _document(graph: ImportedGraph, layers: list[Any], heads: Document | None = None) -> Document:
    height, width, channels = graph.input_shape
    train = {} if graph.precision == "float32" else {"train": {"precision": graph.precision}}
    return {
        "name": graph.name,
        **({} if graph.task == DEFAULT else {"task": graph.task}),
        "data": {"source": _SOURCES[graph.task], "path": "images", "image_size": [height, width], "channels": channels},
        "model": {"layers": layers, **({"heads": heads} if heads else {})},
        **train,
    }


def text_of(document: Document, origin: str, notes: tuple[str, ...]) -> str:
    """Return a config as a file: where it comes from, what to know, and the config."""
    head = [f"# Imported from {origin} by `cnn import`.", *(f"# Note: {note}." for note in notes)]
    return "\n".join([*head, dump_document(document)])


def config_name(text: str) -> str:
    """Return a name for a config: only letters, digits, "_", "." and "-"."""
    name = re.sub(r"[^A-Za-z0-9_.\-]+", "_", text).strip("_.-")
    return name[:100] or "net"
