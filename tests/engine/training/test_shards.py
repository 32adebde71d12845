"""A step in shards is the step of the whole batch, and what is added up, drawn and counted is each shard's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.engine

SEED, CLASSES, RATE, MOMENTUM, L2 = 5, 4, 0.1, 0.9, 0.03

CONFIG = """
name: shards
seed: {seed}
data: {{source: digits, image_size: [6, 6], channels: 1}}
model:
  layers:
    - Conv2D: {{filters: 3, kernel_size: 3, activation: tanh, kernel_regularizer: {{L2: {{l2: {l2}}}}}}}
{normalization}
    - Flatten
    - Dense: {{units: {classes}}}
train: {{batch_size: 13, shards: {shards}, optimizer: {{SGD: {{learning_rate: {rate}}}}}}}
"""


def loop_of(shards: int, normalization: str = "", l2: float = 0.0) -> Any:
    """Return what takes the steps of a small network; of batch normalization, its arguments or none."""
    from cnncli.config.load import loads
    from cnncli.engine.training.setup import make_step_loop

    layer = f"    - BatchNormalization: {normalization}" if normalization else ""
    text = CONFIG.format(seed=SEED, l2=l2 or 1e-30, normalization=layer, classes=CLASSES, shards=shards, rate=RATE)
    return make_step_loop(loads(text))


def examples(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Return uint8 images and their class numbers."""
    rng = np.random.default_rng(1)
    return rng.integers(0, 256, (number, 6, 6, 1), np.uint8), rng.integers(0, CLASSES, number).astype(np.int32)


def step(loop: Any, number: int) -> list[np.ndarray]:
    """Take one step with so many examples; return all weights, moving statistics among them."""
    import tensorflow as tf

    from cnncli.engine.input_pipeline.feed import Chunk

    images, labels = examples(number)
    plan = np.arange(number, dtype=np.int32)[None]
    chunk = Chunk(tf.constant(images), tf.constant(labels, loop.objective.target_spec.dtype), plan, number)
    assert len(loop.run(chunk, np.full((1, 1), RATE, np.float32), 0)) == 1
    return [np.asarray(weight) for weight in loop.model.get_weights()]


def keras_step(start: Sequence[np.ndarray], parts: Sequence[slice], number: int, l2: float = 0.0) -> list[np.ndarray]:
    """Return the weights after a step of plain gradient descent that is written out with Keras's own layers.

    Args:
        start: Weights before it; with those of batch normalization, that layer is there.
        parts: Rows of the batch that are computed together: their gradients add up, and what they leave of moving
            statistics is averaged with the number of their rows.
        number: Examples of the batch.
        l2: Factor of the convolution's regularizer.
    """
    import keras
    import tensorflow as tf

    layers = [keras.Input((6, 6, 1)), keras.layers.Conv2D(3, 3, activation="tanh")]
    layers += [keras.layers.BatchNormalization(momentum=MOMENTUM)] if len(start) == 8 else []
    model = keras.Sequential([*layers, keras.layers.Flatten(), keras.layers.Dense(CLASSES)])
    model.set_weights(start)
    after = [np.zeros_like(weight) for weight in start]
    images, labels = examples(number)
    trainable = [any(weight is variable for variable in model.trainable_weights) for weight in model.weights]
    for rows in parts:
        model.set_weights(start)
        with tf.GradientTape() as tape:
            logits = model(images[rows] / np.float32(255), training=True)
            losses = keras.losses.sparse_categorical_crossentropy(labels[rows], logits, from_logits=True)
            loss = tf.reduce_sum(losses) / number
        gradients = iter(tape.gradient(loss, [variable.value for variable in model.trainable_weights]))
        share = len(labels[rows]) / number
        for index, weight in enumerate(model.weights):
            after[index] += -RATE * next(gradients).numpy() if trainable[index] else share * weight.numpy()
    for index, weight in enumerate(start):
        if trainable[index]:
            after[index] += weight
    after[0] -= RATE * 2 * l2 * start[0]
    return after


def cut(number: int, shards: int) -> list[slice]:
    """Return the rows of each shard that has any."""
    cuts = [number * shard // shards for shard in range(shards + 1)]
    return [slice(*pair) for pair in pairwise(cuts) if pair[0] < pair[1]]


def assert_equal(found: Sequence[np.ndarray], expected: Sequence[np.ndarray], tolerance: float) -> None:
    """Compare weight by weight."""
    assert [weight.shape for weight in found] == [weight.shape for weight in expected]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=tolerance)


@pytest.mark.parametrize("number", [13, 5])
def test_a_step_in_shards_is_keras_step(number: int) -> None:
    """Eight shards of one or two examples, or three of them empty: gradients as of the batch, regularizers once."""
    loop = loop_of(8, l2=L2)
    start = loop.model.get_weights()
    assert_equal(step(loop, number), keras_step(start, [slice(None)], number, L2), 1e-5)
    means = loop.means()
    assert means.regularization_loss == pytest.approx(L2 * (start[0] ** 2).sum(), rel=1e-5)
    assert int(loop._num_seen) == number


