"""The cells of a detector: how far apart they are, and how much of the image they see."""

from __future__ import annotations

from typing import NamedTuple

from cnncli.analysis.walk import Step, walk
from cnncli.config.schema.schema import Config
from cnncli.config.schema.tasks.detection import pairs


class Cells(NamedTuple):
    """The cells in which a detector finds objects.

    Attributes:
        stride: Pixels of the network's input between neighbouring cells of its finest heatmap, down and across.
        field: Height and width of what a cell sees of the input before its class and its box are known; of several
            heatmaps, of the one that sees most. None where that is the whole image.
    """

    stride: tuple[float, float]
    field: tuple[int, int] | None


def cells_of(config: Config) -> Cells | None:
    """Return the cells of a config's network, or None where it is not a detector.

    Raises:
        ShapeError: If a layer cannot take its input.
    """
    if not (config.nodes and config.task_spec.reads_boxes):
        return None
    steps = walk(config.nodes, config.input_shape)
    found = [tuple(steps[config.outputs[name]] for name in pair) for pair in pairs(config.outputs)]
    if not found or any(len(step.output_shape) != 3 for pair in found for step in pair):
        return None  # What is wrong with its outputs is told elsewhere.
    height, width = config.data.image_size
    strides = [(height / heatmap.output_shape[0], width / heatmap.output_shape[1]) for heatmap, _ in found]
    fields = [_field(pair) for pair in found]
    seen = [field for field in fields if field is not None]
    return Cells(min(strides, key=sum), max(seen, key=sum) if len(seen) == len(fields) else None)


def _field(pair: tuple[Step, ...]) -> tuple[int, int] | None:
    """Return what a cell sees for its class and for its box: the smaller of the two; None for the whole image."""
    fields = [step.field for step in pair if step.field is not None]
    if not fields:
        return None
    height, width = (min(reach.size for reach in along) for along in zip(*fields, strict=True))
    return height, width
