"""A commented config that suits the images at a path: what `cnn init --data` writes."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil, floor, log2
from pathlib import Path

from cnncli.config.dump import flow
from cnncli.config.starter import write_text
from cnncli.datasets.boxes.starter import starter_for_boxes
from cnncli.datasets.masks.starter import starter_for_masks
from cnncli.datasets.scan import Watch
from cnncli.datasets.starter_parts import (
    MULTIPLE,
    fitted_size,
    flips,
    halved,
    head,
    kept_apart,
    line,
    read_as,
    with_costs,
)
from cnncli.datasets.survey import BoxSurvey, MaskSurvey, Survey, survey
from cnncli.plural import counted

FEW = 2_000
"""From so many images on, smaller shares of them are enough to choose an epoch and to measure the result."""
LEAST_FOR_TEST = 10
"""Images of the smallest class from which on a share of them is kept for the test split."""
UNEVEN = 3
"""How many times the smallest class the largest may be before their weights are balanced."""

_SIDES = ((3_000, 128), (30_000, 96))
"""Up to so many images, so long a side: an epoch stays a matter of a minute on a laptop's processor."""
_SIDE_OF_MANY = 64
_MOST_FILTERS = 128


def write_for_data(file: Path, path: Path, watch: Watch | None = None) -> Survey:
    """Write a config for the images at a path, and return what was found there.

    Args:
        file: File to write; one that exists is never touched.
        path: A folder, or a .zip, .npz or .csv file.
        watch: Hears how many files of how many are measured.

    Raises:
        CnnError: If the file cannot be written, or the images are not such that a network can learn classes from them.
    """
    found = survey(path, watch)
    write_text(file, _starter(found, file))
    return found


def _starter(found: Survey, file: Path) -> str:
    """Return the text of a config for what was found."""
    if isinstance(found, MaskSurvey):
        return starter_for_masks(found, file)
    return starter_for_boxes(found, file) if isinstance(found, BoxSurvey) else starter_for(found, file)


def starter_for(found: Survey, file: Path) -> str:
    """Return the text of a config for the images that were found.

    Args:
        found: The images.
        file: File that its comments speak of; the experiment is called after it.
    """
    size = image_size(found)
    parts = head(found, file), data_of_classes(found, size), _model(found, size), _train(found)
    return with_costs([list(part) for part in parts])


def image_size(found: Survey) -> tuple[int, int]:
    """Return height and width for a network: the images' own, up to a limit that suits their number."""
    return fitted_size(found, _SIDES, _SIDE_OF_MANY)


def data_of_classes(found: Survey, size: tuple[int, int]) -> Iterator[str]:
    """Yield the section `data` for images of classes that a network reads in a size."""
    yield "data:"
    yield from read_as(found, size)
    yield from kept_apart(found, *_held_out(found), of=" of each class")
    yield from _augmentation(found)
    if found.num_bad:
        bad = f"{counted(found.num_bad, 'file')} cannot be read; `cnn data` names them"
        yield line("  on_bad_image: skip", bad)


def _held_out(found: Survey) -> tuple[float, float]:
    """Return the shares for validation and test, 0 where the data have such a split or too few images for one."""
    few = found.num_images < FEW
    validation = 0.0 if "validation" in found.splits else 0.2 if few else 0.1
    enough = "test" not in found.splits and found.counts[found.rarest] >= LEAST_FOR_TEST
    return validation, (0.15 if few else 0.1) if enough else 0.0


def _augmentation(found: Survey) -> Iterator[str]:
    yield line("  augmentation:", "random changes of the training images")
    yield from flips(found, "where left and right matter, as in text")
    yield "    - RandomTranslation: {height_factor: 0.1, width_factor: 0.1}"


def _model(found: Survey, size: tuple[int, int]) -> Iterator[str]:
    first = 16 if found.num_images < 20_000 else 32
    poolings = 3 if min(size) < 4 * MULTIPLE else 4
    filters = [min(first * 2**stage, _MOST_FILTERS) for stage in range(poolings + 1)]
    yield "model:"
    yield line("  blocks:", "a named list of layers, used below like a layer")
    yield "    conv:"
    yield "      parameters: [filters]"
    yield "      layers:"
    yield "        - Conv2D: {filters: $filters, kernel_size: 3, padding: same, use_bias: false}"
    yield "        - BatchNormalization: {momentum: 0.9}"
    yield "        - ReLU"
    yield line("  layers:", "from the image to one number for each class")
    for stage in range(poolings):
        yield f"    - conv: {{filters: {filters[stage]}}}"
        yield line("    - MaxPooling2D: {pool_size: 2}", halved(size, stage + 1))
    for _ in range(_last_convolutions(size, poolings)):
        yield f"    - conv: {{filters: {filters[-1]}}}"
    yield line("    - GlobalAveragePooling2D", "the mean of each feature map: any image size fits")
    yield "    - Dropout: {rate: 0.2}"
    yield line(
        f"    - Dense: {{units: {len(found.counts)}}}", "one output a class; no softmax, the loss expects logits"
    )


def _last_convolutions(size: tuple[int, int], poolings: int) -> int:
    """Return how many 3×3 convolutions after the last pooling it takes to see the whole image."""
    stride = 1 << poolings
    seen = 1 + 3 * (stride - 1)
    return ceil((max(size) - seen) / (2 * stride))


def _train(found: Survey) -> Iterator[str]:
    epochs = min(max(round(60_000 / found.num_images), 15), 60)
    batch_size = 1 << floor(log2(min(max(found.num_images / 30, 16), 128)))
    yield "train:"
    yield line(f"  epochs: {epochs}", "the fewer the images, the more epochs")
    validation, test = _held_out(found)
    steps = counted(max(round(found.num_images * (1 - test) * (1 - validation) / batch_size), 1), "step")
    yield line(f"  batch_size: {batch_size}", f"about {steps} in an epoch")
    yield "  optimizer: {Adam: {learning_rate: 1e-3}}"
    yield "  schedule: {CosineDecay: {warmup_epochs: 1}}"
    rarest, commonest = found.counts[found.rarest], found.counts[found.commonest]
    if commonest > UNEVEN * rarest:
        numbers = f"{_counted(found, found.commonest)}, {_counted(found, found.rarest)}"
        yield f"  # {numbers}: balanced, so that each class counts alike."
        yield "  loss: {class_weights: balanced}"
    yield line(f"  early_stopping: {{patience: {max(epochs // 3, 5)}}}", "epochs without a better validation accuracy")


def _counted(found: Survey, name: str) -> str:
    return f"{counted(found.counts[name], 'image')} of {flow(name)}"
