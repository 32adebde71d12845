"""PyTorch's state_dicts and safetensors on given configs, compared with what PyTorch computed."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnncli.config.load import loads
from cnncli.importing.graph import GraphImportError
from cnncli.importing.read import Imported, read_onto
from tests.importing.computed import outputs

FILES = Path(__file__).parent / "torch_files"

LAYERS = {
    "lenet": """
      - Conv2D: {filters: 4, kernel_size: 3, activation: relu, name: c1}
      - MaxPooling2D
      - Conv2D: {filters: 6, kernel_size: 3, activation: relu, name: c2}
      - Flatten
      - Dense: {units: 16, activation: relu, name: d1}
      - Dense: {units: 5, name: d2}""",
    "alexnet": """
      - ZeroPadding2D: {padding: 2}
      - Conv2D: {filters: 8, kernel_size: 5, strides: 2, activation: relu}
      - LocalResponseNormalization: {depth_radius: 2, alpha: 0.02, beta: 0.75, bias: 1.0}
      - MaxPooling2D
      - Conv2D: {filters: 12, kernel_size: 3, padding: same, groups: 2, activation: relu}
      - MaxPooling2D
      - Flatten
      - Dropout: {rate: 0.5}
      - Dense: {units: 10, activation: relu}
      - Dropout: {rate: 0.5}
      - Dense: {units: 4}""",
    "resnet": """
      - Conv2D: {filters: 4, kernel_size: 3, padding: same, use_bias: false, name: stem}
      - BatchNormalization: {epsilon: 1e-5, name: norm}
      - ReLU
      - Residual:
          layers:
            - Conv2D: {filters: 4, kernel_size: 3, padding: same, use_bias: false, name: a1}
            - BatchNormalization: {epsilon: 1e-5, name: a1n}
            - ReLU
            - Conv2D: {filters: 4, kernel_size: 3, padding: same, use_bias: false, name: a2}
            - BatchNormalization: {epsilon: 1e-5, name: a2n}
      - ReLU
      - Residual:
          layers:
            - Conv2D: {filters: 6, kernel_size: 3, padding: same, use_bias: false, name: b1}
            - BatchNormalization: {epsilon: 1e-5, name: b1n}
            - ReLU
            - Conv2D: {filters: 6, kernel_size: 3, padding: same, use_bias: false, name: b2}
            - BatchNormalization: {epsilon: 1e-5, name: b2n}
          shortcut:
            - Conv2D: {filters: 6, kernel_size: 1, use_bias: false, name: b3}
            - BatchNormalization: {epsilon: 1e-5, name: b3n}
      - ReLU
      - GlobalAveragePooling2D
      - Dense: {units: 3, name: fc}""",
    "layers": """
      - Conv2DTranspose: {filters: 4, kernel_size: 2, strides: 2, name: up}
      - DepthwiseConv2D: {kernel_size: 3, depth_multiplier: 2, name: deep}
      - SeparableConv2D: {filters: 6, kernel_size: 3, name: apart}
      - GroupNormalization: {groups: 2, epsilon: 1e-5, name: group}
      - MaxPooling2D: {pool_size: 4}
      - Flatten
      - BatchNormalization: {epsilon: 1e-5, name: flat}
      - Dense: {units: 3, name: end}""",
}
SHAPES = {"lenet": (12, 12, 1), "alexnet": (16, 16, 3), "resnet": (8, 8, 3), "layers": (8, 8, 3)}

TABLES = {
    "resnet": """
      {stem: conv1, norm: bn1, a1: layer1.0.conv1, a1n: layer1.0.bn1, a2: layer1.0.conv2, a2n: layer1.0.bn2,
       b1: layer2.0.conv1, b1n: layer2.0.bn1, b2: layer2.0.conv2, b2n: layer2.0.bn2, b3: layer2.0.downsample.0,
       b3n: layer2.0.downsample.1}""",
    "layers": '{up: 0, deep: 1, apart: ["2", 3], group: 4, flat: 7, end: 8}',
}
"""Tables of names; `fc` has the name of its module."""


def config(name: str, layers: str = "") -> Any:
    """Return the config of one of the networks."""
    height, width, channels = SHAPES[name]
    data = f"{{source: folder, path: images, image_size: [{height}, {width}], channels: {channels}}}"
    return loads(f"name: {name}\ndata: {data}\nmodel:\n  layers:{layers or LAYERS[name]}\n")


def written(folder: Path, text: str) -> Path:
    """Write a table of names."""
    path = folder / "names.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def imported(name: str, suffix: str, folder: Path) -> Imported:
    """Import a file of PyTorch's, with a table of names where the order cannot be known."""
    needs_table = suffix == ".safetensors" and name in TABLES
    return read_onto(FILES / f"{name}{suffix}", config(name), written(folder, TABLES[name]) if needs_table else None)


