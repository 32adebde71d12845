"""Rules about windows: pixels that none sees, windows larger than the image, fields too small or too large."""

from __future__ import annotations

from collections.abc import Iterator
from math import floor

from cnncli.analysis.rules.rule import CheckedNetwork, Finding
from cnncli.analysis.walk import Step
from cnncli.layers.base import Shape, Window
from cnncli.layers.global_pooling import GlobalPooling
from cnncli.layers.graph import INPUT
from cnncli.layers.resizing import ZeroPadding2D
from cnncli.layers.sliding import Sliding
from cnncli.plural import counted

FAR_SMALLER = 4
"""A receptive field that fits this many times into the image's side is far smaller than the image."""
FAR_LARGER = 5
"""A receptive field this many times the image's side is far larger than the image."""


def windows_fit(network: CheckedNetwork) -> Iterator[Finding]:
    """A window larger than the image sees mostly padding."""
    for step, windows in _sliding(network):
        lengths = step.input_shape[:-1]
        if any(window.size > length for window, length in zip(windows, lengths, strict=True)):
            yield Finding(
                "W304",
                step.node.path,
                f"The image is only {_times(lengths)} before {step.node.name}, whose window is "
                f"{_times(floor(window.size) for window in windows)}: it sees mostly padding.",
                "Use fewer poolings and strides before it, a smaller window, or a larger data.image_size.",
            )


def all_pixels_are_seen(network: CheckedNetwork) -> Iterator[Finding]:
    """Strides that do not come out even cut off the last rows and columns."""
    for step, windows in _sliding(network):
        source = step.node.inputs[0]
        if len(network.consumers[source]) > 1 or _padded(network, source):
            continue
        lost = _lost(windows, step)
        if any(lost):
            names = ("row", "column") if len(lost) == 2 else ("position",) * len(lost)
            what = " and ".join(_last(n, name) for n, name in zip(lost, names, strict=True) if n)
            yield Finding(
                "W305",
                step.node.path,
                f"{step.node.name} never sees {what} of its {_times(step.input_shape[:-1])} input: its strides do "
                "not divide the size minus the window.",
                "Use padding: same, another data.image_size, or other strides; "
                "or ignore this if the border does not matter.",
            )


def no_pixels_are_skipped(network: CheckedNetwork) -> Iterator[Finding]:
    """Strides larger than the window leave gaps."""
    for step, windows in _sliding(network):
        alone = len(network.consumers[step.node.inputs[0]]) == 1
        if alone and any(window.stride > window.size for window in windows):
            yield Finding(
                "W306",
                step.node.path,
                f"{step.node.name} has strides of {_times(window.stride for window in windows)} and a window of "
                f"{_times(floor(window.size) for window in windows)}: the pixels between its windows are never seen.",
                "Use strides no larger than the window.",
            )


def field_fits_the_image(network: CheckedNetwork) -> Iterator[Finding]:
    """What a position sees before the head should be about the image."""
    image = network.config.input_shape[:-1]
    for step in network.steps:
        source = step.node.inputs[0]
        if step.field is not None or len(network.consumers[source]) > 1:  # a gate looks at the whole on the side
            continue
        before = None if source == INPUT else network.steps[source].field
        if before is not None:
            yield from _field(step, tuple(reach.size for reach in before), image)
        return


def _field(step: Step, seen: Shape, image: Shape) -> Iterator[Finding]:
    pairs = list(zip(seen, image, strict=True))
    what = f"Each position before {step.node.name} sees {_times(seen)} pixels of a {_times(image)} image"
    pooled = isinstance(step.node.layer, GlobalPooling)
    if max(seen) > 1 and pooled and any(size < length for size, length in pairs):
        yield Finding(
            "W307",
            step.node.path,
            f"{what}, and the pooling discards positions: larger patterns cannot be recognised.",
            "Add convolutions or poolings before it, or use Flatten, which keeps the positions.",
        )
    elif max(seen) > 1 and all(FAR_SMALLER * size < length for size, length in pairs):
        yield Finding(
            "W307",
            step.node.path,
            f"{what}: larger patterns are left to the dense layers.",
            "Add convolutions or poolings before it.",
        )
    elif all(size > FAR_LARGER * length for size, length in pairs):
        yield Finding(
            "W308",
            step.node.path,
            f"{what}: most of what it sees is padding.",
            "Use fewer layers, smaller windows or fewer strides, or a larger data.image_size.",
        )


def _sliding(network: CheckedNetwork) -> Iterator[tuple[Step, tuple[Window, ...]]]:
    for step in network.steps:
        windows = step.node.layer.windows(step.input_shape)
        if windows and isinstance(step.node.layer, Sliding):
            yield step, windows


def _lost(windows: tuple[Window, ...], step: Step) -> list[int]:
    """Return how many of the last positions along each axis no window reaches."""
    triples = zip(windows, step.input_shape[:-1], step.output_shape[:-1], strict=True)
    return [
        max(length - floor((count - 1) * window.stride - window.before + window.size), 0)
        for window, length, count in triples
    ]


def _last(number: int, name: str) -> str:
    return f"the last {name if number == 1 else counted(number, name)}"


def _padded(network: CheckedNetwork, source: int) -> bool:
    """Say whether the last rows and columns are zeros that a layer before has added."""
    return source != INPUT and isinstance(network.steps[source].node.layer, ZeroPadding2D)


def _times(lengths: object) -> str:
    return "×".join(map(str, lengths))  # type: ignore[call-overload]


RULES = (windows_fit, all_pixels_are_seen, no_pixels_are_skipped, field_fits_the_image)
