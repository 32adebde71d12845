"""What every task says of itself to a config."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from cnncli.layers.base import Shape, Spec

if TYPE_CHECKING:
    from cnncli.config.schema.schema import Data

OutputShape = Shape | Mapping[str, Shape]
"""Shape of a network's one output, or the shapes of several by their names."""

VALIDATION = "validation_"
"""Prefix of the metrics of the validation split."""


class Metric(NamedTuple):
    """A number that is known after every epoch.

    Attributes:
        name: As metrics.jsonl has it.
        higher_is_better: Whether training should raise it.
        primary: Whether it chooses the best epoch where the config names no other.
    """

    name: str
    higher_is_better: bool
    primary: bool = False


class OutputProblem(NamedTuple):
    """Why a network's output does not fit its task.

    Attributes:
        message: What is wrong.
        hint: What to do.
        is_fatal: Whether such a network cannot be trained at all; otherwise it only trains badly.
        code: Number of the problem's page.
        output: Name of the output with the problem, where it is one of several.
    """

    message: str
    hint: str
    is_fatal: bool = True
    code: str = "E301"
    output: str | None = None


class Conflict(NamedTuple):
    """What in a config does not go with its task: the key, what is wrong, what to do."""

    path: str
    message: str
    hint: str


class TaskSpec(Spec):
    """A task, as a config may name it: `task: classification`."""

    reads_masks: ClassVar[bool] = False
    """Whether its examples have a class for every pixel."""

    reads_boxes: ClassVar[bool] = False
    """Whether its examples have boxes, each with a class."""

    has_places: ClassVar[bool] = False
    """Whether what the network ends in has places in the image, so that moving the image moves it."""

    metrics: ClassVar[tuple[Metric, ...]]
    """All metrics; the first is "loss"."""

    metrics_in_training: ClassVar[tuple[Metric, ...]] = ()
    """Where an epoch's training cannot afford the metrics, what it computes in their place; the first is "loss"."""

    output_names: ClassVar[tuple[str, ...]]
    """What an exported network returns, in alphabetical order."""

    main_output: ClassVar[str | None] = None
    """Of several outputs of a network, the one that is the prediction; None where a network has only one."""

    def check_output(
        self, shape: OutputShape, num_classes: int | None, image_size: tuple[int, int]
    ) -> OutputProblem | None:
        """Return why a network cannot end in that shape, or None if it can.

        Args:
            shape: Of the network's output for one image; of several outputs, each by its name.
            num_classes: Of the data, where it is known.
            image_size: Height and width that the network reads.
        """
        raise NotImplementedError

    def check_answer(
        self,
        shapes: Mapping[str, Shape],
        num_images: int,
        num_classes: int,  # noqa: ARG002 - for tasks that answer with classes
    ) -> str | None:
        """Return what is wrong with what an exported network computed, or None if it can be used.

        Args:
            shapes: Shapes of its outputs, by their names.
            num_images: Number of images that it was asked about.
            num_classes: Number of classes that it knows.
        """
        for name in self.output_names:
            if name not in shapes:
                return f'it has no output "{name}", only {", ".join(shapes) or "none"}'
            if shapes[name][:1] != (num_images,):
                return f'its output "{name}" has the shape {shapes[name]}, expected {num_images} images first'
        return None

    def initial_bias(self, output: str) -> float | None:  # noqa: ARG002 - for tasks whose outputs have names
        """Return the bias with which the layer of an output begins where its config says none; None for Keras's."""
        return None

    def conflicts(self, data: Data, loss_keys: Collection[str]) -> Iterator[Conflict]:
        """Yield what in a config does not go with the task.

        Args:
            data: The data section.
            loss_keys: Keys below train.loss that the config gives another value than the default.
        """
        for key in ("dice", "boundary", "focal", "resolution", "auxiliary"):
            if key in loss_keys and not self.reads_masks:
                yield Conflict(f"train.loss.{key}", f"{key} is for task: segmentation.", "Remove the key.")
        for key in ("box", "box_weight", "focal_alpha", "focal_beta"):
            if key in loss_keys and not self.reads_boxes:
                yield Conflict(f"train.loss.{key}", f"{key} is for task: detection.", "Remove the key.")
        if data.has_masks and not self.reads_masks:
            message = "The data has a class for every pixel; this task cannot use it."
            yield Conflict("data.source", message, "Set task: segmentation, or choose another source.")
        elif data.has_boxes and not self.reads_boxes:
            message = "The data has boxes around objects; this task cannot use them."
            yield Conflict("data.source", message, "Set task: detection, or choose another source.")
        elif self.reads_masks and data.has_masks is False:
            message = "Segmentation needs a class for every pixel of an image."
            yield Conflict(
                "data.source", message, "Set data.source: masks, npz, or digit_scenes for the set that comes along."
            )
        elif self.reads_boxes and not data.has_boxes:
            message = "Detection needs a box and a class for every object of an image."
            yield Conflict(
                "data.source", message, "Set data.source: voc, coco, yolo, or digit_boxes for the set that comes along."
            )

    @property
    def primary(self) -> Metric:
        """The metric that chooses the best epoch."""
        return next(metric for metric in self.metrics if metric.primary)

    @property
    def training_metrics(self) -> tuple[Metric, ...]:
        """What is known of the training examples after every epoch; one of them is primary."""
        return self.metrics_in_training or self.metrics

    @property
    def all_metrics(self) -> tuple[Metric, ...]:
        """The metrics, then those that only training has."""
        return tuple(dict.fromkeys((*self.metrics, *self.metrics_in_training)))

    def metrics_json(self) -> list[dict[str, Any]]:
        """Return the metrics as run.json has them, so that lists of runs need no config."""
        return [metric._asdict() for metric in self.metrics]

    def monitors(self, has_validation: bool) -> tuple[str, ...]:
        """Return the names of all metrics of a run, those of the validation split last."""
        names = tuple(metric.name for metric in self.training_metrics)
        return (*names, *(VALIDATION + metric.name for metric in self.metrics)) if has_validation else names

    def best_by(self, monitor: str, known: Collection[str]) -> str:
        """Return which of the known numbers chooses the best epoch in place of `monitor`.

        Without a validation split, it is the training examples' own metric; where training does not compute that, its
        loss.
        """
        own = monitor.removeprefix(VALIDATION)
        return monitor if monitor in known else own if own in known else "loss"

    def higher_is_better(self, monitor: str) -> bool:
        """Say whether a metric should rise; `monitor` may name it for the validation split."""
        name = monitor.removeprefix(VALIDATION)
        return any(metric.higher_is_better for metric in self.all_metrics if metric.name == name)
