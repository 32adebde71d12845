"""The step loop's own sums and its state, against Keras's `fit` on the same examples in the same order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.engine

CONFIG = """
name: penalized
data: {source: digits, image_size: [6, 6]}
model:
  layers:
    - Flatten
    - Dense: {units: 5, activation: tanh, kernel_regularizer: {L2: {l2: 0.02}}, bias_regularizer: {L1: {l1: 0.1}}}
    - Dense: {units: 3, kernel_regularizer: {L1L2: {l1: 0.01, l2: 0.03}}}
train: {batch_size: 4, optimizer: {SGD: {learning_rate: 0.1}}}
"""


def setup_of(text: str) -> Any:
    """Return what trains on ten random images of three classes."""
    from cnncli.config.load import loads
    from cnncli.datasets.splits import Split, Splits
    from cnncli.datasets.targets import ClassNumbers
    from cnncli.engine.training.setup import Setup

    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (10, 6, 6, 1), np.uint8), rng.integers(0, 3, 10)
    split = Split("train", images, ClassNumbers(labels), [str(number) for number in range(10)])
    made = Setup.of(loads(text), Splits(("a", "b", "c"), split, None, None))
    made.begin()
    return made


def notes_of(made: Any) -> tuple[str, ...]:
    """Return what a trainer says of the loss before it starts."""
    from cnncli.engine.training.trainer import Trainer
    from cnncli.runs.events import Silence

    nothing: Any = None
    return Trainer(made, nothing, Silence())._about_the_loss()


def take(made: Any, epoch: int, first_batch: int, batches: int) -> None:
    """Take steps of an epoch."""
    while batches:
        chunk = made.feed.chunk(epoch, first_batch, batches)
        taken = made.loop.run(chunk, made.rates(0, len(chunk.plan)), 0)
        first_batch, batches = first_batch + len(taken), batches - len(taken)


def test_loss_and_penalty_add_up_to_the_loss_of_keras() -> None:
    """Over two epochs, the last batch of each smaller, `loss` + `regularization_loss` is what `fit` prints."""
    import keras

    made = setup_of(CONFIG)
    theirs = keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(
                5, "tanh", kernel_regularizer=keras.regularizers.L2(0.02), bias_regularizer=keras.regularizers.L1(0.1)
            ),
            keras.layers.Dense(3, kernel_regularizer=keras.regularizers.L1L2(0.01, 0.03)),
        ]
    )
    theirs.set_weights(made.model.get_weights())
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    theirs.compile(keras.optimizers.SGD(0.1), loss, metrics=["accuracy"])
    assert made.loop.penalty() == pytest.approx(float(sum(theirs.losses)), abs=1e-6)
    (note,) = notes_of(made)
    assert f"the regularizers now add {float(sum(theirs.losses)):.4f} to it" in note
    for epoch in range(2):
        take(made, epoch, 0, 3)
        chunk = made.feed.chunk(epoch, 0, 2)
        order = np.concatenate([chunk.plan.ravel(), made.feed.chunk(epoch, 2, 1).plan.ravel()])
        images, labels = np.asarray(chunk.images)[order] / np.float32(255), np.asarray(chunk.targets)[order]
        history = theirs.fit(images, labels, batch_size=4, shuffle=False, verbose=0).history
        found = made.loop.means().by_name()
        assert found["regularization_loss"] > 0.1
        assert found["loss"] + found["regularization_loss"] == pytest.approx(history["loss"][0], abs=1e-5)
        assert found["accuracy"] == pytest.approx(history["accuracy"][0], abs=1e-6)
        made.loop.reset_means()
    assert made.loop.means() == (0.0, {"accuracy": 0.0}, 0.0)


def test_without_regularizers_there_is_no_penalty() -> None:
    """No such number, and no such array in a checkpoint."""
    text = CONFIG
    for penalty in (
        ", kernel_regularizer: {L2: {l2: 0.02}}, bias_regularizer: {L1: {l1: 0.1}}",
        ", kernel_regularizer: {L1L2: {l1: 0.01, l2: 0.03}}",
    ):
        assert penalty in text
        text = text.replace(penalty, "")
    made = setup_of(text)
    take(made, 0, 0, 3)
    assert made.loop.penalty() is None
    assert not notes_of(made)
    assert set(made.loop.means().by_name()) == {"loss", "accuracy"}
    assert {name for name in made.loop.state() if name.startswith("epoch/")} == {
        "epoch/loss_sum",
        "epoch/num_correct",
        "epoch/num_seen",
    }


@pytest.mark.parametrize("steps", [0, 2])
def test_a_checkpoint_of_before_there_was_the_penalty_sum(steps: int) -> None:
    """It is resumed: begun in mid-epoch the penalty of that epoch is not known, from the next epoch on it is."""
    made = setup_of(CONFIG)
    take(made, 0, 0, steps)
    old = made.loop.state()
    assert set(old) > {"epoch/penalty_sum", "epoch/num_seen"}
    del old["epoch/penalty_sum"]
    resumed = setup_of(CONFIG)
    resumed.loop.restore(old)
    take(resumed, 0, steps, 3 - steps)
    assert ("regularization_loss" in resumed.loop.means().by_name()) == (steps == 0)
    again = setup_of(CONFIG)
    again.loop.restore(resumed.loop.state())
    again.loop.reset_means()
    take(again, 1, 0, 3)
    assert again.loop.means().regularization_loss > 0.1


def test_a_checkpoint_that_lacks_anything_else_is_refused() -> None:
    """With regularizers as without them: only that one sum may be missing."""
    from cnncli.errors import CheckpointError

    made = setup_of(CONFIG)
    for name in made.loop.state():
        arrays = made.loop.state()
        del arrays[name]
        if name != "epoch/penalty_sum":
            with pytest.raises(CheckpointError, match=name):
                made.loop.restore(arrays)
