"""From a config to a Keras model that ends in logits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import keras

from cnncli.config.schema.schema import Config
from cnncli.engine.network.model import build as build_network
from cnncli.engine.training.optimizer import freeze
from cnncli.layers.graph import Node


def build(config: Config) -> keras.Model:
    """Return the config's network with fresh, seeded weights.

    The model takes float32 images scaled to [0, 1] and returns logits: a softmax at the end of the
    config is left to the loss and to the predictions, where it can be computed without overflow. Of several
    outputs it returns each by its name, as it is.
    """
    several = len(config.outputs) > 1
    nodes = config.nodes if several else logits_nodes(config.nodes)
    model = build_network(nodes, config.input_shape, config.seed, config.outputs if several else None)
    freeze(config.train, model)
    return model


def logits_nodes(nodes: Sequence[Node]) -> tuple[Node, ...]:
    """Return the network without a softmax at its end."""
    last = nodes[-1]
    kind = type(last.layer).__name__
    activation = getattr(last.layer, "activation", None)
    if kind == "Softmax" or (kind == "Activation" and activation == "softmax"):
        return tuple(nodes[:-1])
    if activation == "softmax":
        linear = last.layer.model_copy(update={"activation": "linear"})
        return (*nodes[:-1], replace(last, layer=linear))
    return tuple(nodes)
