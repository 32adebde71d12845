"""Named tensors of a file: what they are is known at once, their values are read when they are asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cnncli.layers.base import Shape

if TYPE_CHECKING:
    import numpy.typing as npt

    from cnncli.importing.channels_first import Array

MOST_TENSORS = 10_000
"""Most tensors of a file."""

BFLOAT16 = "BF16"
FLOATS = {"F16": "<f2", BFLOAT16: "<u2", "F32": "<f4", "F64": "<f8"}
"""Kinds of values that weights may have, with the NumPy type of their bytes."""

SIZES = {"BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "I16": 2, "U16": 2, "F16": 2, BFLOAT16: 2}
SIZES |= {"I32": 4, "U32": 4, "F32": 4, "I64": 8, "U64": 8, "F64": 8}
"""Bytes of a value of each kind."""


@dataclass(frozen=True)
class StoredTensor:
    """A tensor of a file.

    Attributes:
        name: "features.0.weight".
        shape: Its shape.
        kind: What its values are: a key of `SIZES`.
        read: Returns its values as `FLOATS` says, of that shape; raises GraphImportError.
    """

    name: str
    shape: Shape
    kind: str
    read: Callable[[], npt.NDArray[Any]]

    def values(self) -> Array:
        """Return its values as float32; those too large become infinite."""
        import numpy as np

        raw = self.read()
        if self.kind == BFLOAT16:
            # A bfloat16 is the upper half of a float32.
            return (raw.astype(np.uint32) << 16).view(np.float32)
        with np.errstate(over="ignore"):
            return raw.astype(np.float32, copy=False)


@dataclass(frozen=True)
class TensorFile:
    """The tensors of a file.

    Attributes:
        tensors: In the order of the file.
        is_in_order: Whether that is the order in which the network defines them.
    """

    tensors: tuple[StoredTensor, ...]
    is_in_order: bool
