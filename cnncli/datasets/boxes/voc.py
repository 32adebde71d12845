"""Boxes as Pascal VOC writes them: an XML file for each image, and lists of names or folders for the splits."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from cnncli.datasets.boxes.entries import NO_EDGES, Entries, ImageEntry, ObjectEntry
from cnncli.datasets.layout import SPLITS, split_of
from cnncli.datasets.pictures import is_something_else
from cnncli.datasets.store import Listing, Store
from cnncli.errors import DataError

FORM = "VOC's are xmin, ymin, xmax, ymax, counted from 1: the first and the last pixel of the object."

MAX_XML_BYTES = 2**24
"""Most bytes of a file of annotations."""

_IMAGES = re.compile(r"(?P<root>(?:.*/)?)(?:JPEGImages|images)/(?P<rest>.+)", re.IGNORECASE)
_ANNOTATIONS = re.compile(r"(?P<root>(?:.*/)?)Annotations/(?P<rest>.+)\.xml", re.IGNORECASE)
_LISTS = re.compile(r"(?P<root>(?:.*/)?)ImageSets/Main/(?P<split>train|val|test|trainval)\.txt", re.IGNORECASE)
_XML = ".xml"
_DEEPEST = 32
_SIDES = ("xmin", "ymin", "xmax", "ymax")


def has_voc(names: Sequence[str]) -> bool:
    """Say whether paths are those of images and annotations in the folders of VOC, or of annotations beside images."""
    if any(map(_ANNOTATIONS.fullmatch, names)):
        return any(_IMAGES.fullmatch(name) and not is_something_else(name) for name in names)
    annotated = {name[: -len(_XML)] for name in names if name.casefold().endswith(_XML)}
    folders = {posixpath.dirname(name) for name in annotated}
    images = [name for name in names if posixpath.dirname(name) in folders and not is_something_else(name)]
    return 2 * sum(posixpath.splitext(name)[0] in annotated for name in images) > len(images)


def read_voc(
    store: Store,
    listing: Listing,
    origin: str,
    classes: Sequence[str] | None,  # noqa: ARG001 - the files have names
) -> Entries:
    """Return what the XML files below Annotations/ say of the images below JPEGImages/.

    Splits are those of ImageSets/Main: train, val, test, or trainval where there is no train; images in none of them
    are not used. Without such lists all images are for training.

    Where there are no such folders, an XML file belongs to the image beside it, as Roboflow writes them; splits are
    then the folders called train, valid or test.

    Raises:
        DataError: If there are no such folders, or a list names no image.
    """
    folders = _Folders.of(listing.names)
    if not folders.images or not folders.annotations:
        raise DataError(
            f"{origin} has no images and annotations in the folders of VOC",
            "Expected JPEGImages/NAME.jpg and Annotations/NAME.xml, at the top or in a folder within; or NAME.xml "
            "beside each NAME.jpg.",
        )
    lists = {split: _listed(store, listing.names[place], folders, split) for split, place in folders.lists}
    chosen = _splits(folders, lists)
    images, bad = [], []
    for split, key in chosen:
        image = folders.images[key]
        name, place = listing.names[image], folders.annotations.get(key)
        if place is None:
            bad.append((name, split, f"no annotations of this image: expected {folders.expected(key)}"))
            continue
        file = listing.names[place]
        try:
            images.append(_entry(store.read(file), file, image, name, split))
        except DataError as error:
            bad.append((file, split, error.message.removeprefix(f"{file}: ")))
    if not lists:
        bad += [
            (listing.names[place], folders.split(key), "no image for these annotations")
            for key, place in folders.annotations.items()
            if key not in folders.images
        ]
    used = {key for _, key in chosen}
    num_used = len(folders.lists) + len(used) + sum(key in folders.annotations for key in used)
    return Entries(images, None, bad, num_used, FORM)


_Key = tuple[str, str]
"""The folder around JPEGImages/ and Annotations/, and a path below them without its suffix.

