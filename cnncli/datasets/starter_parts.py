"""What commented configs for images have in common, whatever their task is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import floor
from pathlib import Path

from cnncli.analysis.summary import summarize
from cnncli.config.dump import flow
from cnncli.config.load import loads
from cnncli.config.starter import name_of
from cnncli.datasets.survey import Survey
from cnncli.plural import counted

SMALLEST, LARGEST = 32, 224
"""Shortest and longest side of the images that a network reads, in pixels."""
MULTIPLE = 16
"""What the sides are multiples of, so that they can be halved four times without a remainder."""

LEAST_FOR_TEST = 20
"""Images from which on a share of them is kept for the test split, where images have more than a class each."""

_COLUMN = 39


def line(text: str, comment: str = "") -> str:
    """Return a line with its comment."""
    return f"{text:<{_COLUMN}} # {comment}" if comment else text


def with_costs(parts: Sequence[Sequence[str]]) -> str:
    """Return the text of a config whose third part is the network; that says what the network costs."""
    summary = summarize(loads(_joined(parts)))
    macs = sum(row.macs for row in summary.rows)
    params = sum(row.trainable_params + row.non_trainable_params for row in summary.rows)
    first = line("model:", f"{params:,} parameters, about {macs / 1e6:,.0f} million multiplications for an image")
    return _joined([*parts[:2], [first, *parts[2][1:]], *parts[3:]])


def _joined(parts: Sequence[Sequence[str]]) -> str:
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def fitted_size(found: Survey, sides: Sequence[tuple[int, int]], side_of_many: int) -> tuple[int, int]:
    """Return height and width for a network: the images' own, up to a limit that suits their number.

    Args:
        found: The images.
        sides: Up to how many images, how long the longer side may be.
        side_of_many: How long it may be of more.
    """
    longest = next((side for number, side in sides if found.num_images <= number), side_of_many)
    return size_of_side(found, min(longest, LARGEST))


def size_of_side(found: Survey, longest: int) -> tuple[int, int]:
    """Return height and width for a network: the images' own, where these are not longer than that.

    The aspect ratio is that of the usual image, up to 1:2.
    """
    height, width = found.usual_size
    scale = min(1.0, longest / max(height, width))
    fitted = [max(SMALLEST, MULTIPLE * floor(scale * side / MULTIPLE + 0.5)) for side in (height, width)]
    shortest = max(fitted) // (2 * MULTIPLE) * MULTIPLE
    return max(fitted[0], shortest), max(fitted[1], shortest)


def head(found: Survey, file: Path) -> Iterator[str]:
    """Yield what the config is for, and how to go on."""
    name = flow(file.name)
    what = f"{counted(found.num_images, 'image')} of {counted(len(found.counts), 'class')}"
    yield f"# A network for {what}. What a key means: cnn help data.validation, and so for every key."
    yield f"# Check it: cnn check {name}. Look at the data: cnn data {name}. Train it: cnn train {name}."
    yield f"name: {name_of(file)}"
    yield line("seed: 0", "for everything random")


def read_as(found: Survey, size: tuple[int, int], fits: str = "or pad, or crop") -> Iterator[str]:
    """Yield where the images are, and how the network reads them: source, path, size and channels.

    Args:
        found: The images.
        size: Height and width that the network reads.
        fits: How images of other shapes may be made to fit, besides stretching.
    """
    height, width = found.usual_size
    yield f"  source: {found.source}"
    yield line(f"  path: {flow(found.path.as_posix())}", "seen from the folder in which cnn is run")
    usual = f"{'usually' if len({*map(tuple, found.sizes.tolist())}) > 1 else 'all'} {height}×{width}"
    yield line(f"  image_size: {flow(list(size))}", f"height, width; the images are {usual}")
    yield line("", f"multiples of {MULTIPLE}, so that the layers below halve them evenly")
    if max(size) < max(height, width):
        yield line("", "larger shows more and takes longer: twice the sides, four times the time")
    if found.aspects_differ:
        yield line("  # resize: {fit: pad}", f"their shapes differ: stretched by default; {fits}")
    yield line(f"  channels: {1 if found.is_grey else 3}", _colours(found))


def _colours(found: Survey) -> str:
    if found.is_grey:
        return "grey, as all images are"
    return "red, green and blue" + (f"; {found.num_grey:,} of the images are grey" if found.num_grey else "")


def kept_apart(found: Survey, validation: float, test: float, of: str = "") -> Iterator[str]:
    """Yield which examples are kept from training.

    Args:
        found: The images.
        validation: Share for validation; 0 where the data have such a split.
        test: Share for the test; 0 where the data have such a split, or too few images for one.
        of: What the shares are of, besides all images: " of each class".
    """
    if "test" not in found.splits:
        if test:
            yield line(f"  test: {test}", f"share{of} kept from training: what cnn eval measures")
        else:
            yield line("  # test: 0.15", "with more images; until then: cnn eval latest --split validation")
    if validation:
        yield line(f"  validation: {validation}", f"share of what is left{of}; it chooses the best epoch")
    else:
        yield line("  validation: validation", "the data's own split; it chooses the best epoch")


def flips(found: Survey, matters: str) -> Iterator[str]:
    """Yield the augmentation that mirrors images, commented out where that may change a class.

    Args:
        found: The images.
        matters: Where left and right matter, in words.
    """
    if found.mirrored:
        named = ", ".join(found.mirrored[:3]) + (", …" if len(found.mirrored) > 3 else "")
        yield f"    # No mirroring: what {flow(named)} mean may change with it, as digits, letters and directions do."
        yield line("    # - RandomFlip: {mode: horizontal}", "where it does not")
    else:
        yield line("    - RandomFlip: {mode: horizontal}", f"remove it {matters}")


def shares(found: Survey) -> Iterator[str]:
    """Yield which examples are kept from training, where images have more than a class each."""
    validation, test = _held_out(found)
    yield from kept_apart(found, validation, test)
    if validation or test:
        yield line("  # group: '^(.+)_[0-9]+'", "images of one film or patient belong on one side of the division")


def num_steps(found: Survey, batch_size: int) -> int:
    """Return about how many batches an epoch has, where `shares` divides the examples."""
    validation, test = _held_out(found)
    return max(round(found.num_images * (1 - test) * (1 - validation) / batch_size), 1)


def _held_out(found: Survey) -> tuple[float, float]:
    """Return the shares for validation and test, 0 where the data have such a split or too few images for one."""
    validation = 0.0 if "validation" in found.splits else 0.2
    return validation, 0.15 if "test" not in found.splits and found.num_images >= LEAST_FOR_TEST else 0.0


def halved(size: tuple[int, int], times: int) -> str:
    """Return height×width after so many halvings, for a comment."""
    return "×".join(str(side // 2**times) for side in size)
