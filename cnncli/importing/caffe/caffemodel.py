"""Caffe's caffemodel: the blobs of its layers, by the layers' names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

from cnncli.importing.channels_first import Slot, place, refuse
from cnncli.importing.graph import GraphImportError, ImportedGraph, Operation, Stored
from cnncli.importing.weight_file import open_weights
from cnncli.importing.wire_format import BYTES, FIXED32, FIXED64, MOST_BYTES, VARINT, Value, WireReader
from cnncli.layers.base import Shape

if TYPE_CHECKING:
    from cnncli.importing.channels_first import Array

MOST_AXES = 32
"""Most axes of a blob in Caffe."""

_HINT = "Give the .caffemodel of this .prototxt: layers are found by their names."


@dataclass(frozen=True)
class Blob:
    """One array of a layer.

    Attributes:
        dims: Its shape; of old files always four numbers, with ones before the others.
        is_old: Whether the file is such.
        values: In their order.
    """

    dims: Shape
    is_old: bool
    values: Array

    def fits(self, shape: Shape) -> bool:
        """Whether it is an array of that shape."""
        if self.is_old and len(shape) < len(self.dims):
            shape = (1,) * (len(self.dims) - len(shape)) + shape
        return self.dims == shape and prod(shape) == len(self.values)


@dataclass(frozen=True)
class CaffeWeights:
    """What a caffemodel holds for a network.

    Attributes:
        arrays: By "layer/weight".
        unused: Names of layers with blobs that the network does not have.
    """

    arrays: dict[str, Array]
    unused: tuple[str, ...]


def read_weights(path: Path, graph: ImportedGraph, needed: Sequence[Slot]) -> CaffeWeights:
    """Return what a caffemodel holds for a network.

    Args:
        path: The .caffemodel file.
        graph: The network of its prototxt.
        needed: What the network needs.

    Raises:
        GraphImportError: If the file is damaged, or does not hold what the network needs: with everything that differs.
    """
    with open_weights(path, MOST_BYTES) as file:
        blobs = _blobs(memoryview(file.read()), path.name)
    matching = _Matching(blobs, needed)
    for operation in graph.operations:
        if operation.stored:
            matching.take(operation)
    refuse(matching.problems, path.name, _HINT)
    names = {stored.name for operation in graph.operations for stored in operation.stored}
    return CaffeWeights(place(matching.arrays, needed), tuple(name for name in blobs if name not in names))


def _blobs(content: memoryview, where: str) -> dict[str, list[Blob]]:
    """Return the blobs of each layer that has some; of two layers with one name, as Caffe does, the last one's."""
    reader = WireReader(where)
    found: dict[str, list[Blob]] = {}
    for number, wire_type, value in reader.fields(content):
        # `layer`, and `layers` of files from before 2014.
        places = {100: (1, 7), 2: (4, 6)}.get(number)
        if places is not None and wire_type == BYTES:
            name, blobs = _layer(reader, value, *places)
            if blobs:
                found[name] = blobs
    if not found:
        raise GraphImportError(f"{where} is not a caffemodel with weights: it has no layer with blobs", _HINT)
    return found


def _layer(reader: WireReader, message: Value, of_name: int, of_blobs: int) -> tuple[str, list[Blob]]:
    name, blobs = "", []
    for number, wire_type, value in reader.fields(_message(message)):
        if wire_type != BYTES:
            continue
        if number == of_name:
            name = bytes(_message(value)).decode("utf-8", "replace")
        elif number == of_blobs:
            blobs.append(_blob(reader, _message(value)))
    return name, blobs


def _message(value: Value) -> memoryview:
    assert isinstance(value, memoryview)  # noqa: S101 - said by the wire type
    return value


def _blob(reader: WireReader, message: memoryview) -> Blob:
    old: dict[int, int] = {}
    dims: list[int] | None = None
    parts: list[tuple[str, memoryview]] = []
    for number, wire_type, value in reader.fields(message):
        if isinstance(value, int):
            if wire_type == VARINT and number <= 4:
                old[number] = value
        elif number == 7 and wire_type == BYTES:
            dims = _dims(reader, value)
        elif number in (5, 8) and wire_type in (BYTES, FIXED32 if number == 5 else FIXED64):
            parts.append(("<f4" if number == 5 else "<f8", value))
    values = _values(parts)
    return Blob(tuple(dims), False, values) if dims is not None else Blob(_old_dims(old), True, values)


