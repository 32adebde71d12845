"""ONNX, written by tf2onnx."""

from __future__ import annotations

import json
import logging
import warnings
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from cnncli.config.schema.schema import Data
from cnncli.engine.exporting.elementary import ElementaryPreprocessing, logits
from cnncli.engine.exporting.source import Source
from cnncli.serving.description import FILE, Description
from cnncli.serving.quiet import quiet

OPSET = 18

LONGEST = 2048
"""Rows or columns of a plane that is resized within a network: ratios of more cannot be told from their neighbours."""


def takes_any_size(data: Data) -> bool:
    """Whether the config's resize can be said in operations that every runtime computes alike."""
    return data.resize.method in ElementaryPreprocessing.METHODS


def write_onnx(source: Source, description: Description, path: Path) -> None:
    """Write an ONNX file: uint8 "images" of any number to the outputs of their task: float32 "probabilities"."""
    with warnings.catch_warnings(), quiet():
        warnings.simplefilter("ignore")
        model = _convert(source)
    names = json.dumps(list(description.classes), ensure_ascii=False)
    for key, value in {FILE: description.to_json(), "classes": names}.items():
        model.metadata_props.add(key=key, value=value)
    path.write_bytes(model.SerializeToString())


def _convert(source: Source) -> Any:
    import tf2onnx

    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    height, width, channels = source.config.input_shape
    any_size = takes_any_size(source.config.data)
    preprocessing = ElementaryPreprocessing(source.config.data)

    def outputs(images: tf.Tensor) -> dict[str, tf.Tensor]:
        read = preprocessing(images) if any_size else preprocessing.to_float(images)
        read = tf.ensure_shape(read, (None, height, width, channels))
        return source.objective.outputs(logits(source, read))

    shape = [None, None, None, channels] if any_size else [None, height, width, channels]
    signature = [tf.TensorSpec(shape, tf.uint8, "images")]
    model, _ = tf2onnx.convert.from_function(tf.function(outputs), signature, opset=OPSET)
    _round_scales_up(model)
    return model


def _round_scales_up(model: Any) -> None:
    """Let every resize make as many rows as it should.

    tf2onnx writes a size as a factor in float32, and runtimes round the product down: 22 · (45 / 22) may be 44.
    """
    from onnx import numpy_helper

    names = {node.input[2] for node in model.graph.node if node.op_type == "Resize" and len(node.input) > 2}
    for stored in model.graph.initializer:
        if stored.name in names and stored.data_type == stored.FLOAT:
            factors = numpy_helper.to_array(stored)
            stored.CopyFrom(numpy_helper.from_array(_not_below(factors), stored.name))


def _not_below(factors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return factors that are not below the ratios of whole numbers that they stand for; exact ones stay."""
    exact = [Fraction(float(factor)) for factor in factors]
    is_below = np.array([ratio < ratio.limit_denominator(LONGEST) for ratio in exact], bool)
    return np.where(is_below, np.nextafter(factors, np.float32(np.inf)), factors)
