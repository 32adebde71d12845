"""A network measured on labelled examples, and what the run keeps of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cnncli.datasets import incoming
from cnncli.datasets import load as load_splits
from cnncli.datasets.files import Files
from cnncli.datasets.splits import Split
from cnncli.engine.evaluation.predictor import Images, Predictor
from cnncli.engine.evaluation.trained import Trained, load_trained
from cnncli.engine.evaluation.tta import View, Viewed, views_of
from cnncli.engine.input_pipeline.decoder import Decoder, FileImages
from cnncli.engine.input_pipeline.feed import to_memory
from cnncli.engine.input_pipeline.preprocessing import Preprocessing
from cnncli.runs.run import Run
from cnncli.tasks.classification.answers import evaluation_csv
from cnncli.tasks.classification.evaluation import Evaluation
from cnncli.tasks.measurement import Examined, count_use, name_of


@dataclass(frozen=True, kw_only=True)
class Examination(Examined):
    """A measured run.

    Attributes:
        trained: Its network.
    """

    trained: Trained


@dataclass(frozen=True)
class Question:
    """What is asked of a run.

    Attributes:
        checkpoint: "best", "last", or a checkpoint's name or path.
        split: Name of a split.
        data: Path of examples that are not the run's own, or None.
        tta: Whether to average over views of each example (test-time augmentation).
    """

    checkpoint: str
    split: str
    data: Path | None = None
    tta: bool = False


def ask_run(run: Run, question: Question) -> tuple[Examination, dict[str, Any]]:
    """Measure a run's network, and let the run keep what came out.

    Returns:
        What was measured, and what evaluation-<split>.json holds.

    Raises:
        CnnError: If the run, the checkpoint or the examples are missing or damaged.
    """
    if question.data is None:
        found = examine(run, question.checkpoint, question.split, question.tta)
    else:
        found = examine_elsewhere(run, question.checkpoint, question.data, question.tta)
    return found, keep(run, found)


def examine(run: Run, checkpoint: str, split: str, tta: bool = False) -> Examination:
    """Measure a run's network on one split of its data.

    Args:
        run: The run.
        checkpoint: "best", "last", or a checkpoint's name or path.
        split: Name of the split.
        tta: Whether to average over views of each example (test-time augmentation).

    Raises:
        CnnError: If the run, the checkpoint or the data are missing or damaged.
    """
    trained = load_trained(run, checkpoint)
    return _examined(trained, load_splits(trained.config, trained.classes).named(split), tta)


def examine_elsewhere(run: Run, checkpoint: str, path: Path, tta: bool = False) -> Examination:
    """Measure a run's network on examples that are not its own: a folder, an archive, a table or arrays.

    Raises:
        CnnError: If the run, the checkpoint or the examples are missing or damaged.
    """
    trained = load_trained(run, checkpoint)
    found = incoming(path, trained.config, run.passport())
    return _examined(trained, found.split.renamed(name_of(path)), tta, str(path), found.doubts)


def _examined(
    trained: Trained, split: Split, tta: bool, data: str | None = None, doubts: tuple[str, ...] = ()
) -> Examination:
    views = views_of(trained.config) if tta else ()
    evaluation = measure(trained, split.renamed(f"{split.name}-tta") if tta else split, views)
    return Examination(
        evaluation=evaluation,
        checkpoint=trained.checkpoint,
        split=split,
        data=data,
        doubts=doubts,
        views=len(views) or 1,
        trained=trained,
    )


def measure(trained: Trained, split: Split, views: Sequence[View] = ()) -> Evaluation:
    """Let a network answer for every example of a split, on average over views of it where there are any.

    Raises:
        DataError: If there is none, or a file can no longer be read.
    """
    logits = np.empty((0, 0), np.float32)
    if len(split):
        logits = _logits(trained, readable(split, trained.preprocessing), views)
    return Evaluation.from_logits(split.name, trained.classes, split.labels, logits, split.ids)


def _logits(trained: Trained, images: Images, views: Sequence[View]) -> npt.NDArray[np.float32]:
    predictor = Predictor(trained.model, trained.preprocessing)
    if not views:
        return predictor.logits(images)
    total = sum(predictor.logits(Viewed(images, view)).astype(np.float64) for view in views)
    return np.asarray(total / len(views), np.float32)


def readable(split: Split, preprocessing: Preprocessing) -> Images:
    """Return a split's images in the network's size: all at once from memory, files as they are asked for."""
    if isinstance(split.images, Files):
        return FileImages(Decoder(split.images, preprocessing))
    return to_memory(split, preprocessing).images


def keep(run: Run, examination: Examination) -> dict[str, Any]:
    """Write evaluation-<split>.json and predictions-<split>.csv into the run, and count uses of its test split.

    Returns:
        What evaluation-<split>.json holds.
    """
    split = examination.evaluation.split
    document = {**examination.to_json(), "run": str(run.path), "test_uses": count_use(run, examination.split.name)}
    run.write_text(run.predictions_file(split), evaluation_csv(examination.evaluation))
    run.write_json(run.evaluation_file(split), document)
    return document
