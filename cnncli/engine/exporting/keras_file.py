"""`.keras`: Keras's own layers and operations only, so that it loads where cnncli is not installed."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from cnncli.config.schema.schema import Config, Data
from cnncli.config.schema.tasks import TASKS
from cnncli.engine.exporting.forward import forward
from cnncli.engine.exporting.source import Source
from cnncli.errors import ExportError
from cnncli.importing.graph import GraphImportError
from cnncli.importing.keras.archive import Archive, open_archive
from cnncli.importing.keras.other_words import scale_equation
from cnncli.importing.keras.weights import MEMBER, most_bytes_of
from cnncli.layers.base import Layer
from cnncli.layers.channels import ChannelPadding, LayerScale
from cnncli.layers.normalization import LocalResponseNormalization
from cnncli.serving.artifact import Artifact, Pixels
from cnncli.serving.description import FILE, MOST_BYTES, Description, missing
from cnncli.tasks.outputs import NamedOutputs


def takes_any_size(data: Data) -> bool:
    """Whether Keras can say the config's resize: it knows no crop and no padding by our rule, and no area."""
    return data.resize.fit == "stretch" and data.resize.method in ("bilinear", "nearest", "bicubic")


def portable_model(source: Source) -> keras.Model:
    """Return a Keras model from raw uint8 images to outputs, of Keras's own layers and operations only."""
    names = {node.name for node in source.nodes}
    before = _preprocessing(source.config, _free("preprocessing", names))
    images = keras.Input(before.input_shape[1:], dtype="uint8", name=_free("images", names))
    logits = forward(source, before(images), _in_keras_words)
    outputs = {name: make(name=_free(name, names))(logits) for name, make in source.objective.output_layers().items()}
    one = next(iter(outputs.values())) if len(outputs) == 1 else outputs
    return keras.Model(images, one, name=source.config.name)


def obstacles(source: Source) -> Iterator[str]:
    """Return what of a network Keras's own layers cannot compute."""
    if not source.objective.output_layers():
        yield f"the outputs of the task {source.config.task}"


def _free(name: str, names: set[str]) -> str:
    """Return a name that no layer of the network has."""
    return next(candidate for candidate in (name, f"{name}_", f"{name}__") if candidate not in names)


def _preprocessing(config: Config, name: str) -> keras.Model:
    """Return what makes uint8 images what the network reads; a model of its own, as its operations' names are."""
    height, width, channels = config.input_shape
    any_size = takes_any_size(config.data)
    shape = (None, None, channels) if any_size else (height, width, channels)
    images = keras.Input(shape, dtype="uint8")
    pixels = ops.cast(images, "float32")
    if any_size:
        method = config.data.resize.method
        resized = ops.image.resize(pixels, (height, width), interpolation=method, data_format="channels_last")
        pixels = ops.round(ops.clip(resized, 0.0, 255.0))
    return keras.Model(images, ops.divide(pixels, 255.0), name=name)


def _in_keras_words(layer: Layer, keras_layer: Any) -> Callable[[Any], Any] | None:
    if isinstance(layer, LocalResponseNormalization):
        return _local_responses(layer, keras_layer)
    if isinstance(layer, LayerScale):
        return _layer_scale(layer, keras_layer)
    if isinstance(layer, ChannelPadding):
        return _channel_padding(layer, keras_layer)
    return None


def _layer_scale(layer: LayerScale, keras_layer: Any) -> Callable[[Any], Any]:
    """Return Keras's layer for any product of axes, with the same factors."""
    (gamma,), shape = keras_layer.weights, keras_layer.input.shape
    start = keras.initializers.Constant(layer.init_values)
    scale = keras.layers.EinsumDense(
        scale_equation(len(shape)),
        output_shape=shape[1:],
        kernel_initializer=start,
        dtype=keras_layer.dtype_policy,
        name=keras_layer.name,
    )
    scale.trainable = keras_layer.trainable
    scale.build(shape)
    scale.set_weights([np.asarray(gamma)])
    made: Callable[[Any], Any] = scale
    return made


