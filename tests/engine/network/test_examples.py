"""Worked examples: convolutions that can be done on paper, through a config's fixed kernels."""

import numpy as np
import pytest

from cnncli.config.load import load
from cnncli.layers import (
    VOCABULARY,
    Conv1D,
    Conv2D,
    Conv2DTranspose,
    Conv3D,
    Dense,
    Dropout,
    Flatten,
    LocalResponseNormalization,
    MaxPooling2D,
    Normalization,
)
from cnncli.layers.composites import Repeat
from cnncli.layers.layout import flatten

pytestmark = pytest.mark.engine

CONFIG = """
name: worked_example
data: {{source: digits, image_size: [{height}, {width}], channels: 1}}
model:
  layers:
    - Conv2D: {{kernel: {kernel}, use_bias: false, trainable: false}}
"""


@pytest.fixture
def convolve(tmp_path):
    """Return a function that runs an image through a config with a fixed kernel."""

    def run(image, kernel):
        from cnncli.engine.network.model import build_network

        height, width = len(image), len(image[0])
        path = tmp_path / "example.yaml"
        path.write_text(CONFIG.format(height=height, width=width, kernel=kernel), encoding="utf-8")
        config = load(path)
        model = build_network(config.nodes, config.input_shape, config.seed)
        assert not model.trainable_weights
        return model(np.array(image, np.float32)[None, :, :, None])[0, :, :, 0].numpy()

    return run


def apply(layers, images, seed=0):
    """Run images, (batch, height, width, channels), through layers."""
    from cnncli.engine.network.model import build_network

    images = np.asarray(images, np.float32)
    return build_network(flatten(layers), images.shape[1:], seed)(images).numpy()


def test_cross_correlation_two_by_two(convolve):
    """The kernel lies on the image as it is written: no turning over."""
    image = [[2, -3, 0, 2, -1], [0, 1, 4, 0, 1], [2, -2, 7, 3, 0], [-1, 0, 1, 0, 4]]
    expected = [[2, -13, 6, 0], [9, -28, 9, 5], [2, -12, 6, -9]]
    np.testing.assert_array_equal(convolve(image, [[1, -1], [2, -3]]), expected)


def test_cross_correlation_three_by_three(convolve):
    """The 3×3 example of many lectures."""
    image = [[3, 3, 2, 1, 0], [0, 0, 1, 3, 1], [3, 1, 2, 2, 3], [2, 0, 0, 2, 2], [2, 0, 0, 0, 1]]
    expected = [[12, 12, 17], [10, 17, 19], [9, 6, 14]]
    np.testing.assert_array_equal(convolve(image, [[0, 1, 2], [2, 2, 0], [0, 1, 2]]), expected)


def test_sobel_on_a_step_edge(convolve):
    """Sobel answers 4 times the step along the edge, with the sign of its direction, and nowhere else."""
    step = [[0, 0, 0, 1, 1, 1]] * 5
    np.testing.assert_array_equal(convolve(step, "sobel_x"), [[0, 4, 4, 0]] * 3)
    np.testing.assert_array_equal(convolve(step, "sobel_y"), np.zeros((3, 4)))
    np.testing.assert_array_equal(convolve(np.transpose(step).tolist(), "sobel_y"), np.transpose([[0, 4, 4, 0]] * 3))


@pytest.mark.parametrize(
    ("kernel", "answer"), [("identity", 1), ("gaussian", 1), ("box", 1), ("sharpen", 1), ("laplacian", 0)]
)
def test_kernels_on_an_even_image(convolve, kernel, answer):
    """Smoothing and sharpening leave an even image as it is; the Laplacian sees nothing in it."""
    np.testing.assert_allclose(convolve([[1] * 5] * 5, kernel), np.full((3, 3), answer), atol=1e-6)


def test_translation_equivariance():
    """Shifting the image shifts what a convolution of stride 1 makes of it."""
    images = np.random.default_rng(0).normal(size=(1, 12, 12, 3))
    layers = [Conv2D(filters=4, kernel_size=3, activation="relu"), Conv2D(filters=2, kernel_size=3)]
    shifted = np.roll(images, (2, 3), axis=(1, 2))
    before, after = apply(layers, images), apply(layers, shifted)
    np.testing.assert_allclose(after[:, 2:, 3:], before[:, :-2, :-3], atol=1e-6)


