"""Darknet's .weights: a header of four numbers and the values of all layers in the order of the cfg, as float32."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from io import BufferedReader
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cnncli.importing.channels_first import Slot, place, stored_shape
from cnncli.importing.graph import GraphImportError, ImportedGraph, Operation, Stored
from cnncli.importing.weight_file import open_weights, size_of
from cnncli.layers.base import Weight

if TYPE_CHECKING:
    from cnncli.importing.channels_first import Array

_STATISTICS = ("gamma", "moving_mean", "moving_variance")
_ORDERS = {
    "Conv2D": ("bias", "beta", *_STATISTICS, "kernel"),
    "Dense": ("bias", "beta", "kernel", *_STATISTICS),
}
"""In which order a section's arrays stand in the file. Darknet calls beta of a batch normalization the biases."""

_HINT = "Give the .weights file of this .cfg, whole; files such as darknet53.conv.74 hold the first layers only."


class _Run(NamedTuple):
    """An array in the file: of which section, which operation, and what it is."""

    section: Stored
    operation: str
    weight: Weight

    @property
    def is_of_dense(self) -> bool:
        return len(self.weight.shape) == 2


def read_weights(path: Path, graph: ImportedGraph, needed: Sequence[Slot]) -> dict[str, Array]:
    """Return arrays by "layer/weight".

    Args:
        path: The .weights file.
        graph: The network of its cfg.
        needed: What the network needs.

    Raises:
        GraphImportError: If the file ends before the last layer or after it, or holds values that are not finite.
    """
    import numpy as np

    runs = list(_runs(graph.in_file))
    slots = {slot.name: slot for slot in needed}
    arrays: dict[str, Array] = {}
    with open_weights(path) as file:
        header, is_transposed = _header(file, path.name)
        _check_size(size_of(file), header, runs, path.name)
        for run in runs:
            content = file.read(4 * run.weight.size)
            slot = slots.get(f"{run.operation}/{run.weight.name}")
            if slot is not None:
                flat = np.frombuffer(content, "<f4")
                turned = is_transposed if run.is_of_dense else run.section.is_transposed
                arrays[slot.name] = _shaped(flat, run.weight, turned)
    return place(arrays, needed)


def _runs(operations: Sequence[Operation]) -> Iterator[_Run]:
    """Yield the arrays of all sections in the order of the file, those of dropped layers too."""
    stored = [operation for operation in operations if operation.stored]
    for _, group in groupby(stored, key=lambda operation: operation.stored[0].name):
        layer, *normalization = group
        arrays = {
            weight.name: _Run(section, operation.name, weight)
            for operation in (layer, *normalization)
            for section in operation.stored
            for weight in section.weights
        }
        yield from (arrays[name] for name in _ORDERS[layer.layer.type_name()] if name in arrays)


def _header(file: BufferedReader, where: str) -> tuple[int, bool]:
    """Return the header's length in bytes, and whether dense kernels are inputs × outputs."""
    content = file.read(12)
    if len(content) < 12:
        raise GraphImportError(f"{where} ends in its header, after {len(content)} bytes", _HINT)
    major, minor, _ = struct.unpack("<3i", content)
    # The number of images seen in training has 8 bytes since version 0.2; odd versions marked transposed kernels.
    is_odd = major > 1000 or minor > 1000
    length = 8 if major * 10 + minor >= 2 and major < 1000 and minor < 1000 else 4
    file.read(length)
    return 12 + length, is_odd


def _check_size(size: int, header: int, runs: Sequence[_Run], where: str) -> None:
    end = header
    for run in runs:
        end += 4 * run.weight.size
        if end > size:
            what = f"{run.weight.name} of {run.section.name}"
            raise GraphImportError(f"{where} has {size:,} bytes and ends in the {what}, which needs {end:,}", _HINT)
    if end < size:
        rest = f"{size - end:,} stand behind the last layer"
        raise GraphImportError(f"{where} has {size:,} bytes, expected {end:,}: {rest}", _HINT)


def _shaped(flat: Array, weight: Weight, is_transposed: bool) -> Array:
    shape = stored_shape(weight)
    if is_transposed and len(shape) > 1:
        flat = flat.reshape(-1, shape[0]).T
    return flat.reshape(shape)
