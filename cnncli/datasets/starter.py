"""A commented config that suits the images at a path: what `cnn init --data` writes."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil, floor, log2
from pathlib import Path

from cnncli.analysis.summary import summarize
from cnncli.config.dump import flow
from cnncli.config.load import loads
from cnncli.config.starter import name_of, write_text
from cnncli.datasets.scan import Watch
from cnncli.datasets.survey import Survey, survey
from cnncli.plural import counted

SMALLEST, LARGEST = 32, 224
"""Shortest and longest side of the images that a network reads, in pixels."""
MULTIPLE = 16
"""What the sides are multiples of, so that four poolings halve them without a remainder."""
FEW = 2_000
"""From so many images on, smaller shares of them are enough to choose an epoch and to measure the result."""
LEAST_FOR_TEST = 10
"""Images of the smallest class from which on a share of them is kept for the test split."""
UNEVEN = 3
"""How many times the smallest class the largest may be before their weights are balanced."""

_SIDES = ((3_000, 128), (30_000, 96))
"""Up to so many images, so long a side: an epoch stays a matter of a minute on a laptop's processor."""
_SIDE_OF_MANY = 64
_COLUMN = 39
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
    write_text(file, starter_for(found, file))
    return found


def starter_for(found: Survey, file: Path) -> str:
    """Return the text of a config for the images that were found.

    Args:
        found: The images.
        file: File that its comments speak of; the experiment is called after it.
    """
    size = image_size(found)
    model = list(_model(found, size))
    parts = [list(_head(found, file)), list(_data(found, size)), model, list(_train(found))]
    text = _text(parts)
    summary = summarize(loads(text, file.name))
    macs = sum(row.macs for row in summary.rows)
    params = sum(row.trainable_params + row.non_trainable_params for row in summary.rows)
    model[0] = _line("model:", f"{params:,} parameters, about {macs / 1e6:,.0f} million multiplications for an image")
    return _text(parts)


def image_size(found: Survey) -> tuple[int, int]:
    """Return height and width for a network: the images' own, up to a limit that suits their number.

    The aspect ratio is that of the usual image, up to 1:2.
    """
    height, width = found.usual_size
    longest = min(next((side for number, side in _SIDES if found.num_images <= number), _SIDE_OF_MANY), LARGEST)
    scale = min(1.0, longest / max(height, width))
    sides = [max(SMALLEST, MULTIPLE * floor(scale * side / MULTIPLE + 0.5)) for side in (height, width)]
    shortest = max(sides) // (2 * MULTIPLE) * MULTIPLE
    return max(sides[0], shortest), max(sides[1], shortest)


def _text(parts: list[list[str]]) -> str:
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def _line(text: str, comment: str = "") -> str:
    return f"{text:<{_COLUMN}} # {comment}" if comment else text


def _head(found: Survey, file: Path) -> Iterator[str]:
    name = flow(file.name)
    what = f"{counted(found.num_images, 'image')} of {counted(len(found.counts), 'class')}"
    yield f"# A network for {what}. What a key means: cnn help data.validation, and so for every key."
    yield f"# Check it: cnn check {name}. Look at the data: cnn data {name}. Train it: cnn train {name}."
    yield f"name: {name_of(file)}"
    yield _line("seed: 0", "for everything random")


def _data(found: Survey, size: tuple[int, int]) -> Iterator[str]:
    height, width = found.usual_size
    yield "data:"
    yield f"  source: {found.source}"
    yield _line(f"  path: {flow(found.path.as_posix())}", "seen from the folder in which cnn is run")
    usual = f"{'usually' if len({*map(tuple, found.sizes.tolist())}) > 1 else 'all'} {height}×{width}"
    yield _line(f"  image_size: {flow(list(size))}", f"height, width; the images are {usual}")
    yield _line("", f"multiples of {MULTIPLE}, so that the poolings below divide them evenly")
    if max(size) < max(height, width):
        yield _line("", "larger shows more and takes longer: twice the sides, four times the time")
    if found.aspects_differ:
        yield _line("  # resize: {fit: pad}", "their shapes differ: stretched by default; or pad, or crop")
    yield _line(f"  channels: {1 if found.is_grey else 3}", _colours(found))
    yield from _shares(found)
    yield from _augmentation(found)
    if found.num_bad:
        bad = f"{counted(found.num_bad, 'file')} cannot be read; `cnn data` names them"
        yield _line("  on_bad_image: skip", bad)


def _colours(found: Survey) -> str:
    if found.is_grey:
        return "grey, as all images are"
    return "red, green and blue" + (f"; {found.num_grey:,} of the images are grey" if found.num_grey else "")


