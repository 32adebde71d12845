"""Boxes as YOLO writes them: a text file for each image, a line for each object."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping, Sequence

from cnncli.datasets.boxes.data_yaml import DataYaml, read_data_yaml
from cnncli.datasets.boxes.entries import NO_EDGES, Entries, ImageEntry, ObjectEntry
from cnncli.datasets.layout import split_of
from cnncli.datasets.masks.collect import CLASSES_FILE, listed_classes
from cnncli.datasets.pictures import is_something_else
from cnncli.datasets.store import Listing, Store
from cnncli.errors import DataError
from cnncli.plural import counted

FORM = "YOLO's are the x and y of the centre, width and height, as shares of the image's width and height."

MAX_LABEL_BYTES = 2**24
"""Most bytes of a file of labels."""

_ROUNDING = 1e-3
"""Shares above 1 that are taken for rounding."""

_NOT_IMAGES = (".yaml", ".yml", ".cache", ".md", ".names")


def has_yolo(names: Sequence[str]) -> bool:
    """Say whether paths are those of images and labels in the folders of YOLO, beside a `data.yaml`."""
    has_names = any(posixpath.basename(name) in ("data.yaml", "data.yml") for name in names)
    has_labels = any(name.endswith(".txt") and "labels" in name.split("/")[:-1] for name in names)
    return has_names and has_labels


def read_yolo(store: Store, listing: Listing, origin: str, classes: Sequence[str] | None) -> Entries:
    """Return what text files say of images: those below images/ by files below labels/, others by files beside them.

    The names of the classes are those of `data.yaml`, or the lines of classes.txt, or `classes`. The splits are those
    of `data.yaml` where its paths lead to images, otherwise those that the names of folders mean.

    Raises:
        DataError: If there are no images with labels, or the names of the classes are not known.
    """
    document = read_data_yaml(store, listing)
    names = document.names if document is not None else listed_classes(store, listing) or classes
    if not names:
        raise DataError(
            f"{origin} does not say the names of the classes",
            "Give them in the order of their numbers: data.classes: [cat, dog], or names: [cat, dog] in data.yaml.",
        )
    place_of = {name: place for place, name in enumerate(listing.names)}
    labels = _labels(listing.names)
    if not any(label in place_of for label in labels.values()):
        raise DataError(
            f"{origin} has no images with labels",
            "Expected images/NAME.jpg and labels/NAME.txt, with folders for splits above or below these two.",
        )
    splits = _splits(list(labels), document, store, listing)
    images, bad = [], []
    used = set()
    for split, image in splits:
        label = labels[image]
        used |= {image, label}
        if label not in place_of:
            bad.append((image, split, f"no labels of this image: expected {label}, empty if there is no object"))
            continue
        try:
            objects = _objects(store.read(label), label, names)
        except DataError as error:
            bad.append((label, split, error.message.removeprefix(f"{label}: ")))
            continue
        images.append(ImageEntry(label, place_of[image], split, None, objects))
    bad += [(name, split_of(name), "no image for these labels") for name in _unpaired(listing.names, labels)]
    return Entries(images, tuple(names), bad, len(used & place_of.keys()), FORM, is_relative=True)


def label_lines(
    objects: Iterable[tuple[int, Sequence[float]]],
    size: tuple[int, int],
    scores: Sequence[float] = (),
) -> str:
    """Return the text of an image's labels: a line for each object.

    Args:
        objects: Class number and edges of each: xmin, ymin, xmax, ymax in pixels, counted from 0.
        size: Height and width of the image.
        scores: Of each object, for a sixth column; the labels of a data set have none.
    """
    height, width = size
    lines = []
    for row, (label, (xmin, ymin, xmax, ymax)) in enumerate(objects):
        middle = (xmin + xmax) / 2 / width, (ymin + ymax) / 2 / height
        values = *middle, (xmax - xmin) / width, (ymax - ymin) / height, *scores[row : row + 1]
        lines.append(" ".join([str(label), *map(repr, values)]) + "\n")
    return "".join(lines)


def _labels(names: Sequence[str]) -> dict[str, str]:
    """Return the path of each image's labels, in the order of the images."""
    texts = {name for name in names if name.casefold().endswith(".txt")}
    pictures = [name for name in names if not is_something_else(name) and not name.casefold().endswith(_NOT_IMAGES)]
    beside = {name: posixpath.splitext(name)[0] + ".txt" for name in pictures}
    folders = {posixpath.dirname(name) for name, label in beside.items() if label in texts}
    found = {}
    for name in pictures:
        *parts, last = name.split("/")
        if "images" in parts:
            place = len(parts) - 1 - parts[::-1].index("images")
            label = "/".join([*parts[:place], "labels", *parts[place + 1 :], posixpath.splitext(last)[0] + ".txt"])
            found[name] = beside[name] if label not in texts and beside[name] in texts else label
        elif posixpath.dirname(name) in folders:
            found[name] = beside[name]
    return found


