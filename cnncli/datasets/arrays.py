"""Image sets stored as arrays: `.npz` in the layout of Keras's mnist.npz."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cnncli.datasets.splits import Images, Labels
from cnncli.errors import DataError

LAYOUT = 'arrays "x_train" and "y_train", and "x_test" and "y_test" if there is a test split'


@dataclass(frozen=True)
class Arrays:
    """Images and labels by split name, as a source has them."""

    images: dict[str, Images]
    labels: dict[str, Labels]


def read(path: Path) -> Arrays:
    """Read an `.npz` file.

    Raises:
        DataError: If the file is missing, damaged, or of another layout.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            if not isinstance(stored, np.lib.npyio.NpzFile):
                raise DataError(f"{path} holds one array; expected {LAYOUT}")
            content = {name: stored[name] for name in stored.files}
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist", hint="Set data.path to the file.") from error
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} is no .npz file that can be read: {error}") from error
    return from_mapping(content, str(path))


def from_mapping(content: dict[str, npt.NDArray[Any]], origin: str) -> Arrays:
    """Check arrays named x_train, y_train, …; `x` and `y` alone mean training.

    Raises:
        DataError: If one is missing or has another shape or type than images and labels have.
    """
    names = {"x": "train", "x_train": "train", "x_validation": "validation", "x_val": "validation", "x_test": "test"}
    found = {split: key for key, split in names.items() if key in content}
    if "train" not in found:
        present = ", ".join(sorted(content)) or "nothing"
        raise DataError(f"{origin} holds {present}; expected {LAYOUT}")
    images, labels = {}, {}
    for split, key in found.items():
        label_key = "y" + key[1:]
        if label_key not in content:
            raise DataError(f'{origin} has "{key}" but no "{label_key}"; expected {LAYOUT}')
        images[split] = as_images(content[key], f"{origin}: {key}")
        labels[split] = as_labels(content[label_key], len(images[split]), f"{origin}: {label_key}")
    return Arrays(images, labels)


def as_images(array: npt.NDArray[Any], origin: str) -> Images:
    """Return (number, height, width, channels) uint8.

    Raises:
        DataError: If the array is not that, up to a missing channel axis.
    """
    if array.ndim == 3:
        array = array[..., np.newaxis]
    if array.ndim != 4 or array.shape[-1] not in (1, 3) or 0 in array.shape:
        raise DataError(f"{origin} has the shape {array.shape}; expected (number, height, width[, 1 or 3])")
    if array.dtype != np.uint8:
        raise DataError(f"{origin} holds {array.dtype}; expected uint8, 0 to 255")
    return array


def as_labels(array: npt.NDArray[Any], count: int, origin: str) -> Labels:
    """Return (number,) int64.

    Raises:
        DataError: If there is not one whole number from 0 for each image.
    """
    flat = array.reshape(-1) if array.ndim == 2 and array.shape[1] == 1 else array
    if flat.shape != (count,):
        raise DataError(f"{origin} has the shape {array.shape}; expected one label for each of {count} images")
    if flat.dtype.kind not in "iu" or (count and int(flat.min()) < 0):
        raise DataError(f"{origin} holds {array.dtype}; expected whole numbers from 0")
    return flat.astype(np.int64)
