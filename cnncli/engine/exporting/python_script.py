"""A readable Keras script of the network, with its weights beside it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from pprint import pformat
from string import Template
from typing import Any

import keras
import numpy as np

from cnncli.config.schema.tasks import TASKS
from cnncli.config.schema.tasks.detection import pairs
from cnncli.engine.exporting.source import Source
from cnncli.engine.network.own_layers import OWN_LAYERS
from cnncli.layers.base import Layer, Merge
from cnncli.layers.graph import INPUT, Node
from cnncli.layers.named import snake_case
from cnncli.layers.preprocessing import Normalization
from cnncli.serving.description import FILE, Description
from cnncli.tasks.colours import class_colours
from cnncli.tasks.detection.decoding import LARGEST_LOG, MOST_BOXES
from cnncli.tasks.detection.matrix_nms import SIGMA
from cnncli.tasks.outputs import images_together
from cnncli.tasks.predictions import LEAST_SCORE

SCRIPT, WEIGHTS = "network.py", "weights.npz"
"""Names of the files."""

_TEMPLATES = Path(__file__).parent / "templates"


_LOGITS = {
    "logits": "logits",
    "forward": "    return tf.cast(model(tf.cast(images, tf.float32) / 255.0, training=False), tf.float32)",
    "joined": "    return np.concatenate(batches)[:number]",
}
"""What the script of a network with one output computes."""


def write_python(source: Source, description: Description, path: Path) -> None:
    """Write a directory with network.py, weights.npz and the description."""
    path.mkdir()
    (path / SCRIPT).write_text(script(source), encoding="utf-8")
    (path / FILE).write_text(description.to_json(), encoding="utf-8")
    np.savez(path / WEIGHTS, **dict(_weights(source)))


def script(source: Source) -> str:
    """Return the text of network.py."""
    config, names = source.config, _tensor_names(source.nodes, source.ends.values())
    template = Template((_TEMPLATES / "network.py.txt").read_text(encoding="utf-8"))
    return template.substitute(
        name=config.name,
        classes=pformat(tuple(source.trained.classes), width=110, compact=True),
        height=config.data.image_size[0],
        width=config.data.image_size[1],
        channels=config.data.channels,
        precision=config.train.precision,
        own_layers=_own_layers(source.nodes),
        layers="\n".join(f"    {line}" for line in _layer_lines(source, names)),
        output=_output(source, names),
        resize=_text(f"resize_{config.data.resize.fit}", method=config.data.resize.method),
        batch_size=images_together(config.data.image_size, TASKS[config.task].has_places),
        **ANSWERS[config.task](source),
    )


def _classes(_: Source) -> dict[str, str]:
    """Return what the script of a classifier imports, how it is called, and what it does with logits."""
    return {
        "imports": "import sys",
        "usage": "Classify images with:  python network.py IMAGE...",
        **_LOGITS,
        "answer": _text("softmax") + "\n\n\n" + _text("answer_classification"),
    }


def _masks(source: Source) -> dict[str, str]:
    """Return the same of a network that finds the class of each pixel."""
    colours = [tuple(colour) for colour in class_colours(len(source.trained.classes)).tolist()]
    restore = _text(f"restore_{source.config.data.resize.fit}")
    return {
        "imports": "import struct\nimport sys\nimport zlib",
        "usage": "Write the mask of each image beside it, as a PNG file, with:  python network.py IMAGE...",
        **_LOGITS,
        "answer": _text("softmax")
        + "\n\n\n"
        + _text("answer_segmentation", colours=pformat(colours, width=110, compact=True), restore=restore),
    }


def _boxes(source: Source) -> dict[str, str]:
    """Return the same of a detector."""
    suppression, returned = "", "found"
    if source.config.nms == "matrix":
        suppression, returned = _text("matrix_nms", sigma=str(SIGMA)) + "\n\n\n", "matrix_nms(found)"
    return {
        "imports": "import sys",
        "usage": "Print the objects of images with:  python network.py IMAGE...",
        "logits": "planes",
        "forward": _text("forward_planes"),
        "joined": _text("joined_planes"),
        "answer": _text(
            "answer_detection",
            planes=repr(tuple(map(tuple, pairs(source.ends)))),
            most_boxes=str(MOST_BOXES),
            largest_log=str(LARGEST_LOG),
            least_score=str(LEAST_SCORE),
            suppression=suppression,
            returned=returned,
            restore=_text(f"boxes_{source.config.data.resize.fit}"),
        ),
    }


ANSWERS: dict[str, Callable[[Source], dict[str, str]]] = {
    "classification": _classes,
    "segmentation": _masks,
    "detection": _boxes,
}
"""By task: what of the script is the task's own."""


