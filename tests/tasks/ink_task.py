"""A throw-away task, added from outside: how much ink an image holds, one number. It is what adding a task takes."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import numpy.typing as npt
import pytest
from ink_pages import InkPages, SignTest

from cnncli.config.schema.schema import Config, Data
from cnncli.config.schema.tasks import TASKS as SPECS
from cnncli.config.schema.tasks import Metric, OutputProblem, TaskSpec
from cnncli.datasets.files import Files
from cnncli.datasets.splits import Split, Splits
from cnncli.datasets.targets import TARGETS
from cnncli.report.grid import Column
from cnncli.runs.evaluations import KeptEvaluation
from cnncli.tasks.outputs import NamedOutputs
from cnncli.tasks.parity import Difference, ScoreDrop, largest_difference
from cnncli.tasks.predictions import PredictionOptions
from cnncli.tasks.task import TASKS, Evaluator, Task

Floats = npt.NDArray[np.floating[Any]]

CONFIG = """
name: ink
task: ink
seed: 3
data: {source: digits, image_size: [8, 8], channels: 1, validation: 0.2}
model: {layers: [{Conv2D: {filters: 4, kernel_size: 3, activation: relu}}, Flatten, {Dense: {units: 1}}]}
train: {epochs: 4, batch_size: 50, optimizer: {Adam: {learning_rate: 0.01}}}
"""
"""A small network that learns it in a second."""


# 1. The spec: cnncli/config/schema/tasks/.


class InkSpec(TaskSpec):
    """Every image holds some ink: the network ends in one number."""

    metrics = (Metric("loss", False), Metric("mean_absolute_error", False, primary=True))
    output_names = ("ink",)

    def check_output(
        self, shape: tuple[int, ...], num_classes: int | None, image_size: tuple[int, int]
    ) -> OutputProblem | None:
        """Return why the output is not one number."""
        if shape == (1,):
            return None
        return OutputProblem(f"The network ends in shape {shape}; ink is one number.", "End with one unit.")


# 2. The targets: cnncli/datasets/targets.py.


@dataclass(frozen=True)
class Ink:
    """How much ink each image holds: the mean of its pixels, 0 to 1, float32 (examples,)."""

    amounts: npt.NDArray[np.float32]

    @classmethod
    def of(cls, split: Split) -> Ink:
        """Measure the images of a split."""
        images = split.images
        decoded = (images.decode(row) for row in range(len(split))) if isinstance(images, Files) else iter(images)
        return cls(np.array([pixels.mean() / 255 for pixels in decoded], np.float32))

    def __len__(self) -> int:
        return len(self.amounts)

    def take(self, rows: npt.NDArray[np.int64]) -> Ink:
        """Return the amounts at `rows`."""
        return Ink(self.amounts[rows])

    def joined(self, other: Ink) -> Ink:
        """Return these amounts and others behind them."""
        return Ink(np.concatenate([self.amounts, other.amounts]))

    def read(self, row: int) -> float:
        """Return an amount."""
        return float(self.amounts[row])

    def name(self, row: int, classes: Sequence[str]) -> str:
        """Return an amount with three digits."""
        return f"{self.read(row):.3f}"

    def digests(self) -> npt.NDArray[np.uint8]:
        """Return the four bytes of each amount."""
        return self.amounts.astype("<f4").view(np.uint8).reshape(-1, 4)

    def content(self) -> bytes:
        """Return the amounts' bytes."""
        return self.amounts.tobytes()

    def counts(self, classes: Sequence[str]) -> dict[str, int]:
        """Amounts are of no class."""
        return {}

    def passport(self, classes: Sequence[str], ids: Sequence[str]) -> dict[str, Any]:
        """Return nothing."""
        return {}

    def strata(self) -> None:
        """Amounts are in no group."""

    def fit(self, data: Data) -> npt.NDArray[np.float32]:
        """Return the amounts, float32 (examples,)."""
        return self.amounts

    def fitted_bytes(self, data: Data) -> int:
        """Return the four bytes of an amount."""
        return 4


# 3. The plain task: cnncli/tasks/<task>/.


