"""Two commented configs that train a pretrained backbone for images: first what is new, then everything."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cnncli.config.dump import flow
from cnncli.config.load import load
from cnncli.config.starter import name_of, require_new, write_text
from cnncli.datasets.masks.starter import data_of_masks
from cnncli.datasets.scan import Watch
from cnncli.datasets.starter import data_of_classes
from cnncli.datasets.starter_parts import line, num_steps
from cnncli.datasets.survey import BoxSurvey, MaskSurvey, Survey, survey
from cnncli.errors import CnnError
from cnncli.plural import counted

_BATCH_SIZE = 16
_DECODER = ((128, "every_16th"), (96, "every_8th"), (64, "every_4th"))
"""Filters of the decoder's steps up, and the backbone's planes that they read."""


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
        CnnError: If a file cannot be written, or the images have boxes, or are not such that classes can be learned.
    """
    whole = second_step(file)
    require_new(whole)
    found = survey(path, watch)
    if isinstance(found, BoxSurvey):
        raise CnnError(
            "--backbone writes networks for classes and masks; these images have boxes",
            "`cnn help transfer` shows a detector with a backbone.",
        )
    steps = Steps(found, write_text(file, "\n".join(_head(found, file, network)) + "\n"), whole)
    write_text(whole, "\n".join(_whole(file)) + "\n")
    return steps


def _head(found: Survey, file: Path, network: str) -> Iterator[str]:
    config = load(network)
    is_masks = isinstance(found, MaskSurvey)
    first, second = flow(file.name), flow(second_step(file).name)
    new = "the decoder" if is_masks else "the last layer"
    images, classes = counted(found.num_images, "image"), counted(len(found.counts), "class")
    yield f"# {network}, trained on ImageNet, for {images} of {classes}, in two steps."
    yield f"# First only {new} learns: cnn train {first}."
    yield f"# Then everything, at a small rate: cnn train {second}."
    yield f"extends: {network}"
    yield f"name: {name_of(file)}"
    if is_masks:
        yield line("task: segmentation", "a class for every pixel")
    else:
        yield f"values: {{classes: {len(found.counts)}}}"
    yield ""
    if isinstance(found, MaskSurvey):
        yield from data_of_masks(found, config.data.image_size)
        yield ""
        yield from _decoder(found)
    else:
        yield from data_of_classes(found, config.data.image_size)
    yield ""
    batch_size = min(_BATCH_SIZE, max(found.num_images // 4, 1))
    yield "train:"
    yield line("  start_from: {weights: imagenet}", "downloaded once; or the path of that file")
    yield "  groups:"
    kept = '    - {layers: "decoder*"}' if is_masks else "    - {layers: dense}"
    yield line(kept, "the first that matches applies")
    yield line('    - {layers: "*", trainable: false}', "the backbone stays as it is, its statistics too")
    yield "  epochs: 10"
    yield line(f"  batch_size: {batch_size}", f"about {counted(num_steps(found, batch_size), 'step')} in an epoch")
    yield "  optimizer: {Adam: {learning_rate: 1e-3}}"
    yield "  schedule: {CosineDecay: {warmup_epochs: 1}}"
    yield "  ema: null"


def _decoder(found: MaskSurvey) -> Iterator[str]:
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
    for filters, side in _DECODER:
        yield f"    - up: {{filters: {filters}, side: {side}}}"
    last = f"    - Conv2D: {{filters: {len(found.counts)}, kernel_size: 1, name: decoder_classes}}"
    yield line(last, "one output a class")


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