def _weights(source: Source) -> Iterator[tuple[str, Any]]:
    for node in source.nodes:
        if not isinstance(node.layer, Normalization):
            for weight in source.trained.model.get_layer(node.name).weights:
                yield f"{node.name}/{weight.name}", np.asarray(weight)


def _output(source: Source, names: dict[int, str]) -> str:
    """Return what the network returns: the last node's variable, or a dictionary of several outputs."""
    if source.ends:
        return f"{{{', '.join(f'{name!r}: {names[index]}' for name, index in source.ends.items())}}}"
    return names[len(source.nodes) - 1] if source.nodes else "images"


def _tensor_names(nodes: tuple[Node, ...], ends: Collection[int] = ()) -> dict[int, str]:
    """Return the variable that holds each node's output: x where only the next line reads it, and it is no output."""
    readers: dict[int, list[int]] = {}
    for index, node in enumerate(nodes):
        for given in node.inputs:
            readers.setdefault(given, []).append(index)
    names = {INPUT: "images"}
    used = {"images", "x", "layers", "keras", "build"}
    for index, node in enumerate(nodes):
        last = index == len(nodes) - 1
        if index not in ends and (last or readers.get(index) == [index + 1]):
            names[index] = "x"
            continue
        names[index] = next(n for n in _candidates(node.name) if n not in used)
        used.add(names[index])
    return names


def _candidates(name: str) -> Iterator[str]:
    stem = re.sub(r"\W", "_", name)
    stem = stem if stem[0].isalpha() else f"_{stem}"
    yield stem
    yield from (f"{stem}_{number}" for number in range(2, 10_000))


def _layer_lines(source: Source, names: dict[int, str]) -> Iterator[str]:
    for index, node in enumerate(source.nodes):
        given = [names[i] for i in node.inputs]
        inputs = f"[{', '.join(given)}]" if isinstance(node.layer, Merge) else given[0]
        yield f"{names[index]} = {_constructor(source, node)}({inputs})"


def _constructor(source: Source, node: Node) -> str:
    """Return the call that makes a layer: what is as by default, or only matters in training, is left out."""
    arguments = {**_arguments(source, node), "name": node.name}
    policy = source.trained.model.get_layer(node.name).dtype_policy.name
    if policy != source.config.train.precision:
        arguments["dtype"] = policy
    call = ", ".join(f"{key}={value!r}" for key, value in arguments.items())
    own = node.layer.type_name() in OWN_LAYERS
    return f"{'' if own else 'layers.'}{node.layer.type_name()}({call})"


def _arguments(source: Source, node: Node) -> dict[str, Any]:
    layer = node.layer
    if isinstance(layer, Normalization):
        keras_layer = source.trained.model.get_layer(node.name)
        flat = {key: np.asarray(getattr(keras_layer, key)).reshape(-1).tolist() for key in ("mean", "variance")}
        return {key: values if len(values) > 1 else values[0] for key, values in flat.items()}
    given = layer.keras_arguments()
    if layer.type_name() in OWN_LAYERS:
        return given
    return {key: value for key, value in given.items() if _matters(layer, key)}


def _matters(layer: Layer, key: str) -> bool:
    if key.endswith(("_initializer", "_regularizer")):
        return False
    required = (
        inspect.signature(getattr(keras.layers, layer.type_name())).parameters[key].default is inspect.Parameter.empty
    )
    return required or bool(getattr(layer, key) != type(layer).model_fields[key].default)


def _own_layers(nodes: tuple[Node, ...]) -> str:
    used = {node.layer.type_name() for node in nodes}
    return "".join(_text(snake_case(name)) + "\n\n\n" for name in OWN_LAYERS if name in used)


def _text(name: str, **values: str) -> str:
    """Return a part of the script."""
    text = (_TEMPLATES / f"{name}.py.txt").read_text(encoding="utf-8")
    return Template(text).substitute(values).rstrip()
