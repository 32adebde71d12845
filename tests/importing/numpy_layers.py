"""Layers computed by loops over positions, channels first, as Caffe and Darknet define them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil, prod

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Weights = Mapping[str, Sequence[npt.NDArray[np.float32]]]


def convolution(x: Array, kernel: Array, bias: Array | None, stride: int = 1, pad: int = 0, groups: int = 1) -> Array:
    """Return a convolution of (channels, height, width) with (outputs, channels / groups, height, width)."""
    x = np.pad(x, ((0, 0), (pad, pad), (pad, pad)))
    filters, channels, height, width = kernel.shape
    rows, columns = ((n - k) // stride + 1 for n, k in zip(x.shape[1:], (height, width), strict=True))
    made = np.zeros((filters, rows, columns))
    for f in range(filters):
        begin = f // (filters // groups) * channels
        for i in range(rows):
            for j in range(columns):
                top, left = i * stride, j * stride
                patch = x[begin : begin + channels, top : top + height, left : left + width]
                made[f, i, j] = np.sum(patch * kernel[f])
    return made if bias is None else made + bias[:, None, None]


def max_pooling(x: Array, size: int, stride: int) -> Array:
    """Return a max pooling as Caffe's: the last window may reach beyond the border."""
    rows, columns = (ceil((n - size) / stride) + 1 for n in x.shape[1:])
    made = np.zeros((len(x), rows, columns))
    for i in range(rows):
        for j in range(columns):
            window = x[:, i * stride : i * stride + size, j * stride : j * stride + size]
            made[:, i, j] = window.max((1, 2))
    return made


def responses(x: Array, size: int, alpha: float, beta: float) -> Array:
    """Return a local response normalization across channels; alpha is divided by the window's size."""
    made = np.zeros_like(x)
    for c in range(len(x)):
        near = x[max(0, c - size // 2) : c + size // 2 + 1]
        made[c] = x[c] / (1 + alpha / size * (near**2).sum(0)) ** beta
    return made


def normalization(x: Array, mean: Array, variance: Array, gamma: Array, beta: Array) -> Array:
    """Return a batch normalization by known statistics."""
    mean, variance, gamma, beta = (n.reshape(-1, *(1,) * (x.ndim - 1)) for n in (mean, variance, gamma, beta))
    return (x - mean) / np.sqrt(variance + 1e-5) * gamma + beta


def dense(x: Array, kernel: Array, bias: Array) -> Array:
    """Return outputs × inputs times the values, channel by channel."""
    return kernel @ x.ravel() + bias


def relu(x: Array, slope: float = 0.0) -> Array:
    """Return the positive part, and the negative one times the slope."""
    return np.where(x > 0, x, slope * x)


def softmax(x: Array) -> Array:
    """Return probabilities."""
    e = np.exp(x - x.max())
    return e / e.sum()


def drawn(generator: np.random.Generator, *shape: int) -> npt.NDArray[np.float32]:
    """Return weights that keep values near 1."""
    size = prod(shape[1:]) or 1
    return (generator.normal(size=shape) / np.sqrt(size)).astype(np.float32)
