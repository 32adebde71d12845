"""ONNX files: what they compute in onnxruntime, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from cnncli.importing.graph import GraphImportError
from cnncli.importing.read import Imported, read
from tests.importing import hostile_onnx
from tests.importing.caffe_files import field
from tests.importing.computed import outputs
from tests.importing.hostile_onnx import model
from tests.importing.onnx_files import NETWORKS, Builder, gelu

pytest.importorskip("onnx")


def imported(folder: Path, content: bytes, **size: Any) -> Imported:
    """Import a file."""
    (folder / "n.onnx").write_bytes(content)
    return read(folder / "n.onnx", **size)


@pytest.mark.engine
@pytest.mark.parametrize("name", NETWORKS)
def test_computes_what_onnxruntime_computes(name: str, tmp_path: Path) -> None:
    """Random weights and images: within 1e-5 of what the file's own runtime makes of them."""
    onnxruntime = pytest.importorskip("onnxruntime")
    content = NETWORKS[name]()
    found = imported(tmp_path, content)
    images = np.random.default_rng(1).random((2, *found.config.input_shape)).astype(np.float32)
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    (expected,) = session.run(None, {"input": images.transpose(0, 3, 1, 2)})
    assert np.ptp(expected) > 0.01
    np.testing.assert_allclose(outputs(found, images), expected, rtol=1e-5, atol=1e-5)


def small(op: str, *inputs: Any, **attributes: Any) -> tuple[Builder, str]:
    """Return a graph with one operation behind a convolution, and what it makes; arrays become initializers."""
    net = Builder(3, 8)
    x = net.conv("input", 3, 4, 3)
    given = [given if isinstance(given, str) else net.tensor(given) for given in inputs]
    return net, net.node(op, x, *given, **attributes)


def end(net: Builder, x: str) -> bytes:
    """Return the file of a graph that goes on to a mean and a classifier."""
    return net.content(net.dense(net.node("Flatten", net.node("GlobalAveragePool", x)), 4, 3))


@pytest.mark.parametrize(
    ("op", "inputs", "attributes", "message"),
    [
        ("Split", (), {}, "Split_1 (Split): parts its input, which a config cannot say"),
        ("LSTM", (), {}, "recurrent networks are not supported"),
        ("If", (), {}, "decides while it computes"),
        ("Erf", (), {}, "Erf_1 (Erf): is not a supported operation"),
        ("Sigmoid", (), {"domain": "org.mine"}, "is not a supported operation of org.mine"),
        ("Clip", (np.float32(1), np.float32(2)), {}, "limits of 1.0 and 2.0 are not supported"),
        ("PRelu", (np.array([[[0.1]], [[0.2]], [[0.3]], [[0.4]]], np.float32),), {}, "unlike slopes"),
        ("LRN", (), {"size": 4}, "expected an odd number of channels"),
        ("Softmax", (), {"axis": 2}, "along the channels only"),
        ("MaxPool", (), {"kernel_shape": [3, 3], "pads": [2] * 4}, "margins of more than half its window"),
        ("MaxPool", (), {"kernel_shape": [2, 2], "dilations": [2, 2]}, "a pooling with dilations"),
        ("Mul", (np.ones((4, 6, 6), np.float32),), {}, "is not one number a channel"),
        ("Div", (np.zeros(1, np.float32),), {}, "values that are not finite"),
        ("Reshape", (np.array([-1, 2, 2, 6, 6]),), {}, "only vectors and images of one place"),
        ("Reshape", (np.array([2, -1]),), {}, "mixes the images of a batch"),
        ("Concat", ("input",), {"axis": 2}, "along the channels only"),
        ("Conv", (np.ones((4, 3, 3, 3), np.float32),), {}, "kernel has shape"),
        ("Conv", (np.full((4, 4, 1, 1), np.nan, np.float32),), {}, "values that are not finite"),
        ("Relu", (), {}, None),
    ],
)
def test_what_a_config_cannot_say(
    op: str, inputs: tuple[Any, ...], attributes: dict[str, Any], message: str | None, tmp_path: Path
) -> None:
    """Each is one error that names the node; the graph around it is read."""
    content = end(*small(op, *inputs, **attributes))
    if message is None:
        imported(tmp_path, content)
        return
    with pytest.raises(GraphImportError) as raised:
        imported(tmp_path, content)
    assert message in raised.value.message
    assert raised.value.message.startswith("n.onnx: 1 of its nodes cannot be imported:\n")


@pytest.mark.parametrize("kind", range(3))
def test_what_is_nearly_an_activation(kind: int, tmp_path: Path) -> None:
    """With another number it is not that activation."""
    net = Builder(3, 8)
    with pytest.raises(GraphImportError, match="Erf_"):
        imported(tmp_path, end(net, gelu(net, net.conv("input", 3, 4, 3), kind, half=0.4)))