@pytest.mark.engine
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize("name", SHAPES)
def test_computes_what_pytorch_computes(name: str, suffix: str, tmp_path: Path) -> None:
    """Groups, residuals, normalizations, transposed and depthwise kernels, and the order of flattened images."""
    found = imported(name, suffix, tmp_path)
    known = np.load(FILES / "known.npz")
    np.testing.assert_allclose(outputs(found, known[f"{name}_images"]), known[f"{name}_outputs"], rtol=1e-5, atol=1e-5)


def test_table_and_order_agree(tmp_path: Path) -> None:
    """A table of names gives each layer what the order gives it; what no layer takes is said."""
    by_order = read_onto(FILES / "resnet.pt", config("resnet"))
    by_table = read_onto(FILES / "resnet.pt", config("resnet"), written(tmp_path, TABLES["resnet"]))
    assert by_order.weights.keys() == by_table.weights.keys()
    for name, array in by_order.weights.items():
        np.testing.assert_array_equal(array, by_table.weights[name], err_msg=name)
    assert by_order.names == by_table.names
    assert by_order.names["b3"] == ("layer2.0.downsample.0",)
    assert by_order.classes == ("0", "1", "2")


def test_unused_modules_are_noted(tmp_path: Path) -> None:
    """With a table of names a file may hold more than the network needs: the head of another one."""
    layers = LAYERS["lenet"].replace("\n      - Dense: {units: 5, name: d2}", "")
    found = read_onto(
        FILES / "lenet.pt", config("lenet", layers), written(tmp_path, "{c1: '0.0', c2: '0.3', d1: '1.1'}")
    )
    assert found.notes == ("not used: 1.3",)


def refused(name: str, layers: str, folder: Path, table: str | None = None, suffix: str = ".pt") -> str:
    """Return the error of a file that does not fit a config."""
    with pytest.raises(GraphImportError) as raised:
        read_onto(FILES / f"{name}{suffix}", config(name, layers), written(folder, table) if table else None)
    return f"{raised.value.message} {raised.value.hint}"


def test_everything_that_does_not_fit_is_listed(tmp_path: Path) -> None:
    """One line for each layer of another shape, each that is missing and each that is too much."""
    layers = LAYERS["lenet"].replace("filters: 4", "filters: 5")
    layers = layers.replace("- Dense: {units: 5, name: d2}", "- BatchNormalization: {name: norm}")
    message = refused("lenet", layers, tmp_path)
    assert "3 of its weights do not fit" in message
    assert 'c1: "0.0" has bias (4), weight (4, 1, 3, 3), expected bias (5), weight (5, 1, 3, 3)' in message
    assert 'c2: "0.3" has bias (6), weight (6, 4, 3, 3), expected bias (6), weight (6, 5, 3, 3)' in message
    assert 'norm: "1.3" has' in message
    assert "--names" in message
    fewer = refused("lenet", LAYERS["lenet"].replace("- Flatten", "- Flatten\n      - BatchNormalization"), tmp_path)
    assert "1 of its weights do not fit" in fewer
    assert "batch_normalization: the file has no module with bias (54), running_mean (54)" in fewer
    more = refused("lenet", LAYERS["lenet"].replace("\n      - Dense: {units: 5, name: d2}", ""), tmp_path)
    assert '"1.3" with bias (5), weight (5, 16): the config has no such layer at this place' in more


def test_order_that_cannot_be_known(tmp_path: Path) -> None:
    """Safetensors are sorted by name: modules of one shape and unlike names are not guessed at."""
    message = refused("resnet", "", tmp_path, suffix=".safetensors")
    assert 'layers stem; modules "conv1"' not in message
    assert 'layers norm, a1n, a2n; modules "bn1", "layer1.0.bn1", "layer1.0.bn2"' in message
    assert "does not keep the order of layers" in message


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("{flatten: '0.0'}", 'the config has no layer "flatten" with weights. Layers with weights: c1, c2'),
        ("{c1: '0.0', c2: '0.3', d1: '1.9', d2: '1.3'}", 'd1: there is no module "1.9".'),
        ("{c1: 0.0}", "got 0.0, expected the name of a module"),
        ("[a, b]", "got list, expected lines such as"),
        ("{c1: ['0.0', '0.3'], c2: '0.3', d1: '1.1', d2: '1.3'}", "c1: the table names 2 modules, expected 1"),
        ("{c1: '0.3', c2: '0.0', d1: '1.1', d2: '1.3'}", 'c1: "0.3" has bias (6), weight (6, 4, 3, 3), expected'),
    ],
)
def test_tables_that_do_not_fit(table: str, message: str, tmp_path: Path) -> None:
    """Layers and modules that there are not, numbers in the place of names."""
    assert message in refused("lenet", "", tmp_path, table)


