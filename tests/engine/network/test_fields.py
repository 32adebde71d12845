"""Receptive fields are what gradients say they are, on random networks whose weights are all one.

By default a few dozen networks; `CNNCLI_ORACLE_EXAMPLES=300 pytest tests/engine/network/test_fields.py` for a campaign.
"""

import os

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from cnncli.errors import ShapeError
from cnncli.layers import (
    AveragePooling2D,
    Conv2D,
    Conv2DTranspose,
    Cropping2D,
    DepthwiseConv2D,
    Flatten,
    Normalization,
    Resizing,
    SeparableConv2D,
    UpSampling2D,
    ZeroPadding2D,
)
from cnncli.layers.composites import Parallel, Residual
from cnncli.layers.graph import shapes
from cnncli.layers.layout import flatten
from cnncli.layers.receptive_field import receptive_fields, views

pytestmark = pytest.mark.engine

IMAGE = (56, 44, 1)
BORDER = 14
"""Pixels that padding may reach: a window whose pixels are further inside does not touch any."""
TRIED = settings(
    max_examples=int(os.environ.get("CNNCLI_ORACLE_EXAMPLES", "25")),
    deadline=None,
    phases=(Phase.generate, Phase.shrink),
    derandomize="CNNCLI_ORACLE_EXAMPLES" not in os.environ,
    suppress_health_check=list(HealthCheck),
)

small = st.integers(1, 3)
pairs = st.tuples(small, small)
padding = st.sampled_from(["valid", "same"])
edges = st.tuples(st.tuples(small, small), st.tuples(small, small))
zoom = st.sampled_from(["nearest", "bilinear"])


def layer(kind, **draws):
    """Draw a layer."""
    return st.builds(lambda **arguments: kind.model_validate(arguments), **draws)


windows = {"kernel_size": st.tuples(st.integers(1, 5), st.integers(1, 5)), "padding": padding}
shrinking = st.one_of(
    layer(Conv2D, filters=small, strides=pairs, **windows),
    layer(Conv2D, filters=small, dilation_rate=pairs, **windows),
    layer(DepthwiseConv2D, strides=small, **windows),
    layer(SeparableConv2D, filters=small, dilation_rate=pairs, **windows),
    layer(AveragePooling2D, pool_size=pairs, strides=pairs, padding=padding),
    layer(ZeroPadding2D, padding=edges),
    layer(Cropping2D, cropping=edges),
)
keeping = layer(
    Conv2D, filters=st.just(2), kernel_size=windows["kernel_size"], dilation_rate=pairs, padding=st.just("same")
)
enlarging = st.one_of(
    layer(UpSampling2D, size=pairs, interpolation=zoom),
    layer(Conv2DTranspose, filters=small, strides=pairs, **windows),
    # Only bilinear: TensorFlow's nearest rounds x.0 both ways, and bicubic gives some neighbours the weight 0.
    layer(Resizing, height=st.integers(20, 80), width=st.integers(20, 80), interpolation=st.just("bilinear")),
)


@st.composite
def branching(draw):
    """Draw two branches that end in the same shape, added or side by side."""
    stride = draw(small)
    end = st.builds(
        lambda size: Conv2D(filters=2, kernel_size=size, strides=stride, padding="same"), windows["kernel_size"]
    )
    branch = st.tuples(keeping, end) | st.tuples(end)
    one, other = draw(branch), draw(branch)
    return Residual(layers=one, shortcut=other) if draw(st.booleans()) else Parallel(branches=(one, other))


def seen(model, axis, positions):
    """Return first and last pixel, by the gradient, of each of some output positions along an axis; None for none."""
    import numpy as np
    import tensorflow as tf

    images = tf.ones((len(positions), *IMAGE))
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(images)
        outputs = tf.experimental.numpy.moveaxis(model(images, training=False), axis + 1, 1)
        total = tf.add_n([tf.reduce_sum(outputs[row, position]) for row, position in enumerate(positions)])
    gradients = np.abs(tape.gradient(total, images).numpy())
    touched = gradients.max(axis=tuple(a for a in (1, 2, 3) if a != axis + 1)) > 1e-3  # less is rounding
    spans = [np.flatnonzero(row) for row in touched]
    return [(int(span[0]), int(span[-1])) if span.size else None for span in spans]


def ones(nodes):
    """Build a network whose weights are all one, and its biases too."""
    import numpy as np

    from cnncli.engine.network.model import build_network

    model = build_network(nodes, IMAGE, seed=0)
    model.set_weights([np.ones(weight.shape) for weight in model.weights])
    return model


def leaves_gaps(layer):
    """Say whether a layer has outputs that see nothing."""
    return isinstance(layer, Conv2DTranspose) and any(s > e for s, e in zip(layer.strides, layer.extents, strict=True))


def compare(layers):
    """Compare what we say of the last layer's outputs with the gradients, along both axes.

    Near the border windows reach into padding and see less than they would inside: there, what is seen lies within
    what we say. In the middle it is just that.
    """
    nodes = flatten(layers)
    try:
        outputs = shapes(nodes, IMAGE)
    except ShapeError:
        assume(False)
    view = views(nodes, outputs, IMAGE)[-1]
    model = ones(nodes)
    for axis, (sight, reach) in enumerate(zip(view.sights, view.field, strict=True)):
        length = outputs[-1][axis]
        positions = sorted({0, length - 1, *range(max(length // 2 - 4, 0), min(length // 2 + 4, length))})
        for position, span in zip(positions, seen(model, axis, positions), strict=True):
            first, last = sight.first(position), sight.last(position)
            assert last - first < reach.size
            assert span is None or first <= span[0] <= span[1] <= last
            if first >= BORDER and last < IMAGE[axis] - BORDER:
                assert span == (first, last) or (span is None and any(map(leaves_gaps, layers)))


@TRIED
@given(st.lists(shrinking, min_size=1, max_size=4))
def test_stacks(layers):
    """Convolutions, poolings, dilation, padding and cropping, one after another."""
    compare(layers)


@TRIED
@given(st.lists(shrinking, max_size=1), branching(), st.lists(shrinking, max_size=1))
def test_branches(before, branches, after):
    """Branches added or put side by side, with layers before and after."""
    compare([*before, branches, *after])


@TRIED
@given(st.lists(keeping, max_size=1), enlarging, st.lists(keeping, max_size=1))
def test_layers_that_enlarge(before, enlarge, after):
    """Layers that enlarge or resize, between convolutions."""
    compare([*before, enlarge, *after])


def test_normalization_and_flatten_are_as_documented():
    """A given normalization sees one pixel; after Flatten the whole image counts as seen."""
    nodes = flatten([Normalization(mean=0.5, variance=1.0), Flatten()])
    fields = receptive_fields(nodes, shapes(nodes, IMAGE), IMAGE)
    assert [reach.size for reach in fields[0]] == [1, 1]
    assert fields[1] is None
