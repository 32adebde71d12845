"""A split of nine images of shapes with what a made-up network ends in for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from cnncli.datasets.boxes.targets import Boxes, Objects, to_network
from cnncli.datasets.splits import Split
from cnncli.tasks.detection.decoding import decode
from cnncli.tasks.detection.evaluation import Evaluation
from cnncli.tasks.detection.evaluator import DetectionEvaluator
from cnncli.tasks.pages import ReadExamples
from cnncli.tasks.predictions import PredictionOptions

CLASSES = ("cell", "</b>$plate$", "ring", "never")
COLOURS = ((200, 60, 60), (70, 70, 190), (60, 150, 60))
SIZE = (120, 160)
"""Height and width of the images."""

NETWORK_SIZE = (96, 128)
STRIDE = 4
NUMBER = 9


@dataclass(frozen=True)
class Detected:
    """An evaluated split, as the run's own would be.

    Attributes:
        logits: What the network ends in for all images.
        evaluation: Its scores.
        predictions_file: Its predictions-test.csv.
        options: How the images were fitted.
    """

    logits: dict[str, np.ndarray]
    evaluation: Evaluation
    examples: Split
    predictions_file: Path
    options: PredictionOptions
    split: str = "test"

    @property
    def run(self) -> Any:
        """A run with nothing but a name."""
        return SimpleNamespace(name="blood")

    @property
    def document(self) -> dict[str, Any]:
        """What evaluation-test.json holds."""
        return {**self.evaluation.to_json(), "checkpoint": "step-00000012"}

    @property
    def invariance(self) -> dict[str, Any]:
        """Not measured."""
        raise NotImplementedError

    def outputs(self, rows: Sequence[int]) -> dict[str, np.ndarray]:
        """Return what the exported network would."""
        return decode({name: values[list(rows)] for name, values in self.logits.items()}, NETWORK_SIZE)

    def as_read(self, rows: Sequence[int]) -> ReadExamples:
        """Return the images in the network's size, their objects, and what it ends in."""
        height, width = NETWORK_SIZE
        images = [np.asarray(Image.fromarray(self.examples.images[row]).resize((width, height))) for row in rows]
        data: Any = SimpleNamespace(image_size=NETWORK_SIZE, resize=SimpleNamespace(fit="stretch"))
        targets = self.examples.targets.take(np.array(rows, np.int64)).fit(data)
        return ReadExamples(np.stack(images), targets, {name: value[list(rows)] for name, value in self.logits.items()})


def shapes(seed: int) -> tuple[np.ndarray, Objects]:
    """Return an image with up to seven shapes, none in the last one, and their boxes; one is difficult, one a crowd."""
    generator = np.random.default_rng(seed)
    image = Image.fromarray(generator.integers(180, 215, (*SIZE, 3), np.uint8))
    pen, corners, labels = ImageDraw.Draw(image), [], []
    for _ in range(0 if seed == NUMBER - 1 else generator.integers(2, 8)):
        sides = generator.integers(12, 40, 2)
        x, y = (int(generator.integers(0, SIZE[1 - axis] - sides[axis])) for axis in (0, 1))
        box = (x, y, x + int(sides[0]), y + int(sides[1]))
        label = int(generator.integers(0, 3))
        pen.ellipse((x, y, box[2] - 1, box[3] - 1), fill=COLOURS[label])
        corners.append(box)
        labels.append(label)
    numbers = np.arange(len(labels))
    boxes = np.array(corners, np.float64).reshape(-1, 4)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    difficult, crowd = (numbers == 0) & (seed == 1), (numbers == 1) & (seed == 2)
    return np.asarray(image), Objects(boxes, np.array(labels, np.int64), difficult, crowd, areas, SIZE)


def planes(own: Objects, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the planes of an image: most objects are in them, some of another class, and a few that are not there."""
    generator = np.random.default_rng(100 + seed)
    rows, columns = (side // STRIDE for side in NETWORK_SIZE)
    heatmap = generator.normal(-6, 0.7, (rows, columns, len(CLASSES)))
    box = generator.normal(1, 0.3, (rows, columns, 4))
    corners = to_network(own.corners, own.size, NETWORK_SIZE, "stretch")
    for (left, top, right, bottom), label in zip(corners.tolist(), own.labels.tolist(), strict=True):
        kind = generator.random()
        if kind < 0.12:
            continue
        other = (label + 1) % 3 if kind < 0.22 else label
        i, j = int((top + bottom) / 2 / STRIDE), int((left + right) / 2 / STRIDE)
        heatmap[i, j, other] = generator.normal(1.5, 1)
        x, y = (j + 0.5) * STRIDE, (i + 0.5) * STRIDE
        distances = np.array([x - left, y - top, right - x, bottom - y]).clip(1) / STRIDE
        box[i, j] = np.log(distances) + generator.normal(0, 0.1, 4)
    for _ in range(generator.integers(0, 3)):
        heatmap[generator.integers(0, rows), generator.integers(0, columns), generator.integers(0, 3)] = (
            generator.normal(0, 1)
        )
    return heatmap.astype(np.float32), box.astype(np.float32)


def made() -> tuple[np.ndarray, Boxes, dict[str, np.ndarray], list[str]]:
    """Return the images, their objects, what the network ends in, and the images' names."""
    images, objects = zip(*(shapes(seed) for seed in range(NUMBER)), strict=True)
    heatmaps, boxes = zip(*(planes(own, seed) for seed, own in enumerate(objects)), strict=True)
    logits = {"heatmap": np.stack(heatmaps), "box": np.stack(boxes)}
    return np.stack(images), Boxes.of(objects), logits, [f"folder/{i}.png" for i in range(NUMBER)]


@pytest.fixture(scope="session")
def detected(tmp_path_factory: pytest.TempPathFactory) -> Detected:
    """Return the split, evaluated in two batches."""
    images, targets, logits, ids = made()
    options = PredictionOptions(CLASSES, NETWORK_SIZE, "stretch")
    evaluator = DetectionEvaluator("test", options, ids)
    for part in (slice(0, 5), slice(5, NUMBER)):
        rows = np.arange(NUMBER)[part]
        evaluator.update({name: values[part] for name, values in logits.items()}, targets.take(rows))
    evaluation = evaluator.result()
    file = tmp_path_factory.mktemp("detected") / "predictions-test.csv"
    file.write_text(evaluation.csv(), encoding="utf-8")
    return Detected(logits, evaluation, Split("test", images, targets, ids), file, options)
