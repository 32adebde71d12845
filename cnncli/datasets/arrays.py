"""Image sets stored as arrays: `.npz` in the layout of Keras's mnist.npz."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cnncli.datasets.splits import Images
from cnncli.datasets.targets import Labels
from cnncli.errors import DataError
from cnncli.files.archives import open_zip
from cnncli.files.read import open_file
from cnncli.resources import available_memory

MAX_CLASSES = 100_000
"""Most classes that whole-number labels may mean."""

MAX_BYTES = 2**34
"""Most bytes that the arrays of a file may have."""

MAX_INFLATED = 2**28
MAX_RATIO = 200
"""Arrays of more bytes than `MAX_INFLATED` are no images when they were packed to less than a `MAX_RATIO`th."""

MAX_MEMBERS = 1000

_LAYOUT = 'arrays "x_train" and "y_train" (or "x" and "y"), and "x_test" and "y_test" if there is a test split'
_IMAGES = {
    "x": "train",
    "x_train": "train",
    "x_validation": "validation",
    "x_valid": "validation",
    "x_val": "validation",
    "x_test": "test",
}
_BLOCK = 4096
_LUMA = np.array([19595, 38470, 7471], np.uint32)


@dataclass(frozen=True)
class Arrays:
    """Images and labels by split name, as a source has them.

    Attributes:
        images: uint8 (examples, height, width, channels).
        labels: Class numbers, one an image; nothing where there are masks.
        classes: Class names in the order of the labels, or None if the source names none.
        masks: Values of every pixel, whole numbers (examples, height, width); nothing where there are labels.
    """

    images: dict[str, Images]
    labels: dict[str, Labels]
    classes: tuple[str, ...] | None = None
    masks: dict[str, npt.NDArray[Any]] = field(default_factory=dict)


def read(path: Path) -> Arrays:
    """Read an `.npz` file.

    Raises:
        DataError: If the file is missing, damaged, or of another layout.
    """
    try:
        with open_zip(path, most_members=MAX_MEMBERS) as archive:
            _check_size(archive, path)
        with open_file(path) as file:
            stored = np.load(file, allow_pickle=False)
            wanted = [name for name in stored.files if name in _IMAGES or name == "classes" or name.startswith("y")]
            content = {name: stored[name] for name in wanted}
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist", hint="Set data.path to the file.") from error
    # NumPy and zipfile raise for damage whatever they meet: a RuntimeError for encryption, NotImplementedError, zlib's.
    except Exception as error:
        if isinstance(error, DataError):
            raise
        reason = getattr(error, "strerror", None) or str(error)[:200]
        raise DataError(f"{path} is not a readable .npz file: {reason}", hint=f"Expected {_LAYOUT}.") from error
    return from_mapping(content, str(path))


def _check_size(archive: zipfile.ZipFile, path: Path) -> None:
    """Refuse arrays that do not fit into memory, or that only a bomb packs so tightly; none is read here."""
    size = sum(info.file_size for info in archive.infolist())
    packed = sum(info.compress_size for info in archive.infolist())
    if size > MAX_BYTES:
        raise DataError(f"{path} contains arrays of {size:,} bytes; the limit is {MAX_BYTES:,}")
    if size > MAX_INFLATED and size > MAX_RATIO * packed:
        hint = "Images do not pack so tightly; if these do, save them unpacked, with numpy.savez."
        raise DataError(f"{path} would grow from {packed:,} to {size:,} bytes when it is read", hint)
    free = available_memory()
    if free is not None and size > free:
        raise DataError(f"{path} contains arrays of {size:,} bytes, but only {free:,} bytes of memory are free")


def from_mapping(content: dict[str, npt.NDArray[Any]], origin: str) -> Arrays:
    """Check arrays named x_train, y_train, …, and make them uint8 images and int64 labels.

    Raises:
        DataError: If one is missing or has another shape or type than images and labels have.
    """
    found: dict[str, str] = {}
    for key, split in _IMAGES.items():
        if key in content and split in found:
            raise DataError(f'{origin} has both "{found[split]}" and "{key}" for the {split} split')
        if key in content:
            found[split] = key
    if "train" not in found:
        raise DataError(f"{origin} contains {', '.join(sorted(content)) or 'no images'}; expected {_LAYOUT}")
    images, raw = {}, {}
    for split, key in found.items():
        label_key = "y" + key[1:]
        if label_key not in content:
            raise DataError(f'{origin} has "{key}" but no "{label_key}"; expected {_LAYOUT}')
        images[split] = as_images(content[key], f"{origin}: {key}")
        raw[split] = content[label_key]
    if raw["train"].ndim == 3:
        masks = {name: _as_masks(array, images[name], f"{origin}: {name}") for name, array in raw.items()}
        return Arrays(images, {}, _classes(content, masks, origin), masks)
    raw = {name: _flat(array, len(images[name]), f"{origin}: y{found[name][1:]}") for name, array in raw.items()}
    classes = _classes(content, raw, origin)
    return Arrays(
        images, {name: _as_labels(labels, classes, f"{origin}: {name}") for name, labels in raw.items()}, classes
    )


def as_images(array: npt.NDArray[Any], origin: str) -> Images:
    """Return (number, height, width, channels) uint8.

    uint8 is taken as it is; other whole numbers must be 0 to 255; fractions must be 0 to 1 and are
    multiplied by 255 and rounded; False and True become 0 and 255.

    Raises:
        DataError: If the array is not that, up to a missing channel axis.
    """
    if array.ndim == 3:
        array = array[..., np.newaxis]
    if array.ndim != 4 or array.shape[-1] not in (1, 3) or 0 in array.shape:
        raise DataError(f"{origin} has the shape {array.shape}; expected (examples, height, width[, 1 or 3])")
    if array.dtype == np.uint8:
        return array
    if array.dtype.kind not in "biuf":
        raise DataError(f"{origin} contains {array.dtype}; expected numbers")
    low, high = float(array.min()), float(array.max())
    if array.dtype.kind == "f" and low >= 0 and high <= 1:
        scaled: Images = np.rint(array * 255).astype(np.uint8)
        return scaled
    if array.dtype.kind == "b":
        return array.astype(np.uint8) * np.uint8(255)
    if low >= 0 and high <= 255 and (array.dtype.kind != "f" or bool((array == np.rint(array)).all())):
        return array.astype(np.uint8)
    raise DataError(f"{origin} contains {array.dtype} from {low:g} to {high:g}; expected 0 to 255, or 0 to 1 as floats")


def to_channels(images: Images, channels: int) -> Images:
    """Return images with 1 or 3 channels, by the rules of `datasets.images`."""
    if images.shape[-1] == channels:
        return images
    if channels == 3:
        return np.repeat(images, 3, axis=-1)
    grey = np.empty((*images.shape[:3], 1), np.uint8)
    for start in range(0, len(images), _BLOCK):
        rows = slice(start, start + _BLOCK)
        grey[rows, ..., 0] = (images[rows].astype(np.uint32) @ _LUMA + 32768) >> 16
    return grey


def _as_masks(array: npt.NDArray[Any], images: Images, origin: str) -> npt.NDArray[Any]:
    if array.shape != images.shape[:3]:
        raise DataError(
            f"{origin} has labels of the shape {array.shape}; expected one label for each of {len(images):,} images, "
            f"or masks of their size, {images.shape[:3]}"
        )
    if array.dtype.kind not in "biu":
        raise DataError(f"{origin} has masks of type {array.dtype}; expected integers")
    return array


def _flat(array: npt.NDArray[Any], count: int, origin: str) -> npt.NDArray[Any]:
    flat = array.reshape(-1) if array.ndim == 2 and array.shape[1] == 1 else array
    if flat.shape != (count,):
        raise DataError(f"{origin} has the shape {array.shape}; expected one label for each of {count:,} images")
    return flat


def _classes(
    content: dict[str, npt.NDArray[Any]], labels: dict[str, npt.NDArray[Any]], origin: str
) -> tuple[str, ...] | None:
    """Return the class names: the array "classes", or the different words among the training labels."""
    if "classes" in content:
        names = content["classes"]
        if names.dtype.kind != "U" or names.ndim != 1 or len(set(names.tolist())) != len(names):
            raise DataError(f'{origin}: "classes" must contain distinct strings')
        return tuple(names.tolist())
    if labels["train"].dtype.kind == "U":
        return tuple(sorted(set(labels["train"].tolist())))
    return None


def _as_labels(labels: npt.NDArray[Any], classes: tuple[str, ...] | None, origin: str) -> Labels:
    if labels.dtype.kind == "U" and classes is not None:
        place = {name: number for number, name in enumerate(classes)}
        unknown = sorted(set(labels.tolist()) - set(classes))
        if unknown:
            raise DataError(f'{origin} has the class "{unknown[0]}", which the training split does not have')
        return np.array([place[name] for name in labels.tolist()], np.int64)
    if labels.dtype.kind not in "iu":
        raise DataError(f"{origin} has labels of type {labels.dtype}; expected integers from 0, or strings")
    low, high = int(labels.min()), int(labels.max())
    limit = MAX_CLASSES if classes is None else len(classes)
    if low < 0 or high >= limit:
        raise DataError(f"{origin} has labels from {low} to {high}; expected 0 to {limit - 1}")
    return labels.astype(np.int64)
