"""The encoded pictures of a report: filters, feature maps, attribution, the replay."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from cnncli.datasets.images import thumbnail
from cnncli.engine.inspection import attribution
from cnncli.engine.inspection.network import InspectedNetwork, ShownImages
from cnncli.engine.network import activations
from cnncli.engine.training import replay
from cnncli.errors import CnnError
from cnncli.report.figures import AMOUNT
from cnncli.report.figures_pixels import encoded, enlarged, kernel_pixels, map_pixels, overlay_pixels, photo, tinted
from cnncli.report.html_material import Frame, Heat, Image, Replay
from cnncli.report.numbers import size
from cnncli.runs.run import Run
from cnncli.tasks.pages import Pages

MOST_MAPS = 12
MOST_FRAMES = 30
SHEET = 96
"""Pixels to which small pictures are enlarged at least, so that a browser shows them sharp."""

Pixels = npt.NDArray[np.uint8]


def kernels(network: InspectedNetwork) -> Image | None:
    """Return the filters of the first layer that has any."""
    first = next(activations.all_kernels(network.trained.model), None)
    if first is None:
        return None
    height, width, channels, filters = first.weights.shape
    caption = f"{first.layer}: {filters} filters of {size((height, width, channels))}"
    if channels == 1:
        caption += "; orange below 0, white at 0, purple above"
    return Image(encoded(_sheet(kernel_pixels(first.weights), height), clear=True), caption)


def feature_maps(network: InspectedNetwork, pixels: Pixels) -> list[Image]:
    """Return the feature maps of the layers that keep the image's plane, the first eight channels of each."""
    trained = network.trained
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


def heats(network: InspectedNetwork, shown: ShownImages) -> list[Heat]:
    """Return the attribution of what the network predicts for some images."""
    trained, score = network.trained, network.score(shown)
    salient = attribution.saliency(trained.model, trained.preprocessing, shown.pixels, score.weights)
    try:
        speaking = attribution.gradcam(trained.model, trained.preprocessing, shown.pixels, score.weights)
    except CnnError:
        speaking = None
    found = []
    for i, pixels in enumerate(shown.pixels):
        caption = f"{shown.names[i]}: true {shown.truths[i]}, {score.captions[i]}"
        laid = None if speaking is None else overlay_pixels(pixels, speaking[i])
        found.append(
            Heat(
                picture(pixels, f"Image {caption}"),
                None if laid is None else picture(laid, f"Grad-CAM for {score.names[i]}"),
                picture(tinted(salient[i], AMOUNT), f"Saliency for {score.names[i]}"),
                caption,
            )
        )
    return found


def recording(run: Run, pages: Pages, classes: Sequence[str]) -> Replay | None:
    """Return a recorded training with at most `MOST_FRAMES` of its epochs, or None if it was not recorded."""
    frames = list(replay.read_frames(run))
    if not frames:
        return None
    places = np.unique(np.linspace(0, len(frames) - 1, min(MOST_FRAMES, len(frames))).round().astype(int))
    kept = [frames[i] for i in places.tolist()]
    limit = max(float(np.abs(frame.kernels).max(initial=0.0)) for frame in kept)
    watched = replay.read_examples(run)
    truths = watched.named(classes)
    images = tuple(
        picture(pixels, f"{name}, true {truth}")
        for pixels, name, truth in zip(watched.pixels, watched.ids.tolist(), truths, strict=True)
    )
    drawn = (
        Frame(
            frame.epoch, tuple(_frame_pictures(frame, limit)), tuple(pages.recall(frame.predictions, truths, classes))
        )
        for frame in kept
    )
    return Replay(images, truths, tuple(drawn))


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
