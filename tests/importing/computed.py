"""What an imported network computes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from cnncli.importing.read import Imported


def outputs(found: Imported, images: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
    """Return what an imported network makes of images, channels last, with the weights that came with it."""
    from cnncli.engine.network.model import build_network

    model = build_network(found.config.nodes, found.config.input_shape, seed=0)
    named = {f"{layer.name}/{weight.name}": weight for layer in model.layers for weight in layer.weights}
    for name, array in found.weights.items():
        named[name].assign(array)
    made: npt.NDArray[Any] = np.asarray(model(images, training=False))
    return made
