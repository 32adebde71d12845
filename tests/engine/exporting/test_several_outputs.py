"""A task with several outputs of different types: every format that is not for classes alone keeps them apart."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

from cnncli.config.schema.tasks import TASKS as SPECS
from cnncli.config.schema.tasks import Classification
from cnncli.datasets.targets import TARGETS
from cnncli.tasks.classification.task import ClassificationTask
from cnncli.tasks.task import TASKS

pytestmark = [pytest.mark.engine, pytest.mark.filterwarnings("ignore"), pytest.mark.needs("onnx", "litert")]

Make = Callable[..., Any]
NET = "[{Conv2D: {filters: 3, kernel_size: 3}}, Flatten, {Dense: {units: 10}}]"


class BothSpec(Classification):
    """Classes that are also named, and a number besides."""

    output_names = ("best", "probabilities", "total")


class BothTask(ClassificationTask):
    """Probabilities, the number of the most probable class, and the sum of the logits."""

    def outputs(self, logits: np.ndarray, image_size: tuple[int, int]) -> dict[str, np.ndarray]:
        """Return all three."""
        best = logits.argmax(axis=1).astype(np.int32)
        return {**super().outputs(logits, image_size), "best": best, "total": logits.astype(np.float64).sum(axis=1)}


def make_objective(config: Any, splits: Any) -> Any:
    """Return the same in TensorFlow; Keras's own layers cannot say the most probable class."""
    import tensorflow as tf

    from cnncli.engine.tasks.classification import CrossEntropy

    class Both(CrossEntropy):
        def outputs(self, logits: Any) -> dict[str, Any]:
            total = tf.reduce_sum(logits, axis=1)
            return {**super().outputs(logits), "total": total, "best": tf.argmax(logits, 1, tf.int32)}

        def output_layers(self) -> Any:
            return {}

    return Both.of(config, splits)


@pytest.fixture(scope="module")
def source(make_source: Make) -> Iterator[Any]:
    """Return a network of the task."""
    from dataclasses import replace

    from cnncli.engine.tasks.objective import OBJECTIVES

    made = ((SPECS, BothSpec()), (TARGETS, TARGETS["classification"]), (TASKS, BothTask), (OBJECTIVES, make_objective))
    added = [patch.dict(registry, both=one) for registry, one in made]
    for each in added:
        each.start()
    source = make_source(NET, "task=both")
    yield replace(source, description=replace(source.description, task="both"))
    for each in added:
        each.stop()


@pytest.mark.parametrize("title", ["saved_model", "onnx", "litert"])
def test_each_output_keeps_its_name(title: str, source: Any, write: Callable[..., Any]) -> None:
    """The artifact passes the gate, and its outputs are what Keras and NumPy compute of the network."""
    from cnncli.engine.exporting.open import open_artifact

    artifact = open_artifact(write(title, source).path)
    images = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 1), dtype=np.uint8)
    logits = np.asarray(source.trained.model(images / np.float32(255)))
    found = artifact.outputs(images)
    assert found.keys() == {"best", "probabilities", "total"}
    assert found["best"].dtype == np.int32
    assert (found["best"] == logits.argmax(1)).all()
    np.testing.assert_allclose(found["total"], logits.sum(1), atol=1e-4)
    np.testing.assert_allclose(found["probabilities"].sum(1), 1, atol=1e-5)


def test_keras_file_of_outputs_that_it_cannot_compute(source: Any) -> None:
    """The format says so before anything is written."""
    from cnncli.engine.exporting.formats import FORMATS

    message, hint = next(kind for kind in FORMATS if kind.kind == "keras").obstacle(source)
    assert "the outputs of the task both" in message
    assert "another format" in hint


def test_keras_file_of_several_outputs(source: Any, tmp_path: Path) -> None:
    """Where Keras's layers can compute them, the file returns a dictionary, to Keras alone as to us."""
    import keras

    from cnncli.engine.exporting.keras_file import open_keras, write_keras

    layers = {
        "probabilities": partial(keras.layers.Softmax, dtype="float32"),
        "total": partial(keras.layers.Activation, "linear", dtype="float32"),
    }
    path = tmp_path / "net.keras"
    with patch.object(type(source.objective), "output_layers", lambda _: layers):
        write_keras(source, source.description, path)
    images = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 1), dtype=np.uint8)
    logits = np.asarray(source.trained.model(images / np.float32(255)))
    for found in (keras.models.load_model(path)(images), open_keras(path).runtime(images)):
        assert found.keys() == layers.keys()
        np.testing.assert_allclose(np.asarray(found["total"]), logits, atol=1e-5)
