"""Files of predictions, each named after its image: masks, overlays, and labels as YOLO has them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple, cast

from cnncli.datasets.images import MOST_IN_TILES, examine
from cnncli.datasets.pictures import Picture, Pictures
from cnncli.errors import CnnError
from cnncli.report.files import binary_file, write_text
from cnncli.tasks.predictions import BoxDrawing, Drawing, MaskDrawing, PredictedFile
from cnncli.tasks.task import get_task

Kind = Literal["mask", "overlay", "labels"]
"""What a file says of its image; in the JSON its path has this name."""

LEGEND = "classes.csv"
"""File beside the PNG files that says which number and which colour each class has."""

NAMES = "data.yaml"
"""File beside the folder of labels that names the classes in the order of their numbers."""

LABELS = "labels"
"""Folder of the labels: with images/ beside it, it is a data set as YOLO has them."""

PIPED = "stdin"
"""Name of an image that came through standard input."""


class _Place(NamedTuple):
    """Where the files of one kind go.

    Attributes:
        kind: What they say.
        about: The file that says what the classes are.
        folder: The folder of the others.
        names: The file of each image below it.
    """

    kind: Kind
    about: Path
    folder: Path
    names: dict[Path, Path]

    @classmethod
    def of(cls, kind: Kind, folder: Path, images: Sequence[Path]) -> _Place:
        """Return where the files of some images go, given the folder that the user named."""
        if kind == "labels":
            return cls(kind, folder / NAMES, folder / LABELS, file_names(images, ".txt"))
        return cls(kind, folder / LEGEND, folder, file_names(images, ".png"))


class PredictionFiles:
    """Writes what is predicted for images, file by file, and beside it what the classes are.

    Args:
        task: Name of the network's task.
        pictures: All images that will come, in their order.
        folders: The folder for each kind of file that is wanted: class numbers of the pixels, images with the
            prediction laid over them, or lines of boxes.

    Raises:
        CnnError: If one of the images lies in a folder where a file would be written: none may be replaced.
    """

    def __init__(self, task: str, pictures: Pictures, folders: Mapping[Kind, Path]) -> None:
        self._task = get_task(task)
        images = [_image_path(picture) for picture in pictures]
        self._places = [_Place.of(kind, folder, images) for kind, folder in folders.items()]
        sources = {os.path.realpath(image.parent) for image in set(images) if image.name != PIPED}
        for place in self._places:
            written = (place.about, *(place.folder / name for name in place.names.values()))
            _require_no_source_in({path.parent for path in written}, sources)

    def written(self, pictures: Iterable[Picture], found: Iterable[PredictedFile]) -> Iterator[PredictedFile]:
        """Yield the predictions with the files that they were written into; the first brings what the classes are."""
        is_first = True
        for picture, file in zip(pictures, found, strict=True):
            drawing = None if file.prediction is None else self._task.drawing(file.prediction)
            if drawing is None:
                yield file
                continue
            if is_first:
                for place in self._places:
                    write_text(place.about, _about(place.kind, drawing))
            is_first = False
            yield replace(file, written={place.kind: _write(place, picture, drawing) for place in self._places})


def _about(kind: Kind, drawing: Drawing) -> str:
    """Return what the classes are, for the file beside those of a kind."""
    return cast("BoxDrawing", drawing).data_yaml() if kind == "labels" else drawing.classes_csv()


def _write(place: _Place, picture: Picture, drawing: Drawing) -> str:
    """Write a prediction's file of one kind; return its path."""
    path = place.folder / place.names[_image_path(picture)]
    if place.kind == "labels":
        write_text(path, cast("BoxDrawing", drawing).label_lines())
        return str(path)
    with binary_file(path) as file:
        if place.kind == "mask":
            cast("MaskDrawing", drawing).write_png(file)
        else:
            _write_overlay(picture, drawing, file)
    return str(path)


def _write_overlay(picture: Picture, drawing: Drawing, file: BinaryIO) -> None:
    image = examine(picture.content(), 3, picture.name, MOST_IN_TILES).image
    drawing.lay_over(image)
    image.save(file, "PNG")


def _image_path(picture: Picture) -> Path:
    """Return where an image is, from the root on; of one from standard input, its name alone."""
    return Path(PIPED) if picture.piped is not None else Path(os.path.abspath(picture.name))  # noqa: PTH100 - keeps links


def file_names(places: Iterable[Path], suffix: str) -> dict[Path, Path]:
    """Return the file for each image, below some folder: no two have the same.

    Images of one folder keep their names, with another suffix; of several, the folders below the one that holds all are
    kept too. Where that would give two images one file, as a.jpg and a.png, they keep their suffix: a.jpg.png.

    Args:
        places: Where the images are, from the root on.
        suffix: Of the files, ".png".
    """
    paths = dict.fromkeys(places)
    common = _common_folder([path for path in paths if path.is_absolute()])
    relative = {path: _below(path, common) for path in paths}
    names = {path: name.with_suffix(suffix) for path, name in relative.items()}
    while True:
        number = Counter(_key(name) for name in names.values())
        longer = {
            path: name.with_name(f"{name.name}{suffix}")
            for path, name in relative.items()
            if number[_key(names[path])] > 1
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


def _require_no_source_in(folders: Iterable[Path], sources: set[str]) -> None:
    """Refuse to write where images lie that are read: a file could take the place of one."""
    for folder in sorted(folders):
        if os.path.realpath(folder) in sources:
            raise CnnError(
                f"{folder} holds images that are to be predicted: a file written there could replace one",
                "Choose another folder.",
            )
