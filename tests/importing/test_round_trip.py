"""Config → .keras → import → config: the same network with the same weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnncli.importing.document import meaning

pytestmark = [pytest.mark.engine, pytest.mark.filterwarnings("ignore")]

NETS = {
    "sequence": "[{Conv2D: {filters: 4, kernel_size: 3, name: a}}, ReLU, MaxPooling2D, Flatten, {Dense: {units: 10}}]",
    "branches": """
      - Conv2D: {filters: 8, kernel_size: 3, padding: same, activation: gelu, kernel_regularizer: {L2: {l2: 0.01}}}
      - LocalResponseNormalization: {depth_radius: 2, alpha: 0.5, beta: 0.75, bias: 2.0}
      - Parallel:
        - [{Conv2D: {filters: 4, kernel_size: 3, padding: same, groups: 2, kernel_initializer: he_normal}}]
        - [{MaxPooling2D: {pool_size: 3, strides: 1, padding: same}}, {Conv2D: {filters: 3, kernel_size: 1}}]
        - []
      - BatchNormalization: {epsilon: 1e-5}
      - Residual: {layers: [{Conv2D: {filters: 15, kernel_size: 3, padding: same}}]}
      - Residual: {layers: [{Conv2D: {filters: 6, kernel_size: 1}}], shortcut: [{Conv2D: {filters: 6, kernel_size: 1}}]}
      - Dropout: {rate: 0.5}
      - GlobalAveragePooling2D
      - Dense: {units: 10}""",
    "many layers": """
      - Rescaling: {scale: 2.0, offset: -1.0}
      - ZeroPadding2D: {padding: [[1, 2], [0, 3]]}
      - Cropping2D: {cropping: [[1, 0], [0, 1]]}
      - ZeroPadding2D: {padding: [[0, 1], [0, 1]]}
      - Cropping2D: {cropping: [[0, 1], [0, 1]]}
      - DepthwiseConv2D: {kernel_size: 3, depth_multiplier: 3, padding: same}
      - LeakyReLU
      - SeparableConv2D: {filters: 6, kernel_size: 3, padding: same}
      - ReLU: {max_value: 1.0, negative_slope: 0.1}
      - Conv2DTranspose: {filters: 4, kernel_size: 3, strides: 2, padding: same, activation: tanh}
      - LayerScale: {init_values: 0.5}
      - ChannelPadding: {padding: [2, -1]}
      - ChannelPadding: {padding: [-3, 2]}
      - ChannelPadding: {padding: [0, 1]}
      - ChannelPadding: {padding: [0, -1]}
      - Permute: {dims: [3, 1, 2]}
      - Permute: {dims: [2, 3, 1]}
      - Normalization
      - GroupNormalization: {groups: 2}
      - LayerNormalization
      - SpatialDropout2D: {rate: 0.2}
      - AveragePooling2D: {pool_size: 3, strides: 2, padding: same}
      - UpSampling2D
      - Resizing: {height: 6, width: 8}
      - Conv2D: {filters: 4, kernel_size: 3, trainable: false}
      - Reshape: {target_shape: [24, 4]}
      - Conv1D: {filters: 6, kernel_size: 3, padding: causal}
      - GlobalMaxPooling1D
      - Dense: {units: 10, use_bias: false}""",
    "graph": """
      - Conv2D: {filters: 4, kernel_size: 3, padding: same, name: a}
      - Conv2D: {filters: 4, kernel_size: 3, padding: same, inputs: input, name: b}
      - GlobalAveragePooling2D: {keepdims: true}
      - Conv2D: {filters: 4, kernel_size: 1, activation: hard_sigmoid, name: gate}
      - Multiply: {inputs: [a, gate], name: gated}
      - Subtract: {inputs: [gated, b], name: rest}
      - Maximum: {inputs: [gated, a, b], name: most}
      - Average: {inputs: [rest, a, most], name: mean}
      - Minimum: {inputs: [mean, b], name: least}
      - Add: {inputs: [least, rest]}
      - MaxPooling2D
      - Conv2DTranspose: {filters: 4, kernel_size: 2, strides: 2, name: up}
      - Concatenate: {inputs: [up, gated, input]}
      - Flatten
      - Dense: {units: 10}""",
}


@pytest.fixture
def saved(tmp_path: Path) -> Any:
    """Return a function that writes a network as a `.keras` file, with or without the config inside."""
    import zipfile
    from types import SimpleNamespace

    from cnncli.config.dump import dump
    from cnncli.config.load import loads
    from cnncli.engine.evaluation.trained import Trained
    from cnncli.engine.exporting.keras_file import portable_model, write_keras
    from cnncli.engine.exporting.source import Source
    from cnncli.engine.input_pipeline.preprocessing import Preprocessing
    from cnncli.engine.network.model import build
    from cnncli.serving.description import Description

    def save(layers: str, carried: bool) -> tuple[Path, Any, Any]:
        text = f"name: net\ndata: {{source: digits, image_size: [8, 8]}}\nmodel:\n  layers: {layers}\n"
        config = loads(text)
        model = build(config)
        trained = Trained(config, tuple("0123456789"), model, Preprocessing(config.data), "step-0")
        about = Description(
            "net", tuple("0123456789"), 8, 8, 1, "bilinear", "stretch", True,
            dump(config) if carried else "name: other", "", "", "", {}, (8, 8), "net/0", "step-0", "float32", {},
        )  # fmt: skip
        path = tmp_path / "net.keras"
        source = Source(trained, about, SimpleNamespace())
        write_keras(source, about, path)
        with zipfile.ZipFile(path) as file:
            assert len(file.namelist()) == 4
        assert portable_model(source).count_params() == model.count_params()
        return path, config, model

    return save


@pytest.mark.parametrize("carried", [True, False])
@pytest.mark.parametrize("net", NETS)
def test_equal_in_meaning(net: str, carried: bool, saved: Any) -> None:
    """The imported config means what the exported one meant, whether the file carries it or only the network."""
    from cnncli.importing.read import read

    path, config, model = saved(NETS[net], carried)
    found = read(path)
    assert meaning(found.config) == meaning(config)
    for name, array in found.weights.items():
        layer, weight = name.split("/")
        own = next(w for w in model.get_layer(layer).weights if w.name == weight)
        np.testing.assert_array_equal(array, np.asarray(own), err_msg=name)
    assert len(found.weights) == len([w for w in model.weights if "seed" not in w.path])
    if carried:
        assert found.config.data == config.data


def test_imported_run_answers_alike(saved: Any, tmp_path: Path) -> None:
    """The run that an import makes predicts what the exported network predicts, and can be exported again."""
    from cnncli.engine.evaluation.predictor import Predictor
    from cnncli.engine.evaluation.trained import load_trained
    from cnncli.importing.read import make_run, read

    path, _, model = saved(NETS["branches"], True)
    trained = load_trained(make_run(read(path), tmp_path / "runs"))
    images = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 1), dtype=np.uint8)
    expected = Predictor(model, trained.preprocessing).logits(images)
    np.testing.assert_array_equal(Predictor(trained.model, trained.preprocessing).logits(images), expected)


def test_model_of_plain_keras(tmp_path: Path) -> None:
    """A model that Keras itself saved, with its scaling inside, becomes a config for values from 0 to 1."""
    import keras

    from cnncli.importing.read import read

    model = keras.Sequential(
        [
            keras.Input((12, 12, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(4, 3, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )
    model.save(tmp_path / "plain.keras")
    found = read(tmp_path / "plain.keras")
    assert [node.layer.type_name() for node in found.config.nodes] == ["Conv2D", "Flatten", "Dense"]
    assert found.config.input_shape == (12, 12, 3)
    assert set(found.weights) == {f"{n.name}/{w}" for n in found.config.nodes[::2] for w in ("kernel", "bias")}
    np.testing.assert_array_equal(
        found.weights[f"{found.config.nodes[0].name}/kernel"], model.layers[1].get_weights()[0]
    )
    assert found.classes == ("0", "1", "2")


def test_shared_layer_is_refused(tmp_path: Path) -> None:
    """A layer used twice cannot be said in a config, and the error says so."""
    import keras

    from cnncli.importing.graph import GraphImportError
    from cnncli.importing.read import read

    inputs = keras.Input((8, 8, 1))
    shared = keras.layers.Conv2D(1, 3, padding="same", name="twice")
    outputs = keras.layers.Dense(2)(keras.layers.Flatten()(shared(shared(inputs))))
    keras.Model(inputs, outputs).save(tmp_path / "m.keras")
    with pytest.raises(GraphImportError, match="twice is used 2 times"):
        read(tmp_path / "m.keras")


def test_branches_that_cross(tmp_path: Path) -> None:
    """Branches that do not begin and end together name what they read, and compute what Keras does."""
    import keras

    from cnncli.engine.network.model import build_network
    from cnncli.importing.read import read

    inputs = keras.Input((8, 8, 1))
    a = keras.layers.Conv2D(2, 1, name="a")(inputs)
    b = keras.layers.Conv2D(2, 1, name="b")(a)
    c = keras.layers.Add()([keras.layers.Conv2D(2, 1, name="c")(a), keras.layers.Conv2D(2, 1, name="d")(b)])
    gate = keras.layers.GlobalAveragePooling2D(keepdims=True)(inputs)
    d = keras.layers.Add()([c, b, keras.layers.Multiply()([a, gate])])
    e = keras.layers.Maximum()([d, inputs])
    outputs = keras.layers.Dense(2, name="end")(keras.layers.Flatten()(e))
    theirs = keras.Model(inputs, outputs)
    theirs.save(tmp_path / "m.keras")
    found = read(tmp_path / "m.keras")
    ours = build_network(found.config.nodes, found.config.input_shape, seed=0)
    for name, array in found.weights.items():
        layer, weight = name.split("/")
        next(w for w in ours.get_layer(layer).weights if w.name == weight).assign(array)
    images = np.random.default_rng(0).normal(size=(3, 8, 8, 1)).astype(np.float32)
    np.testing.assert_allclose(ours(images), theirs(images), atol=1e-6)
    assert "inputs: [c, d]" in found.text


def test_sums_of_unequal_shapes(tmp_path: Path) -> None:
    """Branches that a Residual would join, but for an axis of length 1, are an Add that names them."""
    import keras

    from cnncli.importing.read import read

    inputs = keras.Input((8, 8, 3))
    pooled = keras.layers.GlobalAveragePooling2D(keepdims=True)(inputs)
    outputs = keras.layers.Dense(2)(keras.layers.Flatten()(keras.layers.Add()([inputs, pooled])))
    keras.Model(inputs, outputs).save(tmp_path / "m.keras")
    found = read(tmp_path / "m.keras")
    assert "inputs: [input, global_average_pooling2d" in found.text
