"""Protocol Buffers' wire format without a schema, as of caffemodels and ONNX files: no copies, no recursion."""

from __future__ import annotations

from collections.abc import Iterator

from cnncli.importing.graph import GraphImportError

MOST_BYTES = 2**31
"""Most bytes of a message."""

MOST_FIELDS = 1_000_000
"""Most fields of a file: each takes time. Values of a blob are one field, packed, in every file that Caffe writes."""

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
"""Wire types: how the value of a field is written."""

Value = int | memoryview
"""A varint's number; the bytes of every other field."""


class WireReader:
    """Takes messages apart, field by field.

    Args:
        where: What errors call the file.
    """

    def __init__(self, where: str) -> None:
        self._where = where
        self._num_fields = 0

    def fields(self, message: memoryview) -> Iterator[tuple[int, int, Value]]:
        """Yield number, wire type and value of each field of a message.

        Raises:
            GraphImportError: If the message ends within a field, or there are too many.
        """
        place = 0
        while place < len(message):
            self._num_fields += 1
            if self._num_fields > MOST_FIELDS:
                raise GraphImportError(f"{self._where} has more than {MOST_FIELDS:,} fields")
            key, place = self._varint(message, place)
            number, wire_type = key >> 3, key & 7
            value: Value
            if wire_type == VARINT:
                value, place = self._varint(message, place)
            else:
                size, place = self._size(message, place, wire_type)
                value, place = self._bytes(message, place, size), place + size
            yield number, wire_type, value

    def varints(self, packed: memoryview) -> Iterator[int]:
        """Yield the numbers of a packed field."""
        place = 0
        while place < len(packed):
            self._num_fields += 1
            number, place = self._varint(packed, place)
            yield number

    def _size(self, message: memoryview, place: int, wire_type: int) -> tuple[int, int]:
        if wire_type == BYTES:
            return self._varint(message, place)
        if wire_type in (FIXED32, FIXED64):
            return (4 if wire_type == FIXED32 else 8), place
        raise GraphImportError(f"{self._where} is damaged: there is no wire type {wire_type}")

    def _bytes(self, message: memoryview, place: int, size: int) -> memoryview:
        if size > len(message) - place:
            raise GraphImportError(
                f"{self._where} is damaged: a field of {size:,} bytes begins where {len(message) - place:,} are left"
            )
        return message[place : place + size]

    def _varint(self, message: memoryview, place: int) -> tuple[int, int]:
        number = 0
        for shift, byte in enumerate(message[place : place + 10]):
            number |= (byte & 127) << (7 * shift)
            if byte < 128:
                return number & (2**64 - 1), place + shift + 1
        raise GraphImportError(f"{self._where} is damaged: a number does not end")
