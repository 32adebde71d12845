"""An exported network measured on labelled examples, in its own runtime."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cnncli.config.load import loads
from cnncli.config.schema.tasks import TASKS
from cnncli.datasets import incoming, own
from cnncli.datasets.passport import data_change
from cnncli.datasets.splits import Split
from cnncli.datasets.splits import image as image_of
from cnncli.errors import CnnError, RunError
from cnncli.runs.find import find
from cnncli.runs.run import Run
from cnncli.serving.artifact import Artifact
from cnncli.serving.description import Description
from cnncli.tasks.measurement import Measurement, Tell, count_use, name_of
from cnncli.tasks.outputs import images_together
from cnncli.tasks.predictions import PredictionOptions
from cnncli.tasks.task import Result, get_task

log = logging.getLogger(__name__)

BATCH = 64
"""Most images that an artifact is given at once."""


def evaluate_artifact(
    artifact: Artifact,
    path: Path,
    split: str,
    data: Path | None,
    runs_dir: Path,
    moved: Path | None = None,
    tell: Tell = log.warning,
) -> tuple[Measurement, dict[str, Any]]:
    """Measure an exported network; nothing is written but the use of the test split.

    Args:
        artifact: The network.
        path: Where it is.
        split: Name of the split of the run's data.
        data: Examples that are not the run's own, or None.
        runs_dir: Folder of all runs, where its run is looked for.
        moved: Where the run's own examples are now, or None where its config says it.
        tell: Hears that the use is not on record where the run cannot be written.

    Returns:
        What was measured, and what `cnn eval --json` prints.

    Raises:
        CnnError: If there are no examples.
    """
    doubts: tuple[str, ...] = ()
    if data is not None:
        config = loads(artifact.description.config, str(path))
        about = artifact.description
        known = {"looks": {"train": about.look}, "content_hash": about.data_content_hash}
        found = incoming(data, config, {"classes": artifact.classes, **known})
        examples, doubts, uses = found.split.renamed(name_of(data)), found.doubts, 0
    else:
        run = _run_of(path, artifact.description, runs_dir)
        passport = run.passport()
        splits = own(run.config(), {**passport, "classes": artifact.classes}, moved)
        examples, change = splits.named(split), data_change(passport, splits.passport)
        doubts, uses = () if change is None else (change,), count_use(run, split, tell)
    measured = Measurement(
        result=_measure(artifact, examples),
        checkpoint=artifact.description.checkpoint,
        split=examples,
        task=artifact.description.task,
        data=None if data is None else str(data),
        doubts=doubts,
    )
    return measured, {**measured.to_json(), "run": str(path), "test_uses": uses}


def _run_of(path: Path, description: Description, runs_dir: Path) -> Run:
    """Return the run that an artifact comes from: the one whose export folder it lies in, or the one it names."""
    around = path.absolute().parent.parent
    if (around / "run.json").is_file():
        return Run.open(around)
    try:
        return find(description.run, runs_dir)
    except RunError as error:
        hint = "Give examples with --data, or the folder of its runs with --runs-dir."
        raise CnnError(
            f"{path} was exported from the run {description.run}, which is not in {runs_dir}", hint
        ) from error


def _measure(artifact: Artifact, split: Split) -> Result:
    about = artifact.description
    options = PredictionOptions(artifact.classes, (about.height, about.width), about.fit)
    evaluator = get_task(about.task).evaluator(split.name, options, split.ids)
    first = 0
    together = min(BATCH, images_together((about.height, about.width), TASKS[about.task].has_places))
    for images in _of_one_size(split, together):
        rows = np.arange(first, first + len(images))
        evaluator.update_exported(artifact.outputs(images), split.targets.take(rows))
        first += len(images)
    return evaluator.result()


def _of_one_size(split: Split, most: int) -> Iterator[npt.NDArray[np.uint8]]:
    """Yield the images in their order, as many neighbours of one size together as there are, at most `most`."""
    waiting: list[npt.NDArray[np.uint8]] = []
    for row in range(len(split)):
        pixels = image_of(split, row)
        if waiting and (len(waiting) == most or pixels.shape != waiting[0].shape):
            yield np.stack(waiting)
            waiting = []
        waiting.append(pixels)
    if waiting:
        yield np.stack(waiting)
