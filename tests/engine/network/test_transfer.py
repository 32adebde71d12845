"""Weights from another run: layer by layer, whole or not at all."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.engine


def network(units: int, seed: int) -> Any:
    """Return a network whose last layer has so many outputs."""
    from cnncli.engine.network.model import build_network
    from cnncli.layers import BatchNormalization, Dense, Dropout, Flatten
    from cnncli.layers.layout import flatten

    layers = [Flatten(), Dense(units=3), BatchNormalization(), Dropout(rate=0.5), Dense(units=units)]
    return build_network(flatten(layers), (2, 2, 1), seed)


def arrays_of(model: Any) -> dict[str, np.ndarray]:
    """Return a network's weights under the names of a checkpoint, each of its values raised by one."""
    return {f"model/{layer.name}/{w.name}": np.asarray(w) + 1 for layer in model.layers for w in layer.weights}


def test_layers_that_fit_are_taken_whole() -> None:
    """A layer of another shape starts fresh, and is named with both shapes; statistics come along."""
    from cnncli.engine.network.transfer import take_weights

    source, model = network(2, 0), network(4, 1)
    given, fresh = arrays_of(source), model.layers[-1].get_weights()
    transfer = take_weights(model, given, "*", "run best")
    for name in ("dense/kernel", "dense/bias", "batch_normalization/moving_mean", "batch_normalization/gamma"):
        layer, weight = name.split("/")
        (found,) = [w for w in model.get_layer(layer).weights if w.name == weight]
        np.testing.assert_array_equal(found, given[f"model/{name}"])
    for found, expected in zip(model.layers[-1].get_weights(), fresh, strict=True):
        np.testing.assert_array_equal(found, expected)
    last = model.layers[-1].name
    assert transfer.taken == ("dense", "batch_normalization")
    assert transfer.left == {last: "kernel is (3, 2) there, (3, 4) here"}
    assert transfer.lines() == (
        "weights of 2 layers from run best: dense, batch_normalization",
        f"new weights for {last} (kernel is (3, 2) there, (3, 4) here)",
    )


def test_other_layers_and_missing_ones_start_fresh() -> None:
    """A pattern chooses; a layer of which one weight is missing is not taken in part."""
    from cnncli.engine.network.transfer import take_weights

    model = network(2, 1)
    before, given = model.get_weights(), arrays_of(network(2, 0))
    del given["model/dense/bias"]
    transfer = take_weights(model, given, "dense*", "run")
    last = model.layers[-1].name
    assert transfer.left == {
        "dense": "not there",
        "batch_normalization": "does not match dense*",
    }
    assert transfer.taken == (last,)
    for number, (found, expected) in enumerate(zip(model.get_weights(), before, strict=True)):
        assert np.array_equal(found, expected) == (number < 6)


def test_nothing_left_is_not_mentioned() -> None:
    """One line where every layer is taken, and a word where none is."""
    from cnncli.engine.network.transfer import take_weights

    model = network(2, 1)
    assert len(take_weights(model, arrays_of(network(2, 0)), "*", "run").lines()) == 1
    assert take_weights(model, {}, "*", "run").lines()[0] == "weights of 0 layers from run: none"
