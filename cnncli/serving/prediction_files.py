"""Predicted masks and overlays as PNG files, each named after its image."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, cast

from cnncli.datasets.images import MOST_IN_TILES, examine
from cnncli.datasets.pictures import Picture, Pictures
from cnncli.errors import CnnError
from cnncli.report.files import binary_file, write_text
from cnncli.tasks.predictions import Drawing, MaskDrawing, PredictedFile
from cnncli.tasks.task import get_task

LEGEND = "classes.csv"
"""File beside the PNG files that says which number and which colour each class has."""

PIPED = "stdin"
"""Name of an image that came through standard input."""


class MaskFiles:
    """Writes what is predicted for images, file by file, and beside it which number and colour each class has.

    Args:
        task: Name of the network's task.
        pictures: All images that will come, in their order.
        masks: Folder for the class numbers, or None.
        overlays: Folder for the images with the classes' colours laid over them, or None.

    Raises:
        CnnError: If one of the images lies in a folder where a file would be written: none may be replaced.
    """

    def __init__(self, task: str, pictures: Pictures, masks: Path | None, overlays: Path | None) -> None:
        self._task = get_task(task)
        self._folders = {"mask": masks, "overlay": overlays}
        places = [_place(picture) for picture in pictures]
        self._names = png_names(places)
        sources = {os.path.realpath(place.parent) for place in self._names if place.name != PIPED}
        for folder in self._used().values():
            _require_no_source_in(folder, self._names.values(), sources)

    def _used(self) -> dict[str, Path]:
        return {kind: folder for kind, folder in self._folders.items() if folder is not None}

    def written(self, pictures: Iterable[Picture], found: Iterable[PredictedFile]) -> Iterator[PredictedFile]:
        """Yield the predictions with the files that they were written into; the first brings the legend."""
        has_legend = False
        for picture, file in zip(pictures, found, strict=True):
            drawing = None if file.prediction is None else self._task.drawing(file.prediction)
            if drawing is None:
                yield file
                continue
            if not has_legend:
                for folder in self._used().values():
                    write_text(folder / LEGEND, drawing.classes_csv())
            has_legend = True
            yield replace(file, written=self._write(picture, drawing))

    def _write(self, picture: Picture, drawing: Drawing) -> dict[str, str]:
        """Write a prediction's files; return their paths by what they are."""
        name, written = self._names[_place(picture)], {}
        for kind, folder in self._used().items():
            with binary_file(folder / name) as file:
                if kind == "mask":
                    cast("MaskDrawing", drawing).write_png(file)
                else:
                    _write_overlay(picture, drawing, file)
            written[kind] = str(folder / name)
        return written


def _write_overlay(picture: Picture, drawing: Drawing, file: BinaryIO) -> None:
    image = examine(picture.content(), 3, picture.name, MOST_IN_TILES).image
    drawing.lay_over(image)
    image.save(file, "PNG")


def _place(picture: Picture) -> Path:
    """Return where an image is, from the root on; of one from standard input, its name alone."""
    return Path(PIPED) if picture.piped is not None else Path(os.path.abspath(picture.name))  # noqa: PTH100 - keeps links


def png_names(places: Iterable[Path]) -> dict[Path, Path]:
    """Return the PNG file for each image, below some folder: no two have the same.

    Images of one folder keep their names, with another suffix; of several, the folders below the one that holds all are
    kept too. Where that would give two images one file, as a.jpg and a.png, they keep their suffix: a.jpg.png.
    """
    paths = dict.fromkeys(places)
    common = _common_folder([path for path in paths if path.is_absolute()])
    relative = {path: _below(path, common) for path in paths}
    names = {path: name.with_suffix(".png") for path, name in relative.items()}
    while True:
        number = Counter(_key(name) for name in names.values())
        longer = {
            path: name.with_name(f"{name.name}.png") for path, name in relative.items() if number[_key(names[path])] > 1
        }
        if all(names[path] == name for path, name in longer.items()):
            return names
        names |= longer


def _key(name: Path) -> str:
    """Return what is equal for names that are one file on some disks."""
    return str(name).casefold()


def _common_folder(paths: Sequence[Path]) -> Path | None:
    try:
        return Path(os.path.commonpath([path.parent for path in paths])) if paths else None
    except ValueError:  # On Windows, of several drives.
        return None


def _below(path: Path, folder: Path | None) -> Path:
    if not path.is_absolute():
        return path
    return path.relative_to(path.anchor if folder is None else folder)


def _require_no_source_in(folder: Path, names: Iterable[Path], sources: set[str]) -> None:
    """Refuse to write where images lie that are read: a mask could take the place of one."""
    for parent in dict.fromkeys(folder / name.parent for name in names):
        if os.path.realpath(parent) in sources:
            raise CnnError(
                f"{parent} holds images that are to be predicted: a file written there could replace one",
                "Choose another folder.",
            )
