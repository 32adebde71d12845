"""Files of weights alone: `….weights.h5` of Keras 3, and the older `….h5` of Keras Applications."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import count, takewhile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from cnncli.importing.graph import GraphImportError
from cnncli.importing.keras.weights import linked, most_bytes_of, read_layers, stored_array
from cnncli.importing.weight_file import open_weights, size_of
from cnncli.layers.base import Weight
from cnncli.layers.named import snake_case

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[np.float32]

Needed = Mapping[str, Sequence[Weight]]
"""The weights of the layers that have any, by name."""

_MOST_SHOWN = 10
"""Mismatches that an error lists."""
_EXPECTED = "Expected: ….weights.h5, or the ….h5 of a network of keras.applications."
_MOST_NAMES = 10_000
"""Layers of a file, or arrays of a layer."""


def read_weight_file(path: Path, needed: Needed, layers: Sequence[tuple[str, str]], top: str) -> dict[str, Array]:
    """Return arrays by "layer/weight".

    Args:
        path: The file.
        needed: What the network needs, in the order of Keras's `model.layers`.
        layers: Name and class of every layer of the network, in that order.
        top: The layer of classes: the file may lack it, or have it for another number of classes. It is then left out.

    Raises:
        GraphImportError: If the file is damaged, or its arrays are not those of the network: with all that differ.
    """
    import h5py

    with open_weights(path) as opened:
        size = size_of(opened)
    most = most_bytes_of(sum(weight.size for weights in needed.values() for weight in weights))
    if size > most:
        raise GraphImportError(f"{path} has {size:,} bytes, more than the limit of {most:,} for this network")
    try:
        with h5py.File(path, "r") as file:
            if "layers" in file.keys():  # noqa: SIM118 - `in` would follow links
                shown = needed if _has_top(file, layers, top) else {n: w for n, w in needed.items() if n != top}
                return read_layers(file, [(name, kind, shown.get(name, ())) for name, kind in layers], str(path))
            return _read_by_order(file, needed, top, str(path))
    except GraphImportError:
        raise
    except Exception as error:  # noqa: BLE001 - h5py raises whatever the library meets
        message = f"{path} is not a file of weights as Keras writes them: {str(error)[:120]}"
        raise GraphImportError(
            message, "Expected: ….weights.h5, or the ….h5 of a network of keras.applications."
        ) from None


def _has_top(file: Any, layers: Sequence[tuple[str, str]], top: str) -> bool:
    """Say whether a file of Keras 3 has the layer of classes: it has as many layers of its class as the network."""
    stem = snake_case(dict(layers)[top])
    stems = [name for name in file["layers"] if re.fullmatch(rf"{stem}(_\d+)?", name)]
    return len(stems) >= sum(snake_case(kind) == stem for _, kind in layers)


def _read_by_order(file: Any, needed: Needed, top: str, where: str) -> dict[str, Array]:
    """Read the layout before Keras 3: a group for each layer, in the order of `layer_names`."""
    named = [(name, _stored(file, name, where)) for name in _names(file, "layer_names", where)]
    stored = [(name, datasets) for name, datasets in named if datasets]
    wanted = [(name, weights) for name, weights in needed.items() if name != top or len(stored) >= len(needed)]
    problems = []
    if len(stored) != len(wanted):
        problems.append(f"it has {len(stored)} layers with weights, expected {len(wanted)}")
    arrays: dict[str, Array] = {}
    for (name, weights), (theirs, datasets) in zip(wanted, stored, strict=False):
        found, expected = [tuple(each.shape) for each in datasets], [tuple(weight.shape) for weight in weights]
        if found == expected:
            for weight, dataset in zip(weights, datasets, strict=True):
                arrays[f"{name}/{weight.name}"] = stored_array(dataset, weight, f"{where}: {theirs[:60]}/{weight.name}")
        elif name != top:
            problems.append(f"{theirs[:60]} has {_shapes(found)}, expected {_shapes(expected)} for {name}")
    if problems:
        shown = [
            *problems[:_MOST_SHOWN],
            *([f"and {len(problems) - _MOST_SHOWN} more"] * (len(problems) > _MOST_SHOWN)),
        ]
        raise GraphImportError("\n".join([f"{where} is of another network:", *(f"  {line}" for line in shown)]))
    return arrays


def _shapes(shapes: Sequence[tuple[int, ...]]) -> str:
    return ", ".join("×".join(map(str, shape)) or "a number" for shape in shapes) or "nothing"


def _stored(file: Any, name: str, where: str) -> list[Any]:
    """Return the arrays of a layer, unread."""
    group = linked(file, name, where)
    return [_at(group, path, where) for path in _names(group, "weight_names", where)]


def _at(holder: Any, path: str, where: str) -> Any:
    """Return what lies under a path of names, each a hard link."""
    for name in PurePosixPath(path).parts:
        holder = linked(holder, name, where)
    return holder


def _names(holder: Any, attribute: str, where: str) -> list[str]:
    """Return a list of names, which h5py's writers cut into numbered parts where it is long."""
    keys = [attribute] if attribute in holder.attrs else _parts(holder, attribute)
    if not keys:
        raise GraphImportError(
            f"{where} has no {attribute}: it is not a file of weights as Keras writes them", _EXPECTED
        )
    found = [name for key in keys for name in holder.attrs[key]]
    names = [name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name) for name in found]
    if len(names) > _MOST_NAMES:
        raise GraphImportError(f"{where} names {len(names):,} arrays; the limit is {_MOST_NAMES:,}")
    return names


def _parts(holder: Any, attribute: str) -> list[str]:
    return list(takewhile(lambda key: key in holder.attrs, (f"{attribute}{number}" for number in count())))