Of annotations beside their images: their folder, and the name without its suffix.
"""


class _Folders(NamedTuple):
    """Places in the listing of images, annotations, and lists of splits.

    Attributes:
        images: The images.
        annotations: What may be annotations of them.
        lists: Split and place of each list.
        are_beside: Whether annotations lie beside their images, and folders are the splits.
    """

    images: Mapping[_Key, int]
    annotations: Mapping[_Key, int]
    lists: Sequence[tuple[str, int]]
    are_beside: bool = False

    @classmethod
    def of(cls, names: Sequence[str]) -> _Folders:
        """Find them by their paths: in the folders of VOC, else beside each other.

        Raises:
            DataError: If two images have the same annotations.
        """
        found = cls._in_folders(names)
        return found if found.images and found.annotations else cls.beside(names)

    @classmethod
    def beside(cls, names: Sequence[str]) -> _Folders:
        """Find annotations that lie beside images; only images in folders with annotations are some.

        Raises:
            DataError: If two images have the same annotations.
        """
        annotations = {
            (posixpath.dirname(name), posixpath.basename(name)[: -len(_XML)]): place
            for place, name in enumerate(names)
            if name.casefold().endswith(_XML)
        }
        folders = {folder for folder, _ in annotations}
        images: dict[_Key, int] = {}
        for place, name in enumerate(names):
            if posixpath.dirname(name) in folders and not is_something_else(name):
                _add(images, (posixpath.dirname(name), posixpath.splitext(posixpath.basename(name))[0]), place, names)
        return cls(images, annotations, (), are_beside=True)

    def expected(self, key: _Key) -> str:
        """Return where the annotations of an image should be."""
        return posixpath.join(key[0], key[1] + _XML) if self.are_beside else f"{key[0]}Annotations/{key[1]}{_XML}"

    def split(self, key: _Key) -> str:
        """Return the split of an image that is in no list."""
        return split_of(posixpath.join(*key)) if self.are_beside else "train"

    @classmethod
    def _in_folders(cls, names: Sequence[str]) -> _Folders:
        """Find them in the folders of VOC.

        Raises:
            DataError: If two images have the same annotations.
        """
        images: dict[_Key, int] = {}
        annotations: dict[_Key, int] = {}
        lists = []
        for place, name in enumerate(names):
            if found := _ANNOTATIONS.fullmatch(name):
                annotations[found["root"], found["rest"]] = place
            elif found := _LISTS.fullmatch(name):
                lists.append((found["root"] + found["split"].casefold(), place))
            elif (found := _IMAGES.fullmatch(name)) and not is_something_else(name):
                _add(images, (found["root"], posixpath.splitext(found["rest"])[0]), place, names)
        return cls(images, annotations, lists)


def _add(images: dict[_Key, int], key: _Key, place: int, names: Sequence[str]) -> None:
    """Add the place of an image.

    Raises:
        DataError: If another one has the same annotations.
    """
    if images.setdefault(key, place) != place:
        raise DataError(f"{names[images[key]]} and {names[place]} have the same annotations, {key[1]}{_XML}")


def _listed(store: Store, name: str, folders: _Folders, of: str) -> list[_Key]:
    """Return the images that a list names, a line each; some lists have 1, 0 or -1 behind each name."""
    root = of.removesuffix(posixpath.basename(of)) if "/" in of else ""
    try:
        lines = [line.strip() for line in store.read(name).decode("utf-8-sig").splitlines()]
    except UnicodeDecodeError as error:
        raise DataError(f"{name} is not UTF-8 text") from error
    found = []
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        key = root, line
        if key not in folders.images:
            key = root, re.sub(r"\s+-?[01]$", "", line)
        if key not in folders.images:
            raise DataError(
                f"{name}, line {number}: there is no image JPEGImages/{line[:200]}.*",
                "Remove the line, or add the image.",
            )
        found.append(key)
    return found


def _splits(folders: _Folders, lists: Mapping[str, list[_Key]]) -> list[tuple[str, _Key]]:
    """Return each image with its split; one that two lists name is there twice, and told as a duplicate."""
    if not lists:
        return [(folders.split(key), key) for key in folders.images]
    chosen = []
    for of, keys in lists.items():
        root, name = posixpath.split(of)
        if name == "trainval":
            if posixpath.join(root, "train") in lists:
                continue
            name = "train"
        chosen += [(SPLITS[name], key) for key in dict.fromkeys(keys)]
    return chosen


def _entry(content: bytes, file: str, image: int, image_name: str, split: str) -> ImageEntry:
    """Return what a file says of an image.

    Raises:
        DataError: If it is not such a file, or is about another image.
    """
    root = parse_xml(content, file)
    if root.tag != "annotation":
        raise DataError(f"{file}: the outermost element is <{root.tag[:60]}>, expected <annotation>")
    about = _text(root, "filename")
    if about and not _is_same(about, image_name):
        raise DataError(f'{file}: it is about the image "{about[:200]}", not {posixpath.basename(image_name)}')
    size = root.find("size")
    found = None if size is None else (_whole(size, "height", file), _whole(size, "width", file))
    objects = [_object(element, number) for number, element in enumerate(root.findall("object"), 1)]
    return ImageEntry(file, image, split, found, objects)


def _is_same(about: str, image_name: str) -> bool:
    """Say whether a <filename> means an image; some leave out the suffix."""
    expected = posixpath.basename(image_name)
    given = re.split(r"[/\\]", about)[-1]
    return given in (expected, posixpath.splitext(expected)[0])


def _object(element: Element, number: int) -> ObjectEntry:
    label, name = f"object {number}", _text(element, "name")
    label += f" ({name})" if name else ""
    box = element.find("bndbox")
    if box is None:
        return ObjectEntry(label, name, NO_EDGES, "", "it has no <bndbox>")
    given = {side: _text(box, side) for side in _SIDES}
    written = ", ".join(f"{side} {value[:40] or '(nothing)'}" for side, value in given.items())
    try:
        xmin, ymin, xmax, ymax = map(float, given.values())
    except ValueError:
        return ObjectEntry(label, name, NO_EDGES, written, "expected four numbers")
    # As declared, one pixel; but what draws boxes writes this for a click that drew none.
    problem = "the box has no width or no height" if xmin == xmax or ymin == ymax else ""
    edges = xmin - 1, ymin - 1, xmax, ymax
    return ObjectEntry(label, name, edges, written, problem, difficult=_text(element, "difficult") == "1")


def _text(element: Element, tag: str) -> str:
    """Return the text of the first element of a name within another, or "" where there is none."""
    return (element.findtext(tag) or "").strip()


def _whole(element: Element, tag: str, file: str) -> int:
    text = _text(element, tag)
    try:
        return int(text)
    except ValueError:
        raise DataError(f'{file}: the {tag} of the image is "{text[:40]}", expected a whole number') from None


def parse_xml(content: bytes, name: str) -> Element:
    """Return the outermost element of an XML document.

    A document type is refused, and with it all entities: a small file could stand for any amount of text, or for that
    of other files.

    Raises:
        DataError: If it is not XML, has a document type, or is too large or too deep.
    """
    if len(content) > MAX_XML_BYTES:
        raise DataError(f"{name}: the file has {len(content):,} bytes; the limit for XML is {MAX_XML_BYTES:,}")
    tree, depth = TreeBuilder(), 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > _DEEPEST:
            raise DataError(f"{name}: elements within elements more than {_DEEPEST} deep")
        tree.start(tag, attributes)

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        tree.end(tag)

    def refuse(*_: object) -> None:
        raise DataError(f"{name}: it has a document type (<!DOCTYPE …>), which annotations do not need; remove it")

    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = tree.data
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(content, True)
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise DataError(f"{name}: not readable as XML: {str(error)[:200]}") from error
    return tree.close()
