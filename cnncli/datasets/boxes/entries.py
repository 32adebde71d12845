"""What files of annotations say of images and their objects, before it is held against the images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from cnncli.datasets.boxes.bad_boxes import BadBox

Edges = tuple[float, float, float, float]
"""xmin, ymin, xmax, ymax."""

NO_EDGES: Edges = (0.0, 0.0, 0.0, 0.0)
"""Of an object whose box cannot be read."""


class ObjectEntry(NamedTuple):
    """What is said of one object.

    Attributes:
        label: What errors call it: "object 4", "line 2", "annotation 17".
        name: Its class.
        edges: Of its box, counted from 0: in pixels, or in shares of the image's width and height.
        written: The values that were read, as a part of an error.
        problem: What is wrong with it already in its file, or "".
        difficult: As VOC has it.
        crowd: As COCO has it.
        area: In pixels; None for that of the box.
    """

    label: str
    name: str
    edges: Edges
    written: str
    problem: str = ""
    difficult: bool = False
    crowd: bool = False
    area: float | None = None


class ImageEntry(NamedTuple):
    """What is said of one image.

    Attributes:
        file: The file that says it.
        image: Place of the image in the listing.
        split: The split it is in.
        size: Height and width of the image by the file; None where it says none.
        objects: Its objects.
    """

    file: str
    image: int
    split: str
    size: tuple[int, int] | None
    objects: Sequence[ObjectEntry]


class Entries(NamedTuple):
    """What a source says of all its images.

    Attributes:
        images: Of each image.
        classes: Names of all classes, in the order of the source; None where it has no order.
        bad: File, split and reason of what cannot be used: an image without a file of annotations, or with one that
            cannot be read.
        num_used: Number of files in the listing that were used.
        form: What the four numbers of a box are, in a sentence.
        is_relative: Whether the boxes are in shares of the image's width and height.
        bad_boxes: Objects that are of no image.
    """

    images: Sequence[ImageEntry]
    classes: tuple[str, ...] | None
    bad: Sequence[tuple[str, str, str]]
    num_used: int
    form: str
    is_relative: bool = False
    bad_boxes: Sequence[BadBox] = ()
