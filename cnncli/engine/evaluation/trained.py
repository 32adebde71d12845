"""A run's network, made to answer for images."""

from __future__ import annotations

from dataclasses import dataclass, replace

import keras
import numpy as np

from cnncli.config.schema.schema import Config
from cnncli.engine.input_pipeline.preprocessing import Preprocessing
from cnncli.engine.network.adapt import freeze_statistics
from cnncli.engine.network.model import build
from cnncli.engine.network.variables import assign, model_variables
from cnncli.engine.runtime import configure
from cnncli.runs.find import evaluated_weights, find_checkpoint
from cnncli.runs.run import Run
from cnncli.tasks.found_thresholds import find_thresholds
from cnncli.tasks.ood import OodDetector, find_detector
from cnncli.tasks.task import get_task


@dataclass(frozen=True)
class Trained:
    """A run's network with the weights of one of its checkpoints.

    Attributes:
        config: The run's config.
        classes: Class order that training fixed.
        model: Network that ends in logits.
        preprocessing: What comes before it.
        checkpoint: Name of the checkpoint, "step-00001234".
        detector: Tells images unlike those of training; None where there is none of this checkpoint.
        thresholds: Score from which on an object of each class counts as found; None where there are none of this
            checkpoint, or the task has no objects.
    """

    config: Config
    classes: tuple[str, ...]
    model: keras.Model
    preprocessing: Preprocessing
    checkpoint: str
    detector: OodDetector | None = None
    thresholds: tuple[float, ...] | None = None

    def at_size(self, size: tuple[int, int]) -> Trained:
        """Return the network with the same weights, for images of another height and width."""
        data = self.config.data.model_copy(update={"image_size": size})
        config = self.config.model_copy(update={"data": data})
        model = build(config)
        weights = model_variables(self.model)
        assign(model_variables(model), {name: np.asarray(variable) for name, variable in weights.items()})
        freeze_statistics(model)
        return replace(self, config=config, model=model, preprocessing=Preprocessing(data))


def load_trained(run: Run, checkpoint: str = "best") -> Trained:
    """Rebuild a run's network and fill it from a checkpoint.

    Args:
        run: The run.
        checkpoint: "best", "last", or a checkpoint directory's path.

    Raises:
        CnnError: If the run or the checkpoint is damaged.
    """
    config = run.config()
    configure(config, run.record.get("threads"))
    state = find_checkpoint(run, checkpoint)
    model = build(config)
    assign(model_variables(model), evaluated_weights(state.arrays))
    freeze_statistics(model)
    classes = tuple(run.passport()["classes"])
    task, name = get_task(config.task), state.path.name
    detector = find_detector(run, state, task)
    # Only objects have a score from which on they count; other tasks need not read an evaluation.
    thresholds = find_thresholds(run, name, task, classes) if config.task_spec.reads_boxes else None
    return Trained(config, classes, model, Preprocessing(config.data), name, detector, thresholds)