def test_what_frameworks_order_otherwise(tmp_path: Path) -> None:
    """A reshaped image has no order that a file could be read by."""
    layers = LAYERS["lenet"].replace("- Flatten", "- Reshape: {target_shape: [9, 6]}\n      - Flatten")
    assert "Reshape to 2 axes has another meaning" in refused("lenet", layers, tmp_path)


def test_statistics_of_the_data_are_not_in_the_file(tmp_path: Path) -> None:
    """A Normalization that measures the training split has weights that no other framework knows."""
    message = refused("lenet", f"\n      - Normalization{LAYERS['lenet']}", tmp_path)
    assert "the weights of Normalization cannot be imported Give mean and variance" in message


def test_branches_that_are_joined_when_flat(tmp_path: Path) -> None:
    """Vectors of two images and of one layer's values keep their parts apart; channels of each come first there."""
    from cnncli.importing.flat_order import channels_first_places, orders

    layers = """
      - Parallel:
        - [{Conv2D: {filters: 2, kernel_size: 11}}, Flatten]
        - [{Conv2D: {filters: 3, kernel_size: [11, 12]}}, Flatten, {BatchNormalization: {name: norm}}]
        - [GlobalAveragePooling2D]
      - Dense: {units: 2, name: end}"""
    found = config("lenet", layers)
    order = dict(zip((node.name for node in found.nodes), orders(found), strict=True))
    assert order["norm"] == ((2, 1, 3),)
    assert order["end"] == ((2, 2, 2), (2, 1, 3), (1,))
    assert channels_first_places(order["end"]).tolist() == [0, 4, 1, 5, 2, 6, 3, 7, 8, 10, 12, 9, 11, 13, 14]


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (
            """
      - {Conv2D: {filters: 2, kernel_size: [10, 11], inputs: input, name: a}}
      - {Flatten: {name: flat_a}}
      - {Conv2D: {filters: 2, kernel_size: [11, 10], inputs: input, name: b}}
      - {Flatten: {name: flat_b}}
      - {Add: {inputs: [flat_a, flat_b]}}
      - Dense: {units: 2}""",
            "add: its inputs flatten images of different shapes",
        ),
        (
            "\n      - GlobalAveragePooling2D: {name: x}"
            + "".join(
                f"\n      - Concatenate: {{inputs: [x{i or ''}, x{i or ''}], name: x{i + 1}}}" for i in range(15)
            ).replace("x0", "x")
            + "\n      - Dense: {units: 2}",
            "x14 joins more than 10,000 vectors",
        ),
    ],
    ids=["sum", "doubled"],
)
def test_vectors_that_cannot_be_followed(layers: str, message: str, tmp_path: Path) -> None:
    """Sums of images that were flattened otherwise, and vectors that are doubled again and again."""
    assert message in refused("lenet", layers, tmp_path)


def test_config_with_heads(tmp_path: Path) -> None:
    """The classes of a detector are the channels of its heatmap, wherever among the outputs that stands."""
    conv = "[{{Conv2D: {{filters: {}, kernel_size: 1, name: {}}}}}]"
    heads = f"{{box: {conv.format(4, 'b')}, heatmap: {conv.format(3, 'h')}}}"
    model = f"model: {{layers: {conv.format(2, 'a')}, heads: {heads}}}"
    config = loads(f"name: d\ntask: detection\ndata: {{source: digit_boxes, image_size: [8, 8]}}\n{model}\n")
    shapes = {"0": (2, 1, 1, 1), "1": (4, 2, 1, 1), "2": (3, 2, 1, 1)}
    header, values = {}, b""
    for name, shape in shapes.items():
        for kind, array in (("weight", np.ones(shape, np.float32)), ("bias", np.zeros(shape[0], np.float32))):
            places = [len(values), len(values) + array.nbytes]
            header[f"{name}.{kind}"] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": places}
            values += array.tobytes()
    text = json.dumps(header).encode()
    (tmp_path / "w.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + values)
    found = read_onto(tmp_path / "w.safetensors", config)
    assert found.classes == ("0", "1", "2")
    assert found.weights["b/kernel"].shape == (1, 1, 2, 4)
