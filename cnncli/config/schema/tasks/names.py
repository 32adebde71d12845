"""All tasks by name, and the names of their metrics."""

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from cnncli.config.schema.tasks.classification import Classification
from cnncli.config.schema.tasks.detection import Detection
from cnncli.config.schema.tasks.segmentation import Segmentation
from cnncli.config.schema.tasks.spec import VALIDATION, TaskSpec

TASKS: dict[str, TaskSpec] = {
    "classification": Classification(),
    "segmentation": Segmentation(),
    "detection": Detection(),
}
"""All tasks by the name that a config gives them."""

DEFAULT = "classification"


def all_monitors() -> list[str]:
    """Return the names of the metrics of all tasks, those of the validation split first."""
    tasks = TASKS.values()
    validation = dict.fromkeys(metric.name for task in tasks for metric in reversed(task.metrics))
    training = dict.fromkeys(metric.name for task in tasks for metric in reversed(task.training_metrics))
    return [*(VALIDATION + name for name in validation), *training]


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
