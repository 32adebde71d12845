"""The first layers of a network with few filters, computed on folded images: several rows of pixels as channels.

A processor's vector instructions compute 16 float32 channels at once: a convolution with 6 filters wastes 10 of them.
With four rows folded into one, images of 28×28×6 are 7×28×24, and a kernel folded likewise computes the same numbers,
rounding aside. It multiplies by zeros where a row is out of the kernel's reach, the less the taller the kernel is.
Where a max-pooling follows, the rows that it compares are made to lie side by side; it too gains from more channels.
(Of equal values in a window, which in bfloat16 are many, another gets the gradient than in Keras.)

Training is computed so; evaluation is not, so that a run answers to the last bit as the Keras model that it exports.

A training step of LeNet-5, in halves side by side, took 3.2 ms plain and 2.5 ms folded, in bfloat16 2.6 and 1.7 ms; of
such a network with 8 and 16 filters of 3×3 on images of 96×96×3 25 and 24 ms, in bfloat16 19 and 14 ms. With more
channels, or in float32 with more rows than are allowed here, folding gained nothing or lost (batch 128, 2 CPU cores
with AVX-512 and AMX, TensorFlow 2.21).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias

import keras
import numpy as np
import tensorflow as tf

FEW_CHANNELS = 8
"""Filters of the first convolution, and channels that the others read, up to which folding pays."""

MOST_ROWS = 4
"""Rows in one at most: with more, most of a folded kernel is zeros."""

SMALLEST_HEIGHT = 16
"""Rows of an image below which folding takes as long as it saves."""

MIXING = (keras.activations.softmax, keras.activations.log_softmax, keras.activations.sparsemax)
"""Activations that look at several channels, and so cannot be applied to folded images."""

Block: TypeAlias = tuple[tuple[keras.layers.Conv2D, ...], keras.layers.MaxPooling2D]
"""Convolutions and the pooling that follows them."""


class Stage(NamedTuple):
    """A block on images with `rows` rows folded into one; a pooling of a height of two leaves half as many."""

    convolutions: tuple[keras.layers.Conv2D, ...]
    pooling: keras.layers.MaxPooling2D
    rows: int


class Order(NamedTuple):
    """How a convolution's output is folded: the rows of it in their order, and the padding, "same" or "valid"."""

    rows: tuple[int, ...]
    padding: str


class FoldedWeights(NamedTuple):
    """A kernel and a bias as folded images need them; None for no bias."""

    kernel: tf.Tensor
    bias: tf.Tensor | None


Forward: TypeAlias = Callable[..., tf.Tensor]
"""A function of images and `training`."""


def forward(model: keras.Model) -> Forward:
    """Return what computes a model's outputs: the model, or its first layers on folded images where that is faster."""
    stages = foldable(model)
    if not stages:
        whole: Forward = model  # a name for the type checker, to which Keras is unknown
        return whole
    return FoldedForward(model, stages)


class FoldedForward:
    """Computes a model's outputs, the first layers on folded images.

    Args:
        model: The network.
        stages: Its first layers.
    """

    def __init__(self, model: keras.Model, stages: Sequence[Stage]) -> None:
        self._stages = stages
        self._rest = keras.Model(stages[-1].pooling.output, model.output)

    def weights(self) -> list[FoldedWeights]:
        """Return the weights of the folded convolutions, in their order."""
        return [
            _folded(_order(stage, layer), *_weights(layer)) for stage in self._stages for layer in stage.convolutions
        ]

    def __call__(self, images: tf.Tensor, training: bool, known: Sequence[FoldedWeights] = ()) -> tf.Tensor:
        """Return the outputs of images.

        Args:
            images: (examples, height, width, channels).
            training: Whether dropout and the like are at work.
            known: What `weights` returned in this step, so that it is not computed again. Gradients still reach the
                layers' own weights.
        """
        images = _fold(tf.cast(images, self._stages[0].pooling.compute_dtype), self._stages[0].rows)
        given = iter(known)
        for stage in self._stages:
            images = _apply(stage, images, given)
        return self._rest(images, training=training)


