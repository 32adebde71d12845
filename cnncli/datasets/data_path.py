"""A path to data: which source reads it, and what stands for a config where there is none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cnncli.config.load import load_document
from cnncli.config.schema.schema import BOXED, Config
from cnncli.config.starter import name_of
from cnncli.datasets.archive import Archive
from cnncli.datasets.boxes.coco import has_coco
from cnncli.datasets.boxes.voc import has_voc
from cnncli.datasets.boxes.yolo import has_yolo
from cnncli.datasets.masks.layout import has_masks
from cnncli.datasets.masks.meaning import meaning_of
from cnncli.datasets.store import Folder, Store
from cnncli.errors import DataError

_SOURCES = {".zip": "folder", ".npz": "npz", ".csv": "csv"}

_IN_FOLDERS: dict[str, Callable[[Sequence[str]], bool]] = {
    "masks": has_masks,
    "voc": has_voc,
    "yolo": has_yolo,
    "coco": has_coco,
}
"""What tells by the paths of a folder that it is of a source; otherwise its folders are classes."""

_MODELS: dict[str, dict[str, Any]] = {
    "classification": {"layers": ["Flatten"]},
    "segmentation": {"layers": [{"Conv2D": {"filters": 2, "kernel_size": 1}}]},
    "detection": {
        "layers": [
            {"Conv2D": {"filters": 2, "kernel_size": 1, "name": "centers"}},
            {"Conv2D": {"filters": 4, "kernel_size": 1, "name": "edges"}},
        ],
        "outputs": {"heatmap": "centers", "box": "edges"},
    },
}
"""A network of each task: every config has one."""


def is_data(path: Path) -> bool:
    """Say whether a path means data: it is a folder, or ends in .zip, .npz or .csv."""
    return path.is_dir() or path.suffix.casefold() in _SOURCES


def source_of(path: Path) -> str:
    """Return the `data.source` that reads a path.

    Raises:
        DataError: If there is nothing at the path, or nothing that a source reads.
    """
    expected = "Expected a folder with a sub-folder for each class, a .zip of one, an .npz or a .csv file."
    if not path.exists():
        raise DataError(f"{path} does not exist", hint=f"{expected} A relative path begins at {Path.cwd()}.")
    if not is_data(path):
        raise DataError(f"{path} is not a folder, .zip, .npz or .csv file", hint=expected)
    source = "folder" if path.is_dir() else _SOURCES[path.suffix.casefold()]
    if source != "folder":
        return source
    names = store_of(path).listing().names
    return next((of for of, is_it in _IN_FOLDERS.items() if is_it(names)), source)


def store_of(path: Path) -> Store:
    """Return what is at the path of a folder or .zip file."""
    return Folder(path) if path.is_dir() else Archive(path)


def config_of(path: Path, overrides: Sequence[str] = ()) -> Config:
    """Return a config of the data at a path alone: in colour, undivided, without a network.

    Args:
        path: A folder, or a .zip, .npz or .csv file.
        overrides: "data.key=value" texts, as `--set` takes them.

    Raises:
        DataError: If no source reads the path.
        ConfigError: If an override is wrong.
    """
    source = source_of(path)
    data = {
        "source": source,
        "path": str(path),
        "image_size": [32, 32],  # has no part in what is measured, but every config has one
        "channels": 3,
        "validation": 0.0,
    }
    task = "segmentation" if source == "masks" else "detection" if source in BOXED else "classification"
    document = {"name": name_of(path), "task": task, "data": data, "model": _MODELS[task]}
    if source == "masks":
        data |= meaning_of(store_of(path), str(path)).keys()
    return load_document(document, str(path), overrides).model_copy(update={"nodes": ()})
