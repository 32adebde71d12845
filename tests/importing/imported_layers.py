"""What the tests of imported networks look at: the layers in Keras's words, and the shape that they leave."""

from __future__ import annotations

from typing import Any

from cnncli.importing.read import Imported
from cnncli.layers.graph import shapes


def rows(found: Imported) -> list[tuple[str, dict[str, Any]]]:
    """Return type and Keras arguments of the layers before the classifier and its Flatten."""
    nodes = [(node.layer.type_name(), node.layer.keras_arguments()) for node in found.config.nodes]
    return [row for row in nodes[:-1] if row[0] != "Flatten"]


def shape_before_end(found: Imported) -> tuple[int, ...]:
    """Return the shape of what the classifier's Flatten reads."""
    nodes = found.config.nodes
    place = next(i for i, node in enumerate(nodes) if node.layer.type_name() == "Flatten") - 1
    return tuple(shapes(nodes, found.config.input_shape)[place])
