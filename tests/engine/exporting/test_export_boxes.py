"""A detector's two outputs in every format: the boxes that its run decodes, of images of other sizes too."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnncli.config.load import loads

pytestmark = [pytest.mark.engine, pytest.mark.filterwarnings("ignore")]

CONFIG = """
name: boxes
task: detection
data: {source: digit_boxes, image_size: [32, 48], channels: 3}
model:
  layers:
    - Conv2D: {filters: 8, kernel_size: 3, strides: 2, padding: same, activation: gelu, name: half}
    - Conv2D: {filters: 8, kernel_size: 3, strides: 2, padding: same, activation: relu}
    - BatchNormalization
    - UpSampling2D: {size: 2, interpolation: bilinear, name: up}
    - Add: {inputs: [half, up]}
  heads:
    box: [Conv2D: {filters: 4, kernel_size: 1}]
    heatmap: [ReLU, Conv2D: {filters: 10, kernel_size: 1}]
"""


@pytest.fixture(scope="module", params=["none", "matrix"])
def source(request: pytest.FixtureRequest) -> Any:
    """Return a network with random weights as something to export; its boxes are suppressed, or not."""
    from cnncli.engine.evaluation.trained import Trained
    from cnncli.engine.exporting.source import Source
    from cnncli.engine.input_pipeline.preprocessing import Preprocessing
    from cnncli.engine.network.model import build

    config = loads(f"{CONFIG}  nms: {request.param}\n")
    model = build(config)
    generator = np.random.default_rng(0)
    for weight in model.weights:
        noise = generator.normal(0, 0.3, weight.shape)
        weight.assign(np.asarray(weight) + (noise**2 if "variance" in weight.path else noise))
    trained = Trained(config, tuple("0123456789"), model, Preprocessing(config.data), "step-00000000")
    return Source(trained, description=None, splits=None)  # type: ignore[arg-type]


def images(height: int, width: int) -> np.ndarray:
    """Return three images of noise with a bright rectangle, uint8."""
    generator = np.random.default_rng(height)
    drawn = generator.integers(0, 120, (3, height, width, 3)).astype(np.uint8)
    drawn[:, height // 4 : height // 2, width // 3 : width // 2] += 120
    return drawn


def assert_same(found: Any, source: Any, shown: np.ndarray) -> None:
    """Compare boxes with those that the network itself decodes."""
    preprocessing = source.preprocessing
    planes = source.trained.model(preprocessing(shown), training=False)
    expected = {name: np.asarray(values) for name, values in source.objective.outputs(planes).items()}
    assert (expected["scores"] > 0).sum() > 60
    plain = source.task.outputs(planes, source.config.data.image_size)
    np.testing.assert_allclose(plain["scores"], expected["scores"], atol=1e-5)
    found = {name: np.asarray(found[name]) for name in expected}
    assert {name: values.dtype for name, values in found.items()} == {
        name: values.dtype for name, values in expected.items()
    }
    np.testing.assert_allclose(found["scores"], expected["scores"], atol=1e-5)
    # Of scores that are nearly equal, rounding decides which comes first.
    scores = np.pad(expected["scores"], ((0, 0), (1, 1)), constant_values=(2, -1))
    apart = (scores[:, :-2] - scores[:, 1:-1] > 2e-5) & (scores[:, 1:-1] - scores[:, 2:] > 2e-5)
    assert apart.mean() > 0.3
    np.testing.assert_array_equal(found["classes"][apart], expected["classes"][apart])
    np.testing.assert_allclose(found["boxes"][apart], expected["boxes"][apart], atol=2e-3)


def test_keras(source: Any) -> None:
    """Layers and operations of Keras alone, for images of the network's size and of another."""
    from cnncli.engine.exporting.keras_file import portable_model

    model = portable_model(source)
    for shown in (images(32, 48), images(50, 41)):
        assert_same(model(shown), source, shown)


@pytest.mark.needs("onnx")
def test_onnx(source: Any) -> None:
    """In ONNX Runtime; the outputs have their names."""
    import onnxruntime

    from cnncli.engine.exporting.onnx_file import _convert

    session = onnxruntime.InferenceSession(_convert(source).SerializeToString())
    names = [output.name for output in session.get_outputs()]
    assert sorted(names) == ["boxes", "classes", "scores"]
    for shown in (images(32, 48), images(50, 41)):
        assert_same(dict(zip(names, session.run(None, {"images": shown}), strict=True)), source, shown)


@pytest.mark.needs("litert")
def test_litert(source: Any) -> None:
    """In LiteRT's own runtime; its outputs are in alphabetical order."""
    import tensorflow as tf
    from ai_edge_litert.interpreter import Interpreter

    from cnncli.engine.exporting.litert_file import _graph

    shown = images(32, 48)
    content = tf.lite.TFLiteConverter.from_concrete_functions([_graph(source)]).convert()
    interpreter = Interpreter(model_content=content)
    (given,) = interpreter.get_input_details()
    interpreter.resize_tensor_input(given["index"], shown.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(given["index"], shown)
    interpreter.invoke()
    values = [interpreter.get_tensor(each["index"]) for each in interpreter.get_output_details()]
    assert_same(dict(zip(("boxes", "classes", "scores"), values, strict=True)), source, shown)
