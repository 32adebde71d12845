"""Files of a network of Keras Applications → the weights of a config that begins with it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cnncli.config.schema.schema import Config
from cnncli.importing.graph import GraphImportError
from cnncli.importing.keras.applications import APPLICATIONS, Backbone, backbone, in_keras_order, weights_of
from cnncli.importing.keras.weight_files import read_weight_file

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Pretrained:
    """Weights from a file.

    Attributes:
        backbone: Whose they are.
        arrays: By "layer/weight" of the config; without the layer of classes if either lacks that.
    """

    backbone: Backbone
    arrays: dict[str, Array]


def backbone_of(config: Config) -> Backbone:
    """Return the network of Keras Applications that a config begins with.

    Raises:
        GraphImportError: If it begins with none.
    """
    found = backbone(config)
    if found is None:
        known = ", ".join(application.network for application in APPLICATIONS)
        raise GraphImportError(
            "the network does not begin as one of those that Keras publishes weights of",
            f"Extend one of {known}, or begin with their layers: `cnn help transfer`.",
        )
    return found


def read_pretrained(path: Path, found: Backbone) -> Pretrained:
    """Read a file of weights.

    Raises:
        GraphImportError: If it is damaged, or of another network.
    """
    application = found.application
    config = application.config
    nodes, weights = in_keras_order(config), weights_of(config)
    needed = {node.name: weights[node.name] for node in nodes if node.name in weights}
    layers = [(node.name, node.layer.type_name()) for node in nodes]
    arrays = application.adapted(read_weight_file(path, needed, layers, application.top))
    names = {
        f"{theirs}/{weight.name}": f"{layer}/{weight.name}"
        for theirs, layer in found.layers.items()
        for weight in weights[theirs]
    }
    return Pretrained(found, {name: arrays[theirs] for theirs, name in names.items() if theirs in arrays})
