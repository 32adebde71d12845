"""A file of PyTorch's tensors → the weights of a network that a config describes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cnncli.importing.channels_first import Slot, place
from cnncli.importing.pytorch.archive import open_state_dict
from cnncli.importing.pytorch.match import Match, match, read_table
from cnncli.importing.pytorch.safetensors import read_safetensors
from cnncli.importing.pytorch.tensors import TensorFile
from cnncli.importing.weight_file import open_weights

if TYPE_CHECKING:
    from cnncli.importing.channels_first import Array


@dataclass(frozen=True)
class TorchWeights:
    """What a file holds for a network.

    Attributes:
        arrays: By "layer/weight".
        match: Where they come from.
    """

    arrays: dict[str, Array]
    match: Match


def read_weights(path: Path, needed: list[Slot], names: Path | None) -> TorchWeights:
    """Return what a file holds for a network.

    Args:
        path: A .safetensors file, or a zip archive that `torch.save` wrote.
        needed: What the network needs.
        names: A table of names, or None to go by order and shape.

    Raises:
        GraphImportError: If the file is damaged or dangerous, or does not hold what the network needs.
    """
    table = read_table(names, needed) if names is not None else None
    with _open(path) as file:
        found = match(file, needed, table, path.name)
        return TorchWeights(place({name: tensor.values() for name, tensor in found.tensors.items()}, needed), found)


@contextmanager
def _open(path: Path) -> Iterator[TensorFile]:
    if path.suffix.lower() == ".safetensors":
        with open_weights(path) as file:
            yield read_safetensors(file, path.name)
    else:
        with open_state_dict(path) as tensors:
            yield tensors
