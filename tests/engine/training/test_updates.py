"""Groups of layers: which weights they hold, at which rates, and what a checkpoint keeps of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.engine

NETWORK = """
name: groups
data: {source: digits, image_size: [2, 2]}
model: {layers: [Flatten, {Dense: {units: 3, name: a}}, {Dense: {units: 2, name: b}}, {Dense: {units: 2, name: c}}]}
"""

FLOAT16 = "{optimizer: SGD, precision: mixed_float16, clip_norm: 1.0, groups: [{layers: c, learning_rate: 0.1}]}"


def updates(train: str) -> tuple[Any, Any]:
    """Return a network of three dense layers and its updates."""
    from cnncli.config.load import loads
    from cnncli.engine.network.model import build
    from cnncli.engine.training.optimizer import Updates

    config = loads(f"{NETWORK}train: {train}")
    model = build(config)
    return model, Updates(config.train, model)


def step(model: Any, made: Any, rates: list[float]) -> dict[str, np.ndarray]:
    """Take a step on gradients of 1; return what it took off each weight."""
    import tensorflow as tf

    before = {weight.path: np.asarray(weight) for weight in model.weights}
    made.apply([tf.ones(weight.shape) for weight in made.variables], tf.constant(rates))
    return {weight.path: before[weight.path] - np.asarray(weight) for weight in model.weights}


def test_the_first_group_that_fits_counts() -> None:
    """Each layer at the rate of its group, those of none at the optimizer's, whichever order they stand in."""
    groups = "[{layers: '[bc]', learning_rate: 0.5}, {layers: '*', learning_rate: 0.25}, {layers: c}]"
    model, made = updates(f"{{optimizer: SGD, groups: {groups}}}")
    assert made.base_rates.tolist() == [0.25, 0.5]
    taken = step(model, made, [0.25, 0.5])
    assert {path: float(values.ravel()[0]) for path, values in taken.items()} == {
        path: pytest.approx(0.25 if path.startswith("a/") else 0.5) for path in taken
    }


def test_a_group_without_a_rate_has_the_optimizers() -> None:
    """A group may have a weight decay of its own and no rate, a decay of zero too."""
    groups = "[{layers: a, weight_decay: 0.0}, {layers: b, weight_decay: 0.5}]"
    model, made = updates(f"{{optimizer: {{SGD: {{learning_rate: 0.125, weight_decay: 0.25}}}}, groups: {groups}}}")
    assert made.base_rates.tolist() == [0.125] * 3
    before = model.get_weights()
    taken = list(step(model, made, made.base_rates.tolist()).values())
    for number, decay in enumerate((0.0, 0.0, 0.5, 0.5, 0.25, 0.25)):
        np.testing.assert_allclose(taken[number], 0.125 * (1 + decay * before[number]), rtol=1e-5, atol=1e-6)


def test_layers_that_are_not_trainable_stay_as_they_are() -> None:
    """`trainable: false` takes a group's layers out; no optimizer holds anything of them."""
    model, made = updates("{optimizer: Adam, groups: [{layers: 'b*', trainable: false}, {layers: a}]}")
    taken = step(model, made, [0.1] * len(made.base_rates))
    assert {path for path, values in taken.items() if np.any(values)} == {"a/kernel", "a/bias", "c/kernel", "c/bias"}
    assert not [name for name in made.state() if "b_" in name]


def test_names_in_a_checkpoint() -> None:
    """Each group's optimizer by its number, averages by the weight: what checkpoints of earlier versions hold."""
    _, made = updates("{optimizer: {SGD: {momentum: 0.5}}, ema: 0.5, clip_norm: 1.0, groups: [{layers: a}]}")
    of = {0: ("a",), 1: ("b", "c")}
    weights = [(number, layer, name) for number in of for layer in of[number] for name in ("kernel", "bias")]
    assert set(made.state()) == {
        *(f"optimizer/{number}/optimizer/{name}" for number in of for name in ("iteration", "learning_rate")),
        *(f"optimizer/{number}/optimizer/{layer}_{name}_momentum" for number, layer, name in weights),
        *(f"average/{layer}/{name}" for _, layer, name in weights),
    }


def test_the_average_takes_the_place_of_the_weights_for_a_while() -> None:
    """While a block runs the weights are the averages, after it what they were, also when it fails."""
    model, made = updates("{optimizer: SGD, ema: 0.75, groups: [{layers: b}]}")
    before = model.get_weights()
    for _ in range(2):
        step(model, made, [0.5, 0.5])
    raw = model.get_weights()

    def look() -> None:
        with made.averaged():
            for now, start in zip(model.get_weights(), before, strict=True):
                # After the first step the average is the weight, a half below the start; then 3 : 1.
                np.testing.assert_allclose(now, start - (0.75 * 0.5 + 0.25 * 1.0), rtol=1e-5, atol=1e-6)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        look()
    for now, expected in zip(model.get_weights(), raw, strict=True):
        np.testing.assert_array_equal(now, expected)


def test_groups_in_float16_skip_a_step_together() -> None:
    """An infinite gradient in one group keeps all weights as they are and halves the scale of all."""
    import tensorflow as tf

    model, made = updates(FLOAT16)
    before = model.get_weights()
    gradients = [tf.ones(weight.shape) for weight in model.trainable_weights]
    made.apply([*gradients[:5], tf.constant([1.0, np.inf])], tf.constant([0.01, 0.1]))
    for ours, expected in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(ours, expected)
    scales = [float(value) for name, value in made.state().items() if name.endswith("dynamic_scale")]
    assert scales == [2.0**14, 2.0**14]


@pytest.mark.parametrize("second_scale", [2.0**15, 2.0**12])
@pytest.mark.parametrize("clip_norm", [1.0, 100.0])
def test_groups_in_float16_are_clipped_by_their_true_norm(second_scale: float, clip_norm: float) -> None:
    """The norm is of gradients as they are before the loss is enlarged, whatever scale a group's optimizer has."""
    import tensorflow as tf

    model, made = updates(FLOAT16.replace("clip_norm: 1.0", f"clip_norm: {clip_norm}"))
    scale = made.state()["optimizer/1/scaled/dynamic_scale"]
    scale.assign(second_scale)
    before = model.get_weights()
    gradients = [np.full(weight.shape, number + 1, np.float32) for number, weight in enumerate(before)]
    made.apply([made.scale_loss(tf.constant(gradient)) for gradient in gradients], tf.constant([0.01, 0.1]))
    clip = min(1.0, clip_norm / np.sqrt(sum(np.sum(gradient**2) for gradient in gradients)))
    rates = (0.01,) * 4 + (0.1,) * 2
    for now, start, gradient, rate in zip(model.get_weights(), before, gradients, rates, strict=True):
        np.testing.assert_allclose(now, start - rate * gradient * clip, rtol=1e-5, atol=1e-7)
