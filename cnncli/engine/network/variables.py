"""A model's variables by name, and assigning saved values to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from cnncli.errors import CheckpointError


def model_variables(model: keras.Model) -> dict[str, Any]:
    """Return all variables of a model by name: weights, moving statistics and seed generators."""
    return {f"model/{layer.name}/{variable.name}": variable for layer in model.layers for variable in layer.variables}


def assign(variables: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    """Set variables to arrays of the same names.

    Raises:
        CheckpointError: If one is missing, left over, or of another shape or type; nothing is set then.
    """
    missing, unknown = variables.keys() - arrays.keys(), arrays.keys() - variables.keys()
    if missing or unknown:
        name = min(missing | unknown)
        where = "the checkpoint lacks" if name in missing else "the network lacks"
        raise CheckpointError(
            f"The checkpoint has another network or optimizer: {where} {name} ({len(missing | unknown)} differ).",
            "Use the config with which the checkpoint was written.",
        )
    for name, variable in variables.items():
        expected, found = (_kind(variable.dtype, variable.shape), _kind(arrays[name].dtype, arrays[name].shape))
        if expected != found:
            raise CheckpointError(f"{name} is {found} in the checkpoint, {expected} in the network.")
    for name, variable in variables.items():
        variable.assign(arrays[name])


def _kind(dtype: Any, shape: Any) -> str:
    return f"{keras.backend.standardize_dtype(dtype)} {tuple(shape)}"
