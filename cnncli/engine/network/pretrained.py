"""Where a new run's weights come from: another run, or a file that Keras publishes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt

from cnncli.config.schema.schema import IMAGENET, Config, StartFrom
from cnncli.datasets.download import PublishedFile, open_published
from cnncli.errors import CnnError, DataError
from cnncli.importing.keras.applications import (
    APPLICATIONS,
    Application,
    WeightFile,
    backbone,
    in_keras_order,
    weights_of,
)
from cnncli.importing.keras.weight_files import read_weight_file
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
    if start.run is not None:
        checkpoint = find_checkpoint(find(start.run, runs_dir), "best")
        name = f"{start.run} {checkpoint.path.name}"
        record = {"run": start.run, "checkpoint": checkpoint.path.name}
        return Source(name, evaluated_weights(checkpoint.arrays), record)
    return _pretrained(config, start)


def _pretrained(config: Config, start: StartFrom) -> Source:
    """Load the weights of the network of Keras Applications that a config begins with."""
    found = backbone(config)
    if found is None:
        known = ", ".join(application.network for application in APPLICATIONS)
        raise CnnError(
            "train.start_from.weights: the network does not begin as one of those that Keras publishes weights of",
            f"Extend one of {known}, or begin with their layers: `cnn help transfer`.",
        )
    path = _download(found.file) if start.weights == IMAGENET else Path(str(start.weights)).expanduser()
    arrays = _read(found.application, path)
    taken = {
        f"model/{layer}/{weight.name}": arrays[f"{theirs}/{weight.name}"]
        for theirs, layer in found.layers.items()
        for weight in weights_of(found.application.config)[theirs]
        if f"{theirs}/{weight.name}" in arrays
    }
    name = f"{path.name} ({found.application.name})"
    return Source(name, taken, {"weights": start.weights, "file": path.name, "sha256": _sha256(path)})


def _read(application: Application, path: Path) -> dict[str, npt.NDArray[Any]]:
    """Read a file of weights as a network of the zoo needs them."""
    config = application.config
    nodes, weights = in_keras_order(config), weights_of(config)
    needed = {node.name: weights[node.name] for node in nodes if node.name in weights}
    layers = [(node.name, node.layer.type_name()) for node in nodes]
    return application.adapted(read_weight_file(path, needed, layers, application.top))


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
