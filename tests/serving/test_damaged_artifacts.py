"""What artifacts of strangers say and answer is checked: each damage is one error that names it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnncli.cli.artifact import open_artifact
from cnncli.errors import ExportError
from cnncli.serving.artifact import Artifact
from cnncli.serving.description import FILE, Description
from cnncli.serving.proven import check_proven, digest
from cnncli.serving.web_page import open_web

ABOUT = Description(
    "net", ("a", "b", "c"), 4, 6, 3, "bilinear", "crop", False, "name: net", "c0", "d0", "s0",
    {"num_images": 0}, (7, 8), "net/0", "step-1", "float32", {"python": "3.11", "onnx": None},
)  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"classes": 5}, "classes is 5, expected a list"),
        ({"classes": ["a", 5]}, r"classes\[1\] is 5, expected a text"),
        ({"height": 0}, "height is 0, expected a whole number from 1 to 16384"),
        ({"width": 10**9}, "width is 1000000000"),
        ({"height": 4.5}, "height is 4.5"),
        ({"channels": 2}, "channels is 2, expected one of 1, 3"),
        ({"method": "cubist"}, "method is 'cubist', expected one of 'bilinear'"),
        ({"fit": None}, "fit is null"),
        ({"any_size": "yes"}, "any_size is 'yes'"),
        ({"look": []}, "look is an empty list, expected a mapping"),
        ({"look": {"num_images": 3, "brightness": 1}}, "look.brightness is 1"),
        ({"usual_size": [1]}, "usual_size is a list of 1, expected a list of 2"),
        ({"versions": 5}, "versions is 5"),
        ({"config": {}}, "config is an empty mapping"),
        ({"task": 5}, "task is 5"),
    ],
)
def test_descriptions(fields: dict[str, Any], told: str) -> None:
    """The error names the artifact, the key, what it holds and what was expected."""
    document = {**json.loads(ABOUT.to_json()), **fields}
    with pytest.raises(ExportError, match=f"net.onnx: its embedded description is damaged: {told}"):
        Description.from_json(json.dumps(document), "net.onnx")


def test_a_description_that_is_nested_too_deeply() -> None:
    """No parser goes through it."""
    for text in ("[" * 100_000, '{"version": ' + "[" * 900 + "]" * 900 + "}"):
        with pytest.raises(ExportError, match="its embedded description is damaged"):
            Description.from_json(text, "net.onnx")


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ({}, 'no output "probabilities", only none'),
        ({"other": np.zeros((2, 3))}, 'no output "probabilities", only other'),
        ({"probabilities": np.zeros((1, 3))}, r"has the shape \(1, 3\), expected 2 images first"),
        ({"probabilities": np.zeros(())}, r"has the shape \(\)"),
        ({"probabilities": np.zeros(2)}, r"have the shape \(2,\), expected \(2, 3\)"),
        ({"probabilities": np.zeros((2, 2))}, r"have the shape \(2, 2\), expected \(2, 3\)"),
        ({"probabilities": np.zeros((2, 3, 1))}, r"have the shape \(2, 3, 1\)"),
        ({"probabilities": np.full((2, 3), "a")}, "holds <U1, expected numbers"),
    ],
)
def test_answers_of_another_shape(answer: dict[str, Any], told: str) -> None:
    """They are no probabilities of each image for each class."""
    artifact = Artifact("onnx", ABOUT, lambda _: answer)
    with pytest.raises(ExportError, match=f"answer cannot be used \\(onnx\\): .*{told}"):
        artifact.outputs(np.zeros((2, 4, 6, 3), np.uint8))


def test_a_runtime_that_fails() -> None:
    """With whatever exception: the first line of its message is told."""

    def failing(_: Any) -> Any:
        raise RuntimeError("index out of range\nat some place")

    with pytest.raises(ExportError, match=r"fails \(onnx\): index out of range$"):
        Artifact("onnx", ABOUT, failing).outputs(np.zeros((2, 4, 6, 3), np.uint8))


@pytest.mark.parametrize(
    ("inputs", "outputs"),
    [(("images",), ("other",)), (("pictures",), ("probabilities",)), (("images", "more"), ("probabilities",))],
)
def test_onnx_files_with_other_inputs_or_outputs(tmp_path: Path, inputs: tuple[str, ...], outputs: Any) -> None:
    """The error says which they have."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from onnx import TensorProto, helper

    form = ["n", 4, 6, 3]
    values = [helper.make_tensor_value_info(name, TensorProto.UINT8, form) for name in (*inputs, *outputs)]
    nodes = [helper.make_node("Identity", [inputs[0]], [outputs[0]])]
    graph = helper.make_graph(nodes, "g", values[: len(inputs)], values[len(inputs) :])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    helper.set_model_props(made, {FILE: ABOUT.to_json()})
    path = tmp_path / "net.onnx"
    onnx.save(made, path)
    told = "has no output probabilities; it has other" if inputs == ("images",) else f"it takes {', '.join(inputs)}, "
    with pytest.raises(ExportError, match=told):
        open_artifact(path).outputs(np.zeros((2, 4, 6, 3), np.uint8))


def test_an_onnx_file_that_takes_other_numbers(tmp_path: Path) -> None:
    """It cannot be asked about images: onnxruntime says why."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from onnx import TensorProto, helper

    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 4]) for name in ("images", "probabilities")]
    graph = helper.make_graph(
        [helper.make_node("Identity", ["images"], ["probabilities"])], "g", values[:1], values[1:]
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    helper.set_model_props(made, {FILE: ABOUT.to_json()})
    path = tmp_path / "net.onnx"
    onnx.save(made, path)
    with pytest.raises(ExportError, match="Unexpected input data type"):
        open_artifact(path).outputs(np.zeros((2, 4, 6, 3), np.uint8))


@pytest.mark.parametrize("text", ["[]", "5", "{}", '{"description": []}', "[" * 100_000, "{", '{"description": "[]"}'])
def test_pages(tmp_path: Path, text: str) -> None:
    """A page whose network is none, or does not describe itself."""
    page = tmp_path / "page.html"
    page.write_text(f'<script type="application/json" id="network">{text}</script>', encoding="utf-8")
    with pytest.raises(ExportError, match=r"page\.html.*(damaged|has no description)"):
        open_web(page)


def test_an_artifact_that_was_changed_after_it_was_proven(tmp_path: Path) -> None:
    """A single bit of a file, or a name in a folder; without a record, an artifact is taken as it is."""
    file, folder = tmp_path / "net.onnx", tmp_path / "net_saved_model"
    file.write_bytes(b"network")
    (folder / "assets").mkdir(parents=True)
    (folder / "assets" / "a").write_bytes(b"1")
    for path in (file, folder):
        check_proven(path)
        record = tmp_path / f"{path.name}.parity.json"
        record.write_text(json.dumps({"sha256": digest(path)}), encoding="utf-8")
        check_proven(path)
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "network.pyc").write_bytes(b"made by Python")
    check_proven(folder)
    file.write_bytes(b"networj")
    (folder / "assets" / "a").rename(folder / "assets" / "b")
    for path in (file, folder):
        with pytest.raises(ExportError, match=f"{path.name} was changed after it was proven"):
            check_proven(path)
    for text in ("5", "[]", '{"sha256": 5}', "{", "[" * 100_000):
        (tmp_path / "net.onnx.parity.json").write_text(text, encoding="utf-8")
        with pytest.raises(ExportError, match=r"net\.onnx\.parity\.json cannot be read"):
            check_proven(file)
