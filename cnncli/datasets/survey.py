"""What a config follows from: the classes, sizes and colours of the images at a path."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from itertools import takewhile
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt

from cnncli.config.schema.schema import BOXED, Data
from cnncli.datasets.boxes.bad_boxes import BadBoxes
from cnncli.datasets.boxes.targets import Boxes
from cnncli.datasets.collection import Collection, Part
from cnncli.datasets.data_path import config_of, source_of, store_of
from cnncli.datasets.masks.layout import pairs
from cnncli.datasets.masks.values import Value
from cnncli.datasets.scan import Watch
from cnncli.datasets.sources import collect
from cnncli.errors import DataError

_WORDS = re.compile(r"[^\W\d_]+")
_MIRRORED = {
    "arrow",
    "clockwise",
    "digit",
    "east",
    "glyph",
    "left",
    "letter",
    "number",
    "right",
    "symbol",
    "text",
    "west",
}
_NUMBERS = {"zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"}


@dataclass(frozen=True)
class Survey:
    """What was found at a path.

    Attributes:
        path: The path as it was given.
        source: The `data.source` that reads it.
        counts: Training images by class, in the order of the classes.
        sizes: (images, 2), height and width of each training image.
        num_grey: Training images whose file shows no colour.
        splits: Names of the data's own splits, train first.
        num_bad: Files that cannot be read.
    """

    path: Path
    source: str
    counts: dict[str, int]
    sizes: npt.NDArray[np.int32]
    num_grey: int
    splits: tuple[str, ...]
    num_bad: int

    @property
    def num_images(self) -> int:
        """Number of training images."""
        return len(self.sizes)

    @property
    def is_grey(self) -> bool:
        """Whether no image has colour."""
        return self.num_grey == self.num_images

    @cached_property
    def usual_size(self) -> tuple[int, int]:
        """Median height and median width."""
        height, width = np.median(self.sizes, axis=0).round().astype(int).tolist()
        return height, width

    @cached_property
    def aspects_differ(self) -> bool:
        """Whether the middle nine tenths of the images differ by more than a fifth in width over height."""
        low, high = np.quantile(self.sizes[:, 1] / self.sizes[:, 0], (0.05, 0.95))
        return bool(high > 1.2 * low)

    @property
    def rarest(self) -> str:
        """The class with the fewest images."""
        return min(self.counts, key=self.counts.__getitem__)

    @property
    def commonest(self) -> str:
        """The class with the most images."""
        return max(self.counts, key=self.counts.__getitem__)

    @cached_property
    def mirrored(self) -> tuple[str, ...]:
        """The classes that may be others when mirrored: digits, letters, left and right, as far as names tell."""
        both = zip(min(self.counts), max(self.counts), strict=False)
        common = "".join(a for a, _ in takewhile(lambda pair: pair[0] == pair[1], both))
        return tuple(name for name in self.counts if _is_symbol(name, common) or _MIRRORED & _words(name))


@dataclass(frozen=True)
class MaskSurvey(Survey):
    """What was found at a path of images and masks; `counts` are the images in which each class occurs.

    Attributes:
        folders: Patterns of the folders of images and of masks.
        values: The value of each class in masks; None where classes.txt names them.
        ignored: The value of pixels that belong to no class, or None.
        pixels: Training pixels of each class.
    """

    folders: tuple[str, str]
    values: Mapping[str, Value] | None
    ignored: int | None
    pixels: dict[str, int]


@dataclass(frozen=True)
class BoxSurvey(Survey):
    """What was found at a path of images with boxes; `counts` are the images in which each class occurs.

    Attributes:
        objects: Training objects of each class.
        shares: (objects, 2), height and width of each training object as shares of its image's.
        num_bad_boxes: Objects that cannot be used as they are.
    """

    objects: dict[str, int]
    shares: npt.NDArray[np.float64]
    num_bad_boxes: int

    def sides(self, size: tuple[int, int], *quantiles: float) -> list[float]:
        """Return the root of the area of some objects, from small to large, in pixels of a network's input.

        Args:
            size: Height and width that the network reads.
            quantiles: Which objects, 0.5 for the median.
        """
        sides: list[float] = np.quantile(np.sqrt((self.shares * size).prod(axis=1)), quantiles).tolist()
        return sides


def survey(path: Path, watch: Watch | None = None) -> Survey:
    """Look at all images at a path.

    Args:
        path: A folder, or a .zip, .npz or .csv file.
        watch: Hears how many files of how many are measured.

    Raises:
        DataError: If there are no images, fewer than two classes of them, or boxes whose numbers mean something else.
    """
    source = source_of(path)
    if path.is_dir() and source == "folder":
        _require_class_folders(path)
    data = config_of(path).data
    collection = collect(data, None, watch)
    train = collection.parts["train"]
    counts = train.split.targets.counts(collection.classes)
    found = Survey(
        path=path,
        source=source,
        counts=counts,
        sizes=train.facts.sizes,
        num_grey=int(train.facts.grey.sum()),
        splits=_splits(collection),
        num_bad=len(collection.bad_files),
    )
    if source == "masks":
        return _with_masks(found, data, train)
    if source in BOXED:
        return _with_boxes(found, train, collection.bad_boxes)
    _require_classes(path, counts)
    return found


def _with_masks(found: Survey, data: Data, train: Part) -> MaskSurvey:
    """Add to what was found at a path what its masks mean."""
    folders = pairs(store_of(found.path).listing().names, str(found.path), None, None)
    of_targets = train.split.targets.passport(tuple(found.counts), train.split.ids)
    return MaskSurvey(
        **{field.name: getattr(found, field.name) for field in fields(found)},
        folders=(folders.images, folders.masks),
        values=data.classes if isinstance(data.classes, dict) else None,
        ignored=data.ignore if isinstance(data.ignore, int) else None,
        pixels=of_targets["pixels"],
    )


def _with_boxes(found: Survey, train: Part, bad: BadBoxes | None) -> BoxSurvey:
    """Add to what was found at a path how many objects there are, and how large.

    Raises:
        DataError: If most boxes are wrong alike.
    """
    if bad is not None and bad.advice:
        raise DataError(f"most boxes of {found.path} cannot be used, the first: {bad.boxes[0].to_text()}", bad.advice)
    objects = cast("Boxes", train.split.targets).objects
    labels = np.concatenate([own.labels for own in objects])
    shares = [(own.corners[:, [3, 2]] - own.corners[:, [1, 0]]) / own.size for own in objects]
    return BoxSurvey(
        **{field.name: getattr(found, field.name) for field in fields(found)},
        objects=dict(zip(found.counts, np.bincount(labels, minlength=len(found.counts)).tolist(), strict=True)),
        shares=np.concatenate(shares),
        num_bad_boxes=0 if bad is None else len(bad),
    )


def _splits(collection: Collection) -> tuple[str, ...]:
    return tuple(name for name, part in collection.parts.items() if len(part))


def _require_class_folders(path: Path) -> None:
    """Say what is missing where a folder is empty, or has files but no folders."""
    inside = [entry for entry in path.iterdir() if not entry.name.startswith(".")]
    how = f"Put the images of each class into a sub-folder named after it: {path / 'cat'}, {path / 'dog'}."
    if not inside:
        raise DataError(f"{path} is empty", hint=how)
    if not any(entry.is_dir() for entry in inside):
        raise DataError(f"{path} contains files but no class folders", hint=how)


def _require_classes(path: Path, counts: dict[str, int]) -> None:
    """Refuse data from which no classes can be learned.

    Raises:
        DataError: If fewer than two classes have images, or one has none.
    """
    present = [name for name, number in counts.items() if number]
    if len(present) < 2:
        raise DataError(
            f'{path} has images of a single class, "{present[0]}"; a classifier needs at least two',
            hint="Name the folder that holds all class folders, or add a folder with images of another class.",
        )
    empty = [name for name, number in counts.items() if not number]
    if empty:
        raise DataError(
            f"{path} has classes without a readable training image: {', '.join(empty[:5])}",
            hint="Add images to these folders, or remove them.",
        )


def _is_symbol(name: str, common: str) -> bool:
    """Say whether a class is called by a number or a letter, with or without what all names have in common."""
    rest = name[len(common) :]
    if name.isdigit() or name.casefold() in _NUMBERS:
        return True
    return (rest.isdigit() and len(rest) <= 3) or (len(rest) == 1 and not common[-1:].isalnum())


def _words(name: str) -> set[str]:
    """Return the words of a name: "turn_left" has "turn" and "left"."""
    return {word.casefold() for word in _WORDS.findall(name)}