def _shares(found: Survey) -> Iterator[str]:
    """Yield which examples are kept from training."""
    validation, test = _held_out(found)
    if "test" not in found.splits:
        if test:
            yield _line(f"  test: {test}", "share of each class kept from training: what cnn eval measures")
        else:
            yield _line("  # test: 0.15", "with more images; until then: cnn eval latest --split validation")
    if validation:
        yield _line(f"  validation: {validation}", "share of what is left of each class; it chooses the best epoch")
    else:
        yield _line("  validation: validation", "the data's own split; it chooses the best epoch")


def _held_out(found: Survey) -> tuple[float, float]:
    """Return the shares for validation and test, 0 where the data have such a split or too few images for one."""
    few = found.num_images < FEW
    validation = 0.0 if "validation" in found.splits else 0.2 if few else 0.1
    enough = "test" not in found.splits and found.counts[found.rarest] >= LEAST_FOR_TEST
    return validation, (0.15 if few else 0.1) if enough else 0.0


def _augmentation(found: Survey) -> Iterator[str]:
    yield _line("  augmentation:", "random changes of the training images")
    if found.mirrored:
        named = ", ".join(found.mirrored[:3]) + (", …" if len(found.mirrored) > 3 else "")
        yield f"    # No mirroring: what {flow(named)} mean may change with it, as digits, letters and directions do."
        yield _line("    # - RandomFlip: {mode: horizontal}", "where it does not")
    else:
        yield _line("    - RandomFlip: {mode: horizontal}", "remove it where left and right matter, as in text")
    yield "    - RandomTranslation: {height_factor: 0.1, width_factor: 0.1}"


def _model(found: Survey, size: tuple[int, int]) -> Iterator[str]:
    first = 16 if found.num_images < 20_000 else 32
    poolings = 3 if min(size) < 4 * MULTIPLE else 4
    filters = [min(first * 2**stage, _MOST_FILTERS) for stage in range(poolings + 1)]
    yield "model:"
    yield _line("  blocks:", "a named list of layers, used below like a layer")
    yield "    conv:"
    yield "      parameters: [filters]"
    yield "      layers:"
    yield "        - Conv2D: {filters: $filters, kernel_size: 3, padding: same, use_bias: false}"
    yield "        - BatchNormalization: {momentum: 0.9}"
    yield "        - ReLU"
    yield _line("  layers:", "from the image to one number for each class")
    for stage in range(poolings):
        yield f"    - conv: {{filters: {filters[stage]}}}"
        yield _line("    - MaxPooling2D: {pool_size: 2}", _halved(size, stage + 1))
    for _ in range(_last_convolutions(size, poolings)):
        yield f"    - conv: {{filters: {filters[-1]}}}"
    yield _line("    - GlobalAveragePooling2D", "the mean of each feature map: any image size fits")
    yield "    - Dropout: {rate: 0.2}"
    yield _line(
        f"    - Dense: {{units: {len(found.counts)}}}", "one output a class; no softmax, the loss expects logits"
    )


def _last_convolutions(size: tuple[int, int], poolings: int) -> int:
    """Return how many 3×3 convolutions after the last pooling it takes to see the whole image."""
    stride = 1 << poolings
    seen = 1 + 3 * (stride - 1)
    return ceil((max(size) - seen) / (2 * stride))


def _halved(size: tuple[int, int], times: int) -> str:
    return "×".join(str(side // 2**times) for side in size)


def _train(found: Survey) -> Iterator[str]:
    epochs = min(max(round(60_000 / found.num_images), 15), 60)
    batch_size = 1 << floor(log2(min(max(found.num_images / 30, 16), 128)))
    yield "train:"
    yield _line(f"  epochs: {epochs}", "the fewer the images, the more epochs")
    validation, test = _held_out(found)
    steps = counted(max(round(found.num_images * (1 - test) * (1 - validation) / batch_size), 1), "step")
    yield _line(f"  batch_size: {batch_size}", f"about {steps} in an epoch")
    yield "  optimizer: {Adam: {learning_rate: 1e-3}}"
    yield "  schedule: {CosineDecay: {warmup_epochs: 1}}"
    rarest, commonest = found.counts[found.rarest], found.counts[found.commonest]
    if commonest > UNEVEN * rarest:
        numbers = f"{_counted(found, found.commonest)}, {_counted(found, found.rarest)}"
        yield f"  # {numbers}: balanced, so that each class counts alike."
        yield "  loss: {class_weights: balanced}"
    yield _line(f"  early_stopping: {{patience: {max(epochs // 3, 5)}}}", "epochs without a better validation accuracy")


def _counted(found: Survey, name: str) -> str:
    return f"{counted(found.counts[name], 'image')} of {flow(name)}"
