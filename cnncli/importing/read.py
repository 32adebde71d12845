"""Files from elsewhere → a config, and where they hold weights, a run of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnncli.config.dump import dump
from cnncli.config.schema.schema import Config
from cnncli.config.schema.tasks.detection import pairs
from cnncli.files.read import read_bytes
from cnncli.importing.caffe.prototxt import read_caffe
from cnncli.importing.darknet.cfg import read_darknet
from cnncli.importing.document import config_name, text_of, to_config
from cnncli.importing.graph import GraphImportError, ImportedGraph
from cnncli.importing.keras.archive import Archive, open_archive
from cnncli.importing.keras.config import InputSize, read_config
from cnncli.importing.keras.weights import MEMBER, Expected, most_bytes, most_bytes_of, read_weights
from cnncli.layers.base import Merge
from cnncli.layers.graph import input_shapes, shapes
from cnncli.serving.description import FILE, MOST_BYTES, Description

if TYPE_CHECKING:
    from cnncli.importing.channels_first import Slot
    from cnncli.importing.keras.weights import Array
    from cnncli.runs.run import Run

MOST_TEXT = 2**22
"""Most bytes of a prototxt or cfg file."""


MOST_CLASSES = 2**20

TENSOR_SUFFIXES = (".safetensors", ".pt", ".pth", ".bin")
"""Endings of files that hold PyTorch's tensors by names, without a network."""

KERAS_SUFFIXES = (".h5", ".hdf5")
"""Endings of files that hold weights of Keras's."""


@dataclass(frozen=True)
class Imported:
    """A network from elsewhere as a config.

    Attributes:
        config: The config.
        text: What its file holds; empty where the user has that file already.
        notes: What a user should know.
        classes: Class names; numbers where the file does not name them.
        weights: Arrays by "layer/weight"; empty where the file holds none.
        names: Of weights that were given to a config's layers, where each layer's come from.
    """

    config: Config
    text: str
    notes: tuple[str, ...]
    classes: tuple[str, ...]
    weights: dict[str, Array]
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def read(
    path: Path,
    image_size: tuple[int, int] | None = None,
    channels: int | None = None,
    weights: Path | None = None,
) -> Imported:
    """Read a `.keras`, `.prototxt` or `.cfg` file.

    Args:
        path: The file.
        image_size: Height and width, for a file that does not say them.
        channels: Likewise.
        weights: The .caffemodel of a .prototxt, or the .weights of a .cfg.

    Raises:
        GraphImportError: If it is damaged, dangerous, or of layers that the vocabulary lacks, or if the weights are not
            those of the network.
    """
    try:
        return _read(path, image_size, channels, weights)
    except RecursionError:
        raise GraphImportError(f"{path} is nested too deeply") from None


def _read(path: Path, image_size: tuple[int, int] | None, channels: int | None, weights: Path | None) -> Imported:
    suffix = path.suffix.lower()
    if suffix == ".prototxt":
        return _with_caffe_weights(read_caffe(path, _text(path), image_size, channels), path, weights)
    if suffix == ".cfg":
        return _with_darknet_weights(read_darknet(path, _text(path)), path, weights)
    if suffix == ".keras" and weights is None:
        return _read_keras(path, InputSize(image_size, channels))
    raise GraphImportError(*_refusal(path, suffix))


def _refusal(path: Path, suffix: str) -> tuple[str, str]:
    """Return what is wrong with a file that is not read, and what to do."""
    if suffix == ".keras":
        return f"{path} holds its weights itself", "Leave out --weights."
    hint = "Expected: a .keras, .prototxt, .cfg, .pt or .safetensors file."
    if suffix in KERAS_SUFFIXES:
        hint = (
            "For weights alone, name their config with --config. A model, load with Keras and save again: "
            "keras.models.load_model(….h5).save(….keras)."
        )
    elif suffix in (".caffemodel", ".weights"):
        hint = f"Import the network, with its weights: cnn import NETWORK --weights {path.name}."
    elif suffix in TENSOR_SUFFIXES:
        return f"{path} holds weights, not the network", f"Name its config: cnn import {path.name} --config CONFIG."
    return f"unsupported file type: {path}", hint


