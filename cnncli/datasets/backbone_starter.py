"""Two commented configs that train a pretrained backbone for images: first what is new, then everything."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path

from cnncli.config.dump import flow
from cnncli.config.load import load
from cnncli.config.starter import name_of, require_new, write_text
from cnncli.datasets.boxes.starter import boxes_size, data_of_boxes, level_of
from cnncli.datasets.masks.starter import data_of_masks
from cnncli.datasets.scan import Watch
from cnncli.datasets.starter import data_of_classes
from cnncli.datasets.starter_parts import line, num_steps
from cnncli.datasets.survey import BoxSurvey, MaskSurvey, Survey, survey
from cnncli.plural import counted

_BATCH_SIZE = 16
_DECODER = ((128, "every_16th"), (96, "every_8th"), (64, "every_4th"))
"""Filters of the decoder's steps up, and the backbone's planes that they read."""
_LARGE = 3
"""Halvings after which a detector's cells are as large as the planes `every_8th`: the decoder ends there."""
_SHORTEST = 160
"""Pixels of the shorter side of images with boxes, at least: 32 times the largest window at a backbone's end."""
_STRIDE = 32
"""Side of the pixels that one cell of a backbone's last plane stands for."""


@dataclass(frozen=True)
class Steps:
    """What was written.

    Attributes:
        found: The images.
        head: Config of the first step.
        whole: Config of the second.
    """

    found: Survey
    head: Path
    whole: Path


def second_step(file: Path) -> Path:
    """Return the file of the second step's config."""
    return file.with_name(f"{file.stem}_finetune{file.suffix}")


def write_for_backbone(file: Path, path: Path, network: str, watch: Watch | None = None) -> Steps:
    """Write the configs for the images at a path.

    Args:
        file: Config of the first step to write; the second's is beside it. One that exists is never touched.
        path: A folder, or a .zip, .npz or .csv file.
        network: Name of a network of the zoo that has a block `backbone`, to whose weights Keras gives a file.
        watch: Hears how many files of how many are measured.

    Raises:
        CnnError: If a file cannot be written, or nothing can be learned from the images.
    """
    whole = second_step(file)
    require_new(whole)
    found = survey(path, watch)
    steps = Steps(found, write_text(file, "\n".join(_head(found, file, network)) + "\n"), whole)
    write_text(whole, "\n".join(_whole(file)) + "\n")
    return steps


