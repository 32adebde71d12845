"""What a task owns outside TensorFlow: how its predictions are scored, written, compared and shown."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from cnncli.errors import CnnError
from cnncli.tasks.pages import CONFIG_KINDS, NETWORK_KINDS, Pages

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from cnncli.config.schema.schema import Config
    from cnncli.datasets.splits import Splits
    from cnncli.datasets.targets import Targets
    from cnncli.runs.compare import PairedResult
    from cnncli.runs.evaluations import KeptEvaluation
    from cnncli.tasks.ood import OodDetector
    from cnncli.tasks.outputs import NamedOutputs
    from cnncli.tasks.parity import ParityRules
    from cnncli.tasks.predictions import Drawing, Prediction, PredictionOptions

Outputs: TypeAlias = "npt.NDArray[np.floating[Any]]"
"""What a network ends in for a batch of examples: (examples, …)."""


class Result(Protocol):
    """The scores of a split."""

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
    """Scores a split batch by batch; it never holds all outputs: a split's masks would not fit in memory."""

    def update(self, outputs: Outputs, targets: Targets) -> None:
        """Add a batch of what the network ends in."""
        ...

    def update_exported(self, outputs: Mapping[str, Outputs], targets: Targets) -> None:
        """Add a batch of what an exported network returns, by the names of its outputs."""
        ...

    def result(self) -> Result:
        """Return the scores of all batches.

        Raises:
            DataError: If there was none.
        """
        ...


class Task(ABC):
    """A task, in NumPy.

    Attributes:
        loss_name: What training minimizes, in words.
        detects_ood: Whether images unlike those of training can be told: see `ood_detector`.
    """

    loss_name: str
    detects_ood = False

    def configured(self, config: Config) -> Task:  # noqa: ARG002 - for tasks that a config changes
        """Return the task as a config has it, where its outputs depend on settings; by default it is always alike."""
        return self

    @abstractmethod
    def evaluator(self, split: str, options: PredictionOptions, ids: Sequence[str] = ()) -> Evaluator:
        """Return an evaluator for a split.

        Args:
            split: Its name.
            options: The classes, and how images became the network's input.
            ids: File or index of each example, in the order of the batches; empty where they are not needed.
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

    # What an exported network returns, how it is shown for images, and how it is compared with its run.

    @property
    @abstractmethod
    def parity(self) -> ParityRules:
        """How far an artifact's outputs are from its run's."""

    @abstractmethod
    def outputs(self, logits: Outputs, image_size: tuple[int, int]) -> dict[str, npt.NDArray[Any]]:
        """Return what an exported network should return, by the names of its outputs, from what the network ends in.

        The objective's `outputs` computes the same in TensorFlow, and is checked against this.

        Args:
            logits: What the network ends in.
            image_size: Height and width that the network reads.
        """

    @abstractmethod
    def predictions(
        self, outputs: NamedOutputs, sizes: Sequence[tuple[int, int]], options: PredictionOptions
    ) -> Sequence[Prediction]:
        """Return the prediction for each image.

        Args:
            outputs: As `outputs` returns them.
            sizes: Height and width of each original image; places are given in its pixels.
            options: What else is needed.
        """

    def draw_samples(self, splits: Splits, path: Path) -> Path:
        """Write a picture of training examples with their targets: `cnn data --samples`.

        Raises:
            CnnError: If the file cannot be written.
        """
        from cnncli.datasets.samples import draw

        return draw(splits, path)

    def draw_labels(self, splits: Splits, path: Path) -> Path:  # noqa: ARG002 - for tasks whose targets have places
        """Write a picture of what the training split's targets are as a whole: `cnn data --labels`.

        Raises:
            CnnError: If the task has no such picture, or the file cannot be written.
        """
        raise CnnError("--labels is for boxes", "The examples of other tasks are drawn by --samples.")

    def drawing(self, prediction: Prediction) -> Drawing | None:  # noqa: ARG002 - for tasks that have some
        """Return what draws a prediction over its image, or None where it is of the image as a whole."""
        return None

    def thresholds(self, evaluation: Mapping[str, Any]) -> tuple[float, ...] | None:  # noqa: ARG002
        """Return the score from which on an object of each class counts as found, by an evaluation; else None.

        Args:
            evaluation: What evaluation-<split>.json holds, of the form of `pages`.
        """
        return None

    # Which images are unlike those of training, for tasks that can tell.

    def ood_detector(self, result: Result) -> OodDetector | None:  # noqa: ARG002
        """Return an out-of-distribution detector from a network's scores on held-out examples, or None."""
        return None

    def read_ood_detector(self, document: Mapping[str, Any]) -> OodDetector | None:  # noqa: ARG002
        """Return a detector from what its `to_json` returned; None where it was something else."""
        return None

    # What is shown, and how two runs are compared.

    @property
    @abstractmethod
    def pages(self) -> Pages:
        """What `cnn eval`, `show` and `report` show for a network of this task."""

    @abstractmethod
    def out_of_fold(self, folds: Sequence[KeptEvaluation]) -> Result:
        """Return the scores of all folds' examples together, from what each fold's run keeps of its own.

        Args:
            folds: The evaluation of each fold by a run that had not seen it; all have the same classes.

        Raises:
            RunError: If the predictions of one cannot be read.
        """

    def read_rows(self, path: Path) -> Any | None:  # noqa: ARG002 - for tasks that have a test
        """Return the rows of predictions-<split>.csv for `compare`, or None where there are none.

        Raises:
            RunError: If the file is there but cannot be read.
        """
        return None

    def compare(self, first: Any, second: Any) -> PairedResult | None:  # noqa: ARG002
        """Return a paired test of two runs' rows, or None where their examples differ."""
        return None


TASKS: dict[str, str | Callable[[], Task]] = {
    "classification": "cnncli.tasks.classification.task:ClassificationTask",
    "segmentation": "cnncli.tasks.segmentation.task:SegmentationTask",
    "detection": "cnncli.tasks.detection.task:DetectionTask",
}
"""By name: what makes the task, or where to import it from."""


def get_task(name: str) -> Task:
    """Return a task by the name that a config gives it.

    Raises:
        CnnError: If there is no task of that name.
    """
    if name not in TASKS:
        raise CnnError(f'there is no task "{name}"', f"The tasks: {', '.join(TASKS)}")
    maker = TASKS[name]
    if isinstance(maker, str):
        module, _, attribute = maker.partition(":")
        maker = getattr(import_module(module), attribute)
    made: Task = maker()
    return made


def task_of(config: Config) -> Task:
    """Return the task of a config, with its settings."""
    return get_task(config.task).configured(config)


def all_kinds() -> list[str]:
    """Return everything that `cnn show` draws, of any task; kinds that all tasks share come first and last."""
    own = (kind for name in TASKS for kind in get_task(name).pages.figures())
    return list(dict.fromkeys((*NETWORK_KINDS, *own, *CONFIG_KINDS)))
