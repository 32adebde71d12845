"""Detection: a box and a class for every object."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from cnncli.config.schema.augmentation import CutMix, Filled, MixUp, RandAugment, RandomElasticTransform
from cnncli.config.schema.tasks.spec import Conflict, Metric, OutputProblem, OutputShape, TaskSpec
from cnncli.layers.base import Shape

if TYPE_CHECKING:
    from cnncli.config.schema.schema import Data

HEATMAP, BOX = "heatmap", "box"
"""Names of the two outputs: logits of each class, and the distances of the box's edges."""

NUM_EDGES = 4
"""Channels of a box: how far its left, top, right and bottom edge is from the middle of a cell."""

INITIAL_BIAS = -4.6
"""Log-odds of 0.01: with others, the many places without an object would drown out the few with one at first."""

_HEADS = "model: {heads: {heatmap: […, Conv2D: {filters: CLASSES, kernel_size: 1}], box: […]}}"


class Pair(NamedTuple):
    """Names of the two outputs of one plane: "heatmap" and "box", or "heatmap_fine" and "box_fine"."""

    heatmap: str
    box: str


def pairs(outputs: Iterable[str]) -> tuple[Pair, ...]:
    """Return the names of outputs that belong together, in the order of the heatmaps."""
    names = list(outputs)
    found = (Pair(name, BOX + name.removeprefix(HEATMAP)) for name in names if _kind(name) == HEATMAP)
    return tuple(pair for pair in found if pair.box in names)


def _kind(output: str) -> str | None:
    """Return which of the two an output is by its name; None for neither."""
    return next((kind for kind in (HEATMAP, BOX) if output == kind or output.startswith(f"{kind}_")), None)


class Detection(TaskSpec):
    """Every object has a box and a class: the network ends in a heatmap of the classes, and boxes for its places.

    Several pairs of planes, coarse and fine, have names that end alike: heatmap_8 and box_8, heatmap_16 and box_16.
    """

    metrics = (Metric("loss", False), Metric("ap50", True), Metric("ap", True, primary=True))
    metrics_in_training = (
        Metric("loss", False),
        Metric("box_iou", True, primary=True),
        Metric("center_score", True),
    )
    output_names = ("boxes", "classes", "scores")
    reads_boxes = True
    has_places = True

    def check_output(
        self, shape: OutputShape, num_classes: int | None, image_size: tuple[int, int]
    ) -> OutputProblem | None:
        """Return why the outputs are not heatmaps and boxes of the same places, or None if they are."""
        if not isinstance(shape, Mapping):
            return OutputProblem(
                "The network has one output; a detector has two: heatmap, one number per class and place, and box, "
                "four numbers per place.",
                f"Give it two heads: {_HEADS}",
                code="E304",
            )
        return _check_names(shape) or _check_planes(shape, num_classes, image_size)

    def check_answer(self, shapes: Mapping[str, Shape], num_images: int, num_classes: int) -> str | None:
        """Return what is wrong with an answer that is not as many boxes, classes and scores for each image, or None."""
        problem = super().check_answer(shapes, num_images, num_classes)
        if problem is not None:
            return problem
        boxes, classes, scores = (shapes[name] for name in self.output_names)
        if len(scores) != 2 or classes != scores or boxes != (*scores, NUM_EDGES):
            return f"its boxes have the shape {boxes}, its classes {classes}, its scores {scores}"
        return None

    def initial_bias(self, output: str) -> float | None:
        """Return the log-odds of a low probability for a heatmap.

        Reference: Lin et al., Focal Loss for Dense Object Detection, ICCV 2017 (arXiv 1708.02002), section 3.3.
        """
        return INITIAL_BIAS if _kind(output) == HEATMAP else None

    def conflicts(self, data: Data, loss_keys: Collection[str]) -> Iterator[Conflict]:
        """Yield what in a config does not go with the task: also augmentation after which boxes are not known."""
        yield from super().conflicts(data, loss_keys)
        for key in ("label_smoothing", "class_weights"):
            if key in loss_keys:
                yield Conflict(f"train.loss.{key}", f"{key} is not for task: detection.", "Remove the key.")
        for index, change in enumerate(data.augmentation):
            path, name = f"data.augmentation[{index}]", change.type_name()
            if isinstance(change, (MixUp, CutMix, RandAugment, RandomElasticTransform)):
                message = f"{name} does not move boxes."
                moving = "RandomFlip, RandomRotate90, RandomScale, RandomTranslation, RandomZoom, RandomCrop, Mosaic"
                yield Conflict(path, message, f"For detection use {moving} or tones.")
            elif isinstance(change, Filled) and change.fill_mode in ("reflect", "wrap"):
                message = f"{name} with fill_mode: {change.fill_mode} would show objects again where they have no box."
                yield Conflict(path, message, f"Set fill_mode: constant in {name}.")


