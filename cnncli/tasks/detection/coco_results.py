"""Boxes as COCO's tools read results: a JSON list, beside it the images that it is of."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

from cnncli.tasks.detection.predictions import DetectedImage
from cnncli.tasks.predictions import PredictedFile


class CocoResults:
    """Writes the boxes of images as they come: {image_id, category_id, bbox: [x, y, width, height], score}.

    The categories have the numbers from 1 on, in the order of the classes. `images_json` says which image has which
    number; COCO's tools take it for annotations without objects.

    Args:
        file: Where to write.
        names: The images that will come, in their order.
        classes: Names of the classes.

    Reference: https://cocodataset.org/#format-results
    """

    def __init__(self, file: TextIO, names: Iterable[str], classes: Sequence[str]) -> None:
        self._file, self._classes = file, classes
        self._ids = iter(image_ids(list(names)))
        self._images: list[dict[str, Any]] = []
        self._is_first = True
        file.write("[")

    def add(self, predicted: PredictedFile) -> None:
        """Write the boxes of one image; of a file that cannot be read there are none, and it is not an image."""
        number = next(self._ids)
        found = predicted.prediction
        if not isinstance(found, DetectedImage):
            return
        height, width = found.size
        self._images.append({"id": number, "file_name": predicted.file, "width": width, "height": height})
        columns = found.detections.labels.tolist(), found.detections.corners.tolist(), found.detections.scores.tolist()
        for label, (xmin, ymin, xmax, ymax), score in zip(*columns, strict=True):
            box = [xmin, ymin, xmax - xmin, ymax - ymin]
            self._write({"image_id": number, "category_id": label + 1, "bbox": box, "score": score})

    def _write(self, result: dict[str, Any]) -> None:
        self._file.write(("\n" if self._is_first else ",\n") + json.dumps(result))
        self._is_first = False

    def close(self) -> None:
        """Write the end of the list."""
        self._file.write("\n]\n")

    def images_json(self) -> str:
        """Return number, name and size of each image, and number and name of each class."""
        categories = [{"id": number, "name": name} for number, name in enumerate(self._classes, 1)]
        # In ASCII, a name that is not UTF-8 still leads to its file.
        return json.dumps({"images": self._images, "annotations": [], "categories": categories}, indent=1) + "\n"


def image_ids(names: Sequence[str]) -> Sequence[int]:
    """Return the number of each image: those that the files are called by, as COCO's are; otherwise 1, 2, 3, …."""
    stems = [posixpath.splitext(posixpath.basename(name.replace("\\", "/")))[0] for name in names]
    if all(stem.isascii() and stem.isdecimal() and len(stem) <= MOST_DIGITS for stem in stems):
        numbers = [int(stem) for stem in stems]
        if len(set(numbers)) == len(numbers):
            return numbers
    return range(1, len(names) + 1)


MOST_DIGITS = 15
"""Of an image's number: larger ones are not exact in programs that read JSON's numbers as floats."""
