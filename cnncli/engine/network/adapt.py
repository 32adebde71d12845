"""Weights that are measured on the training split before the first step, not learned."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from cnncli.config.schema.schema import Config
from cnncli.engine.input_pipeline.feed import Feed
from cnncli.engine.input_pipeline.preprocessing import Preprocessing
from cnncli.errors import CnnError
from cnncli.layers.convolution import Conv2D
from cnncli.layers.kernels import WHITENING

BATCH_SIZE = 512

MAX_IMAGES = 100_000
"""Of a larger training split, an even sample of this size is measured."""

WHITENING_IMAGES = 10_000
"""Images whose patches are whitened; their patches are many more."""

MAX_BYTES = 2**30
"""Of large images fewer are measured."""

PATCH_VALUES = 2**24
"""Values of the patches that are in memory at once, 8 bytes each."""

FLOOR = 5e-4
"""Share of a patch's mean variance that is added to each component's: without it, one that hardly varies would be
all noise, enlarged."""

Values = Callable[..., Iterator[npt.NDArray[np.float64]]]
"""From a layer, a number of images and a batch size to what the layer is given for them, a batch at a time."""


def adapt(config: Config, model: keras.Model, feed: Feed, preprocessing: Preprocessing) -> None:
    """Give layers without a start of their own what they take from their inputs on the training split.

    A `Normalization` without a mean and variance gets those of its channels, a convolution with whitening
    kernels the principal components of its patches; each sees what the layers before it, measured already, make of it.

    Args:
        config: The experiment.
        model: Network, changed in place.
        feed: The training split.
        preprocessing: What scales them.
    """
    sample = cache(feed.sample)
    bytes_of_image = math.prod(model.input_shape[1:])

    def values(layer: Any, max_images: int, batch_size: int = BATCH_SIZE) -> Iterator[npt.NDArray[np.float64]]:
        images = sample(min(max_images, max(BATCH_SIZE, MAX_BYTES // bytes_of_image)))
        inputs = keras.Model(model.inputs, layer.input)
        for start in range(0, len(images), batch_size):
            batch = preprocessing.to_float(images[start : start + batch_size])
            yield np.asarray(tf.cast(inputs(batch, training=False), tf.float32), np.float64)

    whitening = {node.name for node in config.nodes if _is_whitening(node.layer)}
    for layer in model.layers:
        if _takes_statistics(layer):
            _standardize(layer, values)
        elif layer.name in whitening:
            layer.kernel.assign(_whitening_kernel(layer, values))


def freeze_statistics(model: keras.Model) -> None:
    """Let measured layers use what was just assigned to their variables: Keras copies them into constants."""
    for layer in filter(_takes_statistics, model.layers):
        layer.finalize_state()


def _takes_statistics(layer: Any) -> bool:
    return isinstance(layer, keras.layers.Normalization) and layer.input_mean is None


def _is_whitening(layer: Any) -> bool:
    return isinstance(layer, Conv2D) and layer.kernel == WHITENING


def _standardize(layer: Any, values: Values) -> None:
    count, total, squares = 0, 0.0, 0.0
    for batch in values(layer, MAX_IMAGES):
        rows = batch.reshape(-1, batch.shape[-1])
        count += len(rows)
        total = total + rows.sum(axis=0)
        squares = squares + (rows**2).sum(axis=0)
    mean = total / count
    layer.adapt_mean.assign(mean)
    layer.adapt_variance.assign(np.maximum(squares / count - mean**2, 0.0))
    layer.count.assign(count)
    layer.finalize_state()


def _whitening_kernel(layer: Any, values: Values) -> npt.NDArray[np.float64]:
    """Return the components of a layer's patches, the strongest first, then the same negated; shape of its kernel."""
    rows, columns, channels, filters = layer.kernel.shape
    count, total, products = 0, 0.0, 0.0
    values_of_image = math.prod(layer.input.shape[1:]) * rows * columns
    for batch in values(layer, WHITENING_IMAGES, max(1, min(BATCH_SIZE, PATCH_VALUES // values_of_image))):
        sizes, rates = [1, rows, columns, 1], [1, *layer.dilation_rate, 1]
        patches = tf.image.extract_patches(batch, sizes, [1, 1, 1, 1], rates, "VALID").numpy()
        patches = patches.reshape(-1, patches.shape[-1])
        count += len(patches)
        total = total + patches.sum(axis=0)
        products = products + patches.T @ patches
    mean = total / count
    covariance = products / count - np.outer(mean, mean)
    if not np.trace(covariance) > 0:
        raise CnnError(
            f"{layer.name} cannot be whitened: all its input patches of the training images are equal",
            "Inspect the training images with `cnn data`, and the layers before it.",
        )
    variances, components = np.linalg.eigh(covariance)
    scaled = components / np.sqrt(np.maximum(variances, 0.0) + FLOOR * variances.mean())
    strongest = scaled[:, ::-1][:, : filters // 2]
    return np.concatenate([strongest, -strongest], axis=1).reshape(rows, columns, channels, filters)