def _head(found: Survey, file: Path, network: str) -> Iterator[str]:
    size = load(network).data.image_size
    has_decoder = isinstance(found, MaskSurvey | BoxSurvey)
    first, second = flow(file.name), flow(second_step(file).name)
    new = "the decoder" if has_decoder else "the last layer"
    images, classes = counted(found.num_images, "image"), counted(len(found.counts), "class")
    yield f"# {network}, trained on ImageNet, for {images} of {classes}, in two steps."
    yield f"# First only {new} learns: cnn train {first}."
    yield f"# Then everything, at a small rate: cnn train {second}."
    yield f"extends: {network}"
    yield f"name: {name_of(file)}"
    if isinstance(found, MaskSurvey):
        yield line("task: segmentation", "a class for every pixel")
        yield ""
        yield from _fitted(data_of_masks(found, size), "stretch", "or pad, which keeps shapes")
        yield ""
        yield from _decoder(_DECODER)
        last = f"    - Conv2D: {{filters: {len(found.counts)}, kernel_size: 1, name: decoder_classes}}"
        yield line(last, "one output a class")
    elif isinstance(found, BoxSurvey):
        size = _enlarged(boxes_size(found))
        yield line("task: detection", "a box and a class for every object")
        yield ""
        yield from _fitted(data_of_boxes(found, size), "stretch", "or pad, which keeps shapes")
        yield ""
        yield from _decoder(_DECODER[:2] if level_of(found, size) == _LARGE else _DECODER)
        yield from _heads(found)
    else:
        yield f"values: {{classes: {len(found.counts)}}}"
        yield ""
        yield from _fitted(data_of_classes(found, size), "crop", "their middle; or pad, or stretch")
    yield ""
    batch_size = min(_BATCH_SIZE, max(found.num_images // 4, 1))
    yield "train:"
    yield line("  start_from: {weights: imagenet}", "downloaded once; or the path of that file")
    yield "  groups:"
    kept = '    - {layers: "decoder*"}' if has_decoder else "    - {layers: dense}"
    yield line(kept, "the first that matches applies")
    yield line('    - {layers: "*", trainable: false}', "the backbone stays as it is, its statistics too")
    yield "  epochs: 10"
    yield line(f"  batch_size: {batch_size}", f"about {counted(num_steps(found, batch_size), 'step')} in an epoch")
    yield "  optimizer: {Adam: {learning_rate: 1e-3}}"
    yield "  schedule: {CosineDecay: {warmup_epochs: 1}}"
    yield "  ema: null"


def _enlarged(size: tuple[int, int]) -> tuple[int, int]:
    """Return a size of the same shape that a backbone's last window fits into."""
    shorter = min(size)
    if shorter >= _SHORTEST:
        return size
    height, width = (_STRIDE * ceil(side * _SHORTEST / shorter / _STRIDE) for side in size)
    return height, width


def _fitted(section: Iterator[str], fit: str, comment: str) -> Iterator[str]:
    """Yield the section `data` with how images are made to fit, and in colour, as the weights need them."""
    for text in section:
        if text.startswith("  channels:"):
            yield line(f"  resize: {{fit: {fit}}}", comment)
            text = line("  channels: 3", "grey images too: the weights are of three") if "channels: 1" in text else text
        if not text.startswith("  # resize:"):
            yield text


def _decoder(steps: Sequence[tuple[int, str]]) -> Iterator[str]:
    """Yield the section `model` as far as the decoder's steps up to the backbone's planes."""
    yield "model:"
    yield "  blocks:"
    yield line("    up:", "twice the size, added to the backbone's plane of that size")
    yield "      parameters: [filters, side]"
    yield "      layers:"
    yield "        - Conv2D: {filters: $filters, kernel_size: 1, name: decoder_deep}"
    yield "        - Resizing: {like: $side, interpolation: bilinear, name: decoder_larger}"
    yield "        - Conv2D: {filters: $filters, kernel_size: 1, inputs: [$side], name: decoder_side}"
    yield "        - Add: {inputs: [decoder_side, decoder_larger], name: decoder_sum}"
    yield "        - ReLU"
    yield "        - Conv2D: {filters: $filters, kernel_size: 3, padding: same, use_bias: false, name: decoder_conv}"
    yield "        - BatchNormalization: {momentum: 0.9, name: decoder_normalization}"
    yield "        - ReLU"
    yield "  layers:"
    yield "    - backbone"
    for filters, side in steps:
        yield f"    - up: {{filters: {filters}, side: {side}}}"


def _heads(found: BoxSurvey) -> Iterator[str]:
    inside = "Conv2D: {filters: 64, kernel_size: 3, padding: same, activation: relu, name: decoder_%s}"
    yield "  heads:"
    yield line("    heatmap:", "how probable it is that an object of a class has its centre in a cell: logits")
    yield f"      - {inside % 'centres'}"
    last = f"      - Conv2D: {{filters: {len(found.counts)}, kernel_size: 1, name: decoder_heatmap}}"
    yield line(last, "one for each class")
    yield line("    box:", "how far its left, top, right and bottom edge is from there")
    yield f"      - {inside % 'edges'}"
    yield "      - Conv2D: {filters: 4, kernel_size: 1, name: decoder_box}"


def _whole(file: Path) -> Iterator[str]:
    name = name_of(file)
    yield f"# The second step after {flow(file.name)}: everything learns, at a small rate, from its best epoch on."
    yield f"extends: {flow(file.name)}"
    yield f"name: {name_of(second_step(file))}"
    yield "train:"
    yield line(f"  start_from: {{run: {flow(name)}, weights: null}}", "the latest run of that name")
    yield line("  groups:", "few images make poor statistics: they stay as they are")
    yield '    - {layers: "batch_normalization*", trainable: false}'
    yield "  epochs: 10"
    yield "  optimizer: {Adam: {learning_rate: 1e-5}}"
