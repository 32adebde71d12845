"""Examples of an evaluated split with their objects and what was detected: what figures and the report show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from cnncli.datasets.boxes.targets import Objects
from cnncli.datasets.images import Pixels
from cnncli.datasets.splits import image as image_of
from cnncli.errors import RunError
from cnncli.plural import counted
from cnncli.tasks.detection.marks import Colour, Mark, corners_of, drawn
from cnncli.tasks.detection.outcomes import CONFUSED, FALSE, IGNORED, MISSED, RIGHT, Outcomes, outcomes
from cnncli.tasks.detection.overlap import Contents, Detections
from cnncli.tasks.detection.rows import Rows, read_rows
from cnncli.tasks.detection.thresholds import all_confident
from cnncli.tasks.pages import EvaluatedSplit, LegendEntry

# Of Okabe and Ito's colours those that are farthest apart; what is dashed or has a label tells them too.
COLOURS: dict[str, Colour] = {
    RIGHT: (0, 158, 115),
    CONFUSED: (86, 180, 233),
    FALSE: (213, 94, 0),
    MISSED: (240, 228, 66),
    IGNORED: (130, 130, 130),
}
"""Colour of a box by what came of it; objects are dashed, detections solid."""

LEGEND: list[LegendEntry] = [
    ("right", COLOURS[RIGHT]),
    ("another class", COLOURS[CONFUSED]),
    ("false", COLOURS[FALSE]),
    ("missed", COLOURS[MISSED]),
    ("not counted", COLOURS[IGNORED]),
]


@dataclass(frozen=True)
class DetectedExample:
    """An image with its objects, and what is detected from the best score of each class on.

    Attributes:
        name: Its file or index.
        pixels: uint8 (height, width, channels).
        objects: Its objects.
        detections: What reaches the threshold of its class.
        outcomes: What came of both.
        classes: Names of the classes.
    """

    name: str
    pixels: Pixels
    objects: Objects
    detections: Detections
    outcomes: Outcomes
    classes: tuple[str, ...]

    @property
    def caption(self) -> str:
        """The example's name, and what came of it."""
        return f"{'no. ' * self.name.isdecimal()}{self.name}: {self.summary}"

    @property
    def summary(self) -> str:
        """The number of right detections and of each kind of error."""
        if np.isnan(self.outcomes.f1):
            return "nothing counts"
        kinds = self.outcomes.detections
        numbers = {
            "right": kinds.count(RIGHT),
            "of another class": kinds.count(CONFUSED),
            "false": kinds.count(FALSE),
            "missed": self.outcomes.objects.count(MISSED),
        }
        return ", ".join(f"{number} {kind}" for kind, number in numbers.items() if number)

    def marks(self) -> list[Mark]:
        """Return the objects, dashed, and the detections, solid; errors have labels and are drawn last."""
        truth = zip(corners_of(self.objects.corners), self.objects.labels.tolist(), self.outcomes.objects, strict=True)
        found = [
            Mark(corners, COLOURS[kind], self.classes[label] if kind == MISSED else "", is_dashed=True)
            for corners, label, kind in truth
        ]
        columns = corners_of(self.detections.corners), *(column.tolist() for column in self.detections[1:])
        for corners, label, score, kind, number in zip(
            *columns, self.outcomes.detections, self.outcomes.found.tolist(), strict=True
        ):
            text = f"{self.classes[label]} {score:.2f}" if kind in (CONFUSED, FALSE) else ""
            if kind == CONFUSED:
                text += f", is {self.classes[self.objects.labels[number]]}"
            found.append(Mark(corners, COLOURS[kind], text))
        return sorted(found, key=lambda mark: bool(mark.label))

    def drawn(self) -> Pixels:
        """Return the image with all boxes."""
        return drawn(self.pixels, self.marks())


def split_rows(evaluated: EvaluatedSplit) -> Rows:
    """Return the objects and detections of a split.

    Raises:
        RunError: If the file of predictions is of other examples, or cannot be read.
    """
    found = read_rows(evaluated.predictions_file)
    if found is None or len(found) != len(evaluated.examples):
        images = counted(0 if found is None else len(found), "image")
        raise RunError(
            f"{evaluated.predictions_file} cannot be read: it has {images}, expected {len(evaluated.examples)}, the "
            f"examples of {evaluated.split}",
            "`cnn eval` writes it again.",
        )
    return found


class DetectedSplit:
    """The examples of a split, from the file of predictions.

    Args:
        evaluated: The split.

    Raises:
        RunError: If the file of predictions is of other examples, or cannot be read.
    """

    def __init__(self, evaluated: EvaluatedSplit) -> None:
        document = evaluated.document
        self.classes: tuple[str, ...] = tuple(document["classes"])
        contents = split_rows(evaluated).contents(self.classes)
        self._contents: Contents = all_confident(contents, [row["threshold"] for row in document["per_class"]])
        self._outcomes = list(outcomes(self._contents, len(self.classes)))
        self._examples = evaluated.examples

    def __len__(self) -> int:
        return len(self._outcomes)

    def worst(self, count: int) -> list[int]:
        """Return the examples with the lowest F1, lowest first; those in which nothing counts are left out."""
        scores = np.array([own.f1 for own in self._outcomes])
        return [row for row in np.argsort(scores, kind="stable").tolist() if not np.isnan(scores[row])][:count]

    def at(self, rows: Sequence[int]) -> Iterator[DetectedExample]:
        """Yield the examples at `rows`."""
        for row in rows:
            yield DetectedExample(
                name=self._examples.ids[row],
                pixels=image_of(self._examples, row),
                objects=self._contents.objects[row],
                detections=self._contents.detections[row],
                outcomes=self._outcomes[row],
                classes=self.classes,
            )


def legend(examples: Sequence[DetectedExample]) -> list[LegendEntry]:
    """Return name and colour of every kind of box in some examples."""
    kinds = {kind for own in examples for kind in (*own.outcomes.detections, *own.outcomes.objects)}
    return [entry for kind, entry in zip(COLOURS, LEGEND, strict=True) if kind in kinds]
