"""What is exported: a run's network, what comes before it, and what is to be said of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from cnncli.config.dump import dump, dump_document
from cnncli.config.schema.schema import Config
from cnncli.config.schema.tasks import TASKS
from cnncli.datasets.splits import Split, Splits
from cnncli.engine.evaluation.predictor import Predictor
from cnncli.engine.evaluation.trained import Trained
from cnncli.engine.input_pipeline.preprocessing import Preprocessing
from cnncli.engine.network.adapt import freeze_statistics
from cnncli.engine.network.model import build
from cnncli.engine.network.variables import assign, model_variables
from cnncli.engine.tasks.objective import Objective, make_objective
from cnncli.layers import graph
from cnncli.layers.graph import Node
from cnncli.runs.environment import versions
from cnncli.runs.run import Run
from cnncli.serving.artifact import Pixels
from cnncli.serving.description import Description
from cnncli.tasks.task import Outputs, Task, task_of

CALIBRATION = 300
"""Training examples that show a quantised network the range of its values."""


@dataclass(frozen=True)
class Source:
    """A run's network on its way out.

    Attributes:
        trained: The network with its weights, class names and preprocessing.
        description: What an artifact will say about itself.
        splits: The run's data: what calibrates and what proves; None where neither is asked for.
        kept: Whether these are only the few examples that the run keeps; they prove, but do not calibrate.
    """

    trained: Trained
    description: Description
    splits: Splits | None = None
    kept: bool = False

    @classmethod
    def of(cls, run: Run, trained: Trained, splits: Splits | None = None, kept: bool = False) -> Source:
        """Describe a run's network."""
        return cls(trained, _describe(run, trained), splits, kept)

    @property
    def config(self) -> Config:
        """The run's config."""
        return self.trained.config

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The network up to its logits, at the size at which it was trained; of several outputs, up to the main one."""
        nodes = graph.sized(self.config.nodes, self.config.input_shape)
        if len(self.config.outputs) < 2:
            return graph.logits_nodes(nodes)
        main = TASKS[self.config.task].main_output
        return nodes if main is None else graph.leading_to(nodes, self.config.outputs[main])

    @property
    def ends(self) -> Mapping[str, int]:
        """Node of each output by name, where the task computes with several; else empty: the last node is the end."""
        main, outputs = TASKS[self.config.task].main_output, self.config.outputs
        return outputs if main is None and len(outputs) > 1 else {}

    @property
    def examples(self) -> Splits:
        """The run's data; ValueError where the source was made without them."""
        if self.splits is None:
            raise ValueError("this source has no examples")
        return self.splits

    @property
    def preprocessing(self) -> Preprocessing:
        """What comes before the network."""
        return self.trained.preprocessing

    @property
    def task(self) -> Task:
        """What the network was trained for."""
        return task_of(self.config)

    @cached_property
    def objective(self) -> Objective:
        """The same in TensorFlow: it computes what an artifact returns from what the network ends in."""
        return make_objective(self.config)

    def outputs(self, images: Pixels) -> dict[str, Outputs]:
        """Return what the run itself computes for images of one size: the truth that artifacts are held against."""
        logits = self._predictor.logits(self.preprocessing.resize_uint8(images))
        return {
            name: _single(values) for name, values in self.task.outputs(logits, self.config.data.image_size).items()
        }

    @cached_property
    def _predictor(self) -> Predictor:
        return Predictor(self.trained.model, self.preprocessing)

    def calibration(self) -> Pixels:
        """Return training images of the network's size, chosen by the config's seed."""
        train = self.examples.train
        order = np.random.default_rng(self.config.seed).permutation(len(train))[:CALIBRATION]
        return sized(train.take(np.sort(order), "calibration"), self.preprocessing)

    def in_float32(self) -> Source:
        """Return the same weights in a network of its own that computes in float32.

        Formats that know no mixed precision hold this one; its layers may be changed for an export.
        """
        train = self.config.train.model_copy(update={"precision": "float32"})
        policy = keras.config.dtype_policy()
        keras.config.set_dtype_policy("float32")
        try:
            model = build(self.config.model_copy(update={"train": train}))
        finally:
            keras.config.set_dtype_policy(policy)
        assign(model_variables(model), {k: np.asarray(v) for k, v in model_variables(self.trained.model).items()})
        freeze_statistics(model)
        return replace(
            self,
            trained=replace(self.trained, model=model),
            description=replace(self.description, precision="float32"),
        )


def _single(values: Outputs) -> Outputs:
    """Return values in the precision of artifacts: float32 where they are float64."""
    return values.astype(np.float32) if values.dtype == np.float64 else values


def sized(split: Split, preprocessing: Preprocessing) -> Pixels:
    """Return a split's images in the network's size."""
    if isinstance(split.images, np.ndarray):
        return np.asarray(preprocessing.resize_uint8(split.images))
    images = split.images
    return np.concatenate([np.asarray(preprocessing.resize_uint8(images.decode(i)[None])) for i in range(len(split))])


def frozen(function: Any, *signature: tf.TensorSpec) -> Any:
    """Return a TensorFlow graph of a Python function with its weights as constants."""
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    return convert_variables_to_constants_v2(tf.function(function).get_concrete_function(*signature))


def _describe(run: Run, trained: Trained) -> Description:
    config, data = trained.config, trained.config.data
    passport = run.passport()
    return Description(
        name=config.name,
        task=config.task,
        classes=trained.classes,
        height=data.image_size[0],
        width=data.image_size[1],
        channels=data.channels,
        method=data.resize.method,
        fit=data.resize.fit,
        any_size=False,
        config=dump_document(_without_path(config.document)),
        config_sha256=sha256(dump(config).encode()).hexdigest(),
        data_content_hash=str(passport.get("content_hash", "")),
        data_split_hash=str(passport.get("split_hash", "")),
        look=passport.get("looks", {}).get("train", {"num_images": 0}),
        usual_size=_usual_size(passport) or data.image_size,
        run=f"{run.name}/{run.id}",
        checkpoint=trained.checkpoint,
        precision=config.train.precision,
        versions=versions(),
        ood_detector=None if trained.detector is None else trained.detector.to_json(),
    )


def _usual_size(passport: dict[str, Any]) -> tuple[int, int] | None:
    common = passport.get("sizes", {}).get("most_common", [])
    return (common[0]["size"][0], common[0]["size"][1]) if common else None


def _without_path(document: dict[str, Any]) -> dict[str, Any]:
    """Return a config that does not tell in which folder the examples lie on the machine that trained."""
    path = document["data"].get("path")
    return {**document, "data": {**document["data"], "path": path and Path(path).name}}
