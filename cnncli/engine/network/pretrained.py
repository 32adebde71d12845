"""Where a new run's weights come from: another run, or a file that Keras publishes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt

from cnncli.config.schema.schema import IMAGENET, Config
from cnncli.datasets.download import PublishedFile, open_published
from cnncli.errors import CnnError, DataError
from cnncli.importing.keras.applications import WeightFile
from cnncli.importing.keras.pretrained import backbone_of, read_pretrained
from cnncli.runs.find import evaluated_weights, find, find_checkpoint

_OFFLINE = "Without a network, give a file that was downloaded elsewhere: train.start_from: {weights: PATH}."


@dataclass(frozen=True)
class Source:
    """Weights that a new run starts from.

    Attributes:
        name: What messages call it.
        arrays: By "model/layer/weight", with the new network's names of layers.
        record: What run.json says of it.
    """

    name: str
    arrays: Mapping[str, npt.NDArray[Any]]
    record: Mapping[str, Any]


def source_of(config: Config, runs_dir: Path) -> Source | None:
    """Load what a config starts from; None where it names nothing.

    Raises:
        CnnError: If there is no such run or file, it is damaged, or it is of another network.
    """
    start = config.train.start_from
    if start is None:
        return None
    if start.run is None:
        return _pretrained(config, str(start.weights))
    checkpoint = find_checkpoint(find(start.run, runs_dir), "best")
    record = {"run": start.run, "checkpoint": checkpoint.path.name}
    return Source(f"{start.run} {checkpoint.path.name}", evaluated_weights(checkpoint.arrays), record)


def _pretrained(config: Config, weights: str) -> Source:
    """Load the weights of the network of Keras Applications that a config begins with."""
    found = backbone_of(config)
    path = _download(found.file) if weights == IMAGENET else Path(weights).expanduser()
    arrays = read_pretrained(path, found).arrays
    return Source(
        f"{path.name} ({found.application.name})",
        {f"model/{name}": array for name, array in arrays.items()},
        {"weights": weights, "file": path.name, "sha256": _sha256(path)},
    )


def _download(file: WeightFile) -> Path:
    """Return a published file in Keras's cache, downloaded if it is not there."""
    published = PublishedFile(file.url, file.name, None, file.md5, "models")
    try:
        with open_published(published) as opened:
            return Path(opened.name)
    except DataError as error:
        raise CnnError(error.message, _OFFLINE) from None
    except OSError as error:
        raise CnnError(f"the weights cannot be downloaded: {error}", _OFFLINE) from None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