@pytest.mark.parametrize("number", [13, 3])
def test_synchronized_batch_normalization_is_kerass(number: int) -> None:
    """Four shards, one of them empty where there are three examples: weights and moving statistics of the whole."""
    loop = loop_of(4, f"{{synchronized: true, momentum: {MOMENTUM}}}")
    start = loop.model.get_weights()
    assert_equal(step(loop, number), keras_step(start, [slice(None)], number), 1e-4)


@pytest.mark.parametrize("number", [13, 3])
def test_batch_normalization_of_a_shard_is_kerass(number: int) -> None:
    """Each shard is normalized by its own statistics; the moving ones take the shards' mean, weighted by their size."""
    loop = loop_of(4, f"{{momentum: {MOMENTUM}}}")
    start = loop.model.get_weights()
    after = step(loop, number)
    assert_equal(after, keras_step(start, cut(number, 4), number), 1e-4)
    with pytest.raises(AssertionError):
        assert_equal(after, keras_step(start, [slice(None)], number), 1e-4)


VALUES = np.array([1e8, 1, -1e8, 1, 0, 0, 0, 0], np.float32)
"""One after the other they add up to 1, along a tree to 0: 1e8 + 1 is 1e8 in float32."""


def test_the_tree_of_sums() -> None:
    """Neighbours first, then pairs of these: not one after the other, which gives other bits."""
    import tensorflow as tf

    from cnncli.engine.distribution.tree import add_tree

    rng = np.random.default_rng(0)
    parts = np.concatenate([VALUES[:, None], rng.normal(size=(8, 50)).astype(np.float32)], axis=1)
    level = list(parts)
    while len(level) > 1:
        level = [level[i] + level[i + 1] for i in range(0, len(level), 2)]
    in_turn = np.zeros(51, np.float32)
    for part in parts:
        in_turn += part
    total = add_tree([{"a": tf.constant(part)} for part in parts])["a"].numpy()
    np.testing.assert_array_equal(total, level[0])
    assert (total != in_turn).sum() > 5
    assert (total[0], in_turn[0]) == (0, 1)


def test_the_tree_of_a_worker_is_a_part_of_the_whole() -> None:
    """What 1, 2, 4 and 8 workers add up by themselves and then by pairs has the same bits."""
    import tensorflow as tf

    from cnncli.engine.distribution.tree import add_tree

    parts = list(tf.constant(np.random.default_rng(0).normal(size=(8, 200)).astype(np.float32)))
    whole = add_tree(parts).numpy()
    for taken in (1, 2, 4):
        own = [add_tree(parts[first : first + taken]) for first in range(0, 8, taken)]
        np.testing.assert_array_equal(add_tree(own).numpy(), whole)
        # A worker adds what it gets to its own: on the other side of the sum on the other worker.
        if taken == 4:
            np.testing.assert_array_equal((own[1] + own[0]).numpy(), whole)


