"""Weights that are measured on the training split before the first step, not learned."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from cnncli.engine.feed import Feed
from cnncli.engine.preprocessing import Preprocessing

BATCH_SIZE = 512

MAX_IMAGES = 100_000
"""Of a larger training split, an even sample of this size is measured."""


def measure(model: keras.Model, feed: Feed, preprocessing: Preprocessing) -> None:
    """Give every `Normalization` without a mean and variance those of its own inputs, channel by channel.

    Args:
        model: Network, changed in place.
        feed: The training split.
        preprocessing: What scales them.
    """
    layers = _measured_layers(model)
    images = feed.sample(MAX_IMAGES) if layers else ()
    for layer in layers:
        inputs = keras.Model(model.inputs, layer.input)
        count, total, squares = 0, 0.0, 0.0
        for start in range(0, len(images), BATCH_SIZE):
            batch = preprocessing.to_float(images[start : start + BATCH_SIZE])
            values = np.asarray(inputs(batch, training=False), np.float64)
            values = values.reshape(-1, values.shape[-1])
            count += len(values)
            total = total + values.sum(axis=0)
            squares = squares + (values**2).sum(axis=0)
        mean = total / count
        layer.adapt_mean.assign(mean)
        layer.adapt_variance.assign(np.maximum(squares / count - mean**2, 0.0))
        layer.count.assign(count)
        layer.finalize_state()


def settle(model: keras.Model) -> None:
    """Let measured layers use what was just assigned to their variables: Keras copies them into constants."""
    for layer in _measured_layers(model):
        layer.finalize_state()


def _measured_layers(model: keras.Model) -> list[Any]:
    layers = (layer for layer in model.layers if isinstance(layer, keras.layers.Normalization))
    return [layer for layer in layers if layer.input_mean is None]
