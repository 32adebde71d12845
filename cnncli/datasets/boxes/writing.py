"""New files of images and their objects: how each image is called, and what became of its objects."""

from __future__ import annotations

import io
import posixpath
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from cnncli.datasets.boxes.targets import Objects
from cnncli.datasets.files import Files
from cnncli.datasets.splits import Split, Splits
from cnncli.files import durable
from cnncli.plural import counted

SHORT = {"train": "train", "validation": "val", "test": "test"}
"""What all forms call the splits."""


@dataclass
class Converted:
    """What was written.

    Attributes:
        num_images: Number of images.
        num_objects: Number of objects.
        lost: What the form has no words for, in sentences, and of how many objects.
    """

    num_images: int = 0
    num_objects: int = 0
    lost: Counter[str] = field(default_factory=Counter)

    def to_text(self) -> str:
        """Return a line that says what was written, and one for each thing that was lost."""
        first = f"{counted(self.num_images, 'image')}, {counted(self.num_objects, 'object')}"
        return "\n".join([first, *(f"{counted(number, 'object')}: {what}" for what, number in self.lost.items())])

    def to_json(self) -> dict[str, Any]:
        """Return the same as plain data."""
        return {"num_images": self.num_images, "num_objects": self.num_objects, "lost": dict(self.lost)}


class Example(NamedTuple):
    """An image with its objects.

    Attributes:
        split: "train", "val" or "test".
        name: Of the file to write, without a folder; no two are equal up to the suffix.
        objects: Its objects.
    """

    split: str
    name: str
    objects: Objects

    @property
    def stem(self) -> str:
        """The name without suffix."""
        return posixpath.splitext(self.name)[0]


class Writer:
    """Writes files below a folder.

    Args:
        folder: Where they go.
        classes: Names of the classes.
        done: What was written, to be filled in.
    """

    def __init__(self, folder: Path, classes: Sequence[str], done: Converted) -> None:
        self.folder, self.classes, self.done = folder, classes, done

    def write(self, name: str, content: str | bytes) -> None:
        """Write a file by its path below the folder."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with durable.create(path) as file:
            durable.write(file, content.encode() if isinstance(content, str) else content)

    def lose(self, number: int, what: str) -> None:
        """Note what of some objects is not written."""
        if number:
            self.done.lost[what] += number


def examples(splits: Splits, writer: Writer, folder: str) -> Iterator[Example]:
    """Yield all examples, each when its image has been written below a folder, "images/{split}"."""
    names = _names(splits)
    for split in splits.present():
        short = SHORT[split.name]
        for row in range(len(split)):
            example = Example(short, next(names), split.targets.read(row))
            writer.write(f"{folder.format(split=short)}/{example.name}", _encoded(split, row))
            writer.done.num_images += 1
            writer.done.num_objects += len(example.objects.labels)
            yield example


def _names(splits: Splits) -> Iterator[str]:
    """Yield a name for each image: that of its file, with its folders before it where two would be equal."""
    whole = [
        (split.name, name if isinstance(split.images, Files) else f"{name.zfill(5)}.png")
        for split in splits.present()
        for name in split.ids
    ]
    lasts = [_plain(posixpath.basename(name)) for _, name in whole]
    stems = Counter(posixpath.splitext(last)[0].casefold() for last in lasts)
    taken: set[str] = set()
    for (split, name), last in zip(whole, lasts, strict=True):
        is_alone = stems[posixpath.splitext(last)[0].casefold()] == 1
        stem, suffix = posixpath.splitext(last if is_alone else _plain(f"{SHORT[split]}_{name}"))
        found, number = stem, 1
        while found.casefold() in taken:
            number += 1
            found = f"{stem}_{number}"
        taken.add(found.casefold())
        yield found + suffix


def _plain(name: str) -> str:
    """Return a path as a file's name that every one of the forms can hold."""
    return re.sub(r"[^\w.\- ()+]", "_", name).strip() or "_"


def _encoded(split: Split, row: int) -> bytes:
    """Return an image's file, or a PNG of an array."""
    if isinstance(split.images, Files):
        return split.images.read(row)
    pixels = split.images[row]
    content = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(content, "PNG")
    return content.getvalue()