def _with_caffe_weights(graph: ImportedGraph, path: Path, weights: Path | None) -> Imported:
    imported = _imported(graph, path)
    if weights is None:
        return imported
    from cnncli.importing.caffe.caffemodel import read_weights

    found = read_weights(weights, graph, _slots(imported.config))
    notes = (*imported.notes, _CAFFE_VALUES, *_unused(found.unused))
    return _with_weights(imported, found.arrays, notes)


_CAFFE_VALUES = (
    "a run reads RGB from 0 to 1; many of Caffe's networks read BGR from 0 to 255 minus a mean, "
    "and have to be fine-tuned first"
)


def _with_darknet_weights(graph: ImportedGraph, path: Path, weights: Path | None) -> Imported:
    imported = _imported(graph, path)
    if weights is None:
        return imported
    from cnncli.importing.darknet.weights import read_weights as read_darknet_weights

    needed = [slot for slot in _slots(imported.config) if slot.name.split("/")[0] not in graph.heads]
    arrays = read_darknet_weights(weights, graph, needed)
    return _with_weights(imported, arrays | _fresh_heads(imported.config, graph.heads), imported.notes)


def _fresh_heads(config: Config, heads: Sequence[str]) -> dict[str, Array]:
    """Return weights with which heads that a file does not have begin: each finds the same at every place."""
    import numpy as np

    arrays: dict[str, Array] = {}
    for name, index in config.outputs.items():
        node = config.nodes[index]
        if node.name in heads:
            given = input_shapes(node, shapes(config.nodes, config.input_shape), config.input_shape)
            kernel, bias = node.layer.weights(given[0])
            arrays[f"{node.name}/{kernel.name}"] = np.zeros(kernel.shape, np.float32)
            start = config.task_spec.initial_bias(name) or 0.0
            arrays[f"{node.name}/{bias.name}"] = np.full(bias.shape, start, np.float32)
    return arrays


def read_onto(path: Path, config: Config, names: Path | None = None) -> Imported:
    """Read weights of PyTorch's, or of a network of Keras Applications, for the layers of a config.

    Args:
        path: A state_dict (.pt, .pth, .bin) or .safetensors file, or weights of Keras's (.h5).
        config: The network.
        names: A table of names, or None to go by order and shape.

    Raises:
        GraphImportError: If the file is damaged or dangerous, or its weights are not those of the network.
    """
    from cnncli.importing.pytorch.read import read_weights as read_torch_weights

    suffix = path.suffix.lower()
    if suffix in KERAS_SUFFIXES and names is None:
        return _read_pretrained(path, config)
    if suffix not in TENSOR_SUFFIXES:
        known = ", ".join((*TENSOR_SUFFIXES, *(() if names else KERAS_SUFFIXES)))
        raise GraphImportError(f"{path}: weights for a config are read from {known} files", "Leave out --config.")
    found = read_torch_weights(path, _slots(config), names)
    classes = tuple(map(str, range(_num_classes(config))))
    return Imported(config, "", _unused(found.match.unused), classes, found.arrays, found.match.prefixes)


def _read_pretrained(path: Path, config: Config) -> Imported:
    """Read weights of a network of Keras Applications for a config that is that network."""
    from cnncli.importing.keras.pretrained import backbone_of, read_pretrained

    found = read_pretrained(path, backbone_of(config))
    missing = [slot for slot in _expected(config) if any(f"{slot[0]}/{w.name}" not in found.arrays for w in slot[2])]
    if missing:
        names = ", ".join(name for name, _, _ in missing[:20])
        raise GraphImportError(
            f"{path} has no weights for {names}: only a whole network becomes a run",
            "To train the rest, set train.start_from: {weights: PATH} in the config.",
        )
    classes = tuple(map(str, range(_num_classes(config))))
    return Imported(config, "", (), classes, found.arrays)


def _num_classes(config: Config) -> int:
    """Return the channels of a network's output; of several, of a mask or a heatmap."""
    output = config.output_shape
    if not isinstance(output, Mapping):
        return output[-1]
    return output[config.task_spec.main_output or pairs(output)[0].heatmap][-1]


