"""The `.keras` file as Keras itself reads it."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnncli.errors import ExportError
from cnncli.serving.description import FILE, Description

pytestmark = [pytest.mark.engine, pytest.mark.filterwarnings("ignore")]


@pytest.mark.parametrize("radius", [0, 1, 2, 5])
def test_local_responses_in_words_of_keras(make_source: Callable[..., Any], radius: int) -> None:
    """Sums over neighbouring channels equal TensorFlow's own, where they reach beyond the last channel too."""
    import keras
    import tensorflow as tf

    from cnncli.engine.exporting.keras_file import _in_keras_words

    layer = f"LocalResponseNormalization: {{depth_radius: {radius}, bias: 1.5, alpha: 0.7, beta: 0.6}}"
    source = make_source(
        f"[{{Conv2D: {{filters: 5, kernel_size: 1}}}}, {{{layer}}}, Flatten, {{Dense: {{units: 10}}}}]"
    )
    keras_layer = source.trained.model.layers[2]
    model = _in_keras_words(source.nodes[1].layer, keras_layer)
    assert isinstance(model, keras.Model)
    values = np.random.default_rng(0).normal(size=(3, *keras_layer.input.shape[1:])).astype(np.float32)
    expected = tf.nn.local_response_normalization(values, radius, 1.5, 0.7, 0.6)
    np.testing.assert_allclose(np.asarray(model(values)), np.asarray(expected), rtol=1e-5)


def test_keras_opens_it_alone(make_source: Callable[..., Any], tmp_path: Path) -> None:
    """Keras loads the file without us and answers as the run; ours reads the same, and what the file says of itself."""
    import keras

    from cnncli.engine.exporting.keras_file import open_keras, write_keras

    source = make_source("[{Conv2D: {filters: 3, kernel_size: 3}}, Flatten, {Dense: {units: 10}}]")
    path = tmp_path / "net.keras"
    write_keras(source, source.description, path)
    images = np.random.default_rng(0).integers(0, 256, (4, *source.config.input_shape), dtype=np.uint8)
    expected = source.outputs(images)["probabilities"]
    np.testing.assert_allclose(np.asarray(keras.models.load_model(path)(images)), expected, atol=1e-5)
    artifact = open_keras(path)
    assert (artifact.format, artifact.description) == ("keras", source.description)
    np.testing.assert_allclose(artifact.outputs(images)["probabilities"], expected, atol=1e-5)
    with zipfile.ZipFile(path) as archive:
        assert Description.from_json(archive.read(FILE), "f") == source.description
        rest = {name: archive.read(name) for name in archive.namelist() if name != FILE}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in rest.items():
            archive.writestr(name, content)
    with pytest.raises(ExportError, match="has no description of its classes"):
        open_keras(path)
