"""What a config needs to know about a task: its metrics, and what its network must end in."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, NamedTuple

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from cnncli.layers.base import Shape, Spec

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
    """

    message: str
    hint: str
    is_fatal: bool = True
    code: str = "E301"


class TaskSpec(Spec):
    """A task, as a config may name it: `task: classification`."""

    metrics: ClassVar[tuple[Metric, ...]]
    """All metrics; the first is "loss"."""

    output_names: ClassVar[tuple[str, ...]]
    """What an exported network returns, in alphabetical order."""

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

    @property
    def primary(self) -> Metric:
        """The metric that chooses the best epoch."""
        return next(metric for metric in self.metrics if metric.primary)

    def metrics_json(self) -> list[dict[str, Any]]:
        """Return the metrics as run.json has them, so that lists of runs need no config."""
        return [metric._asdict() for metric in self.metrics]

    def monitors(self, has_validation: bool) -> tuple[str, ...]:
        """Return the names of all metrics of a run, those of the validation split last."""
        names = tuple(metric.name for metric in self.metrics)
        return (*names, *(VALIDATION + name for name in names)) if has_validation else names

    def higher_is_better(self, monitor: str) -> bool:
        """Say whether a metric should rise; `monitor` may name it for the validation split."""
        name = monitor.removeprefix(VALIDATION)
        return any(metric.higher_is_better for metric in self.metrics if metric.name == name)


class Classification(TaskSpec):
    """Every image is of one class: the network ends in one logit per class."""

    metrics = (Metric("loss", False), Metric("accuracy", True, primary=True))
    output_names = ("probabilities",)

    def check_output(
        self,
        shape: OutputShape,
        num_classes: int | None,
        image_size: tuple[int, int],  # noqa: ARG002 - of no matter where the plane is gone
    ) -> OutputProblem | None:
        """Return why the output is not one number per class, or None if it is."""
        if isinstance(shape, Mapping):
            names = list(shape)
            return OutputProblem(
                f"The network has {len(names)} outputs ({', '.join(names[:4])}{', …' if names[4:] else ''}); "
                "a classifier has one, the logits.",
                "Leave out model.outputs, and end with the layer that returns one number per class.",
                code="E304",
            )
        if len(shape) != 1:
            return OutputProblem(
                f"The network ends in {'×'.join(map(str, shape))} values; a classifier ends in one number per class.",
                "End with Flatten or GlobalAveragePooling2D, and a Dense layer with one unit per class.",
            )
        if num_classes is not None and shape[0] != num_classes:
            return OutputProblem(
                f"The network ends in {shape[0]:,} outputs; the data has {num_classes:,} classes.",
                f"Give the last layer {num_classes} outputs: one logit per class.",
            )
        if shape[0] == 1:
            return OutputProblem(
                "The network has a single output; it needs one per class, so two for two classes.",
                "Give the last layer as many outputs as there are classes.",
                is_fatal=False,
            )
        return None

    def check_answer(self, shapes: Mapping[str, Shape], num_images: int, num_classes: int) -> str | None:
        """Return what is wrong with an answer that is not a probability for each image and class, or None."""
        problem = super().check_answer(shapes, num_images, num_classes)
        if problem is not None:
            return problem
        # A network that an older version trained may have outputs to spare.
        shape = shapes["probabilities"]
        if len(shape) != 2 or shape[1] < max(num_classes, 1):
            return f"its probabilities have the shape {shape}, expected {(num_images, num_classes)}"
        return None


TASKS: dict[str, TaskSpec] = {"classification": Classification()}
"""All tasks by the name that a config gives them."""

DEFAULT = "classification"


def all_monitors() -> list[str]:
    """Return the names of the metrics of all tasks, those of the validation split first."""
    names = list(dict.fromkeys(metric.name for task in TASKS.values() for metric in reversed(task.metrics)))
    return [*(VALIDATION + name for name in names), *names]


def _one_of(names: Callable[[], list[str]]) -> tuple[Any, ...]:
    """Return what restricts a text to names that are known when it is read: a task may be added to those here."""

    def checked(value: str) -> str:
        if value not in names():
            raise PydanticCustomError("unknown_name", "Input should be one of the names")
        return value

    def listed(schema: dict[str, Any]) -> None:
        schema["enum"] = names()

    return AfterValidator(checked), Field(json_schema_extra=listed)


_MONITOR, _TASK = _one_of(all_monitors), _one_of(lambda: list(TASKS))
Monitor = Annotated[str, *_MONITOR]
"""Metrics that are known after every epoch; those without "validation_" are of the training examples."""

TaskName = Annotated[str, *_TASK]
"""A key of `TASKS`."""
