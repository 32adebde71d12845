"""What a config needs to know about a task: its metrics, and what its network must end in."""

from collections.abc import Callable, Collection, Iterator, Mapping
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

    has_places: ClassVar[bool] = False
    """Whether what the network ends in has places in the image, so that moving the image moves it."""

    metrics: ClassVar[tuple[Metric, ...]]
    """All metrics; the first is "loss"."""

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

    def conflicts(self, masked_source: bool | None, loss_keys: Collection[str]) -> Iterator[Conflict]:
        """Yield what in a config does not go with the task.

        Args:
            masked_source: Whether the data has a class for every pixel; None where that is not known yet.
            loss_keys: Keys below train.loss that the config gives another value than the default.
        """
        for key in ("dice", "boundary", "focal", "resolution", "auxiliary"):
            if key in loss_keys and not self.reads_masks:
                yield Conflict(f"train.loss.{key}", f"{key} is for task: segmentation.", "Remove the key.")
        if masked_source and not self.reads_masks:
            message = "The data has a class for every pixel; this task cannot use it."
            yield Conflict("data.source", message, "Set task: segmentation, or choose another source.")
        if self.reads_masks and masked_source is False:
            message = "Segmentation needs a class for every pixel of an image."
            yield Conflict(
                "data.source", message, "Set data.source: masks, npz, or digit_scenes for the set that comes along."
            )

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


MASK = "mask"
"""Of several outputs, the one that is the prediction; the others only help training."""


class Segmentation(TaskSpec):
    """Every pixel is of one class: the network ends in one logit per class for each place of a plane."""

    metrics = (Metric("loss", False), Metric("mean_iou", True, primary=True), Metric("pixel_accuracy", True))
    output_names = ("mask", "probabilities")
    main_output = MASK
    reads_masks = True
    has_places = True

    def check_output(
        self, shape: OutputShape, num_classes: int | None, image_size: tuple[int, int]
    ) -> OutputProblem | None:
        """Return why the output is not a plane with one number per class, or None if it is."""
        if isinstance(shape, Mapping):
            if MASK not in shape:
                return OutputProblem(
                    f"The network has the outputs {', '.join(shape)}; none is called {MASK}.",
                    f"Name the output that is the prediction {MASK}; the others only help training.",
                    code="E304",
                )
            return self._check_outputs(shape, num_classes, image_size)
        return self._check_plane("The network", shape, num_classes, image_size)

    def _check_outputs(
        self, shapes: Mapping[str, Shape], num_classes: int | None, image_size: tuple[int, int]
    ) -> OutputProblem | None:
        """Return why one of several outputs is no such plane: all are compared with the same masks."""
        for name, shape in shapes.items():
            problem = self._check_plane(f"The output {name}", shape, num_classes, image_size)
            if problem is not None:
                return problem._replace(output=name)
        channels = shapes[MASK][-1]
        for name, shape in shapes.items():
            if shape[-1] != channels:
                return OutputProblem(
                    f"The output {name} ends in {shape[-1]:,} channels, {MASK} in {channels:,}: both are compared with "
                    "the same masks.",
                    "Give each output one filter per class.",
                    output=name,
                )
        return None

    def _check_plane(
        self, what: str, shape: Shape, num_classes: int | None, image_size: tuple[int, int]
    ) -> OutputProblem | None:
        """Return why an output, called `what`, is not a plane with one number per class."""
        if len(shape) != 3:
            return OutputProblem(
                f"{what} ends in {'×'.join(map(str, shape))} values; segmentation ends in a plane with one number "
                "per class, height×width×classes.",
                "Leave out Flatten, Dense and global pooling, and end with Conv2D: {filters: CLASSES, kernel_size: 1}.",
            )
        if num_classes is not None and shape[-1] != num_classes:
            one_more = " What data.ignore names is not a class: it has no logit." * (shape[-1] == num_classes + 1)
            return OutputProblem(
                f"{what} ends in {shape[-1]:,} channels; the data has {num_classes:,} classes.",
                f"Give the last layer {num_classes} filters: one logit per class.{one_more}",
            )
        if shape[0] > image_size[0] or shape[1] > image_size[1]:
            return OutputProblem(
                f"{what} ends in a plane of {shape[0]}×{shape[1]}, larger than the image, "
                f"{image_size[0]}×{image_size[1]}.",
                "Enlarge less: the output may be as large as the image, or smaller.",
            )
        if shape[-1] == 1:
            return OutputProblem(
                f"{what} ends in a single channel; it needs one per class, so two for two classes.",
                "Give the last layer as many filters as there are classes; the background is one of them.",
                is_fatal=False,
            )
        return None

    def check_answer(self, shapes: Mapping[str, Shape], num_images: int, num_classes: int) -> str | None:
        """Return what is wrong with an answer that is not a class and probabilities for each pixel, or None."""
        problem = super().check_answer(shapes, num_images, num_classes)
        if problem is not None:
            return problem
        mask, probabilities = shapes["mask"], shapes["probabilities"]
        if len(mask) != 3 or probabilities != (*mask, num_classes):
            return f"its mask has the shape {mask}, its probabilities {probabilities}, for {num_classes} classes"
        return None


TASKS: dict[str, TaskSpec] = {"classification": Classification(), "segmentation": Segmentation()}
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
