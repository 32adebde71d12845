"""A run's network measured under distortions of its images."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from cnncli.engine.evaluation.evaluate import Examination, readable
from cnncli.engine.evaluation.predictor import Predictor
from cnncli.errors import CnnError
from cnncli.runs.run import Run
from cnncli.tasks.invariance import invariance
from cnncli.tasks.measurement import Examined

NUM_EXAMPLES = 1000
"""Examples measured, spread evenly over the split: 51 distortions of each take a while."""


def measure(run: Run | None, examination: Examined) -> dict[str, Any]:
    """Return the invariance profile of a measured network, and let its run keep it."""
    if run is None or not isinstance(examination, Examination):
        raise CnnError("the invariance profile needs a run, not an exported network", "Give the run.")
    document = _profile(examination)
    run.write_json(run.invariance_file(document["split"]), document)
    return document


def _profile(examination: Examination) -> dict[str, Any]:
    """Return the invariance profile of a measured network, as plain data."""
    trained, split = examination.trained, examination.split
    rows = np.unique(np.linspace(0, len(split) - 1, min(NUM_EXAMPLES, len(split))).round().astype(np.int64))
    part = split.take(rows, split.name)
    images = readable(part, trained.preprocessing)
    predictor = Predictor(trained.model, trained.preprocessing)

    def answer(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
        places: npt.NDArray[np.int64] = predictor.logits(pixels).argmax(axis=1)
        return places

    pixels = np.asarray(images[0 : len(part)])
    return {**invariance(split.name, pixels, part.labels, answer).to_json(), "checkpoint": trained.checkpoint}