def _unpaired(names: Sequence[str], labels: Mapping[str, str]) -> list[str]:
    """Return files below labels/ that are those of no image."""
    known = set(labels.values())
    return [
        name
        for name in names
        if name.casefold().endswith(".txt")
        and "labels" in name.split("/")[:-1]
        and name not in known
        and posixpath.basename(name) != CLASSES_FILE
    ]


def _splits(images: Sequence[str], document: DataYaml | None, store: Store, listing: Listing) -> list[tuple[str, str]]:
    """Return each image with its split; one that two splits name is there twice, and told as a duplicate."""
    named: Mapping[str, Sequence[str]] = {} if document is None else document.splits
    every = [path for paths in named.values() for path in paths]
    found = {
        split: [image for path in paths for image in _at(path, every, images, store, listing)]
        for split, paths in named.items()
    }
    if found.get("train"):
        return [(split, image) for split, own in found.items() for image in dict.fromkeys(own)]
    return [(split_of(image), image) for image in images]


def _at(path: str, every: Sequence[str], images: Sequence[str], store: Store, listing: Listing) -> list[str]:
    """Return the images that a path of `data.yaml` leads to: a folder, or a file with the path of an image a line.

    Such paths begin at a folder that is rarely where it was when they were written; what is left of them counts, as
    long as no other of `every` path there ends so: "images", of train/images and test/images, tells neither.
    """
    parts = _parts(path)
    others = [other for other in map(_parts, every) if other != parts]
    if path.endswith(".txt"):
        lists = [name for name in listing.names if _ends_with(name, parts)]
        lines = store.read(lists[0]).decode("utf-8", "replace").split("\n") if lists else []
        by_name: dict[str, list[str]] = {}
        for image in images:
            by_name.setdefault(posixpath.basename(image), []).append(image)
        found = []
        for line in lines:
            wanted = _parts(line.strip().replace("\\", "/"))
            near = by_name.get(wanted[-1], []) if wanted else []
            found += [image for image in near if _ends_with(image, wanted)] or near[:1]
        return found
    for start in range(len(parts)):
        rest = parts[start:]
        if start and any(other[-len(rest) :] == rest for other in others):
            break
        inner = f"/{'/'.join(rest)}/"
        found = [image for image in images if inner in f"/{posixpath.dirname(image)}/"]
        if found:
            return found
    return []


def _parts(path: str) -> list[str]:
    """Return the names of a path, without what only leads up."""
    return [part for part in path.split("/") if part not in ("", ".", "..")]


def _ends_with(name: str, parts: Sequence[str]) -> bool:
    return f"/{name}".endswith("/" + "/".join(parts))


def _objects(content: bytes, file: str, names: Sequence[str]) -> list[ObjectEntry]:
    """Return the objects of a file of labels.

    Raises:
        DataError: If it is not text.
    """
    if len(content) > MAX_LABEL_BYTES:
        raise DataError(f"{file}: the file has {len(content):,} bytes; the limit is {MAX_LABEL_BYTES:,}")
    try:
        lines = content.decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise DataError(f"{file}: it is not UTF-8 text") from error
    return [_object(line, number, names) for number, line in enumerate(lines, 1) if line.strip()]


def _object(line: str, number: int, names: Sequence[str]) -> ObjectEntry:
    """Return the object of a line: class number, then centre and size as shares."""
    label, parts = f"line {number}", line.split()
    written = line.strip()[:80]
    if "," in line:
        return ObjectEntry(label, "", NO_EDGES, written, "expected spaces between the numbers, not commas")
    if len(parts) != 5:
        more = ", as polygons are" if len(parts) > 6 else ", as predictions with a score are" if len(parts) == 6 else ""
        found = f"expected 5 numbers, class x y width height; got {len(parts)}{more}"
        return ObjectEntry(label, "", NO_EDGES, written, found)
    try:
        index, (x, y, width, height) = float(parts[0]), map(float, parts[1:])
    except ValueError:
        return ObjectEntry(label, "", NO_EDGES, written, "expected 5 numbers, class x y width height")
    if not index.is_integer() or not 0 <= index < len(names):
        known = f"{counted(len(names), 'class')} from 0 to {len(names) - 1}"
        found = f"there is no class {parts[0][:40]}, only {known}"
        return ObjectEntry(label, "", NO_EDGES, written, found)
    name = names[int(index)]
    if max(x, y, width, height) > 1 + _ROUNDING or min(x, y) < -_ROUNDING:
        found = "expected shares of the image's width and height, from 0 to 1; are these pixels?"
        return ObjectEntry(f"{label} ({name})", name, NO_EDGES, written, found)
    edges = x - width / 2, y - height / 2, x + width / 2, y + height / 2
    return ObjectEntry(f"{label} ({name})", name, edges, written)