def test_a_dense_layer_is_not_equivariant():
    """The guard above can fail: a dense layer answers differently to a shifted image."""
    images = np.random.default_rng(0).normal(size=(1, 6, 6, 1))
    layers = [Flatten(), Dense(units=4)]
    assert np.abs(apply(layers, np.roll(images, 1, axis=1)) - apply(layers, images)).max() > 0.1


def test_max_pooling_two_by_two():
    """The largest of each 2×2 window; an odd last column is cut off."""
    image = [[1, 3, 2, 1, 9], [4, 2, 0, 5, 9], [1, 1, 7, 0, 9], [0, 2, 3, 3, 9]]
    pooled = apply([MaxPooling2D(pool_size=2)], np.array(image)[None, :, :, None])
    np.testing.assert_array_equal(pooled[0, :, :, 0], [[4, 5], [2, 7]])


def test_fixed_kernels_take_the_mean_of_channels():
    """A grey image copied to three channels gives the same edges as the grey image."""
    grey = np.random.default_rng(0).normal(size=(1, 8, 8, 1))
    layers = [Conv2D(kernel=["sobel_x", "sobel_y"], use_bias=False)]
    np.testing.assert_allclose(apply(layers, np.repeat(grey, 3, axis=-1)), apply(layers, grey), atol=1e-5)


def test_fixed_kernels_with_groups_treat_each_channel():
    """With as many groups as channels, each channel keeps its own edges."""
    images = np.random.default_rng(0).normal(size=(1, 8, 8, 3))
    apart = apply([Conv2D(kernel=["sobel_x", "sobel_y"], groups=3, use_bias=False)], images)
    for channel in range(3):
        one = apply([Conv2D(kernel=["sobel_x", "sobel_y"], use_bias=False)], images[..., channel : channel + 1])
        np.testing.assert_allclose(apart[..., 2 * channel : 2 * channel + 2], one, atol=1e-5)


@pytest.mark.parametrize(
    ("layer", "input_shape"),
    [
        (Conv2D(filters=8, kernel_size=3, groups=2, strides=2), (9, 9, 4)),
        (Conv2D(filters=8, kernel_size=3, groups=4, padding="same", dilation_rate=2), (9, 9, 4)),
        (Conv2D(filters=8, kernel_size=1, strides=[2, 3], padding="same"), (9, 10, 3)),
        (Conv2D(filters=6, kernel_size=1, strides=2, groups=3), (10, 9, 3)),
        (Conv1D(filters=6, kernel_size=3, groups=3, padding="causal", dilation_rate=2, activation="relu"), (12, 3)),
        (Conv1D(filters=6, kernel_size=1, strides=4, padding="causal"), (13, 3)),
        (Conv2DTranspose(filters=2, kernel_size=1, strides=[2, 3], activation="relu"), (4, 5, 3)),
        (Conv2DTranspose(filters=2, kernel_size=1, strides=3, padding="same", output_padding=1), (4, 5, 3)),
        (Conv3D(filters=4, kernel_size=2, groups=2), (4, 5, 6, 2)),
        (Conv3D(filters=4, kernel_size=1, strides=2), (4, 5, 6, 2)),
    ],
)
def test_replaced_convolutions_equal_keras(layer, input_shape):
    """Groups one by one, and strides before a 1×1 kernel, give what Keras gives on the same weights."""
    import keras

    from cnncli.engine.network.model import build_network

    images = np.random.default_rng(0).normal(size=(2, *input_shape)).astype(np.float32)
    ours = build_network(flatten([layer]), input_shape, 0)
    theirs = keras.Sequential(
        [keras.Input(input_shape), getattr(keras.layers, layer.type_name())(**layer.keras_arguments())]
    )
    theirs.set_weights(ours.get_weights())
    np.testing.assert_allclose(ours(images), theirs(images), atol=1e-5)
    assert ours.layers[-1].get_config()["strides"] == layer.strides


