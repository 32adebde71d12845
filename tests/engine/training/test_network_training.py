"""Every layer can be trained on a CPU, in every precision: TensorFlow lacks some kernels and gradients."""

import numpy as np
import pytest

from cnncli.layers import VOCABULARY, Conv1D, Conv2D, Conv3D, Dense, Flatten
from cnncli.layers.arguments import ActivationName, Interpolation
from cnncli.layers.base import Merge
from cnncli.layers.layout import flatten

pytestmark = pytest.mark.engine

KERNEL = {"filters": 4, "kernel_size": 3}
INTERPOLATIONS = [{"interpolation": name} for name in Interpolation.__args__]
STRIDED, DILATED, GROUPED, SINGLE = (
    {"strides": 2},
    {"dilation_rate": 2},
    {"groups": 2},
    {"kernel_size": 1, "strides": 2},
)

ARGUMENTS = {
    **{f"Conv{n}D": [KERNEL | more for more in (STRIDED, DILATED, GROUPED, SINGLE)] for n in (1, 2, 3)},
    "DepthwiseConv2D": [{"kernel_size": 3, **more} for more in (STRIDED, DILATED, STRIDED | DILATED)],
    "SeparableConv2D": [KERNEL | more for more in (STRIDED, DILATED, STRIDED | DILATED)],
    "Conv2DTranspose": [KERNEL | more for more in (STRIDED, DILATED, SINGLE)],
    "Dense": [{"units": 3}],
    "Reshape": [{"target_shape": [-1]}],
    "Permute": [{"dims": [3, 1, 2]}],
    "ChannelPadding": [{"padding": [1, 2]}, {"padding": [-1, -2]}],
    "Dropout": [{"rate": 0.5}],
    "SpatialDropout2D": [{"rate": 0.5}],
    "Rescaling": [{"scale": 0.1}],
    "GroupNormalization": [{"groups": 2}],
    "Activation": [{"activation": name} for name in ActivationName.__args__],
    "Resizing": [{"height": 5, "width": 7, **more} for more in INTERPOLATIONS],
    "UpSampling2D": INTERPOLATIONS,
}
"""What each layer is tried with; those left out, with their defaults."""

SHAPES = {"1D": ((12, 4), Conv1D), "3D": ((7, 8, 9, 4), Conv3D)}


@pytest.fixture(params=["float32", "mixed_bfloat16", "mixed_float16"])
def precision(request):
    """Set Keras's precision for one test."""
    import keras

    keras.config.set_dtype_policy(request.param)
    yield request.param
    keras.config.set_dtype_policy("float32")


@pytest.mark.parametrize("name", sorted(VOCABULARY))
def test_every_layer_trains(name, precision):
    """Weights before a layer get a finite gradient through it."""
    import tensorflow as tf

    from cnncli.engine.network.model import build_network

    input_shape, before = next((found for key, found in SHAPES.items() if key in name), ((8, 9, 4), Conv2D))
    images = np.random.default_rng(0).random((3, *input_shape), np.float32)
    for arguments in ARGUMENTS.get(name, [{}]):
        layers = [before(filters=4, kernel_size=1, name="a"), VOCABULARY[name].model_validate(arguments)]
        if issubclass(VOCABULARY[name], Merge):
            beside = before(filters=4, kernel_size=1, inputs="input", name="b")
            layers = [layers[0], beside, VOCABULARY[name].model_validate({"inputs": ["a", "b"]})]
        model = build_network(flatten([*layers, Flatten(), Dense(units=2)]), input_shape, seed=0)
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(model(images, training=True) ** 2)
        for gradient in tape.gradient(total, model.trainable_weights):
            assert np.isfinite(gradient).all(), arguments
        assert model.output.dtype == "float32"
