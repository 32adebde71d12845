"""A network computed node by node, so that single layers can be said in other words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cnncli.engine.exporting.source import Source
from cnncli.layers.base import Layer, Merge
from cnncli.layers.graph import INPUT

InOtherWords = Callable[[Layer, Any], Callable[[Any], Any] | None]
"""Our layer and Keras's → a function of the layer's input, or None where Keras's own call will do."""


def forward(source: Source, images: Any, in_other_words: InOtherWords) -> Any:
    """Return a network's logits: a tensor, or a dictionary where its task computes with several outputs.

    Args:
        source: The network.
        images: float32 tensor (number, height, width, channels) in 0 to 1; a symbolic Keras tensor too.
        in_other_words: Says which layers are replaced, and by what.
    """
    tensors: list[Any] = []
    for node in source.nodes:
        given = [images if i == INPUT else tensors[i] for i in node.inputs]
        layer = source.trained.model.get_layer(node.name)
        if isinstance(node.layer, Merge):
            tensors.append(layer(given))
            continue
        replaced = in_other_words(node.layer, layer)
        tensors.append(layer(given[0], training=False) if replaced is None else replaced(given[0]))
    if source.ends:
        return {name: tensors[index] for name, index in source.ends.items()}
    return tensors[-1] if tensors else images
