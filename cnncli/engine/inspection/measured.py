"""A run's evaluations, from its files where they are of the checkpoint asked about."""

from __future__ import annotations

import atexit
import logging
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from cnncli.datasets.splits import Split
from cnncli.engine.evaluation import invariance
from cnncli.engine.evaluation.evaluate import evaluate_run
from cnncli.engine.inspection.network import InspectedNetwork
from cnncli.errors import CnnError, RunError
from cnncli.files import durable
from cnncli.files.read import read_json
from cnncli.files.seal import unsealed
from cnncli.runs import limits
from cnncli.runs.documents import checked
from cnncli.runs.evaluations import KeptEvaluation, find_evaluation
from cnncli.runs.find import find_checkpoint
from cnncli.runs.run import Run
from cnncli.tasks.invariance import FORM
from cnncli.tasks.measurement import EvaluationOptions
from cnncli.tasks.outputs import NamedOutputs
from cnncli.tasks.pages import ReadExamples
from cnncli.tasks.task import get_task, task_of

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class EvaluatedRun:
    """A run's network measured on a split: what a task draws its figures from.

    Attributes:
        network: The run's network.
        split: Name of the split.
    """

    network: InspectedNetwork
    split: str

    @property
    def run(self) -> Run:
        """The run.

        Raises:
            CnnError: If the network is a config's.
        """
        return trained_run(self.network)

    @cached_property
    def kept(self) -> KeptEvaluation:
        """The evaluation, as the run keeps it."""
        return evaluation(self.run, self.split, self.network.checkpoint, self.network.data)

    @property
    def document(self) -> dict[str, Any]:
        """What evaluation-<split>.json holds."""
        return self.kept.document

    @property
    def predictions_file(self) -> Path:
        """File with a line for each example."""
        return self.kept.predictions_file

    @cached_property
    def invariance(self) -> dict[str, Any]:
        """What invariance-<split>.json holds."""
        return invariance_profile(self.run, self.split, self.network.checkpoint, self.network.data)

    @property
    def examples(self) -> Split:
        """The split's examples."""
        return self.network.splits.named(self.split)

    def outputs(self, rows: Sequence[int]) -> NamedOutputs:
        """Return what the network computes for the examples at `rows`, by the names of its task's outputs."""
        config = self.network.config
        logits = self.network.outputs(self.network.rows(self.split, rows))
        return task_of(config).outputs(logits, config.data.image_size)

    def as_read(self, rows: Sequence[int]) -> ReadExamples:
        """Return the examples at `rows` in the network's size, and what the run's network ends in for them."""
        shown = self.network.rows(self.split, rows)
        targets = self.examples.targets.take(np.array(rows, np.int64)).fit(self.network.config.data)
        return ReadExamples(shown.pixels, targets, self.network.outputs(shown))


def trained_run(network: InspectedNetwork) -> Run:
    """Return the run that trained a network.

    Raises:
        CnnError: If the network is a config's.
    """
    if network.run is None:
        raise CnnError("this requires a trained run, not a config", "Train it with `cnn train`, then give the run.")
    return network.run


def usual_split(run: Run, checkpoint: str = "best") -> str:
    """Return the split to show: test once this checkpoint was measured on it, else validation if there is one.

    Looking at the test split is a use of it, so nothing but `cnn eval` or a user's word begins with that.
    """
    wanted = find_checkpoint(run, checkpoint).path.name
    if _kept(run, "test", wanted) is not None:
        return "test"
    return "validation" if "validation" in run.passport().get("num_examples", {}) else "test"


def evaluation(run: Run, split: str, checkpoint: str = "best", data: Path | None = None) -> KeptEvaluation:
    """Return a checkpoint's evaluation, measured anew where it is missing or not readable."""
    wanted = find_checkpoint(run, checkpoint).path.name
    kept = _kept(run, split, wanted)
    if kept is None or not kept.predictions_file.exists():
        measured, document = evaluate_run(run, EvaluationOptions(wanted, split, data, moved=True))
        kept = _kept(run, split, wanted)
        if kept is None or not kept.predictions_file.exists():  # The run cannot be written, as has been told.
            kept = KeptEvaluation(document, _for_now(measured.result.csv()))
    return kept


def _for_now(csv: str) -> Path:
    """Write predictions into a folder that goes with this process."""
    folder = Path(tempfile.mkdtemp(prefix="cnncli-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    file = folder / "predictions.csv"
    durable.write_file(file, [csv.encode()])
    return file


def _kept(run: Run, split: str, checkpoint: str) -> KeptEvaluation | None:
    """Return what the run keeps, or None where it cannot be used: without a checkpoint's name, or not readable."""
    try:
        kept = find_evaluation(run, split, checkpoint)
        if kept is None:
            return None
        checked(kept.document, get_task(run.config().task).pages.form, str(run.evaluation_file(split)))
        kept.check_predictions()
    except RunError as error:
        _told(error)
        return None
    return kept if "checkpoint" in kept.document else None


def invariance_profile(run: Run, split: str, checkpoint: str = "best", data: Path | None = None) -> dict[str, Any]:
    """Return the profile of a split, measured anew where it is missing, of another checkpoint, or not readable."""
    wanted = find_checkpoint(run, checkpoint).path.name
    known = known_profile(run, split, wanted)
    if known is not None:
        return known
    measured, _ = evaluate_run(run, EvaluationOptions(wanted, split, data, moved=True))
    return invariance.measure(run, measured)


def known_profile(run: Run, split: str, checkpoint: str) -> dict[str, Any] | None:
    """Return the profile that the run holds of a checkpoint, or None."""
    return _known(run.invariance_file(split), checkpoint) or _known(run.invariance_file(split, checkpoint), checkpoint)


def _known(file: Path, checkpoint: str) -> dict[str, Any] | None:
    """Return what a file holds if it is of that checkpoint."""
    try:
        found = read_json(file, limits.DOCUMENT, follow=False)
        document: dict[str, Any] = unsealed(checked(found, FORM, str(file)))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        _told(RunError(f"{file} cannot be read: {error}"))
        return None
    except RunError as error:
        _told(error)
        return None
    return document if document["checkpoint"] == checkpoint else None


def _told(error: RunError) -> None:
    """Tell that something is left out that the run keeps; the rest is shown all the same."""
    log.warning("left out, for it is damaged: %s", error.message)