def _old_dims(numbers: Mapping[int, int]) -> Shape:
    """Return num, channels, height and width, which are 0 where the file does not give them."""
    return tuple(numbers.get(place, 0) for place in range(1, 5))


def _dims(reader: WireReader, message: memoryview) -> list[int]:
    dims: list[int] = []
    for number, _, value in reader.fields(message):
        if number == 1:
            dims += [value] if isinstance(value, int) else islice(reader.varints(value), MOST_AXES + 1)
        if len(dims) > MOST_AXES:
            raise GraphImportError(f"a blob has more than {MOST_AXES} axes")
    return dims


def _values(parts: Sequence[tuple[str, memoryview]]) -> Array:
    """Return the values of a blob, which may be written in several parts."""
    import numpy as np

    by_type = {kind: [content for of, content in parts if of == kind] for kind in ("<f8", "<f4")}
    # As in Caffe, doubles go before floats.
    kind = "<f8" if by_type["<f8"] else "<f4"
    contents = by_type[kind]
    content = contents[0] if len(contents) == 1 else b"".join(contents)
    if len(content) % int(kind[-1]):
        raise GraphImportError(f"a blob's values have {len(content):,} bytes, not a multiple of {kind[-1]}")
    values: Array = np.frombuffer(content, kind)
    return values


class _Matching:
    """Finds what a network needs among the blobs of a file.

    Args:
        blobs: By the layers' names.
        needed: What the network needs.
    """

    def __init__(self, blobs: Mapping[str, Sequence[Blob]], needed: Sequence[Slot]) -> None:
        self._blobs = blobs
        self._slots = {slot.name: slot for slot in needed}
        self.arrays: dict[str, Array] = {}
        self.problems: list[str] = []

    def take(self, operation: Operation) -> None:
        """Take the arrays of an operation."""
        first, *others = operation.stored
        if operation.layer.type_name() != "BatchNormalization":
            self._take(operation, first, [weight.name for weight in first.weights])
            return
        self._take(operation, first, ["moving_mean", "moving_variance"], is_summed=True)
        for scale in others:
            self._take(operation, scale, [w.name for w in scale.weights if w.trainable])

    def _take(self, operation: Operation, stored: Stored, weights: Sequence[str], is_summed: bool = False) -> None:
        """Take the blobs of a layer of the file; sums have a last blob, by which they are divided."""
        blobs = self._blobs.get(stored.name)
        if blobs is None:
            self.problems.append(f'{operation.name}: the file has no weights of a layer "{stored.name}"')
            return
        expected = [*weights, *(["the factor of both"] if is_summed else [])]
        if len(blobs) != len(expected):
            self.problems.append(
                f"{operation.name}: got {len(blobs)} blobs, expected {len(expected)}: {', '.join(expected)}"
            )
            return
        factor = self._factor(operation, blobs[-1]) if is_summed else 1.0
        for weight, blob in zip(weights, blobs, strict=False):
            self._fit(self._slots[f"{operation.name}/{weight}"], blob, stored.is_transposed, factor)

    def _fit(self, slot: Slot, blob: Blob, is_transposed: bool, factor: float) -> None:
        import numpy as np

        turned = is_transposed and len(slot.shape) == 2
        shape = slot.shape[::-1] if turned else slot.shape
        if not blob.fits(shape):
            got = f"{blob.dims} with {len(blob.values):,} values"
            self.problems.append(f"{slot.name}: got a blob of shape {got}, expected {shape}")
            return
        array = blob.values.reshape(shape)
        with np.errstate(over="ignore"):
            self.arrays[slot.name] = (array.T if turned else array) if factor == 1 else array * np.float32(factor)

    def _factor(self, operation: Operation, blob: Blob) -> float:
        """Return what the running sums are multiplied by: 1 / factor, or 0 for an untrained layer."""
        if not blob.fits((1,)):
            self.problems.append(f"{operation.name}: got a factor of shape {blob.dims}, expected (1,)")
            return 1.0
        value = float(blob.values[0])
        return 1 / value if value else 0.0
