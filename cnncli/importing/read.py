"""A file from elsewhere → a config, and where it holds weights, a run of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnncli.config.dump import dump
from cnncli.config.schema.schema import Config
from cnncli.files.read import read_bytes
from cnncli.importing.caffe.prototxt import read_caffe
from cnncli.importing.darknet.cfg import read_darknet
from cnncli.importing.document import config_name, text_of, to_config
from cnncli.importing.graph import GraphImportError, ImportedGraph
from cnncli.importing.keras.archive import Archive, open_archive
from cnncli.importing.keras.config import InputSize, read_config
from cnncli.importing.keras.weights import MEMBER, Expected, most_bytes, read_weights
from cnncli.layers.base import Merge
from cnncli.layers.graph import input_shapes, shapes
from cnncli.serving.description import FILE, MOST_BYTES, Description

if TYPE_CHECKING:
    from cnncli.importing.keras.weights import Array
    from cnncli.runs.run import Run

MOST_TEXT = 2**22
"""Most bytes of a prototxt or cfg file."""


MOST_CLASSES = 2**20


@dataclass(frozen=True)
class Imported:
    """A network from elsewhere as a config.

    Attributes:
        config: The config.
        text: What its file holds.
        notes: What a user should know.
        classes: Class names; numbers where the file does not name them.
        weights: Arrays by "layer/weight"; empty where the file holds none.
    """

    config: Config
    text: str
    notes: tuple[str, ...]
    classes: tuple[str, ...]
    weights: dict[str, Array]


def read(path: Path, image_size: tuple[int, int] | None = None, channels: int | None = None) -> Imported:
    """Read a `.keras`, `.prototxt` or `.cfg` file.

    Args:
        path: The file.
        image_size: Height and width, for a file that does not say them.
        channels: Likewise.

    Raises:
        GraphImportError: If it is damaged, dangerous, or of layers that the vocabulary lacks.
    """
    try:
        return _read(path, image_size, channels)
    except RecursionError:
        raise GraphImportError(f"{path} is nested too deeply") from None


def _read(path: Path, image_size: tuple[int, int] | None, channels: int | None) -> Imported:
    suffix = path.suffix.lower()
    if suffix == ".keras":
        return _read_keras(path, InputSize(image_size, channels))
    if suffix == ".prototxt":
        return _imported(read_caffe(path, _text(path), image_size, channels), path)
    if suffix == ".cfg":
        return _imported(read_darknet(path, _text(path)), path)
    hint = "Expected: a .keras, .prototxt or .cfg file."
    if suffix in (".h5", ".hdf5"):
        hint = "Load it with Keras and save it again: keras.models.load_model(….h5).save(….keras)."
    raise GraphImportError(f"unsupported file type: {path}", hint)


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
    # The classes are the channels of the first output: of a detector, a heatmap.
    units = (next(iter(output.values())) if isinstance(output, Mapping) else output)[-1]
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