def foldable(model: keras.Model) -> list[Stage]:
    """Return the blocks at a network's beginning that are faster on folded images; after the last, none are folded."""
    if tf.config.get_visible_devices("GPU"):
        return []
    blocks = list(_blocks(model))
    while blocks:
        rows = math.prod(pooling.pool_size[0] for _, pooling in blocks)
        if 1 < rows <= _most_rows(blocks):
            stages = list(_stages(blocks, rows))
            if all(map(_can_fold, stages)):
                return stages
        blocks.pop()
    return []


def _blocks(model: keras.Model) -> Iterator[Block]:
    """Yield the blocks from the model's input on, as long as each layer feeds only the next."""
    layers = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
    tensor, convolutions = model.input, []
    while not any(tensor is made for made in model.outputs):
        readers = [layer for layer in layers if any(tensor is read for read in tf.nest.flatten(layer.input))]
        if len(readers) != 1:
            return
        (layer,) = readers
        if isinstance(layer, keras.layers.Conv2D) and _is_plain(layer):
            convolutions.append(layer)
        elif isinstance(layer, keras.layers.MaxPooling2D) and convolutions and _tiles(layer):
            yield tuple(convolutions), layer
            convolutions = []
        else:
            return
        tensor = layer.output


def _is_plain(layer: keras.layers.Conv2D) -> bool:
    return max(*layer.strides, *layer.dilation_rate, layer.groups) == 1 and layer.activation not in MIXING


def _tiles(layer: keras.layers.MaxPooling2D) -> bool:
    """Whether a pooling's windows neither overlap nor leave pixels out."""
    lengths = zip(layer.input.shape[1:3], layer.pool_size, strict=True)
    return layer.strides == layer.pool_size and not any(length % size for length, size in lengths)


def _most_rows(blocks: Sequence[Block]) -> int:
    """Return how many rows may be folded into one: 1 where folding does not pay."""
    layers = [layer for convolutions, _ in blocks for layer in convolutions]
    channels = (layers[0].filters, *(layer.input.shape[-1] for layer in layers[1:]))
    if max(channels) > FEW_CHANNELS or layers[0].input.shape[1] < SMALLEST_HEIGHT:
        return 1
    if layers[0].compute_dtype == "float16":  # where a value overflows, zero times infinity would spoil its neighbours
        return 1
    shortest = int(min(layer.kernel_size[0] for layer in layers))
    if layers[0].compute_dtype == "bfloat16" and shortest > 1:
        return MOST_ROWS
    return min(MOST_ROWS, shortest - 1)


def _stages(blocks: Sequence[Block], rows: int) -> Iterator[Stage]:
    for convolutions, pooling in blocks:
        yield Stage(convolutions, pooling, rows)
        rows //= pooling.pool_size[0]


def _can_fold(stage: Stage) -> bool:
    images = (image for layer in stage.convolutions for image in (layer.input, layer.output))
    return all(image.shape[1] % stage.rows == 0 for image in images)


