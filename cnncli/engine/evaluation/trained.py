"""A run's network, made to answer for images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from cnncli.config.schema.schema import Config
from cnncli.engine.fast_ops import batch_halves
from cnncli.engine.input_pipeline.decoder import FileImages
from cnncli.engine.input_pipeline.preprocessing import Preprocessing
from cnncli.engine.model import build
from cnncli.engine.network.adapt import settle
from cnncli.engine.runtime import configure
from cnncli.engine.training.step_loop import assign, model_variables
from cnncli.errors import CheckpointError
from cnncli.runs.checkpoint import Checkpoint
from cnncli.runs.run import Run

Images: TypeAlias = "tf.Tensor | FileImages"
"""uint8 images of the network's size: (examples, height, width, channels)."""

BATCH_SIZE = 256
"""Examples a call. One number everywhere, so that train, eval and predict agree to the last bit."""


class Predictor:
    """A model made to answer for uint8 images.

    Args:
        model: Network that ends in logits.
        preprocessing: The same that training used.
    """

    def __init__(self, model: keras.Model, preprocessing: Preprocessing) -> None:
        self._model = model
        self._preprocessing = preprocessing
        self._parts = batch_halves.number()

    def logits(self, images: Images) -> npt.NDArray[np.float32]:
        """Return float32 logits (examples, classes) for uint8 images of the network's size."""
        starts = range(0, len(images), BATCH_SIZE)
        return np.concatenate([self._batch(images[start : start + BATCH_SIZE]) for start in starts])

    def _batch(self, images: tf.Tensor) -> npt.NDArray[np.float32]:
        # A batch is always filled up: the kernels, and so the last bits, may depend on its size.
        missing = BATCH_SIZE - len(images)
        if missing:
            images = tf.pad(images, [[0, missing], [0, 0], [0, 0], [0, 0]])
        return np.asarray(self._forward(images))[: BATCH_SIZE - missing]

    @tf.function(reduce_retracing=True)
    def _forward(self, images: tf.Tensor) -> tf.Tensor:
        logits = batch_halves.in_parts(
            lambda part: self._model(self._preprocessing.to_float(part), training=False), images, self._parts
        )
        return tf.cast(logits, tf.float32)


@dataclass(frozen=True)
class Trained:
    """A run's network with the weights of one of its checkpoints.

    Attributes:
        config: The run's config.
        classes: Class order that training fixed.
        model: Network that ends in logits.
        preprocessing: What comes before it.
        checkpoint: Name of the checkpoint, "step-00001234".
    """

    config: Config
    classes: tuple[str, ...]
    model: keras.Model
    preprocessing: Preprocessing
    checkpoint: str


def find_checkpoint(run: Run, checkpoint: str) -> Checkpoint:
    """Load a run's checkpoint.

    Args:
        run: The run.
        checkpoint: "best", "last", or a checkpoint's name or path.

    Raises:
        CheckpointError: If there is none, or it is damaged.
    """
    if checkpoint not in ("best", "last"):
        return run.checkpoints.load(Path(checkpoint).name)
    found = run.checkpoints.best() if checkpoint == "best" else None
    found = found or run.checkpoints.latest()
    if found is None:
        raise CheckpointError(f"{run.path} has no checkpoint yet.", "Wait for its first epoch, or train again.")
    return found


def evaluated_weights(arrays: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    """Return a checkpoint's "model/…" arrays, with the running average of a weight in its place where there is one."""
    model = {name: array for name, array in arrays.items() if name.startswith("model/")}
    averages = {name.replace("average/", "model/", 1): a for name, a in arrays.items() if name.startswith("average/")}
    return model | averages


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
    settle(model)
    classes = tuple(run.passport()["classes"])
    return Trained(config, classes, model, Preprocessing(config.data), state.path.name)
