"""What a config needs to know about a task: its metrics, and what its network must end in."""

from cnncli.config.schema.tasks.classification import Classification
from cnncli.config.schema.tasks.detection import Detection
from cnncli.config.schema.tasks.names import DEFAULT, TASKS, Monitor, TaskName, all_monitors
from cnncli.config.schema.tasks.segmentation import MASK, Segmentation
from cnncli.config.schema.tasks.spec import VALIDATION, Conflict, Metric, OutputProblem, OutputShape, TaskSpec

__all__ = [
    "DEFAULT",
    "MASK",
    "TASKS",
    "VALIDATION",
    "Classification",
    "Conflict",
    "Detection",
    "Metric",
    "Monitor",
    "OutputProblem",
    "OutputShape",
    "Segmentation",
    "TaskName",
    "TaskSpec",
    "all_monitors",
]
