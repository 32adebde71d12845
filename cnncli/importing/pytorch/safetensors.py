"""A safetensors file: the header's length in eight bytes, a header of JSON, and the values one after the other."""

from __future__ import annotations

from functools import partial
from io import BufferedReader
from math import prod
from typing import TYPE_CHECKING, Any, TypeGuard

from cnncli.files.read import parse_json
from cnncli.importing.graph import GraphImportError
from cnncli.importing.pytorch.tensors import FLOATS, MOST_TENSORS, SIZES, StoredTensor, TensorFile
from cnncli.importing.weight_file import size_of
from cnncli.layers.base import Shape

if TYPE_CHECKING:
    import numpy.typing as npt

MOST_HEADER = 2**24
"""Most bytes of the header."""

_PREFIX = 8


def read_safetensors(file: BufferedReader, where: str) -> TensorFile:
    """Return the tensors of an open file, which has to stay open while their values are read.

    Raises:
        GraphImportError: If the header is damaged, or does not account for every byte of the file.
    """
    length = int.from_bytes(file.read(_PREFIX), "little")
    begin = _PREFIX + length
    if not 2 <= length <= MOST_HEADER or begin > size_of(file):
        raise GraphImportError(
            f"{where} is damaged or not a safetensors file: its header would have {length:,} bytes, the file has "
            f"{size_of(file):,} and the limit is {MOST_HEADER:,}"
        )
    entries = _entries(file.read(length), where)
    end = 0
    tensors = []
    for first, last, name, shape, kind in entries:
        if first != end or last - first != prod(shape) * SIZES[kind]:
            raise GraphImportError(
                f"{where}: {name[:60]} has the bytes {first:,} to {last:,}; expected {prod(shape) * SIZES[kind]:,} "
                f"bytes from {end:,} on"
            )
        end = last
        read = partial(_values, file, begin + first, shape, kind)
        tensors.append(StoredTensor(name, shape, kind, read))
    if begin + end != size_of(file):
        raise GraphImportError(f"{where} has {size_of(file):,} bytes, expected {begin + end:,}")
    return TensorFile(tuple(tensors), is_in_order=False)


def _entries(header: bytes, where: str) -> list[tuple[int, int, str, Shape, str]]:
    """Return first byte, last byte, name, shape and kind of every tensor, by their places."""
    try:
        document = parse_json(header)
    except (ValueError, RecursionError) as error:
        raise GraphImportError(f"{where}: its header is not valid JSON: {str(error)[:100]}") from None
    if not isinstance(document, dict):
        raise GraphImportError(f"{where}: its header is not a JSON object")
    document.pop("__metadata__", None)
    if len(document) > MOST_TENSORS:
        raise GraphImportError(f"{where} has {len(document):,} tensors; the limit is {MOST_TENSORS:,}")
    return sorted(_entry(name, entry, where) for name, entry in document.items())


def _entry(name: str, entry: Any, where: str) -> tuple[int, int, str, Shape, str]:
    found = entry if isinstance(entry, dict) else {}
    kind, shape, offsets = found.get("dtype"), found.get("shape"), found.get("data_offsets")
    if not (isinstance(kind, str) and kind in SIZES):
        raise GraphImportError(f"{where}: {name[:60]} contains {str(kind)[:40]}, expected one of {', '.join(SIZES)}")
    if not _are_lengths(shape) or not _are_lengths(offsets) or len(offsets) != 2 or len(shape) > 32:
        raise GraphImportError(f"{where} is damaged: {name[:60]} has no shape and data_offsets")
    return offsets[0], offsets[1], name, tuple(shape), kind


def _are_lengths(numbers: Any) -> TypeGuard[list[int]]:
    return isinstance(numbers, list) and all(type(n) is int and 0 <= n < 2**63 for n in numbers)


def _values(file: BufferedReader, begin: int, shape: Shape, kind: str) -> npt.NDArray[Any]:
    import numpy as np

    file.seek(begin)
    return np.frombuffer(file.read(prod(shape) * SIZES[kind]), FLOATS[kind]).reshape(shape)