def _channel_padding(layer: ChannelPadding, keras_layer: Any) -> Callable[[Any], Any]:
    """Return a model that adds channels of zeros, then cuts channels off: both, even where one does nothing."""
    inputs = keras.Input(keras_layer.input.shape[1:], dtype=keras_layer.compute_dtype)
    before, after = layer.padding
    added = [max(before, 0), max(after, 0)]
    padded = ops.pad(inputs, [[0, 0]] * (len(inputs.shape) - 1) + [added])
    kept = padded[..., max(-before, 0) : padded.shape[-1] - max(-after, 0)]
    model: Callable[[Any], Any] = keras.Model(inputs, kept, name=keras_layer.name)
    return model


def _local_responses(layer: LocalResponseNormalization, keras_layer: Any) -> Callable[[Any], Any]:
    """Return a model that sums the squares of neighbouring channels by shifting them along each other."""
    inputs = keras.Input(keras_layer.input.shape[1:], dtype=keras_layer.compute_dtype)
    x = inputs
    radius, channels = layer.depth_radius, x.shape[-1]
    squares = ops.pad(ops.square(x), [[0, 0]] * (len(x.shape) - 1) + [[radius, radius]])
    total = squares[..., :channels]
    for shift in range(1, 2 * radius + 1):
        total = ops.add(total, squares[..., shift : shift + channels])
    scale = ops.power(ops.add(ops.multiply(total, layer.alpha), layer.bias), layer.beta)
    model: Callable[[Any], Any] = keras.Model(inputs, ops.divide(x, scale), name=keras_layer.name)
    return model


def write_keras(source: Source, description: Description, path: Path) -> None:
    """Write a `.keras` file; the description lies beside Keras's own files in the archive."""
    portable_model(source).save(path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(FILE, description.to_json())


def open_keras(path: Path) -> Artifact:
    """Load a `.keras` file that `cnn export` wrote.

    Raises:
        ExportError: If it says nothing about itself, or needs more than Keras's own layers.
        GraphImportError: If it is damaged.
    """
    with _reading(path), open_archive(path) as archive:
        if FILE not in archive:
            raise missing(str(path))
        description = Description.from_json(archive.text(FILE, MOST_BYTES), str(path))
        config = archive.json("config.json")
        foreign = _foreign_modules(config)
        if foreign:
            raise ExportError(f"{path} depends on more than Keras: {', '.join(sorted(foreign))}")
        model = _model(config, archive)

    # In a graph, as Keras's own `predict` computes it: one operation at a time rounds otherwise in mixed precision.
    @tf.function(reduce_retracing=True)
    def forward_pass(images: tf.Tensor) -> Any:
        return model(images, training=False)

    # The layer of a task's output has its name; in files of earlier versions, that of a classifier may not.
    task = TASKS.get(description.task)
    name = model.output_names[0] if task is None else task.output_names[0]

    def compute(images: Pixels) -> NamedOutputs:
        found = forward_pass(tf.constant(images))
        tensors = found if isinstance(found, dict) else {name: found}
        return {name: np.asarray(tensor) for name, tensor in tensors.items()}

    return Artifact("keras", description, compute)


def _model(config: Any, archive: Archive) -> keras.Model:
    """Return the model of an archive, as `keras.saving.load_model` does, but with its weights in a file of their own.

    That function hands them to h5py as an object of Python's, and a damaged one would kill the process at its end.
    """
    model = keras.saving.deserialize_keras_object({**config, "compile_config": None}, safe_mode=True)
    with archive.unpacked(MEMBER, most_bytes_of(model.count_params())) as weights:
        model.load_weights(weights)
    return model


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn whatever Keras and h5py raise for a damaged file into one error."""
    try:
        yield
    except (ExportError, GraphImportError):
        raise
    except Exception as error:
        raise ExportError(f"{path} cannot be loaded by Keras: {str(error)[:200]}") from error


def _foreign_modules(config: Any) -> set[str]:
    """Return the Python modules beside Keras's own that a saved model names."""
    if isinstance(config, dict):
        module = config.get("module")
        own = {module} if isinstance(module, str) and module.split(".")[0] not in ("keras", "builtins") else set()
        registered = config.get("registered_name")
        if isinstance(registered, str) and ">" in registered:
            own.add(registered)
        return own.union(*map(_foreign_modules, config.values()))
    if isinstance(config, list):
        return set().union(*map(_foreign_modules, config))
    return set()
