"""A run's network measured under distortions of its images."""

from __future__ import annotations

import logging
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from cnncli.datasets.targets import Labels
from cnncli.engine.evaluation.evaluate import RunMeasurement, readable
from cnncli.engine.evaluation.predictor import Predictor
from cnncli.errors import CnnError
from cnncli.runs.evaluations import file_of, kept_if_possible
from cnncli.runs.run import Run
from cnncli.tasks.invariance import invariance
from cnncli.tasks.measurement import Measurement, Tell
from cnncli.tasks.task import get_task

log = logging.getLogger(__name__)

NUM_EXAMPLES = 1000
"""Examples measured, spread evenly over the split: 51 distortions of each take a while."""


def measure(run: Run | None, measured: Measurement, tell: Tell = log.warning) -> dict[str, Any]:
    """Return the invariance profile of a measured network, and let its run keep it; `tell` hears if it cannot."""
    if run is None or not isinstance(measured, RunMeasurement):
        raise CnnError("the invariance profile needs a run, not an exported network", "Give the run.")
    document = _profile(measured)
    with kept_if_possible("the invariance profile", tell):
        run.write_sealed(file_of(run, run.invariance_file, document["split"], document["checkpoint"]), document)
    return document


def _profile(measured: RunMeasurement) -> dict[str, Any]:
    """Return the invariance profile of a measured network, as plain data."""
    trained, split = measured.trained, measured.split
    if "invariance" not in get_task(trained.config.task).pages.figures():
        raise CnnError(f"there is no invariance profile of {trained.config.task}", "Only classification has one.")
    rows = np.unique(np.linspace(0, len(split) - 1, min(NUM_EXAMPLES, len(split))).round().astype(np.int64))
    part = split.take(rows, split.name)
    images = readable(part, trained.preprocessing)
    predictor = Predictor(trained.model, trained.preprocessing)

    def predict(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
        places: npt.NDArray[np.int64] = predictor.logits(pixels).argmax(axis=1)
        return places

    pixels, labels = np.asarray(images[0 : len(part)]), cast("Labels", part.targets.strata())
    return {**invariance(split.name, pixels, labels, predict).to_json(), "checkpoint": trained.checkpoint}
