"""The predictions of all folds as one table: each example by the one network that had not seen it."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnncli.errors import RunError, WriteError
from cnncli.files import durable
from cnncli.files.characters import from_csv_cell
from cnncli.files.read import open_text
from cnncli.runs import limits
from cnncli.runs.evaluations import AGAIN, KeptEvaluation
from cnncli.runs.metrics import strict
from cnncli.runs.outcomes import LOSS, Outcome, evaluation_of
from cnncli.tasks.predictions import csv_text
from cnncli.tasks.task import Task

SPLIT = "validation"

FOLD = "fold"
"""The column that is added: the fold in which the example was held out."""


@dataclass(frozen=True)
class OutOfFold:
    """What is known of all examples of the folds of one seed.

    Attributes:
        seed: The seed.
        num_examples: Number of examples.
        predictions: predictions-<split>.csv of all folds, as one file.
        evaluation: The evaluation over all examples.
        metrics: The primary metric and the loss of that evaluation, and the metric's interval where it has one.
    """

    seed: int
    num_examples: int
    predictions: Path
    evaluation: Path
    metrics: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "seed": self.seed,
            "num_examples": self.num_examples,
            "predictions": str(self.predictions),
            "evaluation": str(self.evaluation),
            **self.metrics,
        }

    def sentences(self) -> Iterator[str]:
        """Yield what all folds came to, and where it is."""
        told = ", ".join(_told(name, value) for name, value in self.metrics.items())
        if told:
            yield f"Out of fold, {self.num_examples:,} examples, seed {self.seed}: {told}."
        yield from (str(self.predictions), str(self.evaluation))


def write_out_of_fold(folder: Path, suffix: str, outcomes: Sequence[Outcome], task: Task) -> OutOfFold:
    """Write what the folds of one seed predicted for their held-out examples, and evaluate it as a whole.

    Args:
        folder: Where to write `predictions.csv` and `evaluation.json`; made when missing.
        suffix: What the files' names have before their ending, "-seed-3" where there are several seeds.
        outcomes: The runs of all folds, in their order, each evaluated on its fold.
        task: Their task.

    Raises:
        RunError: If a file cannot be read, or the folds do not hold every example once.
        WriteError: If the disk refuses.
    """
    folds = [_kept(outcome) for outcome in outcomes]
    _require_partition(outcomes, folds)
    seed, number = outcomes[0].member.seed, sum(fold.document["num_examples"] for fold in folds)
    predictions, evaluation = folder / f"predictions{suffix}.csv", folder / f"evaluation{suffix}.json"
    runs = [str(outcome.run.path) for outcome in outcomes if outcome.run is not None]
    document = {**task.out_of_fold(folds).to_json(), "checkpoint": "best", "seed": seed, "runs": runs}
    _write(predictions, csv_text(_lines(folds)))
    _write(evaluation, durable.to_json(strict(document)))
    return OutOfFold(seed, number, predictions, evaluation, _chosen(document, outcomes[0].metric))


def _kept(outcome: Outcome) -> KeptEvaluation:
    """Return the evaluation of a run on its fold, with predictions that it counted."""
    kept = None if outcome.run is None else evaluation_of(outcome.run, SPLIT)
    if kept is None:
        raise RunError(f"the run of {outcome.member} has no evaluation of its fold", AGAIN)
    kept.check_predictions()
    return kept


def _require_partition(outcomes: Sequence[Outcome], folds: Sequence[KeptEvaluation]) -> None:
    """Refuse folds that do not hold every example of training once, or of other classes: their data differ."""
    hint = "The data changed between two runs of the group."
    if any(fold.document.get("classes") != folds[0].document.get("classes") for fold in folds):
        raise RunError("the runs have different classes", hint)
    held: set[str] = set()
    for fold in folds:
        own = {row[0] for row in _rows(fold.predictions_file)[1:]}
        if held & own:
            raise RunError(f"{min(held & own)} is in two folds", hint)
        held |= own
    for outcome in outcomes:
        sizes = {} if outcome.run is None else outcome.run.passport()["num_examples"]
        expected, found = sizes.get("train", 0) + sizes.get(SPLIT, 0), len(held)
        if found != expected:
            raise RunError(
                f"the folds hold {found:,} examples, but the run of {outcome.member} divided {expected:,}",
                hint,
            )


def _lines(folds: Sequence[KeptEvaluation]) -> Iterator[Sequence[str]]:
    """Yield the header and the rows of all folds, with the number of the fold."""
    for number, fold in enumerate(folds, start=1):
        header, *rows = _rows(fold.predictions_file)
        if number == 1:
            yield [*header, FOLD]
        yield from ([*row, str(number)] for row in rows)


def _rows(file: Path) -> list[list[str]]:
    """Return the header and the rows of predictions-<split>.csv."""
    try:
        with open_text(file, limits.PREDICTIONS, follow=False) as opened:
            found = [[from_csv_cell(cell) for cell in row] for row in csv.reader(opened)]
    except (OSError, ValueError, csv.Error) as error:
        raise RunError(f"{file} cannot be read: {getattr(error, 'strerror', None) or error}", AGAIN) from error
    if not found:
        raise RunError(f"{file} cannot be read: it is empty", AGAIN)
    return found


def _chosen(document: Mapping[str, Any], metric: str | None) -> dict[str, Any]:
    """Return the numbers of an evaluation that are told, as far as there are any: an AP needs objects."""
    names = (metric, f"{metric}_interval", LOSS)
    return {name: document[name] for name in names if name is not None and document.get(name) is not None}


def _told(name: str, value: Any) -> str:
    """Return a number, or an interval, with its name."""
    if isinstance(value, list):
        return f"95 % interval {value[0]:.4f} to {value[1]:.4f}"
    return f"{name.replace('_', ' ')} {value:.4f}"


def _write(file: Path, text: str) -> None:
    try:
        durable.make_directories(file.parent)
        durable.replace_file(file, text)
    except OSError as error:
        raise WriteError(f"{file} cannot be written: {error.strerror or error}") from error
