"""Attribution: which pixels a prediction depends on (Grad-CAM, saliency)."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from cnncli.engine.input_pipeline.preprocessing import Preprocessing
from cnncli.engine.network.activations import find_layer, is_unchanging
from cnncli.errors import CnnError

COARSE = 4
"""Places on a side up to which a map tells little more than that the object is in the image."""

Floats = npt.NDArray[np.float32]


def last_plane(model: keras.Model) -> Any:
    """Return the last layer, poolings left out, whose output still lies on a plane of more than one position.

    Of several outputs, none counts: that a prediction follows from itself tells nothing.

    Raises:
        CnnError: If there is none: a network of dense layers alone has no place to look at.
    """
    ends = model.outputs if isinstance(model.output, dict) else ()
    for layer in reversed(model.layers[1:]):
        passes = "Pooling" in type(layer).__name__ or is_unchanging(layer) or any(layer.output is end for end in ends)
        if not passes and len(layer.output.shape) == 4 and max(layer.output.shape[1:3]) > 1:
            return layer
    raise CnnError("no layer of the network has a spatial output", "Grad-CAM requires a convolution.")


def finer_layer(model: keras.Model) -> tuple[str, str] | None:
    """Say that Grad-CAM's own choice is of few places, and which layer has more.

    Returns:
        The size of the chosen map, and the name of the last layer with a larger one; None where there is no need, and
        of several outputs: from which of them a score follows is known only with an image.
    """
    if isinstance(model.output, dict):
        return None
    height, width = last_plane(model).output.shape[1:3]
    if max(height, width) > COARSE:
        return None
    for layer in reversed(model.layers[1:]):
        shape = layer.output.shape
        if len(shape) == 4 and min(shape[1:3]) > COARSE and not is_unchanging(layer):
            return f"{height}×{width}", layer.name
    return None


def explained(model: keras.Model, weights: Any) -> keras.Model:
    """Return the part of a network that a score follows from: of several outputs, those that have a weight.

    Args:
        model: The network.
        weights: As for `gradcam`.
    """
    if not isinstance(weights, dict):
        return model
    return keras.Model(model.inputs, {name: model.output[name] for name, own in weights.items() if np.any(own)})


def gradcam_layer(model: keras.Model, weights: Any, name: str | None = None) -> Any:
    """Return the layer whose channels Grad-CAM weighs.

    Args:
        model: The network.
        weights: As for `gradcam`.
        name: Name of the layer; None for the last that keeps the plane.

    Raises:
        CnnError: If there is no such layer, the score does not follow from it, or it has no plane.
    """
    part = explained(model, weights)
    if name is None:
        return last_plane(part)
    chosen = find_layer(model, name)
    if all(layer.name != name for layer in part.layers):
        ends = " and ".join(sorted(part.output))
        raise CnnError(f'the score does not depend on layer "{name}"', f"Choose a layer that leads to {ends}.")
    if len(chosen.output.shape) != 4:
        raise CnnError(f'the output of layer "{chosen.name}" is not spatial', "Choose a convolution or a pooling.")
    return chosen


def gradcam(
    model: keras.Model,
    preprocessing: Preprocessing,
    images: npt.NDArray[np.uint8],
    weights: Any,
    layer: str | None = None,
) -> Floats:
    """Return how much each place of an image speaks for a score, such as the logit of a class, by Grad-CAM.

    Every channel of a layer counts by its mean gradient; what speaks against the score is left out.

    Args:
        model: The network.
        preprocessing: What comes before it.
        images: uint8 (images, height, width, channels) of the network's size.
        weights: Of the outputs' shape: the score of an image is the sum of its outputs, each times its weight.
        layer: Name of the layer to look at; the last that keeps the plane by default.

    Returns:
        (images, height, width) from 0 to 1; all 0 where nothing supports the score.

    Reference: Selvaraju et al., Grad-CAM, ICCV 2017.
    """
    chosen, part = gradcam_layer(model, weights, layer), explained(model, weights)
    inner = keras.Model(model.inputs, [chosen.output, part.output])
    inputs = preprocessing.to_float(tf.constant(images))
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        maps, outputs = inner(inputs, training=False)
    if isinstance(outputs, dict):
        weights = {name: weights[name] for name in outputs}
    gradients = tape.gradient(outputs, maps, _like(weights, outputs))
    means = tf.reduce_mean(tf.cast(gradients, tf.float32), axis=(1, 2), keepdims=True)
    heat = tf.nn.relu(tf.reduce_sum(means * tf.cast(maps, tf.float32), axis=-1, keepdims=True))
    enlarged = tf.image.resize(heat, images.shape[1:3], method="bilinear")[..., 0]
    return _to_unit(np.asarray(enlarged))


def saliency(model: keras.Model, preprocessing: Preprocessing, images: npt.NDArray[np.uint8], weights: Any) -> Floats:
    """Return how strongly each pixel moves a score: the gradient's largest magnitude over the channels.

    Args:
        model: The network.
        preprocessing: What comes before it.
        images: uint8 (images, height, width, channels) of the network's size.
        weights: Of the outputs' shape: the score of an image is the sum of its outputs, each times its weight.

    Returns:
        (images, height, width) from 0 to 1.

    Reference: Simonyan, Vedaldi, Zisserman: Deep inside convolutional networks, ICLR workshop 2014.
    """
    inputs = preprocessing.to_float(tf.constant(images))
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = model(inputs, training=False)
    gradients = np.asarray(tape.gradient(outputs, inputs, _like(weights, outputs)), np.float32)
    return _to_unit(np.abs(gradients).max(axis=-1))


def _like(weights: Any, outputs: Any) -> Any:
    """Return the weights as tensors of the outputs' type: the gradient of their weighted sum begins with them."""
    return tf.nest.map_structure(lambda weight, output: tf.cast(weight, output.dtype), weights, outputs)


def _to_unit(heat: Floats) -> Floats:
    """Return each map divided by its own maximum."""
    highest = heat.max(axis=(1, 2), keepdims=True)
    shares: Floats = np.divide(heat, highest, out=np.zeros_like(heat), where=highest > 0)
    return shares
