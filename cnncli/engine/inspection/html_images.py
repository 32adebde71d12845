"""The encoded pictures of a report: examples of every confusion, feature maps, heat, the replay."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from cnncli.datasets.images import thumbnail
from cnncli.datasets.splits import Split
from cnncli.datasets.splits import image as image_of
from cnncli.engine.inspection import attribution
from cnncli.engine.inspection.subject import Shown, Subject
from cnncli.engine.network import activations
from cnncli.engine.training import replay
from cnncli.errors import CnnError
from cnncli.report.figures import AMOUNT
from cnncli.report.figures_pixels import encoded, enlarged, kernel_pixels, map_pixels, overlay_pixels, photo, tinted
from cnncli.report.html_material import Cell, Frame, Heat, Image, Replay
from cnncli.report.numbers import size
from cnncli.runs.run import Run
from cnncli.tasks.classification.predictions import Answered

MOST_IMAGES = 1200
"""Images of the confusion matrix's cells, all together."""
MOST_BYTES = 1_500_000
"""Their size."""
MOST_IN_CELL = 12
THUMBNAIL = 64
MOST_MAPS = 12
MOST_FRAMES = 30
SHEET = 96
"""Pixels to which small pictures are enlarged at least, so that a browser shows them sharp."""

Pixels = npt.NDArray[np.uint8]


def kernels(subject: Subject) -> Image | None:
    """Return the filters of the first layer that has any."""
    first = next(activations.all_kernels(subject.trained.model), None)
    if first is None:
        return None
    height, width, channels, filters = first.weights.shape
    caption = f"{first.layer}: {filters} filters of {size((height, width, channels))}"
    if channels == 1:
        caption += "; orange below 0, white at 0, purple above"
    return Image(encoded(_sheet(kernel_pixels(first.weights), height), clear=True), caption)


