"""What a task owns outside TensorFlow: how its answers are scored, written, compared and shown."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from cnncli.datasets.targets import Targets

if TYPE_CHECKING:
    from cnncli.tasks.outputs import NamedOutputs
    from cnncli.tasks.parity import ParityRules
    from cnncli.tasks.predictions import Prediction, PredictionOptions

Outputs = npt.NDArray[np.floating[Any]]
"""What a network ends in for a batch of examples: (examples, …)."""


class Result(Protocol):
    """A split, measured."""

    @property
    def split(self) -> str:
        """Name of the split."""
        ...

    def scalars(self) -> dict[str, float]:
        """Return the task's metrics by name, "loss" among them."""
        ...

    def to_json(self) -> dict[str, Any]:
        """Return the fields of `cnn eval --json`."""
        ...

    def csv(self) -> str:
        """Return a line for each example: what predictions-<split>.csv holds."""
        ...


class Evaluator(Protocol):
    """Scores a split batch by batch; it never holds all outputs, which of a split's masks would not fit into memory."""

    def update(self, outputs: Outputs, targets: Targets) -> None:
        """Add a batch of what the network ends in."""
        ...

    def update_exported(self, outputs: Mapping[str, Outputs], targets: Targets) -> None:
        """Add a batch of what an exported network answers, by the names of its outputs."""
        ...

    def result(self) -> Result:
        """Return the scores of all batches.

        Raises:
            DataError: If there was no example.
        """
        ...


class Task(ABC):
    """A task, in NumPy.

    Attributes:
        loss_name: What training minimizes, in words.
    """

    loss_name: str

    @abstractmethod
    def evaluator(self, split: str, classes: Sequence[str], ids: Sequence[str] = ()) -> Evaluator:
        """Return what scores a split.

        Args:
            split: Its name.
            classes: Names of the classes.
            ids: File or index of each example, in the order of the batches; empty where nobody asks for it.
        """

    @abstractmethod
    def progress(self, metrics: Mapping[str, float]) -> str:
        """Return the metrics of a batch in a few words: "loss 0.1234, 98.0% right"."""

    @abstractmethod
    def is_overfit(self, metrics: Mapping[str, float]) -> bool:
        """Say whether a batch has been learned completely: what `--overfit-batch` waits for."""

    def chance_loss(self, num_classes: int) -> float | None:  # noqa: ARG002 - the same for all where there is none
        """Return the loss of a network that knows nothing, or None where there is no such number."""
        return None

    # What an exported network returns, what is told of it, and how it is held against its run.

    @property
    @abstractmethod
    def parity(self) -> ParityRules:
        """How far an artifact's outputs are from its run's."""

    @abstractmethod
    def outputs(self, logits: Outputs) -> dict[str, Outputs]:
        """Return what an exported network should return, by the names of its outputs, from what the network ends in.

        The objective's `outputs` computes the same in TensorFlow; this is what it is held against.
        """

    @abstractmethod
    def predictions(
        self, outputs: NamedOutputs, sizes: Sequence[tuple[int, int]], options: PredictionOptions
    ) -> Sequence[Prediction]:
        """Return what to tell of each image.

        Args:
            outputs: As `outputs` returns them.
            sizes: Height and width of each image as it came; what has a place is told in its pixels.
            options: What else is to be known.
        """


TASKS: dict[str, str | Callable[[], Task]] = {
    "classification": "cnncli.tasks.classification.task:ClassificationTask",
}
"""By name: what makes the task, or where to import it from."""


def get_task(name: str) -> Task:
    """Return a task by the name that a config gives it."""
    maker = TASKS[name]
    if isinstance(maker, str):
        module, _, attribute = maker.partition(":")
        maker = getattr(import_module(module), attribute)
    made: Task = maker()
    return made
