"""Layers of Keras whose meaning the vocabulary says in other words."""

from __future__ import annotations

from collections.abc import Callable
from string import ascii_lowercase
from typing import Any

from cnncli.importing.graph import GraphImportError, make_layer
from cnncli.importing.keras.entries import Entry
from cnncli.layers.base import Layer

Arguments = dict[str, Any]

MOST_AXES = 5
"""Axes of a batch: of volumes."""


def scale_equation(num_axes: int) -> str:
    """Return the EinsumDense that multiplies each channel by a factor: "abcd,d->abcd" with the batch for images.

    Written with letters for all axes: with an ellipsis, Keras 3.15 permutes them in the shape that it computes.
    """
    axes = ascii_lowercase[:num_axes]
    return f"{axes},{axes[-1]}->{axes}"


def in_our_words(entry: Entry) -> Layer | None:
    """Return the layer that has the same weights and computes the same as one of Keras's; None where there is none.

    Raises:
        GraphImportError: If it has arguments that the layer lacks.
    """
    make = _WORDS.get((str(entry.whole.get("module", "")), entry.kind))
    if make is None:
        return None
    kind, arguments = make(entry)
    return make_layer(kind, {**arguments, "trainable": entry.config.get("trainable", True)}, entry.name)


def _layer_scale(entry: Entry) -> tuple[str, Arguments]:
    return "LayerScale", {"init_values": entry.config.get("init_values")}


def _stochastic_depth(entry: Entry) -> tuple[str, Arguments]:
    """Leave out all of an image: a path that is dropped."""
    return "Dropout", {"rate": entry.config.get("drop_path_rate"), "noise_shape": [None, 1, 1, 1]}


def _scaled_channels(entry: Entry) -> tuple[str, Arguments]:
    """Return what an export writes for a LayerScale."""
    config = entry.config
    plain = config.get("activation") == "linear" and config.get("bias_axes") is None
    equations = [scale_equation(number) for number in range(2, MOST_AXES + 1)]
    if config.get("equation") not in equations or not plain:
        raise GraphImportError(f'{entry.name}: EinsumDense is supported as "{scale_equation(4)}" without bias only')
    start = config.get("kernel_initializer")
    value = start["config"].get("value") if isinstance(start, dict) and isinstance(start.get("config"), dict) else None
    return "LayerScale", {} if value is None else {"init_values": value}


_WORDS: dict[tuple[str, str], Callable[[Entry], tuple[str, Arguments]]] = {
    ("keras.src.applications.convnext", "LayerScale"): _layer_scale,
    ("keras.src.applications.convnext", "StochasticDepth"): _stochastic_depth,
    ("keras.layers", "EinsumDense"): _scaled_channels,
}
"""By the module and the name of Keras's class."""
