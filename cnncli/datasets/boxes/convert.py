"""Images and their boxes written anew, in the files of VOC, COCO or YOLO."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from cnncli.datasets.boxes.check import DECIMALS
from cnncli.datasets.boxes.data_yaml import names_text
from cnncli.datasets.boxes.targets import Boxes, Objects
from cnncli.datasets.boxes.writing import SHORT, Converted, Example, Writer, examples
from cnncli.datasets.boxes.yolo import label_lines
from cnncli.datasets.splits import Splits
from cnncli.errors import DataError
from cnncli.files.folders import put, work_folder

_LEAST_IN_VOC = 1.0
"""Pixels of a side that VOC cannot write: its last pixel would be its first, or one before it."""


def convert(splits: Splits, form: str, target: Path) -> Converted:
    """Write all images and their boxes into a new folder; images are copied as they are.

    What `cnncli.datasets.boxes` reads of it equals what it was made of, edge by edge.

    Args:
        splits: Examples with boxes, divided as they shall be.
        form: A key of `FORMS`.
        target: The folder; it gets its name when it is whole.

    Returns:
        What was written, and what the form has no words for.

    Raises:
        DataError: If the folder is there already, cannot be written, or a name or box cannot be written in the form.
    """
    if target.exists():
        raise DataError(f"{target} is there already", "Name a folder that is not there yet.")
    if not all(isinstance(split.targets, Boxes) for split in splits.present()):
        raise DataError("only data with boxes of objects can be converted", "Set data.source: voc, coco or yolo.")
    done = Converted()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with work_folder(target.parent) as work:
            folder = work / target.name
            folder.mkdir()
            FORMS[form](splits, Writer(folder, splits.classes, done))
            put(folder, target)
    except OSError as error:
        raise DataError(f"{target} cannot be written: {error.strerror or error}") from error
    return done


def _number(value: float) -> str:
    """Return a number with as many decimals as it has, to the rounding of those that read it."""
    rounded = round(value, DECIMALS)
    return str(int(rounded)) if rounded.is_integer() else repr(rounded)


def _lose_areas(objects: Objects, writer: Writer) -> None:
    """Note areas that are not those of the boxes."""
    of_boxes = (objects.corners[:, 2:] - objects.corners[:, :2]).prod(axis=1)
    writer.lose(int((objects.areas != of_boxes).sum()), "their areas are not those of their boxes, and are not written")


def _write_voc(splits: Splits, writer: Writer) -> None:
    """Write Annotations/NAME.xml, JPEGImages/NAME and ImageSets/Main/SPLIT.txt."""
    for name in writer.classes:
        if not name.isprintable() or name != name.strip():
            raise DataError(f"the class {name!r} cannot be written in XML", "Rename it, or convert to coco.")
    lists: dict[str, list[str]] = {SHORT[split.name]: [] for split in splits.present()}
    for example in examples(splits, writer, "JPEGImages"):
        lists[example.split].append(example.stem)
        writer.write(f"Annotations/{example.stem}.xml", _voc_xml(example, writer.classes))
        writer.lose(int(example.objects.crowd.sum()), "a crowd, written as difficult")
        _lose_areas(example.objects, writer)
    for split, stems in lists.items():
        writer.write(f"ImageSets/Main/{split}.txt", "".join(f"{stem}\n" for stem in stems))


def _voc_xml(example: Example, classes: Sequence[str]) -> str:
    """Return the annotations of an image.

    Raises:
        DataError: If a box has a side of at most a pixel.
    """
    own = example.objects
    height, width = own.size
    lines = [
        "<annotation>",
        "  <folder>JPEGImages</folder>",
        f"  <filename>{escape(example.name)}</filename>",
        f"  <size><width>{width}</width><height>{height}</height><depth>3</depth></size>",
    ]
    for label, corners, is_spared in zip(
        own.labels.tolist(), own.corners.tolist(), (own.difficult | own.crowd).tolist(), strict=True
    ):
        xmin, ymin, xmax, ymax = corners
        if min(xmax - xmin, ymax - ymin) <= _LEAST_IN_VOC:
            raise DataError(
                f"{example.name}: the box of a {classes[label]} is {_number(xmax - xmin)} wide and "
                f"{_number(ymax - ymin)} high; VOC names the first and the last pixel, so it has none of one or less",
                "Convert to coco or yolo, or remove the box.",
            )
        edges = (("xmin", xmin + 1), ("ymin", ymin + 1), ("xmax", xmax), ("ymax", ymax))
        box = "".join(f"<{side}>{_number(value)}</{side}>" for side, value in edges)
        lines += [
            "  <object>",
            f"    <name>{escape(classes[label])}</name>",
            f"    <difficult>{int(is_spared)}</difficult>",
            f"    <bndbox>{box}</bndbox>",
            "  </object>",
        ]
    return "\n".join([*lines, "</annotation>", ""])


def _write_coco(splits: Splits, writer: Writer) -> None:
    """Write images/SPLIT/NAME and annotations/instances_SPLIT.json."""
    categories = [{"id": number, "name": name} for number, name in enumerate(writer.classes, 1)]
    documents: dict[str, dict[str, list[Any]]] = {
        SHORT[split.name]: {"images": [], "annotations": [], "categories": categories} for split in splits.present()
    }
    for example in examples(splits, writer, "images/{split}"):
        document, own = documents[example.split], example.objects
        number = len(document["images"]) + 1
        height, width = own.size
        document["images"].append({"id": number, "file_name": example.name, "height": height, "width": width})
        for row, (xmin, ymin, xmax, ymax) in enumerate(own.corners.tolist()):
            box = [json.loads(_number(value)) for value in (xmin, ymin, xmax - xmin, ymax - ymin)]
            annotation = {
                "id": len(document["annotations"]) + 1,
                "image_id": number,
                "category_id": int(own.labels[row]) + 1,
                "bbox": box,
                "area": float(own.areas[row]),
                "iscrowd": int(own.crowd[row]),
            }
            document["annotations"].append(annotation | ({"difficult": 1} if own.difficult[row] else {}))
    for split, document in documents.items():
        writer.write(f"annotations/instances_{split}.json", json.dumps(document, indent=1))


def _write_yolo(splits: Splits, writer: Writer) -> None:
    """Write images/SPLIT/NAME, labels/SPLIT/NAME.txt and data.yaml."""
    for example in examples(splits, writer, "images/{split}"):
        own = example.objects
        kept = ~own.crowd
        objects = zip(own.labels[kept].tolist(), own.corners[kept].tolist(), strict=True)
        writer.write(f"labels/{example.split}/{example.stem}.txt", label_lines(objects, own.size))
        writer.lose(int(own.crowd.sum()), "a crowd, left out")
        writer.lose(int((own.difficult & kept).sum()), "that they are difficult is not written")
        _lose_areas(own, writer)
    paths = "".join(f"{SHORT[split.name]}: images/{SHORT[split.name]}\n" for split in splits.present())
    writer.write("data.yaml", paths + names_text(writer.classes))


FORMS: dict[str, Callable[[Splits, Writer], None]] = {"coco": _write_coco, "voc": _write_voc, "yolo": _write_yolo}
"""What writes each form, by its name."""
