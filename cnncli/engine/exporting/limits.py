"""What a format cannot hold, said before anything is written."""

from __future__ import annotations

from collections.abc import Iterable

from cnncli.engine.exporting.source import Source
from cnncli.layers.convolution import Conv3D
from cnncli.layers.pooling import AveragePooling3D, MaxPooling3D


def of_litert(source: Source) -> Iterable[str]:
    """Return the layers that LiteRT has no operation for."""
    for node in source.nodes:
        if isinstance(node.layer, (MaxPooling3D, AveragePooling3D)):
            yield f"{node.name} ({node.layer.type_name()}: LiteRT pools no volumes)"
        if isinstance(node.layer, Conv3D) and node.layer.groups > 1:
            yield f"{node.name} (Conv3D with groups)"
