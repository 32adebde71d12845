"""Starting from another network's weights, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from cnncli.engine.network.variables import model_variables
from cnncli.plural import counted


@dataclass(frozen=True)
class Transfer:
    """What a new run took over from another network.

    Attributes:
        source: The other run and checkpoint, or the file.
        taken: Names of the layers whose weights were taken.
        left: Names of the layers that start fresh, each with the reason.
    """

    source: str
    taken: tuple[str, ...]
    left: Mapping[str, str]

    def lines(self) -> tuple[str, ...]:
        """Return what a user should read of it."""
        taken = f"weights of {counted(len(self.taken), 'layer')} from {self.source}: {', '.join(self.taken) or 'none'}"
        if not self.left:
            return (taken,)
        return taken, "new weights for " + ", ".join(f"{name} ({reason})" for name, reason in self.left.items())


def take_weights(model: keras.Model, arrays: Mapping[str, npt.NDArray[Any]], pattern: str, source: str) -> Transfer:
    """Fill the layers of `model` whose names match `pattern` from another network's arrays.

    A layer is taken whole or not at all: every weight must be there with the same shape. Seed
    generators stay the model's own.

    Args:
        model: Network to fill.
        arrays: "model/<layer>/<weight>" to array, as a checkpoint holds them.
        pattern: Layer names to take; * stands for anything.
        source: What to call where they come from.
    """
    variables = model_variables(model)
    taken, left = [], {}
    for layer in model.layers:
        names = [f"model/{layer.name}/{weight.name}" for weight in layer.weights]
        if not names:
            continue
        reason = _reason_against(layer.name, pattern, {name: variables[name] for name in names}, arrays)
        if reason:
            left[layer.name] = reason
            continue
        taken.append(layer.name)
        for name in names:
            variables[name].assign(arrays[name])
    return Transfer(source, tuple(taken), left)


def _reason_against(
    layer: str, pattern: str, variables: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]
) -> str | None:
    if not fnmatchcase(layer, pattern):
        return f"does not match {pattern}"
    for name, variable in variables.items():
        if name not in arrays:
            return "not there"
        expected, found = tuple(variable.shape), np.shape(arrays[name])
        if expected != found:
            return f"{name.rsplit('/', 1)[-1]} is {found} there, {expected} here"
    return None