@pytest.mark.parametrize("num_workers", [1, 2, 8])
def test_counts_travel_exactly(num_workers: int) -> None:
    """Counts up to 2**36 are two float32 each, added up over workers, and integers again in the end."""
    import tensorflow as tf

    from cnncli.engine.distribution.workers import _packed, _unpacked

    counts = np.random.default_rng(0).integers(0, 2**36 // num_workers, (num_workers, 3, 40))
    counts[:, 0, :4] = [0, 1, 4095, 2**36 // num_workers]
    packed = [np.concatenate([part.numpy() for part in _packed(tf.constant(own))]) for own in counts]
    assert packed[0].dtype == np.float32
    while len(packed) > 1:
        packed = [packed[i] + packed[i + 1] for i in range(0, len(packed), 2)]
    like = tf.zeros((3, 40), tf.int64)
    np.testing.assert_array_equal(_unpacked(tf.constant(packed[0]), like).numpy(), counts.sum(axis=0))


def test_floats_travel_as_they_are() -> None:
    """To the last bit, in their shape."""
    import tensorflow as tf

    from cnncli.engine.distribution.workers import _packed, _unpacked

    values = tf.constant(np.random.default_rng(0).normal(size=(2, 3)).astype(np.float32))
    (packed,) = _packed(values)
    np.testing.assert_array_equal(_unpacked(packed, values).numpy(), values.numpy())


@pytest.fixture
def contribution() -> Callable[..., Any]:
    """Return a function that computes a worker's shards of a network with dropout, images moved at random."""
    import keras
    import tensorflow as tf

    from cnncli.engine.distribution.shards import Batch, Learner, Shards
    from cnncli.engine.distribution.tree import add_tree

    keras.utils.set_random_seed(SEED)
    layers = [keras.layers.SpatialDropout2D(0.5), keras.layers.Flatten(), keras.layers.Dropout(0.5)]
    inputs = keras.Input((6, 6, 1))
    outputs = keras.layers.Conv2D(4, 3)(inputs)
    for layer in (*layers, keras.layers.Dense(CLASSES)):
        outputs = layer(outputs)
    model = keras.Model(inputs, outputs)
    updates = SimpleNamespace(variables=model.trainable_variables, scale_loss=lambda loss: loss)

    def prepare(images: Any, targets: Any, seed: Any) -> Any:
        noise = tf.random.stateless_uniform(tf.shape(images), seed)
        return Batch(tf.cast(images, tf.float32) / 255 + noise, targets, targets)

    def losses(targets: Any, logits: Any) -> Any:
        return keras.losses.sparse_categorical_crossentropy(targets, logits, from_logits=True)

    learner = Learner(prepare, model, list, losses, lambda batch, _: {"inputs": tf.reduce_sum(batch.inputs)})

    def compute(share: Any, at_step: int = 3, number: int = 16) -> Any:
        images, labels = examples(number)
        rows = share.rows(number)
        given = tf.constant(images[rows]), tf.constant(labels[rows])
        shards = Shards(model, learner, updates, share, SEED)
        return add_tree(shards.contributions(given, tf.constant(at_step), tf.constant(number), number < share.shards))

    return compute


@pytest.mark.parametrize("number", [16, 5])
def test_a_shard_is_the_same_whoever_computes_it(contribution: Callable[..., Any], number: int) -> None:
    """Dropout, augmentation and gradients of shards computed alone, by twos or all together: the same bits."""
    import tensorflow as tf

    from cnncli.engine.distribution.tree import add_tree
    from cnncli.engine.input_pipeline.share import Share

    whole = tf.nest.flatten(contribution(Share.of(8), number=number))
    for num_workers in (4, 8):
        shares = [Share.of(8, rank, num_workers) for rank in range(num_workers)]
        parts = add_tree([contribution(share, number=number) for share in shares])
        for one, other in zip(whole, tf.nest.flatten(parts), strict=True):
            np.testing.assert_array_equal(one.numpy(), other.numpy())


@pytest.mark.parametrize("number", [16, 5])
def test_the_batch_that_is_shown_is_the_one_of_the_step(number: int) -> None:
    """Given the whole batch, any worker makes all of it; given its rows, these, and one row where it has none."""
    import tensorflow as tf

    from cnncli.engine.distribution.shards import Batch, Learner, Shards
    from cnncli.engine.input_pipeline.share import Share

    def prepare(images: Any, targets: Any, seed: Any) -> Any:
        return Batch(
            tf.cast(images, tf.float32) + tf.random.stateless_uniform(tf.shape(images), seed), targets, targets
        )

    model, updates = SimpleNamespace(layers=[]), SimpleNamespace(variables=[])
    images, labels = map(tf.constant, examples(number))

    def shown(share: Any, rows: slice) -> np.ndarray:
        learner = Learner(prepare, lambda: None, list, lambda: None, lambda: None)
        shards = Shards(model, learner, updates, share, SEED)
        return np.asarray(shards.batch((images[rows], labels[rows]), tf.constant(2), number).inputs)

    whole = shown(Share.of(8), slice(None))
    assert whole.shape == images.shape
    for rank in range(8):
        share = Share.of(8, rank, 8)
        np.testing.assert_array_equal(shown(share, slice(None)), whole)
        rows = slice(number * rank // 8, number * (rank + 1) // 8)
        own = shown(share, share.rows(number))
        if rows.start < rows.stop:
            np.testing.assert_array_equal(own, whole[rows])
        else:
            assert len(own) == 1


def test_random_layers_differ_by_step_and_shard() -> None:
    """Dropout draws from (its seed, step, shard): again the same, another of each other step, shard and layer."""
    import keras
    import tensorflow as tf

    from cnncli.engine.network.random_layers import ShardSeeds

    inputs = keras.Input((200,))
    model = keras.Model(inputs, [keras.layers.Dropout(0.5, seed=seed)(inputs) for seed in (1, 2)])
    seeds = ShardSeeds(model)

    def drawn(at_step: int, shard: int) -> list[bytes]:
        with seeds.of(tf.constant(at_step), tf.constant(shard)):
            return [output.numpy().tobytes() for output in model(tf.ones((1, 200)), training=True)]

    again = [drawn(0, 0), drawn(0, 1), drawn(1, 0), drawn(0, 0)]
    assert again[0] == again[3]
    assert len({output for outputs in again for output in outputs}) == 6


def test_random_layers_draw_by_themselves_elsewhere() -> None:
    """Outside of a shard a layer counts its calls, as Keras has it."""
    import keras
    import tensorflow as tf

    from cnncli.engine.network.random_layers import ShardSeeds

    inputs = keras.Input((200,))
    dropouts = [keras.layers.Dropout(0.5, seed=1) for _ in range(2)]
    changed, plain = (keras.Model(inputs, dropout(inputs)) for dropout in dropouts)
    ShardSeeds(changed)
    for _ in range(2):
        ones = tf.ones((1, 200))
        np.testing.assert_array_equal(changed(ones, training=True).numpy(), plain(ones, training=True).numpy())
