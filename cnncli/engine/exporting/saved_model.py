"""SavedModel: the preprocessing object itself and the network, for TensorFlow Serving."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.framework import op_def_registry

from cnncli.engine.exporting.source import Source
from cnncli.errors import ExportError
from cnncli.files.read import read_bytes
from cnncli.serving.artifact import Artifact, Pixels
from cnncli.serving.description import AGAIN, CLASSES_FILE, FILE, MOST_BYTES, Description, missing
from cnncli.tasks.outputs import NamedOutputs

HINT = "Such a SavedModel can read and write files. Run it with --trust if you know who wrote it."


class _Served(tf.Module):  # type: ignore[misc]
    """The network behind its preprocessing."""

    def __init__(self, source: Source, assets: Path) -> None:
        super().__init__()
        self.model = source.trained.model
        self.classes = tf.saved_model.Asset(str(assets / CLASSES_FILE))
        self.description = tf.saved_model.Asset(str(assets / FILE))
        self._preprocessing, self._objective = source.preprocessing, source.objective

    def of_images(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return the outputs for uint8 images of any one size."""
        return self._objective.outputs(self.model(self._preprocessing(images), training=False))

    def of_files(self, encoded: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return the outputs for JPEG or PNG files, each of its own size."""
        # Always decoded to colour: a decoder's own grey is not the luma that the run computes.
        channels, height, width = self._preprocessing.channels, self._preprocessing.height, self._preprocessing.width

        def decode(content: tf.Tensor) -> tf.Tensor:
            image = tf.io.decode_image(content, channels=3, expand_animations=False)
            image = tf.ensure_shape(image, (None, None, 3))
            return self._preprocessing.resize_uint8(image[None])[0]

        spec = tf.TensorSpec((height, width, channels), tf.uint8)
        return self.of_images(tf.map_fn(decode, encoded, fn_output_signature=spec))


def write_saved_model(source: Source, description: Description, path: Path) -> None:
    """Write a SavedModel with signatures for uint8 images ("serving_default") and for files ("encoded")."""
    with tempfile.TemporaryDirectory() as folder:
        assets = Path(folder)
        (assets / CLASSES_FILE).write_bytes(description.classes_text.encode())
        (assets / FILE).write_text(description.to_json(), encoding="utf-8")
        served = _Served(source, assets)
        images = tf.TensorSpec([None, None, None, source.config.data.channels], tf.uint8, "images")
        encoded = tf.TensorSpec([None], tf.string, "encoded")
        signatures = {
            "serving_default": tf.function(served.of_images).get_concrete_function(images),
            "encoded": tf.function(served.of_files).get_concrete_function(encoded),
        }
        tf.saved_model.save(served, str(path), signatures=signatures)


STATEFUL = {"VarHandleOp", "ReadVariableOp", "PartitionedCall", "StatefulPartitionedCall", "Assert", "If", "While"}
"""Operations with a state or an effect that a network may need: its variables, calls, branches and checks."""

FILES = ("ReadFile", "MatchingFiles", "Dataset", "Iterator")
"""In the names of operations that TensorFlow calls stateless, and which read files."""


def open_saved_model(path: Path, *, trust: bool = True) -> Artifact:
    """Load a SavedModel that `cnn export` wrote.

    Args:
        path: Its folder.
        trust: Whether it may do more than compute: operations of TensorFlow can read and write files.

    Raises:
        ExportError: If it is damaged, says nothing about itself, or does more than it may.
    """
    try:
        description = Description.from_json(read_bytes(path / "assets" / FILE, MOST_BYTES), str(path))
        description.check_classes(read_bytes(path / "assets" / CLASSES_FILE, MOST_BYTES), str(path))
    except OSError:
        raise missing(str(path)) from None
    try:
        if not trust:
            _refuse_effects_of_loading(path)
        loaded = tf.saved_model.load(str(path))
        serve = loaded.signatures["serving_default"]
    except ExportError:
        raise
    except (AttributeError, KeyError) as error:
        raise ExportError(f"{path} has no signature serving_default", AGAIN) from error
    except Exception as error:
        raise ExportError(f"{path} cannot be loaded by TensorFlow: {str(error)[:200]}") from error
    if not trust:
        _refuse_effects(serve.graph.as_graph_def(), path)

    def compute(images: Pixels) -> NamedOutputs:
        # The signatures live as long as what was loaded.
        assert loaded is not None  # noqa: S101
        return _arrays(serve(images=tf.constant(images)))

    return Artifact("saved_model", description, compute)


def _refuse_effects_of_loading(path: Path) -> None:
    """Refuse a SavedModel that computes something when it is loaded: of tables and other resources, or of TensorFlow 1.

    Raises:
        ExportError: With what there is.
    """
    document = saved_model_pb2.SavedModel()
    file = path / "saved_model.pb"
    # As much as it has, and no round number: the memory for it is taken before it is read.
    document.ParseFromString(read_bytes(file, file.stat().st_size))
    graphs = document.meta_graphs
    if len(graphs) != 1 or not graphs[0].HasField("object_graph_def"):
        raise ExportError(f"{path} was not written by TensorFlow 2", HINT)
    kinds = {node.WhichOneof("kind") for node in graphs[0].object_graph_def.nodes}
    if "resource" in kinds:
        raise ExportError(f"{path} makes tables or other resources when it is loaded", HINT)


def _refuse_effects(graph: Any, path: Path) -> None:
    """Refuse a function that does more than compute.

    Raises:
        ExportError: With the operation.
    """
    names = {node.op for node in graph.node}.union(*({n.op for n in f.node_def} for f in graph.library.function))
    for name in sorted(names - {function.signature.name for function in graph.library.function}):
        known = op_def_registry.get(name)
        has_effect = known is None or (known.is_stateful and name not in STATEFUL) or any(n in name for n in FILES)
        if has_effect and name != "Placeholder":
            raise ExportError(f"{path} contains the operation {name[:60]}, which does more than compute", HINT)


def outputs_of_files(path: Path, files: list[bytes]) -> NamedOutputs:
    """Return what a SavedModel computes for encoded images."""
    loaded = tf.saved_model.load(str(path))
    return _arrays(loaded.signatures["encoded"](encoded=tf.constant(files)))


def _arrays(tensors: dict[str, tf.Tensor]) -> NamedOutputs:
    return {name: np.asarray(tensor) for name, tensor in tensors.items()}
