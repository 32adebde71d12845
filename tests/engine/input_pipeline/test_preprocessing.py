"""The one preprocessing: sizes, fits, channels, and that its parts agree to the bit."""

from __future__ import annotations

import numpy as np
import pytest

from cnncli.config.schema.schema import Data, Resize

pytestmark = pytest.mark.engine

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 20, 30, 3), np.uint8)


def preprocessing(size, channels=3, **resize):
    """Return the preprocessing of a data section."""
    from cnncli.engine.input_pipeline.preprocessing import Preprocessing

    return Preprocessing(Data(source="digits", image_size=size, channels=channels, resize=Resize(**resize)))


@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
@pytest.mark.parametrize("method", ["bilinear", "nearest", "bicubic", "area"])
@pytest.mark.parametrize("size", [(10, 10), (40, 15), (20, 30)])
def test_bytes_graph_and_single_images_agree(fit, method, size):
    """What a set in memory stores, what an exported graph computes and what one image gives are the same bits."""
    import tensorflow as tf

    prepare = preprocessing(size, fit=fit, method=method)
    stored = prepare.resize_uint8(IMAGES)
    graph = tf.function(prepare.__call__, input_signature=[tf.TensorSpec((None, None, None, 3), tf.uint8)])
    single = tf.concat([prepare(IMAGES[i : i + 1]) for i in range(3)], axis=0)
    assert stored.dtype == tf.uint8
    assert stored.shape == (3, *size, 3)
    assert np.array_equal(graph(IMAGES), prepare.to_float(stored))
    assert np.array_equal(single, prepare.to_float(stored))


def test_the_right_size_is_left_alone():
    """Images of the network's size pass as they are, whether or not the graph knows their size."""
    import tensorflow as tf

    for method in ("bilinear", "nearest", "bicubic", "area"):
        prepare = preprocessing((20, 30), method=method)
        graph = tf.function(prepare.resize_uint8, input_signature=[tf.TensorSpec((None, None, None, 3), tf.uint8)])
        assert np.array_equal(graph(IMAGES), IMAGES)


def test_values_are_divided_by_255():
    """The network reads 0 to 1."""
    values = preprocessing((20, 30)).to_float(IMAGES).numpy()
    np.testing.assert_allclose(values, IMAGES / 255, atol=1e-7)


def test_values_are_rounded():
    """A resized value is the nearest whole number, as Keras's resizing gives it unrounded."""
    import tensorflow as tf

    resized = preprocessing((9, 11)).resize_uint8(IMAGES)
    assert np.array_equal(resized, np.rint(tf.image.resize(IMAGES, (9, 11))))


def test_crop_keeps_the_middle():
    """Crop cuts the longer side evenly."""
    cropped = preprocessing((20, 20), fit="crop").resize_uint8(IMAGES)
    assert np.array_equal(cropped, IMAGES[:, :, 5:25])


def test_pad_adds_black_evenly():
    """Pad keeps the proportions and fills up with black on both sides."""
    padded = preprocessing((30, 30), fit="pad").resize_uint8(IMAGES).numpy()
    assert np.array_equal(padded[:, 5:25], IMAGES)
    assert padded[:, :5].max() == padded[:, 25:].max() == 0


@pytest.mark.parametrize("shape", [(1, 300), (300, 1), (1, 1)])
@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
def test_extreme_shapes_fit(shape, fit):
    """Lines and dots become images of the network's size."""
    image = np.full((1, *shape, 3), 200, np.uint8)
    assert preprocessing((8, 12), fit=fit).resize_uint8(image).numpy().max() == 200


@pytest.mark.parametrize("channels", [1, 3])
def test_channels_follow_the_rule_for_arrays(channels):
    """Grey and colour are converted as in datasets."""
    from cnncli.datasets.arrays import to_channels

    given = IMAGES if channels == 1 else IMAGES[..., :1]
    assert np.array_equal(preprocessing((20, 30), channels).resize_uint8(given), to_channels(given, channels))
