"""Out-of-distribution (OOD) detection: which images are so unlike those of training that a prediction means little."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from cnncli.errors import RunError
from cnncli.runs.checkpoint import Checkpoint
from cnncli.runs.evaluations import find_evaluation
from cnncli.runs.run import Run
from cnncli.tasks.outputs import NamedOutputs
from cnncli.tasks.task import Task

KEY = "ood_detector"
"""Of a detector in a checkpoint, in an evaluation, and in what an export says of itself."""

BLANK = "the image is blank: all its pixels have the same value"


@dataclass(frozen=True)
class OodScore:
    """How unlike the training images an image is.

    Attributes:
        score: What was computed: "energy", "confidence".
        value: Its value for the image.
        threshold: The value beyond which an image counts as unlike the training images.
        unlike: Whether the image does.
        warning: That in a sentence.
    """

    score: str
    value: float
    threshold: float
    unlike: bool
    warning: str = field(compare=False)

    def to_json(self) -> dict[str, Any]:
        """Return what `cnn predict --json` prints as "out_of_distribution"."""
        document = asdict(self)
        del document["warning"]
        return document


class OodDetector(Protocol):
    """Tells images unlike those of training by what their network makes of them."""

    def to_json(self) -> dict[str, Any]:
        """Return plain data, for the task's `read_ood_detector`."""
        ...

    def scores(self, outputs: NamedOutputs) -> Sequence[OodScore]:
        """Return the score of each image of a batch.

        Args:
            outputs: What an exported network returns, and "logits" where they are known.
        """
        ...


def find_detector(run: Run, checkpoint: Checkpoint, task: Task) -> OodDetector | None:
    """Return the detector of a checkpoint, or None where there is none.

    It has its own from the validation at the end of its epoch; checkpoints of earlier versions, and runs without a
    validation split, have one since `cnn eval` measured held-out examples with them.
    """
    found = (task.read_ood_detector(document) for document in _documents(run, checkpoint))
    return next((detector for detector in found if detector is not None), None)


def _documents(run: Run, checkpoint: Checkpoint) -> Iterator[Mapping[str, Any]]:
    yield checkpoint.meta.get(KEY) or {}
    for split in ("validation", "test"):
        # What cannot be read is for `cnn eval` to tell; predictions do not hang on it.
        with suppress(RunError):
            kept = find_evaluation(run, split, checkpoint.path.name)
            yield (kept and kept.document.get(KEY)) or {}
