"""LiteRT (formerly TensorFlow Lite): float32, or smaller by quantisation after training."""

from __future__ import annotations

import re
import warnings
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
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
    """Write weights and activations as 8-bit integers, their ranges being those of training examples.

    A network with several outputs keeps their last layers and what is made of them in float32: peaks of a heatmap are
    found by comparing neighbours, which are equal too often among 256 values. On the 72 test images of BCCD bccd_fast
    lost 3.2 points of AP50 without that, and 0.1 with it.
    """
    images = source.calibration()

    def examples() -> Iterator[list[Pixels]]:
        return ([images[i : i + 1]] for i in range(len(images)))

    settings = {"optimizations": [tf.lite.Optimize.DEFAULT], "representative_dataset": examples}
    convert = partial(_quantised_but_ends, source) if source.ends else tf.lite.TFLiteConverter.convert
    _write(source, description, path, convert, **settings)


def _write(
    source: Source,
    description: Description,
    path: Path,
    convert: Callable[[Any], bytes] = tf.lite.TFLiteConverter.convert,
    supported_types: Any = (),
    **settings: Any,
) -> None:
    with warnings.catch_warnings(), quiet():
        warnings.simplefilter("ignore")
        converter = tf.lite.TFLiteConverter.from_concrete_functions([_graph(source)])
        converter.target_spec.supported_types = list(supported_types)
        for name, value in settings.items():
            setattr(converter, name, value)
        path.write_bytes(convert(converter))
    # The place where LiteRT's own metadata tools put files: a zip archive behind the network.
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(CLASSES_FILE, description.classes_text)
        archive.writestr(FILE, description.to_json())


def _quantised_but_ends(source: Source, converter: Any) -> bytes:
    """Return a file in which a network's last layers, and what is computed of them, stay as they are."""
    from ai_edge_litert.interpreter import Interpreter

    # Its name says what it is for; it is also TensorFlow's way to leave operations out.
    debugger = tf.lite.experimental.QuantizationDebugger(converter=converter)
    content = bytes(debugger.get_nondebug_quantized_model())
    layers = "|".join(re.escape(source.nodes[end].name) for end in source.ends.values())
    # Keras and TensorFlow number names that come again; LiteRT names the file's outputs "Identity".
    made = re.compile(rf"({layers}|{_DECODED})(_\d+)*/|Identity")
    names = [each["name"] for each in Interpreter(model_content=content).get_tensor_details()]
    in_float = [name for name in names if made.match(name)]
    # An operation with two results is not found by its name.
    options = tf.lite.experimental.QuantizationDebugOptions(denylisted_nodes=in_float, denylisted_ops=["TOPK_V2"])
    debugger.options = options
    return bytes(debugger.get_nondebug_quantized_model())


_DECODED = "decoded"
"""Scope of the operations that make a task's outputs of what the network ends in."""


def _graph(source: Source) -> Any:
    def outputs(images: tf.Tensor) -> dict[str, tf.Tensor]:
        ends = logits(source, source.preprocessing.to_float(images))
        with tf.name_scope(_DECODED):
            return source.objective.outputs(ends)

    return frozen(outputs, tf.TensorSpec([None, *source.config.input_shape], tf.uint8, "images"))
