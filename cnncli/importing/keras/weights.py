"""A `.keras` file's model.weights.h5 → arrays: hard links to plain datasets of the expected shapes, nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnncli.importing.graph import GraphImportError
from cnncli.importing.keras.entries import MAX_DEPTH
from cnncli.layers.base import Weight
from cnncli.layers.named import snake_case

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[np.float32]

MEMBER = "model.weights.h5"

MOST_BYTES = 2**32
"""Most bytes of weights that are read."""

_OVERHEAD = 2**24
"""Bytes that HDF5 may need beside the weights."""

Expected = Sequence[tuple[str, str, Sequence[Weight]]]
"""Name, Keras class and weights of every layer with its inputs, in the order of the file."""


def most_bytes(expected: Expected) -> int:
    """Return how large the member may be.

    Raises:
        GraphImportError: If the network has more weights than are read.
    """
    return most_bytes_of(sum(weight.size for _, _, weights in expected for weight in weights))


def most_bytes_of(num_weights: int) -> int:
    """Return how large the member of a network with so many weights may be.

    Raises:
        GraphImportError: If those are more than are read.
    """
    total = 4 * num_weights
    if total > MOST_BYTES:
        raise GraphImportError(f"the network has {total:,} bytes of weights; the limit is {MOST_BYTES:,}")
    return 2 * total + _OVERHEAD


def read_weights(path: Path, expected: Expected) -> dict[str, Array]:
    """Return arrays by "layer/weight".

    Args:
        path: The unpacked member. h5py gets its name, never an open file of Python's (see `Archive.unpacked`).
        expected: What the network needs.

    Raises:
        GraphImportError: If one is missing, of another shape or type, or stored anywhere but in this file.
    """
    import h5py

    try:
        with h5py.File(path, "r") as opened:
            return read_layers(opened, expected, MEMBER)
    except GraphImportError:
        raise
    except Exception as error:  # noqa: BLE001 - h5py raises whatever the library meets
        raise GraphImportError(f"{MEMBER} is damaged: {str(error)[:120]}") from None


def read_layers(opened: Any, expected: Expected, where: str) -> dict[str, Array]:
    """Return arrays by "layer/weight" of an open file in the layout of Keras 3.

    Args:
        opened: The file.
        expected: What the network needs.
        where: What errors call the file.

    Raises:
        GraphImportError: As `read_weights`.
    """
    layers = _group(opened, "layers", where)
    named = _groups_by_layer(layers, where)
    counts: dict[str, int] = {}
    arrays: dict[str, Array] = {}
    for name, kind, weights in expected:
        stem = snake_case(kind)
        number = counts.get(stem, 0)
        counts[stem] = number + 1
        if not weights:
            continue
        group = named.get(name) or _group(layers, f"{stem}_{number}" if number else stem, where)
        holder = _group(group, "vars", where)
        for index, weight in enumerate(weights):
            arrays[f"{name}/{weight.name}"] = stored_array(
                linked(holder, str(index), where), weight, f"{where}: {name}/{weight.name}"
            )
    return arrays


def _groups_by_layer(layers: Any, where: str, depth: int = 0) -> Mapping[str, Any]:
    """Return which group holds which layer, where the file says so (Keras 3.6 and later); nested models have groups."""
    found: dict[str, Any] = {}
    for key in layers:
        group = _group(layers, key, where)
        if "layers" in group.keys() and depth < MAX_DEPTH:  # noqa: SIM118 - `in` would follow links
            found |= _groups_by_layer(_group(group, "layers", where), where, depth + 1)
        holder = _group(group, "vars", where)
        name = holder.attrs.get("name") if "name" in holder.attrs else None
        if isinstance(name, str):
            found[name] = group
    return found


def _group(holder: Any, name: str, where: str) -> Any:
    import h5py

    found = linked(holder, name, where)
    if not isinstance(found, h5py.Group):
        raise GraphImportError(f"{where}: {name[:60]} is not a group")
    return found


def linked(holder: Any, name: str, where: str) -> Any:
    """Return what lies in a group under a name; links to other places and other files are not followed.

    Raises:
        GraphImportError: If there is nothing, or such a link.
    """
    import h5py

    link = holder.get(name, getlink=True) if name in holder.keys() else None  # noqa: SIM118 - `in` would follow links
    if link is None:
        raise GraphImportError(f"{where} is damaged: {name[:60]} is missing")
    if not isinstance(link, h5py.HardLink):
        raise GraphImportError(f"{where}: {name[:60]} is a link to another place, which is not supported")
    return holder[name]


def stored_array(dataset: Any, weight: Weight, what: str) -> Array:
    """Return the array of a dataset.

    Args:
        dataset: What a file holds.
        weight: What a layer needs.
        what: What errors call it.

    Raises:
        GraphImportError: If it is of another shape or type, not finite, or not plainly stored in the file.
    """
    import h5py
    import numpy as np

    if not isinstance(dataset, h5py.Dataset) or dataset.is_virtual or dataset.external:
        raise GraphImportError(f"{what} is not stored in the file itself")
    if dataset.shape != tuple(weight.shape):
        raise GraphImportError(f"{what} has shape {dataset.shape}, expected {tuple(weight.shape)}")
    if dataset.dtype.kind not in "fiu" or dataset.dtype.itemsize > 8:
        raise GraphImportError(f"{what} contains {dataset.dtype}, expected numbers")
    if dataset.id.get_storage_size() != dataset.size * dataset.dtype.itemsize or dataset.chunks is not None:
        raise GraphImportError(f"{what} is stored in an unsupported form")
    array: Array = np.asarray(dataset[()], weight.dtype)
    if not np.isfinite(array).all():
        raise GraphImportError(f"{what} contains values that are not finite")
    return array
