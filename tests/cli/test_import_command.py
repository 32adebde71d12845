"""`cnn import`: what it writes and prints, and options that do not go together."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnncli.importing import read as importing
from cnncli.runs.find import find
from tests.importing import caffe_files, onnx_files
from tests.importing.test_torch_weights import FILES, LAYERS

Invoke = Callable[..., tuple[str, str]]
NETWORK = ("net.prototxt", "--weights", "net.caffemodel")
CONFIG = (
    "name: mine\ndata: {source: folder, path: images, image_size: [12, 12], channels: 1}\nmodel:\n  layers:"
    f"{LAYERS['lenet']}\n"
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder with a config for a state_dict, and a prototxt with its caffemodel."""
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text(CONFIG, encoding="utf-8")
    Path("net.prototxt").write_text(caffe_files.LENET, encoding="utf-8")
    Path("net.caffemodel").write_bytes(caffe_files.caffemodel(caffe_files.lenet_blobs(np.random.default_rng(0))))
    return tmp_path


def test_weights_on_a_config(invoke: Invoke) -> None:
    """The weights become a run of the config, and the document says which layer took which module."""
    file = str(FILES / "lenet.pt")
    printed, _ = invoke("import", file, "--config", "mine.yaml", "--json")
    found = json.loads(printed)
    assert found["config"] == "mine.yaml"
    assert found["total_params"] == 1227  # 4·9 + 4, 6·4·9 + 6, 54·16 + 16, 16·5 + 5
    assert found["names"] == {"c1": ["0.0"], "c2": ["0.3"], "d1": ["1.1"], "d2": ["1.3"]}
    assert Path(found["run"]).is_dir()
    Path("names.yaml").write_text(json.dumps({k: v[0] for k, v in found["names"].items()}), encoding="utf-8")
    printed, _ = invoke("import", file, "--config", "mine.yaml", "--names", "names.yaml")
    assert printed.startswith("mine.yaml  1,227 parameters\nruns")


def test_network_with_weights(invoke: Invoke) -> None:
    """A prototxt and its caffemodel become a config and a run."""
    printed, notes = invoke("import", *NETWORK, "-o", "net.yaml")
    assert printed.startswith("net.yaml  1,255 parameters\nruns")
    assert "note: a run reads RGB from 0 to 1" in notes
    assert find("latest", Path("runs")).record["imported"] is True


def test_class_names(invoke: Invoke) -> None:
    """The run has the names of a text file, in its order; empty lines are none."""
    Path("classes.txt").write_text("cat\ndog\n\nhen\nant\n bee \n", encoding="utf-8")
    invoke("import", *NETWORK, "--classes", "classes.txt")
    assert find("latest", Path("runs")).passport()["classes"] == ["cat", "dog", "hen", "ant", "bee"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["lenet.pt"], "Name its config: cnn import lenet.pt --config CONFIG."),
        (["lenet.pt", "--names", "n.yaml"], "--names needs --config"),
        (["net.prototxt", "--config", "mine.yaml"], "Leave out --config."),
        (
            ["lenet.pt", "--config", "mine.yaml", "-o", "o.yaml"],
            "--config goes with --names, --classes and --runs-dir only",
        ),
        (["net.prototxt", "--classes", "two.txt"], "without weights there is none"),
        ([*NETWORK, "--classes", "none.txt"], "none.txt cannot be read"),
        ([*NETWORK, "--classes", "two.txt"], "two.txt has 2 class names; the network has 5 classes"),
        ([*NETWORK, "--classes", "equal.txt"], "equal.txt: the class 'a' appears twice"),
        (["net.caffemodel"], "cnn import NETWORK --weights net.caffemodel"),
        (["m.keras", "--weights", "net.caffemodel"], "m.keras holds its weights itself"),
        (["net.prototxt", "--weights", "mine.yaml"], "mine.yaml is damaged"),
        (["net.prototxt", "--weights", "none.caffemodel"], "none.caffemodel cannot be read: No such file"),
        (["net.prototxt", "--weights", "."], "cannot be read"),
        (["lenet.pt", "--config", "none.yaml"], "none.yaml is neither a file nor a network"),
        (["none.pt", "--config", "mine.yaml"], "none.pt is not a .pt file of PyTorch's: No such file"),
        (["none.safetensors", "--config", "mine.yaml"], "none.safetensors cannot be read: No such file"),
    ],
)
def test_nothing_is_written_before_all_is_right(
    arguments: list[str], message: str, invoke: Invoke, folder: Path
) -> None:
    """Options that do not go together and files that are not there end with one error and leave nothing."""
    Path("two.txt").write_text("a\nb\n", encoding="utf-8")
    Path("equal.txt").write_text("a\nb\nc\nd\na", encoding="utf-8")
    before = sorted(folder.iterdir())
    _, error = invoke("import", *arguments, expect=1)
    assert message in " ".join(error.split())
    assert sorted(folder.iterdir()) == before


@pytest.mark.engine
def test_check(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run is compared with onnxruntime; one that differs ends the command with 1, and stays."""
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    Path("net.onnx").write_bytes(onnx_files.resnet())
    pixels = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    Image.fromarray(pixels).save("image.png")
    printed, _ = invoke("import", "net.onnx", "--check", "image.png", "--json")
    found = json.loads(printed)["check"]
    assert found["difference"] < 1e-5
    assert found["top"] == found["source_top"]
    assert found["equal"] is True
    Path("other.onnx").write_bytes(onnx_files.resnet())
    read = importing.read

    def spoilt(*arguments: object) -> importing.Imported:
        imported = read(*arguments)  # type: ignore[arg-type]
        name = next(name for name in imported.weights if name.endswith("/bias"))
        return replace(imported, weights={**imported.weights, name: imported.weights[name] + np.float32(0.01)})

    monkeypatch.setattr(importing, "read", spoilt)
    printed, _ = invoke("import", "other.onnx", "--check", "image.png", expect=1)
    assert "NOT EQUAL: largest difference from onnxruntime" in printed
    assert find("latest", Path("runs")).record["imported"] is True


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("net.prototxt", "it needs Caffe"),
        ("net.keras", "Keras itself would build the layers"),
        ("weights.pt", "weights alone compute nothing"),
    ],
)
def test_check_without_a_runtime(file: str, message: str, invoke: Invoke) -> None:
    """It is said before anything is read or written."""
    Path("image.png").write_bytes(b"")
    _, error = invoke("import", file, "--check", "image.png", expect=1)
    assert message in " ".join(error.split())
    assert not Path("runs").exists()
