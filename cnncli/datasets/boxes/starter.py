"""A commented detection config that suits images and their boxes: a small network with a heatmap of centres."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil
from pathlib import Path

from cnncli.config.dump import flow
from cnncli.datasets.starter_parts import (
    MULTIPLE,
    flips,
    halved,
    head,
    line,
    num_steps,
    read_as,
    shares,
    size_of_side,
    with_costs,
)
from cnncli.datasets.survey import BoxSurvey
from cnncli.plural import counted

SMALL = 0.05
"""Which object stands for the small ones: so many of all are smaller."""

LEAST_SIDE = 16
"""Pixels of a small object for which images are enlarged beyond what suits their number."""

LEAST_CELLS = 2
"""Cells that a small object is wide at least; with fewer, the cells are made smaller."""

MOST_CELLS = 6
"""Cells that a small object is wide at most; with more, fewer and larger cells say as much."""

_SIDES = ((1_000, 256), (3_000, 224), (30_000, 192))
"""Up to so many images, so long a side."""
_SIDE_OF_MANY = 160
_ENLARGED = 1.5
_FILTERS = (16, 32, 64, 96, 128)
"""At the image's own size, and after each halving."""


def starter_for_boxes(found: BoxSurvey, file: Path) -> str:
    """Return the text of a config for the images and boxes that were found.

    Args:
        found: The images and boxes.
        file: File that its comments speak of; the experiment is called after it.
    """
    size = boxes_size(found)
    top, *rest = head(found, file)
    begun = [top, *rest[:2], line("task: detection", "a box and a class for every object"), *rest[2:]]
    return with_costs([begun, list(data_of_boxes(found, size)), list(_model(found, size)), list(_train(found))])


def boxes_size(found: BoxSurvey) -> tuple[int, int]:
    """Return height and width for a network: what suits the number of images, more where objects are small."""
    longest = next((side for number, side in _SIDES if found.num_images <= number), _SIDE_OF_MANY)
    size = size_of_side(found, longest)
    (small,) = found.sides(size, SMALL)
    return size_of_side(found, round(longest * min(max(LEAST_SIDE / small, 1.0), _ENLARGED)))


def level_of(found: BoxSurvey, size: tuple[int, int]) -> int:
    """Return after how many halvings the network has a cell for each place: 2 for one in 4×4 pixels, the usual one."""
    (small,) = found.sides(size, SMALL)
    if small < 4 * LEAST_CELLS:
        return 1
    return 3 if small > 8 * MOST_CELLS else 2


def data_of_boxes(found: BoxSurvey, size: tuple[int, int]) -> Iterator[str]:
    """Yield the section `data` for images with boxes that a network reads in a size."""
    yield "data:"
    yield from read_as(found, size, "or pad")
    yield from _objects(found, size)
    yield from shares(found)
    yield line("  augmentation:", "random changes of the training images; boxes move with them")
    yield from flips(found, "where left and right matter")
    yield line("    - RandomScale: {factor: [0.75, 1.5]}", "smaller or larger, at a random place")
    yield "    - RandomBrightness: {factor: 0.1}"
    yield "    - RandomContrast: {factor: 0.2}"
    if found.num_bad:
        bad = f"{counted(found.num_bad, 'file')} cannot be used; `cnn data` names them"
        yield line("  on_bad_image: skip", bad)
    if found.num_bad_boxes:
        bad = f"{counted(found.num_bad_boxes, 'box')} cannot be used unchanged; `cnn data` names them"
        yield line("  on_bad_box: clip", bad)


def _objects(found: BoxSurvey, size: tuple[int, int]) -> Iterator[str]:
    """Yield how many objects there are of each class, and how large they are."""
    numbers = [f"{number:,} {flow(name)}" for name, number in found.objects.items()]
    listed = ", ".join(numbers[:4]) + (", …" if len(numbers) > 4 else "")
    yield f"  # {counted(len(found.shares), 'object')}: {listed}"
    small, median, large = (round(side) for side in found.sides(size, SMALL, 0.5, 1 - SMALL))
    sides = f"usually {median} pixels, {small} of small ones, {large} of large ones"
    yield f"  # their sides, as the network reads them: {sides}"


def _model(found: BoxSurvey, size: tuple[int, int]) -> Iterator[str]:
    level, last = level_of(found, size), _halvings(size)
    first = max(_FILTERS[level], _FILTERS[2])
    yield "model:"
    yield line("  blocks:", "a named list of layers, used below like a layer")
    yield "    conv:"
    yield "      parameters: [filters, called, {strides: 1}]"
    yield "      layers:"
    yield "        - Conv2D: {filters: $filters, kernel_size: 3, strides: $strides, padding: same, use_bias: false}"
    yield "        - BatchNormalization: {momentum: 0.9}"
    yield line("        - ReLU: {name: $called}", "other layers can read it by this name")
    yield line("  layers:", "down to few places, each of which sees much, and up again to small cells")
    for step in range(1, last + 1):
        filters = _FILTERS[step]
        yield line(f"    - conv: {{filters: {filters}, strides: 2, called: half_{step}}}", halved(size, step))
        if step > 1 or level == 1:
            yield f"    - conv: {{filters: {filters}, called: down_{step}}}"
    for number in range(_deepest(found, size)):
        yield f"    - conv: {{filters: {_FILTERS[-1]}, called: deep_{number}}}"
    for step in reversed(range(level, last)):
        yield line(f"    - UpSampling2D: {{size: 2, name: up_{step}}}", halved(size, step))
        joined = f"    - Concatenate: {{inputs: [down_{step}, up_{step}]}}"
        yield line(joined, "exact edges beside what they belong to" if step == last - 1 else "")
        yield f"    - conv: {{filters: {max(_FILTERS[step], first)}, called: joined_{step}}}"
    stride = 1 << level
    yield line("  heads:", f"of {halved(size, level)} cells, one for {stride}×{stride} pixels")
    yield line("    heatmap:", "how probable it is that an object of a class has its centre in a cell: logits")
    yield f"      - conv: {{filters: {first}, called: centres}}"
    yield line(f"      - Conv2D: {{filters: {len(found.counts)}, kernel_size: 1}}", "one for each class")
    yield line("    box:", "how far its left, top, right and bottom edge is from there")
    yield f"      - conv: {{filters: {first}, called: edges}}"
    yield "      - Conv2D: {filters: 4, kernel_size: 1}"


def _halvings(size: tuple[int, int]) -> int:
    """Return how often the image is halved: a window of 3×3 should not be larger than what is left."""
    return 3 if min(size) < 4 * MULTIPLE else 4


def _deepest(found: BoxSurvey, size: tuple[int, int]) -> int:
    """Return how many 3×3 convolutions after the last halving it takes to see half the image or a large object."""
    (large,) = found.sides(size, 1 - SMALL)
    stride = 1 << _halvings(size)
    return max(2, ceil((max(max(size) / 2, large) - 4 * stride) / (2 * stride)) + 1)


def _train(found: BoxSurvey) -> Iterator[str]:
    epochs = min(max(round(20_000 / found.num_images), 15), 60)
    batch_size = 4 if found.num_images < 100 else 8
    yield "train:"
    yield line(f"  epochs: {epochs}", "the fewer the images, the more epochs")
    yield line(f"  batch_size: {batch_size}", f"about {counted(num_steps(found, batch_size), 'step')} in an epoch")
    yield "  optimizer: {Adam: {learning_rate: 2e-3}}"
    yield "  schedule: {CosineDecay: {warmup_epochs: 1}}"
    yield line(f"  early_stopping: {{patience: {max(epochs // 3, 5)}}}", "epochs without a better validation AP")