def feature_maps(subject: Subject, pixels: Pixels) -> list[Image]:
    """Return the feature maps of the layers that keep the image's plane, the first eight channels of each."""
    trained = subject.trained
    found = activations.feature_maps(trained.model, trained.preprocessing, pixels)
    planes = [maps for maps in found if maps.values.ndim == 3 and max(maps.values.shape[:2]) > 1]
    if len(planes) > MOST_MAPS:
        planes = [planes[round(i * (len(planes) - 1) / (MOST_MAPS - 1))] for i in range(MOST_MAPS)]
    images = []
    for maps in planes:
        values = maps.values[..., :8]
        told = f"the first 8 of {maps.values.shape[-1]}" if maps.values.shape[-1] > 8 else "all"
        caption = f"{maps.layer} {maps.kind}, {size(maps.values.shape)}: {told} channels, yellow strongest"
        step = -(-max(values.shape[:2]) // 64)
        images.append(Image(encoded(_sheet(map_pixels(values[::step, ::step]), values.shape[0]), clear=True), caption))
    return images


def cells(split: Split, found: Sequence[Answered]) -> dict[tuple[str, str], Cell]:
    """Return examples of every true and predicted class: most confident mistakes, least confident correct ones.

    As many a cell as fit into `MOST_IMAGES` and `MOST_BYTES`.
    """
    grouped: dict[tuple[str, str], list[Answered]] = {}
    for answer in found:
        grouped.setdefault((answer.true, answer.predicted), []).append(answer)
    for (true, said), group in grouped.items():
        group.sort(key=lambda answer: answer.probability, reverse=true != said)
    most = _fitting([len(group) for group in grouped.values()], MOST_IMAGES)
    drawn = {key: examples(split, group[:most]) for key, group in grouped.items()}
    while most > 1 and sum(len(i.content) for images in drawn.values() for i in images[:most]) > MOST_BYTES:
        most -= 1
    return {key: Cell(tuple(images[:most]), len(grouped[key])) for key, images in drawn.items()}


def _fitting(counts: Sequence[int], limit: int) -> int:
    """Return how many of each group may be taken so that there are at most `limit` in all, but one of each."""
    return max((k for k in range(1, MOST_IN_CELL + 1) if sum(min(k, n) for n in counts) <= limit), default=1)


def examples(split: Split, found: Sequence[Answered]) -> list[Image]:
    """Return the images of answers, no larger than a thumbnail, with what they are and what was said."""
    return [Image(photo(thumbnail(image_of(split, a.row), THUMBNAIL)), _said(a)) for a in found]


def _said(answer: Answered) -> str:
    name = f"no. {answer.example}" if answer.example.isdecimal() else answer.example
    return f"true {answer.true}, predicted {answer.predicted} ({100 * answer.probability:.1f} %), {name}"


def heats(subject: Subject, shown: Shown) -> list[Heat]:
    """Return what the network's answers to some images hang on."""
    trained = subject.trained
    probabilities = subject.probabilities(shown)
    said = probabilities.argmax(axis=1)
    salient = attribution.saliency(trained.model, trained.preprocessing, shown.pixels, said)
    try:
        speaking = attribution.gradcam(trained.model, trained.preprocessing, shown.pixels, said)
    except CnnError:
        speaking = None
    found = []
    for i, pixels in enumerate(shown.pixels):
        answer = f"{subject.classes[said[i]]} ({100 * probabilities[i, said[i]]:.1f} %)"
        caption = f"{shown.names[i]}: true {shown.truths[i]}, predicted {answer}"
        laid = None if speaking is None else overlay_pixels(pixels, speaking[i])
        found.append(
            Heat(
                picture(pixels, f"Image {caption}"),
                None if laid is None else picture(laid, f"Grad-CAM for {subject.classes[said[i]]}"),
                picture(tinted(salient[i], AMOUNT), f"Saliency for {subject.classes[said[i]]}"),
                caption,
            )
        )
    return found


def recording(run: Run, classes: Sequence[str]) -> Replay | None:
    """Return a recorded training with at most `MOST_FRAMES` of its epochs, or None if it was not recorded."""
    frames = list(replay.read_frames(run))
    if not frames:
        return None
    places = np.unique(np.linspace(0, len(frames) - 1, min(MOST_FRAMES, len(frames))).round().astype(int))
    kept = [frames[i] for i in places.tolist()]
    limit = max(float(np.abs(frame.kernels).max(initial=0.0)) for frame in kept)
    watched = replay.read_examples(run)
    truths = tuple(classes[label] for label in watched.labels.tolist())
    images = tuple(
        picture(pixels, f"{name}, true {truth}")
        for pixels, name, truth in zip(watched.pixels, watched.ids.tolist(), truths, strict=True)
    )
    return Replay(images, truths, tuple(_frame(frame, limit, classes) for frame in kept))


def _frame(frame: replay.Frame, limit: float, classes: Sequence[str]) -> Frame:
    pictures = list(_frame_pictures(frame, limit))
    best = frame.probabilities.argmax(axis=1).tolist()
    answers = tuple((classes[i], float(row[i])) for i, row in zip(best, frame.probabilities, strict=True))
    return Frame(frame.epoch, tuple(pictures), answers)


def _frame_pictures(frame: replay.Frame, limit: float) -> Iterator[Image]:
    if frame.layer:
        sheet = _sheet(kernel_pixels(frame.kernels, limit=limit or None), frame.kernels.shape[0])
        yield Image(encoded(sheet, clear=True), f"Filters of {frame.layer}")
    for name, maps in frame.maps.items():
        sheet = _sheet(map_pixels(maps[0].astype(np.float32)), maps.shape[1])
        yield Image(encoded(sheet, clear=True), f"Output of {name} for the first image")


def _sheet(pixels: Pixels, tile: int) -> Pixels:
    """Return a sheet of tiles that high, enlarged so that a tile has at least 64 pixels."""
    factor = max(1, -(-64 // tile))
    return pixels.repeat(factor, axis=0).repeat(factor, axis=1)


def picture(pixels: Pixels, caption: str) -> Image:
    """Return an image, large enough to be looked at."""
    return Image(photo(enlarged(thumbnail(pixels, 2 * SHEET), SHEET)), caption)
