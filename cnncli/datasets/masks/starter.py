"""A commented segmentation config that suits images and their masks: a small U-Net."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil
from pathlib import Path

from cnncli.config.dump import flow
from cnncli.datasets.starter_parts import (
    MULTIPLE,
    fitted_size,
    halved,
    head,
    line,
    num_steps,
    read_as,
    shares,
    with_costs,
)
from cnncli.datasets.survey import MaskSurvey
from cnncli.plural import counted

UNEVEN = 3
"""How many times the pixels of the smallest class the largest may have before their weights differ."""

_SIDES = ((1_000, 192), (3_000, 160), (30_000, 128))
"""Up to so many images, so long a side: the network computes as much for every pixel as for every other."""
_SIDE_OF_MANY = 96
_FIRST, _MOST_FILTERS = 16, 96


def starter_for_masks(found: MaskSurvey, file: Path) -> str:
    """Return the text of a config for the images and masks that were found.

    Args:
        found: The images and masks.
        file: File that its comments speak of; the experiment is called after it.
    """
    size = fitted_size(found, _SIDES, _SIDE_OF_MANY)
    top, *rest = head(found, file)
    begun = [top, *rest[:2], line("task: segmentation", "a class for every pixel"), *rest[2:]]
    return with_costs([begun, list(data_of_masks(found, size)), list(_model(found, size)), list(_train(found))])


def data_of_masks(found: MaskSurvey, size: tuple[int, int]) -> Iterator[str]:
    """Yield the section `data` for images with masks that a network reads in a size."""
    yield "data:"
    yield from read_as(found, size)
    yield line(f"  # images: {flow(found.folders[0])}", "folders that are known by their names need not be given")
    yield f"  # masks: {flow(found.folders[1])}"
    yield from _classes(found)
    yield from shares(found)
    yield line("  augmentation:", "random changes of the training images, and of their masks alike")
    yield line("    - RandomFlip: {mode: horizontal}", "remove it where left and right matter")
    yield line("    - RandomScale: {factor: [0.5, 2.0]}", "smaller or larger, at a random place")
    if found.num_bad:
        bad = f"{counted(found.num_bad, 'file')} cannot be used; `cnn data` names them"
        yield line("  on_bad_image: skip", bad)


def _classes(found: MaskSurvey) -> Iterator[str]:
    """Yield the value of each class, and what is ignored."""
    if found.values is None:
        yield line("  # classes: from classes.txt", "the names of the values 0, 1, …; a list or a map here comes first")
    else:
        yield line("  classes:", "a name for each value of the masks' pixels; give them better ones")
        for name, value in found.values.items():
            number = found.pixels.get(name, 0)
            share = 100 * number / max(sum(found.pixels.values()), 1)
            plain = value if isinstance(value, int) else list(value)
            yield line(f"    {name}: {flow(plain)}", f"{share:.2f} % of the pixels")
    if found.ignored is not None:
        yield line(f"  ignore: {found.ignored}", "value of pixels of no class: neither learned nor counted")


def _model(found: MaskSurvey, size: tuple[int, int]) -> Iterator[str]:
    poolings = 3 if min(size) < 4 * MULTIPLE else 4
    filters = [min(_FIRST * 2**level, _MOST_FILTERS) for level in range(poolings + 1)]
    yield "model:"
    yield line("  blocks:", "a named list of layers, used below like a layer")
    yield "    conv:"
    yield "      parameters: [filters, called]"
    yield "      layers:"
    yield "        - Conv2D: {filters: $filters, kernel_size: 3, padding: same, use_bias: false}"
    yield "        - BatchNormalization: {momentum: 0.9}"
    yield line("        - ReLU: {name: $called}", "other layers can read it by this name")
    yield line("  layers:", "a U-Net: what is there on the way down, where it is on the way up")
    for level in range(poolings):
        yield f"    - conv: {{filters: {filters[level]}, called: down_{level}}}"
        yield line("    - MaxPooling2D: {pool_size: 2}", halved(size, level + 1))
    for number in range(_deepest(size, poolings)):
        yield f"    - conv: {{filters: {filters[-1]}, called: deep_{number}}}"
    for level in reversed(range(poolings)):
        yield line(f"    - UpSampling2D: {{size: 2, name: up_{level}}}", halved(size, level))
        joined = f"    - Concatenate: {{inputs: [down_{level}, up_{level}]}}"
        yield line(joined, "sharp edges beside what they belong to" if level == poolings - 1 else "")
        yield f"    - conv: {{filters: {max(filters[level], 2 * _FIRST)}, called: joined_{level}}}"
    yield line(f"    - Conv2D: {{filters: {len(found.counts)}, kernel_size: 1}}", "one output a class for every pixel")


def _deepest(size: tuple[int, int], poolings: int) -> int:
    """Return how many 3×3 convolutions after the last pooling it takes to see as far as half the image, and two."""
    stride = 1 << poolings
    return max(2, ceil((max(size) / 2 - 3 * stride) / (2 * stride)) + 1)


def _train(found: MaskSurvey) -> Iterator[str]:
    epochs = min(max(round(20_000 / found.num_images), 15), 60)
    batch_size = 4 if found.num_images < 100 else 8
    steps = counted(num_steps(found, batch_size), "step")
    yield "train:"
    yield line(f"  epochs: {epochs}", "the fewer the images, the more epochs")
    yield line(f"  batch_size: {batch_size}", f"about {steps} in an epoch")
    yield line("  optimizer: {Adam: {learning_rate: 3e-3}}", "every pixel is an example, so it can be large")
    yield "  schedule: {CosineDecay: {warmup_epochs: 1}}"
    present = {name: number for name, number in found.pixels.items() if number}
    rarest, commonest = min(present, key=present.__getitem__), max(present, key=present.__getitem__)
    if present[commonest] > UNEVEN * present[rarest]:
        total = sum(present.values())
        shares = " and ".join(f"{100 * present[name] / total:.2f} % {flow(name)}" for name in (commonest, rarest))
        yield f"  # Pixels are {shares}: rare classes weigh more, by 1 / ln(1.02 + share)."
        yield "  loss: {class_weights: inverse_log}"
    yield line(f"  early_stopping: {{patience: {max(epochs // 3, 5)}}}", "epochs without a better validation score")
