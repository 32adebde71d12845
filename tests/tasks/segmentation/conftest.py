"""A split of eleven segmented images with what a made-up network predicts for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cnncli.config.load import load
from cnncli.datasets.masks.scan import MaskFacts
from cnncli.datasets.masks.targets import MaskArray, Masks
from cnncli.datasets.splits import Split
from cnncli.tasks.predictions import PredictionOptions
from cnncli.tasks.segmentation.evaluation import Evaluation
from cnncli.tasks.segmentation.evaluator import SegmentationEvaluator

CLASSES = ("road", "sky", "</b>$tree$", "never")
HEIGHT, WIDTH = 12, 20
NUMBER = 11


@dataclass(frozen=True)
class Segmented:
    """An evaluated split, as the run's own would be.

    Attributes:
        truth: Class numbers, uint8 (images, height, width); 255 at the left edge, and everywhere in the last image.
        probabilities: float32 (images, height, width, classes).
        evaluation: Its scores.
        predictions_file: Its predictions-test.csv.
    """

    truth: np.ndarray
    probabilities: np.ndarray
    evaluation: Evaluation
    examples: Split
    predictions_file: Path
    split: str = "test"

    @property
    def run(self) -> Any:
        """A run with nothing but a name and a config."""
        return SimpleNamespace(name="streets", config=lambda: config())

    @property
    def document(self) -> dict[str, Any]:
        """What evaluation-test.json holds."""
        return {**self.evaluation.to_json(), "checkpoint": "step-00000012"}

    @property
    def predicted(self) -> np.ndarray:
        """The most probable class of each pixel."""
        return self.probabilities.argmax(axis=-1)

    @property
    def invariance(self) -> dict[str, Any]:
        """Not measured."""
        raise NotImplementedError

    def outputs(self, rows: Sequence[int]) -> dict[str, np.ndarray]:
        """Return what the network would."""
        return {"mask": self.predicted[list(rows)], "probabilities": self.probabilities[list(rows)]}


def config() -> Any:
    """Return a config whose network reads the images as they are."""
    return load("shapes_unet", [f"data.image_size=[{HEIGHT},{WIDTH}]"])


@pytest.fixture(scope="session")
def segmented(tmp_path_factory: pytest.TempPathFactory) -> Segmented:
    """Return a split whose predictions are better from image to image; the last image has no truth."""
    generator = np.random.default_rng(5)
    columns = np.arange(WIDTH)
    truth = np.stack([np.tile((columns + 2 * i) // 7 % 3, (HEIGHT, 1)) for i in range(NUMBER)]).astype(np.uint8)
    noise = generator.normal(size=(NUMBER, HEIGHT, WIDTH, 4)) - [0, 0, 0, 40]
    logits = noise + np.linspace(0.3, 4, NUMBER)[:, None, None, None] * np.eye(4)[truth]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    truth[:, :, 0] = 255
    truth[-1] = 255
    facts = MaskFacts.empty(NUMBER, 4)
    for row, mask in enumerate(truth):
        facts.set(row, mask)
    ids = [f"folder/{i}.png" for i in range(NUMBER)]
    images = generator.integers(0, 256, (NUMBER, HEIGHT, WIDTH, 3), np.uint8)
    targets = Masks(MaskArray(truth), facts.pixels, facts.hashes)
    evaluator = SegmentationEvaluator("test", PredictionOptions(CLASSES, (HEIGHT, WIDTH), "stretch"), ids)
    evaluator.update_exported({"probabilities": probabilities.astype(np.float32)}, targets)
    evaluation = evaluator.result()
    file = tmp_path_factory.mktemp("segmented") / "predictions-test.csv"
    file.write_text(evaluation.csv(), encoding="utf-8")
    split = Split("test", images, targets, ids)
    return Segmented(truth, probabilities.astype(np.float32), evaluation, split, file)
