"""A network as a flat list of nodes: what both the analysis and the engine walk."""

from __future__ import annotations

from dataclasses import dataclass

from cnncli.layers.base import Layer

INPUT = -1
"""Index that stands for the network's input among a node's inputs."""


@dataclass(frozen=True)
class Node:
    """One layer in its place.

    Attributes:
        name: Unique name in the network; also the Keras layer's name.
        layer: The layer itself; composites never appear here, what they mean does.
        inputs: Indices of the nodes whose outputs it takes (`INPUT` for the network's input); each is
            smaller than the node's own index.
        path: Where the config describes it, "model.layers[3].Conv2D".
    """

    name: str
    layer: Layer
    inputs: tuple[int, ...]
    path: str
