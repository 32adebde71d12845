"""What a network detects in an image that nobody labelled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from cnncli.datasets.boxes.data_yaml import names_text
from cnncli.datasets.boxes.yolo import label_lines
from cnncli.datasets.images import Pixels
from cnncli.report.grid import Column
from cnncli.tasks.colours import class_colours
from cnncli.tasks.detection.evaluator import in_original
from cnncli.tasks.detection.marks import Colour, Mark, corners_of, draw, drawn, scaled
from cnncli.tasks.detection.overlap import Detections
from cnncli.tasks.outputs import NamedOutputs
from cnncli.tasks.predictions import PredictionOptions, csv_text

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

EDGES = ("xmin", "ymin", "xmax", "ymax")
"""Columns of a box: edges in the original image's pixels, counted from 0."""

MOST_CHARACTERS = 48
"""Of all classes' columns together in the table on the terminal; the file's name needs room too."""


@dataclass(frozen=True)
class DetectedImage:
    """The objects that are found in an image, the most confident first.

    Attributes:
        detections: In the original image's pixels, those that reach the threshold.
        classes: Names of the classes.
        size: Height and width of the image.
    """

    detections: Detections = field(repr=False)
    classes: Sequence[str]
    size: tuple[int, int]

    @classmethod
    def of(cls, outputs: NamedOutputs, row: int, size: tuple[int, int], options: PredictionOptions) -> DetectedImage:
        """Return what an exported network's outputs mean for one image of a batch, of some height and width."""
        found = in_original(outputs, row, size, options)
        limits = np.broadcast_to(np.array(options.threshold, np.float64), len(options.classes))
        # A box in the margin of a padded image has nothing left within the image.
        has_area = (found.corners[:, 2:] > found.corners[:, :2]).all(axis=1)
        return cls(found.take(has_area & (found.scores >= limits[found.labels])), options.classes, size)

    @property
    def columns(self) -> tuple[Column, ...]:
        """A column for each class where there is room for them, otherwise one for all."""
        if not self._has_columns:
            return Column("Objects", left=True), Column("Highest score")
        return *(Column(name) for name in self.classes), Column("Objects"), Column("Highest score")

    def counts(self) -> dict[str, int]:
        """Return the number of objects of each class that is found, the most frequent first."""
        numbers = np.bincount(self.detections.labels, minlength=len(self.classes))
        order = [label for label in np.argsort(-numbers, kind="stable").tolist() if numbers[label]]
        return {self.classes[label]: int(numbers[label]) for label in order}

    def to_json(self) -> dict[str, Any]:
        """Return the image's size, its boxes and the number of objects of each class."""
        height, width = self.size
        boxes = [{"class": name, "score": score, "box": list(corners)} for name, score, corners in self._named()]
        return {"width": width, "height": height, "boxes": boxes, "counts": self.counts()}

    def csv_rows(self) -> list[dict[str, str]]:
        """Return a line for each box; one without values where there is none."""
        rows = [
            {"class": name, "score": repr(score), **dict(zip(EDGES, map(repr, corners), strict=True))}
            for name, score, corners in self._named()
        ]
        return rows or [dict.fromkeys(("class", "score", *EDGES), "")]

    def cells(self) -> tuple[str, ...]:
        """Return the number of objects of each class, and the highest score."""
        scores, counts = self.detections.scores, self.counts()
        highest = f"{scores.max():.2f}" if len(scores) else "–"
        if not self._has_columns:
            return ", ".join(f"{number} {name}" for name, number in counts.items()) or "none", highest
        return *(str(counts.get(name, "–")) for name in self.classes), str(len(scores)), highest

    def over(self, pixels: Pixels) -> Pixels:
        """Return an image of any size with the boxes on it, without labels: it may be very small."""
        down, along = (now / before for now, before in zip(pixels.shape, self.size, strict=False))
        marks = [scaled(mark._replace(label=""), along, down) for mark in self.marks()]
        return drawn(pixels, marks, least_side=1)

    def lay_over(self, image: PillowImage) -> None:
        """Draw the boxes on the image itself, with class and score."""
        along, down = image.width / self.size[1], image.height / self.size[0]
        draw(image, [scaled(mark, along, down) for mark in self.marks()])

    def legend(self) -> list[tuple[str, Colour]]:
        """Return name and colour of each class that is found, the most frequent first."""
        colours = dict(zip(self.classes, _colours(len(self.classes)), strict=True))
        return [(name, colours[name]) for name in self.counts()]

    def classes_csv(self) -> str:
        """Return number, name, red, green and blue of every class."""
        rows = zip(self.classes, _colours(len(self.classes)), strict=True)
        lines = [(str(number), name, *map(str, colour)) for number, (name, colour) in enumerate(rows)]
        return csv_text([("number", "class", "red", "green", "blue"), *lines])

    def label_lines(self) -> str:
        """Return YOLO's line for each box, with its score as the sixth number."""
        objects = zip(self.detections.labels.tolist(), corners_of(self.detections.corners), strict=True)
        return label_lines(objects, self.size, self.detections.scores.tolist())

    def data_yaml(self) -> str:
        """Return the lines of YOLO's `data.yaml` that name the classes."""
        return names_text(self.classes)

    def marks(self) -> list[Mark]:
        """Return the boxes in their classes' colours, the most confident last: it is drawn over the others."""
        colours = _colours(len(self.classes))
        columns = corners_of(self.detections.corners), self.detections.labels.tolist(), self.detections.scores.tolist()
        return [
            Mark(corners, colours[label], f"{self.classes[label]} {score:.2f}")
            for corners, label, score in reversed(list(zip(*columns, strict=True)))
        ]

    @property
    def _has_columns(self) -> bool:
        """Whether each class has a column of its own."""
        return sum(max(len(name), 2) + 2 for name in self.classes) <= MOST_CHARACTERS

    def _named(self) -> list[tuple[str, float, tuple[float, float, float, float]]]:
        labels, scores = self.detections.labels.tolist(), self.detections.scores.tolist()
        names = [self.classes[label] for label in labels]
        return list(zip(names, scores, corners_of(self.detections.corners), strict=True))


def _colours(number: int) -> list[Colour]:
    return [(red, green, blue) for red, green, blue in class_colours(number).tolist()]
