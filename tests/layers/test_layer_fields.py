"""Receptive fields: known networks, branches, enlarging, reshapes."""

from fractions import Fraction

import pytest

from cnncli.layers import (
    AveragePooling2D,
    Conv1D,
    Conv2D,
    Conv2DTranspose,
    Cropping2D,
    Dense,
    Flatten,
    GlobalAveragePooling2D,
    MaxPooling2D,
    Reshape,
    Resizing,
    UpSampling2D,
    ZeroPadding2D,
)
from cnncli.layers.composites import Parallel, Repeat
from cnncli.layers.graph import shapes
from cnncli.layers.layout import flatten
from cnncli.layers.receptive_field import receptive_fields


def fields(layers, input_shape):
    """Return the fields of all nodes."""
    nodes = flatten(layers)
    return receptive_fields(nodes, shapes(nodes, input_shape), input_shape)


def last(layers, input_shape):
    """Return the last field's size, stride and start along the first axis."""
    return fields(layers, input_shape)[-1][0]


def conv(kernel_size, strides=1, padding="same", **more):
    """Return a convolution with one filter."""
    return Conv2D(filters=1, kernel_size=kernel_size, strides=strides, padding=padding, **more)


def test_vgg16():
    """The last pooling of VGG-16 sees 212 pixels, 32 apart."""
    layers = []
    for convolutions in (2, 2, 3, 3, 3):
        layers += [Repeat(times=convolutions, layers=(conv(3),)), MaxPooling2D()]
    size, stride, start = last(layers, (224, 224, 3))
    assert (size, stride, start) == (212, 32, -90)


def test_alexnet():
    """The last pooling of AlexNet sees 195 pixels, 32 apart."""
    pool = MaxPooling2D(pool_size=3, strides=2)
    layers = [conv(11, 4, "valid"), pool, conv(5), pool, conv(3), conv(3), conv(3), pool]
    assert last(layers, (227, 227, 3))[:2] == (195, 32)


def test_branches_count_from_first_to_last():
    """A 1×1 and a shifted 5×5 branch together see what either sees."""
    branches = Parallel(
        branches=((conv(1),), (conv(5), ZeroPadding2D(padding=[[2, 0], [0, 0]]), Cropping2D(cropping=[[0, 2], [0, 0]])))
    )
    assert last([branches], (9, 9, 1)) == (5, 1, -4)


def test_branches_of_different_pace():
    """Where branches stride differently, the widest hull is reported, and the first branch's pace."""
    branches = Parallel(branches=((conv(2, 1, "valid"),), (conv(1, 2),)))
    size, _, start = last([branches], (3, 3, 1))
    assert (size, start) == (2, 0)


def test_dilation_spreads():
    """A 3×3 window with dilation 4 sees 9 pixels from end to end."""
    assert last([conv(3, dilation_rate=4)], (32, 32, 1)) == (9, 1, -4)


@pytest.mark.parametrize(
    ("layers", "size", "stride"),
    [
        ([UpSampling2D(size=2)], 1, Fraction(1, 2)),
        ([UpSampling2D(size=2), conv(3)], 2, Fraction(1, 2)),
        ([UpSampling2D(size=2), conv(3), AveragePooling2D()], 3, 1),
        ([UpSampling2D(size=3, interpolation="bilinear")], 2, Fraction(1, 3)),
        ([Conv2DTranspose(filters=1, kernel_size=3, strides=2, padding="same")], 2, Fraction(1, 2)),
        ([Conv2DTranspose(filters=1, kernel_size=1, strides=3)], 1, Fraction(1, 3)),
        ([Resizing(height=12, width=12)], 2, Fraction(3, 2)),
        ([Resizing(height=6, width=6)], 1, 3),
        ([Resizing(height=12, width=12, interpolation="nearest")], 1, Fraction(3, 2)),
    ],
)
def test_layers_that_change_the_scale(layers, size, stride):
    """Enlarging makes neighbours see nearly the same pixels."""
    assert last(layers, (18, 18, 1))[:2] == (size, stride)


def test_a_size_like_that_of_another_layer():
    """It sees what a resize to the same numbers sees."""
    like, fixed = (
        [conv(3, name="fine"), MaxPooling2D(), conv(3), Resizing(**size), conv(3)]
        for size in ({"like": "fine"}, {"height": 45, "width": 50})
    )
    assert fields(like, (45, 50, 1)) == fields(fixed, (45, 50, 1))
    assert fields(like, (32, 32, 1))[-1][0] == (12, 1, -5)


def test_the_whole_image():
    """After Flatten or a global pooling all outputs see the whole image."""
    assert fields([conv(3), Flatten(), Dense(units=2)], (8, 8, 1))[1:] == (None, None)
    assert fields([GlobalAveragePooling2D()], (8, 8, 1)) == (None,)


def test_an_image_read_as_a_sequence():
    """Reshape keeps leading axes: a convolution over rows sees some rows, each as a whole."""
    rows, columns = fields([Reshape(target_shape=[28, 28]), Conv1D(filters=4, kernel_size=5)], (28, 28, 1))[-1]
    assert rows == (5, 1, 0)
    assert columns == (28, 0, 0)


def test_one_row_as_a_sequence():
    """An axis of length 1 may go: the convolution then runs along the other."""
    layers = [Reshape(target_shape=[64, 2]), Conv1D(filters=4, kernel_size=3, strides=2)]
    height, width = fields(layers, (1, 64, 2))[-1]
    assert width == (3, 2, 0)
    assert height == (1, 0, 0)


def test_mixed_axes_see_everything():
    """A Reshape that cuts through rows leaves nothing to say but the whole image."""
    assert fields([Reshape(target_shape=[7, 112])], (28, 28, 1)) == (None,)


def test_very_long_patterns_count_as_whole():
    """An axis enlarged beyond what is worth following counts as seen from end to end."""
    layers = [UpSampling2D(size=[5000, 1]), conv(3)]
    rows, columns = fields(layers, (8, 8, 1))[-1]
    assert rows == (8, 0, 0)
    assert columns == (3, 1, -1)
