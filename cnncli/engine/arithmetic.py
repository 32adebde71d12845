"""How a network's steps are computed here: what decides their last bits besides versions, threads and processor."""

from __future__ import annotations

from typing import Any

import keras

from cnncli.config.schema.schema import Train
from cnncli.engine.fast_ops import row_folding
from cnncli.engine.fast_ops.optimizers import FUSED
from cnncli.engine.golden_vector import golden_vector

REVISION = 1
"""Goes up with every change of cnncli that gives training steps other last bits, of whichever networks."""

_REPLACED = ("call", "convolution_op")
"""What a layer has of its own, and not from its class, where an operation of ours takes the place of Keras's."""


def arithmetic(train: Train, model: keras.Model) -> dict[str, Any]:
    """Describe how the training steps of a network are computed.

    Returns:
        revision: Number of the arithmetic of this cnncli.
        folding: Rows that are folded into one, for each layer computed so, by name.
        fused_updates: Whether a weight's change is one operation.
        replaced_layers: Names of the layers with an operation of our own in place of Keras's.
        golden_vector: Hash of a small computation on this machine, as it is set up now.
    """
    return {
        "revision": REVISION,
        "folding": {layer.name: stage.rows for stage in row_folding.foldable(model) for layer in stage.convolutions},
        "fused_updates": train.optimizer.type_name() in FUSED,
        "replaced_layers": [layer.name for layer in model.layers if any(name in vars(layer) for name in _REPLACED)],
        "golden_vector": golden_vector(train.precision),
    }
