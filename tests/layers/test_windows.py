"""Windows and output shapes against the taps themselves, written out one by one."""

from __future__ import annotations

from itertools import product

import pytest

from cnncli.layers import AveragePooling1D, Conv1D, Conv2DTranspose, MaxPooling1D
from cnncli.layers.graph import shapes
from cnncli.layers.layout import flatten
from cnncli.layers.receptive_field import views

LENGTHS = (1, 2, 5, 8, 13)


def taps(length, size, stride, padding, dilation=1):
    """Return the positions that each output of a convolution reads, those in the padding too, by TensorFlow's rules."""
    extent = (size - 1) * dilation + 1
    starts = range(0, length, stride)
    if padding == "valid":
        starts = [start for start in starts if start + extent <= length]
        before = 0
    elif padding == "causal":
        before = extent - 1
    else:
        before = max((len(starts) - 1) * stride + extent - length, 0) // 2
    return [[start - before + tap * dilation for tap in range(size)] for start in starts]


def sight(layer, input_shape):
    """Return the layer's output shape and what its outputs see along the first axis."""
    nodes = flatten([layer])
    (output_shape,) = shapes(nodes, input_shape)
    return output_shape, views(nodes, [output_shape], input_shape)[0].sights[0]


@pytest.mark.parametrize("padding", ["valid", "same", "causal"])
def test_convolutions_read_their_taps(padding):
    """As many outputs as there are windows; each sees from its first tap to its last."""
    tried = 0
    for length, size, (stride, dilation) in product(LENGTHS, (1, 2, 3, 5), [(1, 1), (2, 1), (3, 1), (1, 2), (1, 3)]):
        expected = taps(length, size, stride, padding, dilation)
        if not expected:
            continue
        layer = Conv1D(filters=3, kernel_size=size, strides=stride, padding=padding, dilation_rate=dilation)
        output_shape, seen = sight(layer, (length, 2))
        assert output_shape == (len(expected), 3)
        spans = [(seen.first(output), seen.last(output)) for output in range(len(expected))]
        assert spans == [(read[0], read[-1]) for read in expected]
        tried += 1
    assert tried > 60


@pytest.mark.parametrize("kind", [MaxPooling1D, AveragePooling1D])
@pytest.mark.parametrize("padding", ["valid", "same"])
def test_poolings_read_their_taps(kind, padding):
    """The same for poolings, whose strides are their window where none are given."""
    for length, size, stride in product(LENGTHS, (1, 2, 3), (None, 1, 2, 3)):
        expected = taps(length, size, stride or size, padding)
        if expected:
            output_shape, seen = sight(kind(pool_size=size, strides=stride, padding=padding), (length, 2))
            assert output_shape == (len(expected), 2)
            spans = [(seen.first(output), seen.last(output)) for output in range(len(expected))]
            assert spans == [(read[0], read[-1]) for read in expected]


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_transposed_convolutions_write_where_convolutions_read(padding):
    """An output of a transposed convolution sees the inputs that a convolution of the output makes of it."""
    tried = 0
    choices = product(LENGTHS, (1, 2, 3, 4, 5), [(1, 1), (2, 1), (3, 1), (4, 1), (1, 2)], (None, 0, 1, 2))
    for length, size, (stride, dilation), extra in choices:
        refused = padding == "same" and extra == 0 == ((size - 1) * dilation + 1) % 2
        if refused or (extra is not None and extra >= stride):
            continue
        layer = Conv2DTranspose(
            filters=1,
            kernel_size=[size, 1],
            strides=stride,
            padding=padding,
            dilation_rate=[dilation, 1],
            output_padding=extra,
        )
        output_shape, seen = sight(layer, (length, 4, 1))
        forward = taps(output_shape[0], size, stride, padding, dilation)
        if len(forward) != length:  # sizes that no convolution leads back from
            continue
        for output in range(output_shape[0]):
            sources = [source for source, read in enumerate(forward) if output in read]
            first, last = seen.first(output), seen.last(output)
            assert all(first <= source <= last for source in sources)
            if sources and first >= 0 and last < length:
                assert (first, last) == (sources[0], sources[-1]), (layer, length, output)
        tried += 1
    assert tried > 150