def with_classes(imported: Imported, path: Path) -> Imported:
    """Return a network with class names from a text file of one name a line, such as Darknet's .names.

    Raises:
        GraphImportError: If there are not as many names as the network has classes, a name appears twice, or there are
            no weights: then there will be no run to keep the names.
    """
    if not imported.weights:
        raise GraphImportError(
            "class names are kept by a run, and without weights there is none", "Give --weights too."
        )
    names = tuple(line.strip() for line in _text(path).splitlines() if line.strip())
    if len(names) != len(imported.classes):
        raise GraphImportError(
            f"{path} has {len(names):,} class names; the network has {len(imported.classes):,} classes"
        )
    seen = Counter(names)
    if len(seen) < len(names):
        raise GraphImportError(f"{path}: the class {seen.most_common(1)[0][0][:60]!r} appears twice")
    return replace(imported, classes=names)


def _slots(config: Config) -> list[Slot]:
    from cnncli.importing.channels_first import slots

    needed = slots(config)
    most_bytes_of(sum(slot.weight.size for slot in needed))
    return needed


def _unused(names: tuple[str, ...]) -> tuple[str, ...]:
    shown = ", ".join(name[:60] for name in names[:20])
    return (f"not used: {shown}{', …' if names[20:] else ''}",) if names else ()


def _with_weights(imported: Imported, arrays: dict[str, Array], notes: tuple[str, ...]) -> Imported:
    return replace(imported, weights=arrays, notes=notes)


def _text(path: Path) -> str:
    try:
        return read_bytes(path, MOST_TEXT).decode("utf-8", "replace")
    except OSError as error:
        raise GraphImportError(f"{path} cannot be read: {error.strerror}") from None


def _read_keras(path: Path, size: InputSize) -> Imported:
    with open_archive(path) as archive:
        about = _description(archive, path)
        model = archive.json("config.json")
        graph = read_config(model, config_name(about.name if about else path.stem), about is not None, size)
        if about is not None:
            graph = replace(graph, document=about.config, classes=about.classes)
        imported = _imported(graph, path)
        expected = _expected(imported.config)
        with archive.unpacked(MEMBER, most_bytes(expected)) as member:
            return replace(imported, weights=read_weights(member, expected))


def _description(archive: Archive, path: Path) -> Description | None:
    return Description.from_json(archive.text(FILE, MOST_BYTES), path.name) if FILE in archive else None


def _imported(graph: ImportedGraph, path: Path) -> Imported:
    config, document, notes = to_config(graph)
    output = config.output_shape
    problem = config.task_spec.check_output(output, None, config.data.image_size)
    if problem is not None and problem.is_fatal:
        raise GraphImportError(problem.message)
    units = _num_classes(config)
    if units > MOST_CLASSES:
        raise GraphImportError(f"the network has {units:,} classes; the limit is {MOST_CLASSES:,}")
    classes = graph.classes if len(graph.classes) == units else tuple(map(str, range(units)))
    return Imported(config, text_of(document, path.name, notes), notes, classes, {})


def _expected(config: Config) -> Expected:
    """Return what weights a network needs, layer by layer."""
    outputs = shapes(config.nodes, config.input_shape)
    given = [input_shapes(node, outputs, config.input_shape) for node in config.nodes]
    return [
        (node.name, node.layer.type_name(), () if isinstance(node.layer, Merge) else node.layer.weights(shape[0]))
        for node, shape in zip(config.nodes, given, strict=True)
    ]


def make_run(imported: Imported, runs_dir: Path) -> Run:
    """Make a run that holds the weights, for `cnn predict`, `cnn export`, `cnn show` and `train.start_from`.

    Raises:
        RunError: If the disk refuses.
    """
    from cnncli.runs.run import Run

    record = {"imported": True, "metrics": imported.config.task_spec.metrics_json()}
    run = Run.create(runs_dir, imported.config.name, dump(imported.config), record)
    arrays: dict[str, Any] = {f"model/{name}": array for name, array in imported.weights.items()}
    arrays |= _seeds(imported.config)
    run.checkpoints.save(0, arrays, {"imported": True}, weights=list(arrays), best=True)
    run.write_sealed(run.data_file, _passport(imported))
    run.update(status="done")
    return run


def _passport(imported: Imported) -> dict[str, Any]:
    """Return what is known of the data: the class names."""
    return {"classes": list(imported.classes), "looks": {"train": {"num_images": 0}}}


def _seeds(config: Config) -> dict[str, Any]:
    """Return a state for every layer that draws random numbers in training."""
    import numpy as np

    layers = [node.name for node in config.nodes if node.layer.is_random_in_training]
    return {f"model/{name}/seed_generator_state": np.array([config.seed, i]) for i, name in enumerate(layers)}
