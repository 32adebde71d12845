"""What is advised where planes of different size meet."""

from __future__ import annotations

import pytest

from cnncli.layers import (
    Add,
    Concatenate,
    Conv2D,
    Conv2DTranspose,
    Flatten,
    MaxPooling2D,
    ReLU,
    UpSampling2D,
    ZeroPadding2D,
)
from cnncli.layers.base import Layer, Shape
from cnncli.layers.composites import Parallel
from cnncli.layers.fitting import advice
from cnncli.layers.graph import measure
from cnncli.layers.layout import lay_out

UP = UpSampling2D(name="up")
SKIP = Concatenate(inputs=("fine", "up"))
SKIP_HINT = "give every branch the same strides and padding: same, or crop the larger ones"


def conv(filters: int = 4, **more: object) -> Conv2D:
    """Return a 3×3 convolution that keeps the size."""
    return Conv2D.model_validate({"filters": filters, "kernel_size": 3, "padding": "same", **more})


def lesson(numbers: str, sizes: str, like: str = "", place: str = "") -> str:
    """Return the advice where a size does not divide."""
    layer = f", or put `Resizing: {{like: {like}}}` {place}" if like else ""
    return f"{numbers}, the product of the strides: use data.image_size: {sizes}{layer}"


def advised(layers: list[Layer], shape: Shape) -> str | None:
    """Return the advice on the first layer that cannot take its inputs."""
    nodes = lay_out(layers, left_out=()).nodes
    return advice(nodes, shape, measure(nodes, shape)[1][0])


@pytest.mark.parametrize(
    ("layers", "shape", "expected"),
    [
        (
            [conv(name="fine"), MaxPooling2D(), UP, SKIP],
            (45, 45, 3),
            lesson("45 is not a multiple of 2", "[44, 44] or [46, 46]", "fine", "in place of up"),
        ),
        (
            [conv(name="fine"), MaxPooling2D(), Conv2DTranspose(filters=4, kernel_size=2, strides=2, name="up"), SKIP],
            (45, 46, 3),
            lesson("45 is not a multiple of 2", "[44, 46] or [46, 46]", "fine", "after up"),
        ),
        (
            [MaxPooling2D(pool_size=3), MaxPooling2D(), UpSampling2D(size=6, name="up"), Add(inputs=("input", "up"))],
            (7, 8, 3),
            lesson("7 and 8 are not multiples of 6", "[6, 6] or [12, 12]", "input", "in place of up"),
        ),
        (
            [*[conv(strides=2)] * 2, UpSampling2D(size=4, name="up"), Concatenate(inputs=("input", "up"))],
            (3, 3, 3),
            lesson("3 is not a multiple of 4", "[4, 4]", "input", "in place of up"),
        ),
        (
            [
                conv(name="fine"),
                MaxPooling2D(),
                UP,
                Concatenate(inputs=("fine", "up"), name="joined"),
                MaxPooling2D(pool_size=4),
                UpSampling2D(size=4, name="next"),
                Concatenate(inputs=("joined", "next")),
            ],
            (45, 45, 3),
            lesson("45 is not a multiple of 4", "[44, 44] or [48, 48]", "fine", "in place of up"),
        ),
        (
            [
                conv(name="fine"),
                MaxPooling2D(),
                MaxPooling2D(),
                UpSampling2D(size=4, name="up"),
                Concatenate(inputs=("fine", "up"), name="joined"),
                conv(3, name="three"),
                Add(inputs=("joined", "three")),
            ],
            (45, 45, 3),
            lesson("45 is not a multiple of 4", "[44, 44] or [48, 48]", "fine", "in place of up"),
        ),
        (
            [conv(7, name="fine"), MaxPooling2D(), conv(), UP, Add(inputs=("fine", "up"))],
            (45, 45, 3),
            None,
        ),
        (
            [
                conv(strides=2, name="fine"),
                MaxPooling2D(),
                UP,
                SKIP,
                ReLU(name="half"),
                UpSampling2D(size=2, name="whole"),
                Concatenate(inputs=("input", "whole")),
            ],
            (46, 46, 3),
            lesson("46 is not a multiple of 4", "[44, 44] or [48, 48]", "fine", "in place of up"),
        ),
        (
            [Parallel(branches=((MaxPooling2D(), UpSampling2D()), ()))],
            (5, 4, 1),
            lesson("5 is not a multiple of 2", "[4, 4] or [6, 4]"),
        ),
        (
            [conv(name="fine"), ZeroPadding2D(padding=1, name="up"), SKIP],
            (8, 8, 1),
            f"{SKIP_HINT}; or put `Resizing: {{like: fine}}` after up",
        ),
        ([conv(name="fine"), Flatten(name="up"), SKIP], (8, 8, 1), None),
        ([conv(2, name="fine"), conv(3, name="up"), Add(inputs=("fine", "up"))], (8, 8, 1), None),
    ],
)
def test_advice(layers: list[Layer], shape: Shape, expected: str | None) -> None:
    """The next sizes that fit and the layer that would, where there are any; nothing where size is not the trouble."""
    assert advised(layers, shape) == expected


@pytest.mark.parametrize("depth", [1, 3, 5])
def test_the_sizes_advised_fit(depth: int) -> None:
    """A decoder of any depth takes both of them, for the whole network and not just the layer that failed."""
    layers: list[Layer] = []
    for level in range(depth):
        layers += [conv(name=f"fine_{level}"), MaxPooling2D()]
    for level in reversed(range(depth)):
        layers += [UpSampling2D(name=f"up_{level}"), Concatenate(inputs=(f"fine_{level}", f"up_{level}"))]
    side = 2**depth
    found = advised(layers, (5 * side - 1, 6 * side, 1)) or ""
    assert f"of {side}, " in found
    assert f"[{4 * side}, {6 * side}] or [{5 * side}, {6 * side}]" in found