@dataclass(frozen=True)
class InkResult:
    """A split, measured."""

    split: str
    ids: Sequence[str]
    amounts: Floats
    predicted: Floats

    @property
    def errors(self) -> Floats:
        """How far each prediction is off."""
        return self.predicted - self.amounts

    def scalars(self) -> dict[str, float]:
        """Return the metrics."""
        loss, mean_absolute_error = np.square(self.errors).mean(), np.abs(self.errors).mean()
        return {"loss": float(loss), "mean_absolute_error": float(mean_absolute_error)}

    def to_json(self) -> dict[str, Any]:
        """Return the metrics and the number of examples."""
        return {"split": self.split, "num_examples": len(self.amounts), **self.scalars()}

    def csv(self) -> str:
        """Return a line for each example."""
        text = io.StringIO()
        lines = csv.writer(text, lineterminator="\n")
        lines.writerow(("example", "true", "predicted"))
        lines.writerows(zip(self.ids, self.amounts.tolist(), self.predicted.tolist(), strict=True))
        return text.getvalue()


class InkEvaluator:
    """Collects amounts and predictions."""

    def __init__(self, split: str, ids: Sequence[str]) -> None:
        self._split, self._ids = split, ids
        self._amounts: list[Floats] = []
        self._predicted: list[Floats] = []

    def update(self, outputs: Floats, targets: Any) -> None:
        """Add a batch of what the network ends in (examples, 1)."""
        self.update_exported(InkTask().outputs(outputs, (8, 8)), targets)

    def update_exported(self, outputs: NamedOutputs, targets: Any) -> None:
        """Add a batch of "ink" (examples,)."""
        self._amounts.append(targets.amounts.astype(np.float64))
        self._predicted.append(outputs["ink"].astype(np.float64))

    def result(self) -> InkResult:
        """Return the scores of all batches."""
        return InkResult(self._split, self._ids, np.concatenate(self._amounts), np.concatenate(self._predicted))


class InkParity:
    """Differences of amounts, and of their mean absolute error."""

    value, prediction, score, is_share = "an amount of ink", "amount of ink", "mean_absolute_error", False
    advice = ""

    def difference(self, outputs: NamedOutputs, expected: NamedOutputs) -> Difference:
        """Compare amounts; their logarithms have no meaning."""
        same = np.abs(outputs["ink"] - expected["ink"]) < 1e-5
        return Difference(largest_difference(outputs, expected), None, same)

    def score_drop(self, outputs: NamedOutputs, expected: NamedOutputs, targets: Any, _: Any) -> ScoreDrop:
        """Compare the errors example by example."""
        errors, of_run = (np.abs(named["ink"] - targets.amounts) for named in (outputs, expected))
        more = errors.astype(np.float64) - of_run
        drop, spread = float(more.mean()), 1.96 * float(more.std()) / len(more) ** 0.5
        drop = 0.0 if abs(drop) < 1e-6 else drop
        return ScoreDrop(float(errors.mean()), float(of_run.mean()), drop, (drop - spread, drop + spread))


@dataclass(frozen=True)
class InkPrediction:
    """How much ink an image holds."""

    ink: float
    columns = (Column("Ink"),)

    def to_json(self) -> list[dict[str, Any]]:
        """Return the amount."""
        return [{"ink": self.ink}]

    def csv_rows(self) -> list[dict[str, str]]:
        """Return the amount with every digit."""
        return [{"ink": repr(self.ink)}]

    def cells(self) -> tuple[str, ...]:
        """Return the amount with three digits."""
        return (f"{self.ink:.3f}",)


