"""Arrays in an ONNX file: a type, a shape and values, which stand in the file itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from math import prod
from typing import TYPE_CHECKING, Any

from cnncli.importing.graph import GraphImportError
from cnncli.importing.wire_format import BYTES, FIXED32, VARINT, Value, WireReader

if TYPE_CHECKING:
    import numpy.typing as npt

MOST_AXES = 8
MOST_INTEGERS = 1_000_000
"""Most integers that are written one by one, as varints: each takes time. Exporters write arrays as bytes."""

_DATA_TYPES = {1: "<f4", 2: "<u1", 3: "<i1", 4: "<u2", 5: "<i2", 6: "<i4", 7: "<i8", 9: "|b1", 10: "<f2", 11: "<f8"}
"""NumPy's types by TensorProto's numbers."""

_FIELDS = {4: "<f4", 10: "<f8"}
"""Fields that hold values as numbers of a fixed length, and their types."""


@dataclass(frozen=True)
class Tensor:
    """One array.

    Attributes:
        name: What nodes call it.
        array: Its values, read-only.
    """

    name: str
    array: npt.NDArray[Any]


def read_tensor(reader: WireReader, message: memoryview, where: str) -> Tensor:
    """Return the array of a TensorProto.

    Args:
        reader: Counts the fields.
        message: The TensorProto.
        where: What errors call it, if it has no name.

    Raises:
        GraphImportError: If its values stand in another file, are no numbers, or are not as many as its shape says.
    """
    found = _Parts()
    for number, wire_type, value in reader.fields(message):
        found.take(reader, number, wire_type, value)
    name = found.name or where
    if found.is_external:
        raise GraphImportError(
            f"{name[:60]}: its values stand in another file", "Save the model in one file: onnx.save(model, FILE)."
        )
    kind = _DATA_TYPES.get(found.data_type)
    if kind is None:
        raise GraphImportError(f"{name[:60]}: tensors of data type {found.data_type} are not supported")
    return Tensor(found.name, found.array(kind, name[:60]))


class _Parts:
    """The fields of a TensorProto."""

    def __init__(self) -> None:
        self.name, self.data_type, self.is_external = "", 0, False
        self._dims: list[int] = []
        self._raw: memoryview | None = None
        self._numbers: dict[int, list[bytes | memoryview]] = {}
        self._integers: list[int] = []

    def take(self, reader: WireReader, number: int, wire_type: int, value: Value) -> None:
        """Keep one field."""
        match number, value:
            case 1, _:
                self._dims += islice(whole_numbers(reader, value), MOST_AXES + 1)
                if len(self._dims) > MOST_AXES:
                    raise GraphImportError(f"a tensor has more than {MOST_AXES} axes")
            case 2, int():
                self.data_type = value
            case ((4 | 10), memoryview()) if wire_type in (BYTES, FIXED32 if number == 4 else 1):
                self._numbers.setdefault(number, []).append(value)
            case ((5 | 7 | 11), _) if wire_type in (BYTES, VARINT):
                self._integers += islice(whole_numbers(reader, value), MOST_INTEGERS + 1)
                if len(self._integers) > MOST_INTEGERS:
                    raise GraphImportError(f"a tensor has more than {MOST_INTEGERS:,} integers written one by one")
            case 8, memoryview():
                self.name = text(value)
            case 9, memoryview():
                self._raw = value
            case (13, _) | (14, 1):
                self.is_external = True

    def array(self, kind: str, where: str) -> npt.NDArray[Any]:
        """Return the values in their shape."""
        values = self._values(kind, where)
        if any(n < 0 for n in self._dims) or prod(self._dims) != len(values):
            raise GraphImportError(f"{where}: the tensor has {len(values):,} values; its shape is {tuple(self._dims)}")
        return values.reshape(self._dims)

    def _values(self, kind: str, where: str) -> npt.NDArray[Any]:
        import numpy as np

        if self._raw is not None:
            return _from_bytes(self._raw, kind, where)
        for field, stored in _FIELDS.items():
            if field in self._numbers:
                parts = self._numbers[field]
                return _from_bytes(parts[0] if len(parts) == 1 else b"".join(parts), stored, where)
        integers = np.array(self._integers, np.int64)
        # Halves stand among the integers by their bits.
        return integers.astype(np.uint16).view("<f2") if kind == "<f2" else integers.astype(kind)


def _from_bytes(content: bytes | memoryview, kind: str, where: str) -> npt.NDArray[Any]:
    import numpy as np

    size = np.dtype(kind).itemsize
    if len(content) % size:
        raise GraphImportError(f"{where}: the tensor has {len(content):,} bytes, not a multiple of {size}")
    values: npt.NDArray[Any] = np.frombuffer(content, kind)
    return values


def whole_numbers(reader: WireReader, value: Value) -> Iterator[int]:
    """Yield the signed integers of a field, packed or not."""
    for number in [value] if isinstance(value, int) else reader.varints(value):
        yield number - 2**64 if number >= 2**63 else number


def text(value: Value) -> str:
    """Return the text of a field; empty for a number."""
    return "" if isinstance(value, int) else bytes(value[:1000]).decode("utf-8", "replace")
