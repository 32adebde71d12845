"""A config's `data` section → everything that its source holds."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cnncli.config.schema.schema import Data
from cnncli.datasets import arrays, builtin, cache, digit_scenes, facts, tfds
from cnncli.datasets.archive import Archive
from cnncli.datasets.arrays import Arrays
from cnncli.datasets.boxes import digit_boxes
from cnncli.datasets.boxes.collect import READERS, from_boxes
from cnncli.datasets.cache import Known
from cnncli.datasets.collection import Collection, Part
from cnncli.datasets.facts import Facts
from cnncli.datasets.image_files import Classes, from_csv, from_store
from cnncli.datasets.masks.arrays import array_coding, array_masks
from cnncli.datasets.masks.collect import from_masks
from cnncli.datasets.recalled import Recalled
from cnncli.datasets.rehash import current
from cnncli.datasets.scan import Watch
from cnncli.datasets.splits import Images, Split
from cnncli.datasets.stamps import Stamp, settled, stamp_of
from cnncli.datasets.store import Folder, Store
from cnncli.datasets.targets import ClassNumbers
from cnncli.errors import DataError


def collect(data: Data, classes: Classes | None = None, watch: Watch | None = None) -> Collection:
    """Return what a config's source holds.

    Args:
        data: The config's `data` section.
        classes: Class order to impose, that of a run; None lets training fix it.
        watch: Hears how many files of how many are measured.

    Raises:
        DataError: If the source is missing, damaged, or has a class that `classes` has not.
    """
    known = classes or builtin.CLASSES.get(data.source)
    if data.source == "digits":
        return _from_arrays(arrays.read(builtin.EMBEDDED), data, known, None)
    if data.source == "digit_scenes":
        return digit_scenes.collect(data)
    if data.source == "digit_boxes":
        return digit_boxes.collect(data)
    if data.source == "tfds":
        return tfds.collect(data, known, watch)
    if data.path is None:  # the config has one for every other source
        return _from_arrays(builtin.download(data.source), data, known, None)
    return from_path(Path(data.path).expanduser(), data, known, watch)


def from_path(path: Path, data: Data, classes: Classes | None, watch: Watch | None) -> Collection:
    """Return what a file or folder holds: a folder or .zip of images, an .npz file, or a table in CSV."""
    if not path.exists():
        raise DataError(f"{path} does not exist", hint="Set data.path to the data.")
    if data.source == "masks":
        return from_masks(_store(path), str(path), data, classes, watch)
    if data.source in READERS:
        return from_boxes(_store(path), str(path), data, classes, watch)
    if path.is_dir():
        return from_store(Folder(path), str(path), data, classes, watch)
    suffix = path.suffix.casefold()
    if suffix == ".zip":
        return from_store(Archive(path), str(path), data, classes, watch)
    if suffix == ".csv":
        return from_csv(path, data, classes, watch)
    if suffix == ".npz":
        file = ArrayFile.of(path)
        return _from_arrays(arrays.read(path), data, classes, file)
    if path.name.endswith((".tar.gz", ".tgz")) and data.source in ("cifar10", "cifar100"):
        file = ArrayFile.of(path)
        return _from_arrays(builtin.read_cifar(data.source, path), data, classes, file)
    raise DataError(f"{path} is not a folder, .zip, .npz or .csv file", hint="Set data.path to one of these.")


def _store(path: Path) -> Store:
    """Return the folder or archive at a path that holds images beside what is known of them."""
    if path.is_dir():
        return Folder(path)
    if path.suffix.casefold() == ".zip":
        return Archive(path)
    raise DataError(f"{path} is not a folder or .zip file", hint="Set data.path to one that holds the images.")


@dataclass(frozen=True)
class ArrayFile:
    """A file of arrays.

    Attributes:
        path: Where it is.
        stamp: What the system said of it before it was read.
        time: When that was, in nanoseconds.
    """

    path: Path
    stamp: Stamp
    time: int

    @classmethod
    def of(cls, path: Path) -> ArrayFile:
        """Look at a file before it is read."""
        return cls(path, stamp_of(path.stat()), time.time_ns())


def _from_arrays(found: Arrays, data: Data, classes: Classes | None, file: ArrayFile | None) -> Collection:
    if found.masks and file is not None:
        return _from_mask_arrays(found, data, classes, file)
    if data.classes is not None or data.ignore is not None:
        raise DataError(
            "data.classes and data.ignore are for masks; the data has a class for each image",
            'Masks are an array "y" of the shape (examples, height, width).',
        )
    path = None if file is None else file.path
    named = found.classes
    if named is None:
        highest = int(found.labels["train"].max())
        named = classes or tuple(str(number) for number in range(highest + 1))
    if classes is not None and named != classes:
        raise DataError(f"{path} has the classes {', '.join(named)}; expected {', '.join(classes)}")
    parts = {}
    for name, images in found.images.items():
        labels = found.labels[name]
        if int(labels.max()) >= len(named):
            raise DataError(
                f"{path or data.source}: {name} has the label {labels.max()}, but there are {len(named)} classes"
            )
        ids = [str(number) for number in range(len(images))]
        converted = arrays.to_channels(images, data.channels)
        split = Split(name, converted, ClassNumbers(labels), ids)
        parts[name] = Part(split, facts.of_array(converted) if file is None else _array_facts(converted, name, file))
    return Collection(named, parts)


def _from_mask_arrays(found: Arrays, data: Data, classes: Classes | None, file: ArrayFile) -> Collection:
    coding = array_coding(data, found.classes or classes, found.masks)
    if classes is not None and coding.classes != classes:
        raise DataError(f"{file.path} has the classes {', '.join(coding.classes)}; expected {', '.join(classes)}")
    parts = {}
    for name, images in found.images.items():
        converted = arrays.to_channels(images, data.channels)
        targets = array_masks(found.masks[name], coding, f"{file.path}: {name}")
        split = Split(name, converted, targets, [str(number) for number in range(len(images))])
        parts[name] = Part(split, _array_facts(converted, name, file))
    return Collection(coding.classes, parts)


def _array_facts(images: Images, name: str, file: ArrayFile) -> Facts:
    """Return the facts of a split: from the cache where the file is as it was when they were measured."""
    identity, channels, number = f"array:{file.path.resolve()}:{name}", images.shape[-1], len(images)
    known, rehash = cache.load(identity, channels), current()
    stamps = np.tile(np.array(file.stamp, np.int64), (number, 1))
    believed = known is not None and np.array_equal(known.stamps, stamps)
    if known is not None and believed and rehash is None:
        return known.facts
    measured = facts.of_array(images)
    nothing, contents = [""] * number, np.zeros((number, 16), np.uint8)
    found = Known(nothing, settled(stamps, file.time), contents, measured, nothing)
    cache.save(identity, channels, found)
    if rehash is not None:
        named = replace(found, names=[f"{name} {place}" for place in range(number)])
        rehash.compare(Recalled(known, np.arange(number)), np.full(number, believed), named)
    return measured
