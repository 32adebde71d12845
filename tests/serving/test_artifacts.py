"""What artifacts say about themselves, what kind they are, and what is said of packages that are not there."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cnncli.datasets.targets import ClassNumbers
from cnncli.errors import ExportError
from cnncli.serving import evaluate
from cnncli.serving.artifact import Artifact
from cnncli.serving.description import VERSION, Description, missing
from cnncli.serving.kinds import kind_of, require_kind
from cnncli.serving.open import opens
from cnncli.serving.packages import absent, require
from cnncli.tasks.measurement import count_use, name_of

ABOUT = Description(
    "netä", ("a", "ö"), 4, 6, 3, "bilinear", "crop", True, "name: net", "c0", "d0", "s0",
    {"num_images": 3, "mean": [0.5]}, (7, 8), "net/0", "step-1", "float32", {"python": "3.11", "onnx": None},
)  # fmt: skip


def test_description_comes_back() -> None:
    """What is written is read again, names beyond ASCII as they are."""
    text = ABOUT.to_json()
    assert Description.from_json(text, "f") == ABOUT
    assert Description.from_json(text.encode(), "f") == ABOUT
    assert "netä" in text
    assert json.loads(text)["version"] == VERSION
    assert list(json.loads(text)) == sorted(json.loads(text))


@pytest.mark.parametrize("damage", ["", "[]", "3", "{}", '{"version": 1}', "gone", "more"])
def test_damaged_description(damage: str) -> None:
    """A description that is none, lacks a field or has another one is one error that names the artifact."""
    fields = json.loads(ABOUT.to_json())
    if damage == "gone":
        del fields["fit"]
    if damage == "more":
        fields["other"] = 1
    text = json.dumps(fields) if damage in ("gone", "more") else damage
    with pytest.raises(ExportError, match=r"net\.onnx: its embedded description is damaged"):
        Description.from_json(text, "net.onnx")


def test_newer_description() -> None:
    """A description of another version is not read."""
    text = json.dumps({**json.loads(ABOUT.to_json()), "version": VERSION + 1})
    with pytest.raises(ExportError, match="its description has version 3; this cnncli supports 1 to 2"):
        Description.from_json(text, "f")


def test_description_of_a_task() -> None:
    """The default task stays unwritten, as in artifacts that know of no other; one that is not known is an error."""
    assert "task" not in json.loads(ABOUT.to_json())
    assert Description.from_json(ABOUT.to_json(), "f").task == "classification"
    other = json.dumps({**json.loads(ABOUT.to_json()), "task": "juggling"})
    with pytest.raises(ExportError, match=r'f is for the task "juggling", which this cnncli does not know'):
        Description.from_json(other, "f").require_known_task("f")


def test_missing_description() -> None:
    """An artifact from elsewhere is named, and where to go with it."""
    error = missing("there.onnx")
    assert "there.onnx has no description" in error.message
    assert "cnn import" in str(error.hint)


def test_kinds(tmp_path: Path) -> None:
    """Files are reported by their ending in any case, directories by what lies in them."""
    for name, kind, plain in (
        ("a.keras", "keras", False),
        ("a.onnx", "onnx", True),
        ("a.tflite", "litert", True),
        ("a.html", "web", True),
        ("A.ONNX", "onnx", True),
    ):
        (tmp_path / name).write_bytes(b"")
        assert (kind_of(tmp_path / name), require_kind(tmp_path / name), opens(tmp_path / name)) == (kind, kind, plain)
    for name, inside, kind in (("s", "saved_model.pb", "saved_model"), ("p", "network.py", "python")):
        (tmp_path / name).mkdir()
        assert kind_of(tmp_path / name) is None
        (tmp_path / name / inside).write_bytes(b"")
        assert kind_of(tmp_path / name) == kind
        assert not opens(tmp_path / name)


@pytest.mark.parametrize("name", ["gone.onnx", "other.txt", "folder.keras"])
def test_no_kind(tmp_path: Path, name: str) -> None:
    """What is no artifact is an error that lists the kinds."""
    (tmp_path / "other.txt").write_bytes(b"")
    (tmp_path / "folder.keras").mkdir()
    assert kind_of(tmp_path / name) is None
    with pytest.raises(ExportError, match="is not an exported network") as raised:
        require_kind(tmp_path / name)
    for word in (".keras", ".onnx", ".tflite", ".html", "SavedModel", "Python"):
        assert word in str(raised.value.hint)


def test_packages_that_are_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names what is missing, one or several, and the extra that brings it."""
    there = {"onnx", "json"}
    monkeypatch.setattr("cnncli.serving.packages.find_spec", lambda name: name if name in there else None)
    assert absent("onnx", "json") is None
    require("onnx")
    one, several = absent("onnx", "onnxruntime"), absent("ai_edge_litert", "tf2onnx")
    assert one is not None
    assert (one.message, one.hint) == ("onnxruntime is not installed", "pip install 'cnncli[onnx]'")
    assert several is not None
    assert several.message == "ai_edge_litert, tf2onnx are not installed"
    assert several.hint == "pip install 'cnncli[litert]'"
    with pytest.raises(ExportError, match="onnxruntime is not installed"):
        require("onnxruntime")