def _check_names(shapes: Mapping[str, Shape]) -> OutputProblem | None:
    """Return why outputs are not pairs by their names."""
    for name in shapes:
        kind = _kind(name)
        if kind is None:
            return OutputProblem(
                f"The output {name} is neither a heatmap nor a box.",
                "Name the outputs heatmap and box; further pairs heatmap_NAME and box_NAME.",
                code="E304",
                output=name,
            )
        partner = (BOX if kind == HEATMAP else HEATMAP) + name.removeprefix(kind)
        if partner not in shapes:
            return OutputProblem(
                f"The network has the outputs {', '.join(shapes)}; none is called {partner}.",
                f"Add the output {partner}, or leave out {name}: they belong together.",
                code="E304",
                output=name,
            )
    return None


def _check_planes(
    shapes: Mapping[str, Shape], num_classes: int | None, image_size: tuple[int, int]
) -> OutputProblem | None:
    """Return why one of the outputs is not a plane of its kind, or does not fit the others."""
    found = pairs(shapes)
    first = found[0].heatmap
    for pair in found:
        for name in pair:
            problem = _check_plane(name, shapes[name], num_classes, image_size)
            if problem is not None:
                return problem._replace(output=name)
        heatmap, box = shapes[pair.heatmap], shapes[pair.box]
        if heatmap[:2] != box[:2]:
            return OutputProblem(
                f"The output {pair.heatmap} is a plane of {heatmap[0]}×{heatmap[1]}, {pair.box} one of "
                f"{box[0]}×{box[1]}: they describe the same places.",
                "Give both heads the same strides.",
                output=pair.box,
            )
        if heatmap[-1] != shapes[first][-1]:
            return OutputProblem(
                f"The output {pair.heatmap} ends in {heatmap[-1]:,} channels, {first} in {shapes[first][-1]:,}: both "
                "are of the same classes.",
                "Give each heatmap one filter per class.",
                output=pair.heatmap,
            )
    return None


def _check_plane(name: str, shape: Shape, num_classes: int | None, image_size: tuple[int, int]) -> OutputProblem | None:
    """Return why an output is not a plane, or one with other channels than its kind has."""
    if len(shape) != 3:
        return OutputProblem(
            f"The output {name} ends in {'×'.join(map(str, shape))} values; detection ends in planes, "
            "height×width×classes and height×width×4.",
            "Leave out Flatten, Dense and global pooling, and end with Conv2D: {filters: …, kernel_size: 1}.",
        )
    if shape[0] > image_size[0] or shape[1] > image_size[1]:
        return OutputProblem(
            f"The output {name} ends in a plane of {shape[0]}×{shape[1]}, larger than the image, "
            f"{image_size[0]}×{image_size[1]}.",
            "Enlarge less: a quarter of the image's height and width is usual.",
        )
    if _kind(name) == BOX and shape[-1] != NUM_EDGES:
        return OutputProblem(
            f"The output {name} ends in {shape[-1]:,} channels; a box has {NUM_EDGES}: how far its left, top, right "
            "and bottom edges are.",
            f"Give the last layer {NUM_EDGES} filters.",
        )
    if _kind(name) == HEATMAP and num_classes is not None and shape[-1] != num_classes:
        return OutputProblem(
            f"The output {name} ends in {shape[-1]:,} channels; the data has {num_classes:,} classes.",
            f"Give the last layer {num_classes} filters: one logit per class; there is none for the background.",
        )
    return None
