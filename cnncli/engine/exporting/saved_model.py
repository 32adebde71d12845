"""SavedModel: the preprocessing object itself and the network, for TensorFlow Serving."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf

from cnncli.engine.exporting.source import Source
from cnncli.errors import ExportError
from cnncli.serving.artifact import Artifact, Pixels
from cnncli.serving.description import AGAIN, CLASSES_FILE, FILE, Description, missing
from cnncli.tasks.outputs import NamedOutputs


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


def open_saved_model(path: Path) -> Artifact:
    """Load a SavedModel that `cnn export` wrote.

    Raises:
        ExportError: If it is damaged or says nothing about itself.
    """
    try:
        description = Description.from_json((path / "assets" / FILE).read_bytes(), str(path))
        description.check_classes((path / "assets" / CLASSES_FILE).read_bytes(), str(path))
    except OSError:
        raise missing(str(path)) from None
    try:
        loaded = tf.saved_model.load(str(path))
    except Exception as error:
        raise ExportError(f"{path} cannot be loaded by TensorFlow: {str(error)[:200]}") from error
    try:
        serve = loaded.signatures["serving_default"]
    except (AttributeError, KeyError) as error:
        raise ExportError(f"{path} has no signature serving_default", AGAIN) from error

    def compute(images: Pixels) -> NamedOutputs:
        # The signatures live as long as what was loaded.
        assert loaded is not None  # noqa: S101
        return _arrays(serve(images=tf.constant(images)))

    return Artifact("saved_model", description, compute)


def outputs_of_files(path: Path, files: list[bytes]) -> NamedOutputs:
    """Return what a SavedModel computes for encoded images."""
    loaded = tf.saved_model.load(str(path))
    return _arrays(loaded.signatures["encoded"](encoded=tf.constant(files)))


def _arrays(tensors: dict[str, tf.Tensor]) -> NamedOutputs:
    return {name: np.asarray(tensor) for name, tensor in tensors.items()}