def test_uses_of_the_test_split() -> None:
    """Only a use of the test split is counted, and the count stays on record."""
    record: dict[str, Any] = {}
    run: Any = SimpleNamespace(record=record, change=lambda fields: record.update(fields(record)) or record)
    assert [count_use(run, split) for split in ("validation", "test", "train", "test")] == [0, 1, 1, 2]
    assert record == {"test_uses": 2}


def test_names_of_examples(tmp_path: Path) -> None:
    """Examples that are not the run's own are called by their last name, without signs that a file name lacks."""
    assert name_of(tmp_path / "my photos (2).zip") == "data-my_photos_2_.zip"


@pytest.mark.parametrize("sizes", [[], [(2, 3)], [(2, 3)] * 5 + [(3, 2)] + [(2, 3)] * 64 + [(2, 3)] * 65])
def test_neighbours_of_one_size_go_together(sizes: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Images come in their order, none left out, at most 64 together, and only those of one size."""

    class Examples(list[tuple[int, int]]):
        name = "some"

    monkeypatch.setattr(evaluate, "image_of", lambda given, row: np.full((*given[row], 1), row, np.uint8))
    parts = list(evaluate._of_one_size(Examples(sizes), 64))  # type: ignore[arg-type]
    assert [int(image[0, 0, 0]) for part in parts for image in part] == list(range(len(sizes)))
    assert [shape for part in parts for shape in [part.shape[1:3]] * len(part)] == sizes
    assert [len(part) for part in parts] == {0: [], 1: [1]}.get(len(sizes), [5, 1, 64, 64, 1])


def test_measure_in_the_order_of_the_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    """The accuracy of an artifact is that of its answers, example by example."""

    class Examples(list[int]):
        name, targets, ids = "some", ClassNumbers(np.array([0, 1, 1, 0])), ["a", "b", "c", "d"]

    def compute(images: np.ndarray) -> dict[str, np.ndarray]:
        second = images[:, 0, 0, 0].astype(np.float32)
        return {"probabilities": np.stack([1 - second, second], axis=1)}

    monkeypatch.setattr(evaluate, "image_of", lambda given, row: np.full((4, 6, 3), given[row], np.uint8))
    artifact = Artifact("onnx", replace(ABOUT, any_size=False), compute)
    found = evaluate._measure(artifact, Examples([0, 1, 0, 0]))  # type: ignore[arg-type]
    assert found.to_json()["accuracy"] == 0.75


def test_onnx_file_is_what_onnxruntime_computes(tmp_path: Path) -> None:
    """An ONNX file answers as onnxruntime does; one without a description, and one that is none, are errors."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from onnx import TensorProto, helper

    from cnncli.serving.description import FILE
    from cnncli.serving.open import open_artifact

    nodes = [
        helper.make_node("Cast", ["images"], ["x"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["x", "axes"], ["y"], keepdims=0),
        helper.make_node("Softmax", ["y"], ["probabilities"], axis=-1),
    ]
    images = helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", 4, 6, 3])
    answers = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", 3])
    axes = helper.make_tensor("axes", TensorProto.INT64, [2], [1, 2])
    graph = helper.make_graph(nodes, "g", [images], [answers], [axes])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    path = tmp_path / "net.onnx"
    onnx.save(made, path)
    with pytest.raises(ExportError, match="has no description of its classes"):
        open_artifact(path)
    helper.set_model_props(made, {FILE: replace(ABOUT, any_size=False, classes=("a", "b", "c")).to_json()})
    onnx.save(made, path)
    given = np.random.default_rng(0).integers(0, 256, (5, 4, 6, 3), np.uint8)
    means = given.mean((1, 2))
    expected = np.exp(means - means.max(1, keepdims=True))
    expected /= expected.sum(1, keepdims=True)
    artifact = open_artifact(path)
    assert artifact.format == "onnx"
    assert artifact.outputs(given).keys() == {"probabilities"}
    np.testing.assert_allclose(artifact.outputs(given)["probabilities"], expected, rtol=1e-4, atol=1e-7)
    path.write_bytes(b"nothing")
    with pytest.raises(ExportError, match=r"onnxruntime cannot run .*net.onnx"):
        open_artifact(path)


@pytest.mark.skipif(sys.platform == "win32", reason="looks for commands by their POSIX names")
def test_page_without_a_javascript_runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page says what it is before a runtime is looked for, and without one the error says what to install."""
    from cnncli.serving.web_page import open_web

    monkeypatch.setenv("PATH", str(tmp_path))
    page = tmp_path / "page.html"
    for content in (b"<html></html>", b"\xff\xfe"):
        page.write_bytes(content)
        with pytest.raises(ExportError, match="has no description of its classes"):
            open_web(page)
    network = json.dumps({"description": ABOUT.to_json()})
    page.write_text(f'<script type="application/json" id="network">{network}</script>', encoding="utf-8")
    with pytest.raises(ExportError, match="neither node nor a Chromium browser was found"):
        open_web(page)