def _fold(images: tf.Tensor, rows: int) -> tf.Tensor:
    """Turn (height, width, channels) into (height / rows, width, rows · channels)."""
    height, width, channels = images.shape[1:]
    images = tf.reshape(images, (-1, height // rows, rows, width, channels))
    return tf.reshape(tf.transpose(images, (0, 1, 3, 2, 4)), (-1, height // rows, width, rows * channels))


def _apply(stage: Stage, images: tf.Tensor, known: Iterator[FoldedWeights]) -> tf.Tensor:
    *before, last = stage.convolutions
    for layer in before:
        images = layer.activation(_convolve(stage, layer, images, known))
    images = _convolve(stage, last, images, known)
    down, right = stage.pooling.pool_size
    # The largest stays the largest under ReLU: it is applied to what pooling leaves, a quarter of the pixels.
    activates_after = last.activation is keras.activations.relu
    images = images if activates_after else last.activation(images)
    height, width, channels = images.shape[1:]
    images = tf.reshape(images, (-1, height, width * down, channels // down))
    images = tf.nn.max_pool2d(images, (1, down * right), (1, down * right), "VALID")
    return last.activation(images) if activates_after else images


def _convolve(stage: Stage, layer: keras.layers.Conv2D, images: tf.Tensor, known: Iterator[FoldedWeights]) -> tf.Tensor:
    """Convolve folded images with a layer's weights, or with the next that are known to be these, folded."""
    order, own, given = _order(stage, layer), _weights(layer), next(known, None)
    kernel, bias = _folded(order, *own) if given is None else _as_folded(order, own, given)
    images = tf.nn.conv2d(images, kernel, 1, layer.padding.upper())
    return images if bias is None else tf.nn.bias_add(images, bias)


def _order(stage: Stage, layer: keras.layers.Conv2D) -> Order:
    """Return how the rows of a convolution's output are folded."""
    if layer is not stage.convolutions[-1]:
        return Order(tuple(range(stage.rows)), layer.padding)
    # The rows that pooling compares come first, so that they lie beside the columns that it compares.
    down = stage.pooling.pool_size[0]
    rows = (row + first for first in range(down) for row in range(0, stage.rows, down))
    return Order(tuple(rows), layer.padding)


def _weights(layer: keras.layers.Conv2D) -> tuple[tf.Tensor, tf.Tensor | None]:
    """Return a layer's kernel and bias in the type that it computes in; None for a bias that it has not."""
    bias = tf.cast(layer.bias, layer.compute_dtype) if layer.use_bias else None
    return tf.cast(layer.kernel, layer.compute_dtype), bias


def _folded(order: Order, kernel: tf.Tensor, bias: tf.Tensor | None) -> FoldedWeights:
    """Return a kernel and a bias as folded images need them."""
    size, columns, channels, filters = kernel.shape
    places = _places(size, order.padding, order.rows)
    height, rows = places.shape[:2]
    folded = tf.matmul(tf.constant(places.reshape(-1, size), kernel.dtype), tf.reshape(kernel, (size, -1)))
    folded = tf.reshape(folded, (height, rows, rows, columns, channels, filters))
    folded = tf.reshape(tf.transpose(folded, (0, 3, 1, 4, 2, 5)), (height, columns, rows * channels, rows * filters))
    return FoldedWeights(folded, None if bias is None else tf.tile(bias, [rows]))


def _as_folded(order: Order, weights: tuple[tf.Tensor, tf.Tensor | None], known: FoldedWeights) -> FoldedWeights:
    """Return what folding some weights is known to give, with the gradient of folding them."""
    present = [tensor for tensor in weights if tensor is not None]

    @tf.custom_gradient
    def folded(*tensors: tf.Tensor) -> Any:
        def gradients(*upstream: tf.Tensor) -> list[tf.Tensor]:
            with tf.GradientTape() as tape:
                tape.watch(tensors)
                # Only its gradient is ever computed.
                again = _folded(order, tensors[0], tensors[1] if len(tensors) > 1 else None)
            made = [tensor for tensor in again if tensor is not None]
            return list(tape.gradient(made, tensors, list(upstream)))

        return [tf.identity(tensor) for tensor in known if tensor is not None], gradients

    kernel, *bias = folded(*present)
    return FoldedWeights(kernel, bias[0] if bias else None)


def _places(size: int, padding: str, order: tuple[int, ...]) -> np.ndarray:
    """Return where the rows of a kernel lie in the folded one: 1 there, 0 elsewhere.

    Args:
        size: Rows of the kernel.
        padding: "same" or "valid".
        order: Row of the output at each place among those folded into one.

    Returns:
        float32 (rows of the folded kernel, rows of the input in each, rows of the output, rows of the kernel).
    """
    rows = len(order)
    above = (size - 1) // 2 if padding == "same" else 0
    # Down as far as up, or one row further: just what padding "same" makes of the folded kernel's height.
    reach_up, reach_down = math.ceil(above / rows), math.ceil((size - 1 - above) / rows)
    places = np.zeros(((reach_up + 1 + reach_down) * rows, rows, size), np.float32)
    for place, row in enumerate(order):
        for tap in range(size):
            places[reach_up * rows + row + tap - above, place, tap] = 1
    return places.reshape(-1, rows, rows, size)
