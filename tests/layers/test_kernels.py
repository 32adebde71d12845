"""Fixed kernels are those of SciPy, and the terms of every layer name what they count."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from cnncli.layers import VOCABULARY
from cnncli.layers.kernels import KERNELS

POINT = np.pad([[1.0]], 3)
"""What a filter makes of a single point is its kernel, turned over."""

FILTERS = {
    "sobel_x": lambda image: ndimage.sobel(image, axis=1),
    "sobel_y": lambda image: ndimage.sobel(image, axis=0),
    "laplacian": ndimage.laplace,
    "gaussian": lambda image: ndimage.convolve1d(ndimage.convolve1d(image, [0.25, 0.5, 0.25], 0), [0.25, 0.5, 0.25], 1),
    "sharpen": lambda image: image - ndimage.laplace(image),
    "box": lambda image: ndimage.uniform_filter(image, 3),
    "identity": lambda image: image,
}


def test_every_kernel_is_tried() -> None:
    """A kernel added to the vocabulary needs a row here."""
    assert FILTERS.keys() == KERNELS.keys()


@pytest.mark.parametrize("name", sorted(KERNELS))
def test_kernels_are_scipys(name: str) -> None:
    """Laid on an image as it is written, a kernel does what SciPy's filter of that name does."""
    image = np.random.default_rng(0).normal(size=(9, 8))
    for picture in (image, POINT):
        assert ndimage.correlate(picture, np.array(KERNELS[name])) == pytest.approx(FILTERS[name](picture), abs=1e-12)


IMAGE = (8, 9, 6)

TERMS = {
    "Conv1D": (
        {"filters": 4, "kernel_size": 3, "groups": 2},
        (10, 6),
        "channels 3 · filters 4 · kernel length 3 + filters 4",
        "output length 8 · channels 3 · filters 4 · kernel length 3",
    ),
    "Conv2D": (
        {"filters": 4, "kernel_size": [3, 5]},
        IMAGE,
        "channels 6 · filters 4 · kernel height 3 · kernel width 5 + filters 4",
        "output height 6 · output width 5 · channels 6 · filters 4 · kernel height 3 · kernel width 5",
    ),
    "Conv3D": (
        {"filters": 4, "kernel_size": [1, 2, 3], "use_bias": False},
        (8, 9, 7, 6),
        "channels 6 · filters 4 · kernel depth 1 · kernel height 2 · kernel width 3",
        (
            "output depth 8 · output height 8 · output width 5 · "
            "channels 6 · filters 4 · kernel depth 1 · kernel height 2 · kernel width 3"
        ),
    ),
    "DepthwiseConv2D": (
        {"kernel_size": [3, 5], "depth_multiplier": 2},
        IMAGE,
        "channels 6 · depth multiplier 2 · kernel height 3 · kernel width 5 + output channels 12",
        "output height 6 · output width 5 · channels 6 · depth multiplier 2 · kernel height 3 · kernel width 5",
    ),
    "SeparableConv2D": (
        {"filters": 4, "kernel_size": [3, 5], "depth_multiplier": 2},
        IMAGE,
        (
            "channels 6 · depth multiplier 2 · kernel height 3 · kernel width 5"
            " + channels · depth multiplier 12 · filters 4 · kernel height 1 · kernel width 1 + filters 4"
        ),
        (
            "output height 6 · output width 5 · channels 6 · depth multiplier 2 · kernel height 3 · kernel width 5"
            " + output height 6 · output width 5 · channels · depth multiplier 12 · filters 4"
            " · kernel height 1 · kernel width 1"
        ),
    ),
    "Conv2DTranspose": (
        {"filters": 4, "kernel_size": [3, 5], "strides": 2},
        IMAGE,
        "filters 4 · channels 6 · kernel height 3 · kernel width 5 + filters 4",
        "input height 8 · input width 9 · filters 4 · channels 6 · kernel height 3 · kernel width 5",
    ),
    "Dense": ({"units": 4}, (3, 5), "inputs 5 · units 4 + units 4", "positions 3 · inputs 5 · units 4"),
    "BatchNormalization": ({}, IMAGE, "channels 6 + channels 6 + channels 6 + channels 6", ""),
    "LayerNormalization": ({"center": False}, IMAGE, "channels 6", ""),
    "GroupNormalization": ({"groups": 2}, IMAGE, "channels 6 + channels 6", ""),
    "LayerScale": ({}, IMAGE, "channels 6", ""),
    "Normalization": ({}, IMAGE, "channels 6 + channels 6 + values 1", ""),
    "ReLU": ({}, IMAGE, "", ""),
}


@pytest.mark.parametrize("name", TERMS)
def test_terms_name_what_they_count(name: str) -> None:
    """Parameters and multiply-accumulates as sums of products, each factor with its label."""
    arguments, input_shape, parameters, multiplications = TERMS[name]
    layer = VOCABULARY[name].model_validate(arguments)
    for terms, expected in (
        (layer.param_terms(input_shape), parameters),
        (layer.mac_terms(input_shape), multiplications),
    ):
        assert " + ".join(" · ".join(f"{label} {value}" for label, value in term) for term in terms) == expected