def test_everything_is_named(tmp_path: Path) -> None:
    """All nodes that cannot be said, and not those that only read them."""
    net = Builder(3, 8)
    x = net.node("Erf", net.node("Relu", net.node("Split", "input")))
    with pytest.raises(GraphImportError) as raised:
        imported(tmp_path, end(net, net.node("LSTM", x)))
    assert [line.split(" ")[2] for line in raised.value.message.splitlines()[1:]] == ["/Split_0", "/Erf_2", "/LSTM_3"]


def test_sizes_that_the_file_leaves_open(tmp_path: Path) -> None:
    """Height and width come from the command."""
    net = Builder(3, 8)
    net.shape[2:] = ["height", "width"]
    content = end(net, net.conv("input", 3, 4, 3))
    with pytest.raises(GraphImportError, match="does not give the image size"):
        imported(tmp_path, content)
    assert imported(tmp_path, content, image_size=(9, 7)).config.input_shape == (9, 7, 3)


def test_shared_arrays(tmp_path: Path) -> None:
    """Exporters write equal arrays once: layers may share small ones."""
    net = Builder(3, 8)
    x = net.conv("input", 3, 4, 3)
    kernel = net.drawn(4, 4, 1, 1)
    for _ in range(3):
        x = net.node("Conv", x, kernel)
    weights = imported(tmp_path, end(net, x)).weights
    kernels = [array for key, array in weights.items() if key.endswith("kernel") and array.shape == (1, 1, 4, 4)]
    assert len(kernels) == 3
    assert all((array == kernels[0]).all() for array in kernels)


def test_flattened_output(tmp_path: Path) -> None:
    """Classes in another order than in the file would be a silent mistake."""
    net = Builder(3, 8)
    with pytest.raises(GraphImportError, match="its output is a flattened image"):
        imported(tmp_path, net.content(net.node("Flatten", net.conv("input", 3, 4, 3))))


def test_own_exports(tmp_path: Path) -> None:
    """They begin with what a run does before its network."""
    from onnx import ModelProto

    exported = ModelProto.FromString(NETWORKS["lenet"]())
    exported.metadata_props.add(key="cnncli.json", value="{}")
    with pytest.raises(GraphImportError, match="is an export of cnn's") as raised:
        imported(tmp_path, exported.SerializeToString())
    assert "--format keras" in raised.value.hint


def test_values_in_another_file(tmp_path: Path) -> None:
    """No other file is opened, whatever its path."""
    content = model(
        field(5, field(2, 1) + field(8, b"w") + field(13, field(1, b"location") + field(2, b"/etc/passwd")))
    )
    with pytest.raises(GraphImportError, match="w: its values stand in another file"):
        imported(tmp_path, content)


REASONS = {
    "dims 0": "the tensor has 2 values; its shape is (1000000000, 1000000000, 1000000000)",
    "dims 4": "more than 8 axes",
    "cycle": 'its input "z" is made by no earlier node',
    "made twice": "what another node has made",
    "claimed length": "a field of 1,073,741,824 bytes begins where 3 are left",
    "nodes": "the limit is 10,000",
    "fields": "more than 1,000,000 fields",
    "doubling vectors": "joins more than 10,000 vectors",
    "shared weights": "its weights are shared by several layers",
    "integers": "more than 1,000,000 integers",
    "functions": "defines operations of its own",
    "other domain": "is not a supported operation of ai.onnx.contrib",
    "empty": "it has 0 graphs",
}


@pytest.mark.parametrize("kind", REASONS)
def test_hostile_files(kind: str, tmp_path: Path) -> None:
    """What claims much is refused for that, and not by chance."""
    with pytest.raises(GraphImportError) as raised:
        imported(tmp_path, dict(hostile_onnx.files())[kind])
    assert REASONS[kind] in raised.value.message


@pytest.mark.engine
def test_parity_campaign(script: Callable[[str], ModuleType], tmp_path: Path) -> None:
    """One format of the campaign; the tests of each format look at all of its networks."""
    campaign = script("campaigns/import_parity.py")
    ((kind, _, found, expected),) = campaign.darknet(tmp_path)
    assert kind == "Darknet"
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=campaign.LIMIT)


@pytest.mark.engine
@pytest.mark.parametrize(
    "file", sorted((Path(__file__).parent / "torch_files/onnx").glob("*.onnx")), ids=lambda f: f.stem
)
def test_pytorchs_own_files(file: Path, script: Callable[[str], ModuleType]) -> None:
    """Files that PyTorch's two exporters wrote, beside what PyTorch computed; the campaign has 84."""
    campaign = script("campaigns/torch_exports.py")
    assert campaign.difference(file) <= campaign.LIMIT