def test_gradients_of_strided_one_by_one_kernels():
    """OneDNN crashes or errs on these (its issue 6035); ours are the sums of products they should be."""
    import tensorflow as tf

    from cnncli.engine.network.model import build_network

    images = np.random.default_rng(0).normal(size=(36, 72, 60, 3)).astype(np.float32)
    model = build_network(flatten([Conv2D(filters=8, kernel_size=1, strides=2, use_bias=False)]), (72, 60, 3), 0)
    for _ in range(30):
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(model(images))
        (gradient,) = tape.gradient(total, model.trainable_weights)
    expected = images[:, ::2, ::2].sum(axis=(0, 1, 2), dtype=np.float64)
    np.testing.assert_allclose(gradient[0, 0], np.repeat(expected[:, None], 8, axis=1), rtol=1e-3, atol=0.5)


def test_local_response_normalization_by_hand():
    """Each value divided by (bias + alpha · squares of its neighbours) ** beta."""
    image = np.array([1.0, 2.0, 3.0, 4.0])[None, None, None, :]
    layer = LocalResponseNormalization(depth_radius=1, bias=2.0, alpha=0.1, beta=0.75)
    squares = np.array([1 + 4, 1 + 4 + 9, 4 + 9 + 16, 9 + 16])
    np.testing.assert_allclose(apply([layer], image).ravel(), image.ravel() / (2 + 0.1 * squares) ** 0.75, rtol=1e-6)


def test_local_response_normalization_survives_saving(tmp_path):
    """Our own layer can be saved and loaded with its arguments."""
    import keras

    from cnncli.engine.network.model import build_network

    model = build_network(flatten([LocalResponseNormalization(depth_radius=2, alpha=0.5)]), (2, 2, 6), 0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    images = np.random.default_rng(0).normal(size=(1, 2, 2, 6)).astype(np.float32)
    np.testing.assert_array_equal(loaded(images), model(images))


def test_given_normalization():
    """Given mean and variance are subtracted and divided by, channel by channel."""
    layer = Normalization(mean=[1.0, 2.0], variance=[4.0, 0.25])
    np.testing.assert_allclose(apply([layer], [[[[3.0, 3.0]]]]).ravel(), [1.0, 2.0], rtol=1e-5)


def test_weights_follow_from_the_seed_alone():
    """The same seed gives the same weights, whatever was built before; another seed and another layer give others."""
    layers = [Repeat(times=2, layers=(Conv2D(filters=3, kernel_size=3, padding="same"),))]
    images = np.random.default_rng(0).normal(size=(1, 4, 4, 3))
    first = apply(layers, images)
    np.testing.assert_array_equal(apply(layers, images), first)
    assert np.abs(apply(layers, images, seed=1) - first).max() > 0
    from cnncli.engine.network.model import build_network

    one, _, other, _ = build_network(flatten(layers), (4, 4, 3), 0).get_weights()
    assert np.abs(one - other).max() > 0


def test_dropout_follows_from_the_seed_alone():
    """Two models of one seed drop the same values, two dropouts of one model different ones."""
    from cnncli.engine.network.model import build_network

    ones = np.ones((1, 64), np.float32)
    models = [build_network(flatten([Dropout(rate=0.5)]), (64,), 3) for _ in range(2)]
    dropped = [np.asarray(model(ones, training=True)) for model in models]
    np.testing.assert_array_equal(*dropped)
    twice = build_network(flatten([Dropout(rate=0.5), Dropout(rate=0.5)]), (64,), 3)
    assert np.count_nonzero(twice(ones, training=True)) < np.count_nonzero(dropped[0])


@pytest.mark.parametrize("name", ["Dropout", "SpatialDropout2D"])
def test_seeds_of_random_layers_stay(name):
    """What a layer draws in training follows from the config's seed and its place alone: runs are resumed with it."""
    from cnncli.engine.network.model import build_network

    layers = [Conv2D(filters=2, kernel_size=1), VOCABULARY[name](rate=0.5)]
    layer = build_network(flatten(layers), (4, 4, 1), seed=7).layers[-1]
    assert int(np.asarray(layer.seed_generator.state)[0]) == 772469575