class InkTask(Task):
    """One number an image."""

    loss_name = "squared error"

    def evaluator(self, split: str, options: PredictionOptions, ids: Sequence[str] = ()) -> Evaluator:
        """Return what scores a split."""
        return InkEvaluator(split, ids)

    def progress(self, metrics: Mapping[str, float]) -> str:
        """Return the loss."""
        return f"loss {metrics['loss']:.4f}"

    def is_overfit(self, metrics: Mapping[str, float]) -> bool:
        """Say whether amounts are right to a hundredth on average."""
        return metrics["mean_absolute_error"] < 0.01

    @property
    def pages(self) -> InkPages:
        """What is shown of amounts."""
        return InkPages()

    def read_rows(self, path: Path) -> Floats | None:
        """Return how far each of a run's predictions is off."""
        if not path.exists():
            return None
        with path.open(encoding="utf-8", newline="") as file:
            return np.array([abs(float(line["predicted"]) - float(line["true"])) for line in csv.DictReader(file)])

    def compare(self, first: Floats, second: Floats) -> SignTest:
        """Count which run is nearer."""
        return SignTest(int((first < second).sum()), int((second < first).sum()))

    def out_of_fold(self, folds: Sequence[KeptEvaluation]) -> InkResult:
        """Return the amounts and predictions of all folds."""
        lines: list[dict[str, str]] = []
        for fold in folds:
            with fold.predictions_file.open(encoding="utf-8", newline="") as file:
                lines += csv.DictReader(file)
        amounts, predicted = (np.array([float(line[name]) for line in lines]) for name in ("true", "predicted"))
        return InkResult(folds[0].document["split"], [line["example"] for line in lines], amounts, predicted)

    @property
    def parity(self) -> InkParity:
        """How far amounts are from the run's."""
        return InkParity()

    def outputs(self, logits: Floats, image_size: tuple[int, int]) -> dict[str, Floats]:
        """Return the amounts."""
        return {"ink": logits[:, 0].astype(np.float64)}

    def predictions(
        self, outputs: NamedOutputs, sizes: Sequence[tuple[int, int]], options: PredictionOptions
    ) -> list[InkPrediction]:
        """Return the amount of each image."""
        return [InkPrediction(float(amount)) for amount in outputs["ink"]]


# 4. The objective: cnncli/engine/tasks/<task>.py.


@cache
def _objective() -> Any:
    """Return the class of the objective, which needs TensorFlow."""
    import keras
    import tensorflow as tf

    from cnncli.engine.tasks.objective import Objective

    class InkObjective(Objective):
        """Squared error of one number."""

        target_spec = tf.TensorSpec([None], tf.float32)
        sum_specs = {"absolute_error": tf.TensorSpec([], tf.float64)}  # noqa: RUF012 - the base class says that nobody changes it

        def loss(self, targets: Any, outputs: Any) -> Any:
            """Return the squared error of each example."""
            return tf.square(self._amounts(outputs) - targets)

        def sums(self, targets: Any, outputs: Any) -> Any:
            """Return the absolute errors' sum."""
            return {"absolute_error": tf.reduce_sum(tf.cast(tf.abs(self._amounts(outputs) - targets), tf.float64))}

        def means(self, sums: Mapping[str, float], num_examples: int) -> dict[str, float]:
            """Return the mean absolute error."""
            return {"mean_absolute_error": sums["absolute_error"] / num_examples}

        def outputs(self, logits: Any) -> Any:
            """Return the amounts."""
            return {"ink": self._amounts(logits)}

        def output_layers(self) -> Any:
            """Return a layer that takes the last axis away."""
            return {"ink": lambda name: keras.layers.Reshape((), dtype="float32", name=name)}

        def _amounts(self, logits: Any) -> Any:
            return tf.cast(logits[:, 0], tf.float32)

    return InkObjective


def _make_objective(config: Config, splits: Splits | None) -> Any:
    return _objective()()


@contextmanager
def registered() -> Iterator[str]:
    """Add the task in its four places, and yield the name that a config gives it."""
    from cnncli.engine.tasks.objective import OBJECTIVES

    places: list[tuple[dict[str, Any], Any]] = [
        (SPECS, InkSpec()),
        (TARGETS, Ink.of),
        (TASKS, InkTask),
        (OBJECTIVES, _make_objective),
    ]
    with ExitStack() as added:
        for registry, maker in places:
            added.enter_context(patch.dict(registry, ink=maker))
        yield "ink"


@pytest.fixture(scope="module")
def ink() -> Iterator[str]:
    """Add the task for the tests of a module."""
    with registered() as name:
        yield name
