"""A look inside a network: its kernels, and what each layer makes of an image."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from cnncli.engine.input_pipeline.preprocessing import Preprocessing
from cnncli.errors import CnnError
from cnncli.layers import VOCABULARY
from cnncli.report.figures_network import FeatureMaps, Kernels

Floats = npt.NDArray[np.float32]


KERNEL_NAMES = ("kernel", "depthwise_kernel")
"""Keras's names of the arrays that slide over an image."""


def all_kernels(model: keras.Model) -> Iterator[Kernels]:
    """Yield the filters of every layer that slides them over an image's plane."""
    for layer in model.layers:
        found = kernels(layer)
        if found is not None:
            yield found


def kernels(layer: Any) -> Kernels | None:
    """Return a layer's filters, or None if it has none that lie on a plane."""
    for name in KERNEL_NAMES:
        weights = getattr(layer, name, None)
        if weights is not None and len(weights.shape) == 4:
            return Kernels(layer.name, type(layer).__name__, _filters(layer, np.asarray(weights, np.float32)))
    return None


def _filters(layer: Any, weights: Floats) -> Floats:
    """Return a layer's weights as (height, width, channels seen, filters)."""
    if isinstance(layer, keras.layers.Conv2DTranspose):
        return weights.transpose(0, 1, 3, 2)
    if isinstance(layer, keras.layers.Conv2D):
        return weights
    # A depthwise filter sees one channel: (height, width, channels, multiplier).
    return weights.reshape(*weights.shape[:2], 1, -1)


def is_unchanging(layer: Any) -> bool:
    """Return whether a Keras layer's output in evaluation is its input."""
    ours = VOCABULARY.get(type(layer).__name__)
    return isinstance(layer, keras.layers.InputLayer) or (ours is not None and ours.is_same_in_evaluation)


def find_layer(model: keras.Model, name: str) -> Any:
    """Return the layer of that name.

    Raises:
        CnnError: If there is none, with the nearest names.
    """
    names = [layer.name for layer in model.layers]
    if name in names:
        return model.get_layer(name)
    near = get_close_matches(name, names, n=3, cutoff=0.5)
    hint = f"Did you mean {' or '.join(near)}?" if near else f"Its layers: {', '.join(names[:20])}"
    raise CnnError(f'the network has no layer "{name}"', hint)


def feature_maps(model: keras.Model, preprocessing: Preprocessing, image: npt.NDArray[np.uint8]) -> list[FeatureMaps]:
    """Return what every layer makes of an image, layers left out that change nothing in evaluation.

    Args:
        model: Network that ends in logits.
        preprocessing: What comes before it.
        image: uint8 (height, width, channels) of the network's size.
    """
    layers = [layer for layer in model.layers if not is_unchanging(layer)]
    inner = keras.Model(model.inputs, [layer.output for layer in layers])
    outputs = inner(preprocessing.to_float(tf.constant(image[None])), training=False)
    return [
        FeatureMaps(layer.name, type(layer).__name__, np.asarray(output[0], np.float32))
        for layer, output in zip(layers, outputs, strict=True)
    ]
