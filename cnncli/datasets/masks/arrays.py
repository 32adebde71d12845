"""Masks that come as arrays: y of an `.npz` file, (examples, height, width)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from cnncli.config.schema.schema import Data
from cnncli.datasets.masks.coding import IGNORED, Coding, ignored_values
from cnncli.datasets.masks.scan import MaskFacts
from cnncli.datasets.masks.targets import MaskArray, Masks
from cnncli.datasets.masks.values import Stored
from cnncli.errors import DataError

_LARGEST = 65_535


def array_coding(data: Data, names: Sequence[str] | None, values: Mapping[str, npt.NDArray[Any]]) -> Coding:
    """Return what the values of arrays mean: as data.classes says, or the file, or each number its own class.

    Without data.ignore, 255 belongs to no class unless it is that of one.

    Args:
        data: The config's `data` section.
        names: Classes that the file names, or that are to be imposed.
        values: The arrays by split.

    Raises:
        DataError: If the classes cannot be those of arrays.
    """
    if data.resize.fit == "crop":
        raise DataError("the fit crop would leave pixels without a prediction", "Set data.resize.fit: stretch or pad.")
    given, ignored = data.classes, ignored_values(data)
    if isinstance(given, dict):
        numbers = all(isinstance(value, int) for value in given.values())
        if data.ignore is None and numbers and IGNORED not in given.values():
            ignored = (IGNORED,)
        return Coding.of(given, ignored)
    ignored = ignored if data.ignore is not None else (IGNORED,)
    found = given or names
    if found is None:
        used = sorted({value for array in values.values() for value in np.unique(array).tolist()} - set(ignored))
        found = tuple(str(number) for number in range(max((int(value) for value in used), default=0) + 1))
    return Coding.of_names(found, ignored)


def array_masks(values: npt.NDArray[Any], coding: Coding, origin: str) -> Masks:
    """Return masks of values (examples, height, width).

    Raises:
        DataError: If one has a value without a class; names the example, the value and its place.
    """
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > _LARGEST:
        raise DataError(f"{origin} has values from {low} to {high}; masks can have 0 to {_LARGEST}")
    masks = np.empty(values.shape, np.uint8)
    facts = MaskFacts.empty(len(values), len(coding.classes))
    for row, stored in enumerate(values):
        masks[row] = coding.meant(Stored(stored.astype(np.int32), False, "array"), f"{origin}[{row}]")
        facts.set(row, masks[row])
    return Masks(MaskArray(masks), facts.pixels, facts.hashes)
