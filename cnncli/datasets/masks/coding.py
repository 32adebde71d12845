"""What the values of mask files mean: a class, or nothing that counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, cast

import numpy as np
import numpy.typing as npt

from cnncli.datasets.masks.values import Stored, Value, read_values, shown, unpacked
from cnncli.errors import DataError
from cnncli.plural import counted

if TYPE_CHECKING:
    from cnncli.config.schema.schema import Data

Mask = npt.NDArray[np.uint8]
"""Class number of each pixel, (height, width); `IGNORED` where there is none."""

IGNORED = 255
"""Class number of pixels that no loss and no score counts."""

MOST_CLASSES = 255
"""Class numbers from 0 to 254 fit beside it in a byte."""

_NAMED = 3


@dataclass(frozen=True)
class Coding:
    """The value of each class in mask files: a number from 0 to 65,535, or a colour.

    Attributes:
        classes: Names of the classes.
        values: Value of each.
        ignored: Values of pixels that belong to no class.
    """

    classes: tuple[str, ...]
    values: tuple[Value, ...]
    ignored: tuple[Value, ...] = ()

    @classmethod
    def of(cls, values: Mapping[str, Value], ignored: Sequence[Value]) -> Coding:
        """Return the coding of named values.

        Raises:
            DataError: If two classes share a value, if numbers and colours are mixed, or if there are too few or too
                many classes.
        """
        if not 2 <= len(values) <= MOST_CLASSES:
            raise DataError(
                f"data.classes has {counted(len(values), 'class')}; masks can have 2 to {MOST_CLASSES}",
                "The background counts as a class too: data.classes: {background: 0, cell: 1}.",
            )
        owners: dict[Value, str] = {}
        for name, value in (*values.items(), *(("data.ignore", value) for value in ignored)):
            if value in owners:
                raise DataError(f"{name} and {owners[value]} have the same value in masks, {shown(value)}")
            owners[value] = name
        if len({isinstance(value, int) for value in owners}) > 1:
            raise DataError(
                "data.classes and data.ignore mix numbers and colours", "Give each value the same way: 3, or [r, g, b]."
            )
        return cls(tuple(values), tuple(values.values()), tuple(ignored))

    @classmethod
    def of_names(cls, names: Sequence[str], ignored: Sequence[Value]) -> Coding:
        """Return the coding of names in the order of their values, from 0 on; an ignored value may have a name too.

        Raises:
            DataError: If a name is there twice, or as `of`.
        """
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise DataError(f"data.classes names {', '.join(repeated)} twice", "Give each class once.")
        # "void" often ends a list of classes, and is then ignored by its value.
        return cls.of({name: number for number, name in enumerate(names) if number not in ignored}, ignored)

    @property
    def identity(self) -> str:
        """A hash of all of it, for caches."""
        return sha256(repr((self.classes, self.values, self.ignored)).encode()).hexdigest()

    @property
    def is_coloured(self) -> bool:
        """Whether masks are in colour."""
        return not isinstance(self.values[0], int)

    @cached_property
    def _known(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
        """All values in ascending order, and the class number of each."""
        pairs = [(_packed(value), number) for number, value in enumerate(self.values)]
        pairs += [(_packed(value), IGNORED) for value in self.ignored]
        values, numbers = zip(*sorted(pairs), strict=True)
        return np.array(values, np.int64), np.array(numbers, np.uint8)

    def decode(self, content: bytes, name: str) -> Mask:
        """Decode a mask file.

        Args:
            content: The file's bytes.
            name: What an error calls it.

        Raises:
            DataError: If it is not an image, lossy, of another kind than the classes' values, or has a value that is
                no class's.
        """
        return self.meant(read_values(content, name, self.is_coloured), name)

    def meant(self, stored: Stored, name: str) -> Mask:
        """Return the class numbers that stored values mean.

        Raises:
            DataError: If they are of another kind than the classes' values, or one is no class's.
        """
        self._require_kind(stored, name)
        values = stored.values
        if stored.mode == "1" and self._one_means_255:
            values = values * 255
        known, numbers = self._known
        places = np.searchsorted(known, values).clip(max=len(known) - 1)
        wrong = known[places] != values
        if wrong.any():
            raise DataError(f"{name}: {self._about_unknown(values, wrong)}")
        found: Mask = numbers[places]
        return found

    @property
    def _one_means_255(self) -> bool:
        """Whether the 1 of a mask of one bit stands for 255: where that has a meaning, and 1 itself has none."""
        known = (*self.values, *self.ignored)
        return 255 in known and 1 not in known

    def _require_kind(self, stored: Stored, name: str) -> None:
        """Refuse a file whose pixels cannot be what the classes' values say.

        Raises:
            DataError: Which names what it is, and what was expected.
        """
        if self.is_coloured and not stored.is_coloured:
            raise DataError(
                f"{name}: the mask has one channel ({stored.mode}) with the values {_first(stored)}, but data.classes "
                "are colours [r, g, b]"
            )
        if not self.is_coloured and stored.is_coloured:
            how = (
                "its three channels are equal: save one of them" if stored.is_grey else "give each class its [r, g, b]"
            )
            raise DataError(
                f"{name}: the mask is in colour ({stored.mode}) with the colours {_first(stored)}, but data.classes "
                f"are numbers; {how}"
            )

    def _about_unknown(self, values: npt.NDArray[np.int32], wrong: npt.NDArray[np.bool_]) -> str:
        """Say which values have no class, how many pixels have them, and where."""
        unknown, first, numbers = np.unique(values[wrong], return_index=True, return_counts=True)
        rows, columns = np.nonzero(wrong)
        order = np.argsort(-numbers, kind="stable")[:_NAMED]
        named = [
            f"{self._named(int(unknown[i]))} ({counted(int(numbers[i]), 'pixel')}, first at x {columns[first[i]]}, "
            f"y {rows[first[i]]})"
            for i in order.tolist()
        ]
        more = f", and {counted(len(unknown) - _NAMED, 'more value')}" if len(unknown) > _NAMED else ""
        what = "colour" if self.is_coloured else "value"
        return f"{what}s without a class: {', '.join(named)}{more}{self._advice(values, unknown)}"

    def _advice(self, values: npt.NDArray[np.int32], unknown: npt.NDArray[np.int32]) -> str:
        """Return the likely cause of unknown values, or ""."""
        used = np.unique(values)
        if not self.is_coloured and used.tolist() in ([0, 255], [255]):
            return "; masks of 0 and 255 need data.classes: {background: 0, object: 255}"
        if not self.is_coloured and unknown.tolist() == [255]:
            return "; if these pixels belong to no class, set data.ignore: 255"
        if len(unknown) > max(8, len(self.values)):
            return "; so many values come from smoothed edges: a mask must be resized by nearest neighbour"
        return ""

    def _named(self, packed: int) -> str:
        return shown(unpacked(packed, self.is_coloured))


def ignored_values(data: Data) -> tuple[Value, ...]:
    """Return the values to ignore: none, one, or several; three numbers are a colour where classes are colours."""
    given, classes = data.ignore, data.classes
    if given is None:
        return ()
    if isinstance(given, int):
        return (given,)
    coloured = isinstance(classes, dict) and any(not isinstance(value, int) for value in classes.values())
    if coloured and len(given) == 3 and all(isinstance(value, int) for value in given):
        return (cast("Value", given),)
    return tuple(given)


def _packed(value: Value) -> int:
    return value if isinstance(value, int) else value[0] << 16 | value[1] << 8 | value[2]


def _first(stored: Stored) -> str:
    """Name the first values of a mask in ascending order."""
    values = [shown(value) for value in stored.different()]
    return ", ".join(values[:_NAMED]) + (", …" if len(values) > _NAMED else "")
