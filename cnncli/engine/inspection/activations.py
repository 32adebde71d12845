"""A look inside a network: its kernels, what each layer makes of an image, what an answer hangs on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from cnncli.engine.input_pipeline.preprocessing import Preprocessing
from cnncli.errors import CnnError
from cnncli.layers import VOCABULARY

Floats = npt.NDArray[np.float32]

KERNEL_NAMES = ("kernel", "depthwise_kernel")
"""Keras's names of the arrays that slide over an image."""


@dataclass(frozen=True)
class Kernels:
    """The filters of one layer.

    Attributes:
        layer: The layer's name.
        kind: Its type.
        weights: (height, width, channels seen, filters).
    """

    layer: str
    kind: str
    weights: Floats


@dataclass(frozen=True)
class FeatureMaps:
    """What one layer makes of one image.

    Attributes:
        layer: The layer's name.
        kind: Its type.
        values: (height, width, channels), or (values,) after the image's plane is gone.
    """

    layer: str
    kind: str
    values: Floats


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
    layers = [layer for layer in model.layers if not _is_unchanging(layer)]
    inner = keras.Model(model.inputs, [layer.output for layer in layers])
    outputs = inner(preprocessing.to_float(tf.constant(image[None])), training=False)
    return [
        FeatureMaps(layer.name, type(layer).__name__, np.asarray(output[0], np.float32))
        for layer, output in zip(layers, outputs, strict=True)
    ]


def _is_unchanging(layer: Any) -> bool:
    """Whether a Keras layer's output in evaluation is its input."""
    ours = VOCABULARY.get(type(layer).__name__)
    return isinstance(layer, keras.layers.InputLayer) or (ours is not None and ours.is_same_in_evaluation)


def last_plane(model: keras.Model) -> Any:
    """Return the last layer, poolings left out, whose output still lies on a plane of more than one position.

    Raises:
        CnnError: If there is none: a network of dense layers alone has no place to look at.
    """
    for layer in reversed(model.layers[1:]):
        passes = "Pooling" in type(layer).__name__ or _is_unchanging(layer)
        if not passes and len(layer.output.shape) == 4 and max(layer.output.shape[1:3]) > 1:
            return layer
    raise CnnError("no layer of the network keeps the image's plane", "Grad-CAM needs a convolution.")


def gradcam(
    model: keras.Model,
    preprocessing: Preprocessing,
    images: npt.NDArray[np.uint8],
    classes: npt.NDArray[np.int64],
    layer: str | None = None,
) -> Floats:
    """Return how much each place of an image speaks for a class, by Grad-CAM.

    Every channel of a layer counts by its mean gradient; what speaks against the class is left out.

    Args:
        model: Network that ends in logits.
        preprocessing: What comes before it.
        images: uint8 (images, height, width, channels) of the network's size.
        classes: The class asked about for each image.
        layer: Name of the layer to look at; the last that keeps the plane by default.

    Returns:
        (images, height, width) from 0 to 1; all 0 where nothing speaks for the class.

    Reference: Selvaraju et al., Grad-CAM, ICCV 2017.
    """
    chosen = last_plane(model) if layer is None else find_layer(model, layer)
    if len(chosen.output.shape) != 4:
        raise CnnError(f'the output of layer "{chosen.name}" has no plane', "Name a convolution or a pooling.")
    inner = keras.Model(model.inputs, [chosen.output, model.output])
    inputs = preprocessing.to_float(tf.constant(images))
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        maps, logits = inner(inputs, training=False)
        scores = tf.gather(logits, classes, batch_dims=1)
    gradients = tape.gradient(scores, maps)
    weights = tf.reduce_mean(tf.cast(gradients, tf.float32), axis=(1, 2), keepdims=True)
    heat = tf.nn.relu(tf.reduce_sum(weights * tf.cast(maps, tf.float32), axis=-1, keepdims=True))
    enlarged = tf.image.resize(heat, images.shape[1:3], method="bilinear")[..., 0]
    return _to_unit(np.asarray(enlarged))


def saliency(
    model: keras.Model, preprocessing: Preprocessing, images: npt.NDArray[np.uint8], classes: npt.NDArray[np.int64]
) -> Floats:
    """Return how strongly each pixel moves the logit of a class: the gradient's largest magnitude over the channels.

    Args:
        model: Network that ends in logits.
        preprocessing: What comes before it.
        images: uint8 (images, height, width, channels) of the network's size.
        classes: The class asked about for each image.

    Returns:
        (images, height, width) from 0 to 1.

    Reference: Simonyan, Vedaldi, Zisserman: Deep inside convolutional networks, ICLR workshop 2014.
    """
    inputs = preprocessing.to_float(tf.constant(images))
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        scores = tf.gather(model(inputs, training=False), classes, batch_dims=1)
    gradients = np.asarray(tape.gradient(scores, inputs), np.float32)
    return _to_unit(np.abs(gradients).max(axis=-1))


def _to_unit(heat: Floats) -> Floats:
    """Return each map divided by its own maximum."""
    highest = heat.max(axis=(1, 2), keepdims=True)
    shares: Floats = np.divide(heat, highest, out=np.zeros_like(heat), where=highest > 0)
    return shares
