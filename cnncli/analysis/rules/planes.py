"""Rules about a plane of classes: how coarse it is, and how much of the image its places see."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from math import ceil

from cnncli.analysis.rules.geometry import FAR_SMALLER
from cnncli.analysis.rules.rule import CheckedNetwork, Finding
from cnncli.analysis.walk import Step
from cnncli.config.schema.tasks import MASK
from cnncli.config.schema.tasks.detection import pairs
from cnncli.layers.graph import INPUT
from cnncli.layers.sliding import times

COARSE = 32
"""Pixels between neighbouring places from which on the places are too few: a classifier ends in such a plane."""


def plane_is_fine_enough(network: CheckedNetwork) -> Iterator[Finding]:
    """Classes that follow from few places know no small objects, however these are enlarged."""
    finest = min(_ends(network), key=_stride, default=None)
    head = max(_deciding(network, finest), key=_stride, default=None)
    if head is not None and _stride(head) >= COARSE:
        apart = times(ceil(reach.stride) for reach in head.field or ())
        places = times(head.output_shape[:2])
        yield Finding(
            "W318",
            head.node.path,
            f"The classes follow from {places} places of {head.node.name}, one for {apart} pixels: objects smaller "
            "than that are lost, and so are the outlines of larger ones.",
            "Concatenate a finer plane after enlarging, as U-Net does, or replace the last strides by dilation_rate.",
        )


def places_see_enough(network: CheckedNetwork) -> Iterator[Finding]:
    """What a place of the output sees should show what surrounds it."""
    end = max(_ends(network), key=_stride, default=None)
    if end is None or end.field is None or len(end.output_shape) != 3:
        return
    seen, image = [reach.size for reach in end.field], network.config.input_shape[:-1]
    if max(seen) > 1 and all(FAR_SMALLER * size < length for size, length in zip(seen, image, strict=True)):
        yield Finding(
            "W307",
            end.node.path,
            f"Each place of the output sees {times(seen)} pixels of a {times(image)} image: "
            "larger patterns, and what surrounds an object, do not count in its class.",
            "Add poolings or strides with a decoder that enlarges again, or convolutions with a dilation_rate.",
        )


def _ends(network: CheckedNetwork) -> list[Step]:
    """Return the layers that predict classes, where the task's classes have places."""
    config = network.config
    if not config.task_spec.has_places:
        return []
    if config.task_spec.reads_boxes:
        return [network.steps[config.outputs[pair.heatmap]] for pair in pairs(config.outputs)]
    return [network.steps[config.outputs.get(MASK, len(network.steps) - 1)]]


def _deciding(network: CheckedNetwork, end: Step | None) -> Iterator[Step]:
    """Yield the layers with weights from a prediction back to the first that sees more than one place."""
    step = end
    while step is not None and len(step.node.inputs) == 1:
        if step.node.layer.is_weighted_sum:
            yield step
            windows = step.node.layer.windows(step.input_shape)
            if windows is None or any(window.size > 1 for window in windows):
                return
        source = step.node.inputs[0]
        step = None if source == INPUT else network.steps[source]


def _stride(step: Step) -> int | Fraction:
    """Return the most pixels between neighbouring places of a plane; 0 where all see the whole image."""
    return max((reach.stride for reach in step.field or ()), default=0)


RULES = (plane_is_fine_enough, places_see_enough)
