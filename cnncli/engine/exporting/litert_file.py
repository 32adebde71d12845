"""LiteRT (formerly TensorFlow Lite): float32, or smaller by quantisation after training."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tensorflow as tf

from cnncli.engine.exporting.elementary import logits
from cnncli.engine.exporting.source import Source, frozen
from cnncli.serving.artifact import Pixels
from cnncli.serving.description import CLASSES_FILE, FILE, Description
from cnncli.serving.quiet import quiet


def write_float32(source: Source, description: Description, path: Path) -> None:
    """Write the weights as they are."""
    _write(source, description, path)


def write_float16(source: Source, description: Description, path: Path) -> None:
    """Write the weights in half precision."""
    _write(source, description, path, optimizations=[tf.lite.Optimize.DEFAULT], supported_types=[tf.float16])


def write_int8(source: Source, description: Description, path: Path) -> None:
    """Write weights and activations as 8-bit integers, their ranges being those of training examples."""
    images = source.calibration()

    def examples() -> Iterator[list[Pixels]]:
        return ([images[i : i + 1]] for i in range(len(images)))

    _write(source, description, path, optimizations=[tf.lite.Optimize.DEFAULT], representative_dataset=examples)


def _write(source: Source, description: Description, path: Path, supported_types: Any = (), **settings: Any) -> None:
    with warnings.catch_warnings(), quiet():
        warnings.simplefilter("ignore")
        converter = tf.lite.TFLiteConverter.from_concrete_functions([_graph(source)])
        converter.target_spec.supported_types = list(supported_types)
        for name, value in settings.items():
            setattr(converter, name, value)
        path.write_bytes(converter.convert())
    # The place where LiteRT's own metadata tools put files: a zip archive behind the network.
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(CLASSES_FILE, description.classes_text)
        archive.writestr(FILE, description.to_json())


def _graph(source: Source) -> Any:
    def outputs(images: tf.Tensor) -> dict[str, tf.Tensor]:
        return source.objective.outputs(logits(source, source.preprocessing.to_float(images)))

    return frozen(outputs, tf.TensorSpec([None, *source.config.input_shape], tf.uint8, "images"))
