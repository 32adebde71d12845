"""`cnn export` on a real run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from cnncli.cli.app import app
from cnncli.errors import ExportError

pytestmark = [pytest.mark.engine, pytest.mark.filterwarnings("ignore"), pytest.mark.needs("onnx", "litert")]

CONFIG = """
name: small
seed: 3
data: {source: digits, image_size: [8, 8], channels: 1, validation: 0.2}
model: {layers: [{Conv2D: {filters: 8, kernel_size: 3, activation: relu}}, Flatten, {Dense: {units: 10}}]}
train: {epochs: 8, batch_size: 50}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return a trained run."""
    from cnncli.config.load import loads
    from cnncli.engine.training.train import train
    from cnncli.runs.events import Silence
    from cnncli.runs.run import Run

    return Run.open(Path(train(loads(CONFIG), tmp_path_factory.mktemp("runs"), Silence()).run))


def invoke(*arguments: str) -> Any:
    """Run `cnn export` in this process and return what it printed as JSON."""
    result = CliRunner().invoke(app, ["export", *arguments, "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture(scope="module")
def exported(run: Any) -> list[dict[str, Any]]:
    """Return the artifacts of `cnn export --all --bench`."""
    artifacts: list[dict[str, Any]] = invoke(str(run.path), "--all", "--bench")["artifacts"]
    return artifacts


def test_all_formats(exported: list[dict[str, Any]], run: Any) -> None:
    """Every format is written, proven and measured, and each has its record beside it."""
    found = [(row["format"], row["quantize"]) for row in exported]
    expected = [(kind, None) for kind in ("keras", "saved_model", "onnx", "litert", "python")]
    assert set(expected) | {("litert", "float16"), ("litert", "int8")} <= set(found)
    for row in exported:
        record = json.loads(Path(f"{row['path']}.parity.json").read_text())
        assert record["sha256"] == row["sha256"]
        assert record["max_abs_diff"] == row["max_abs_diff"]
        assert len(record["config_sha256"]) == 64
        assert record["data_content_hash"] == run.passport()["content_hash"]
        assert {case["case"] for case in record["cases"]} >= {"real examples", "all 0", "all 255", "batch of 1"}
        assert 0 < row["latency"]["1"]["median"] <= row["latency"]["1"]["p95"]
        assert row["peak_memory_bytes"] > 1e7
        if row["quantize"] is None:
            assert row["max_abs_diff"] <= 1e-5
            assert row["agreement"] == 1
    assert sorted(p.name for p in run.export_dir.iterdir() if p.name.startswith(".")) == []


def test_accuracy_is_the_runs(exported: list[dict[str, Any]], run: Any) -> None:
    """The accuracy of an exact artifact is what `cnn eval` says of the run."""
    from cnncli.engine.evaluation.evaluate import EvaluationOptions, evaluate

    accuracy = evaluate(run, EvaluationOptions("best", "test")).result.accuracy
    assert {row["accuracy"] for row in exported if row["tolerance"]} == {accuracy}


def test_artifacts_open_by_themselves(exported: list[dict[str, Any]], run: Any) -> None:
    """Every artifact, opened by its path alone, knows its classes and answers for larger images too, one or several."""
    from cnncli.engine.evaluation.predictor import Predictor
    from cnncli.engine.evaluation.trained import load_trained
    from cnncli.engine.exporting.open import open_artifact

    images = np.random.default_rng(0).integers(0, 256, (7, 13, 10, 3), dtype=np.uint8)
    trained = load_trained(run)
    logits = Predictor(trained.model, trained.preprocessing).logits(trained.preprocessing.resize_uint8(images))
    expected = np.exp(logits - logits.max(1, keepdims=True))
    expected /= expected.sum(1, keepdims=True)
    for row in exported:
        artifact = open_artifact(Path(row["path"]))
        assert artifact.classes == trained.classes
        assert artifact.description.run == f"{run.name}/{run.id}"
        tolerance = 1e-5 if row["tolerance"] else 0.1
        for number in (1, 7):
            found = artifact.outputs(images[:number])["probabilities"]
            np.testing.assert_allclose(found, expected[:number], atol=tolerance, err_msg=row["path"])


def test_encoded_signature(exported: list[dict[str, Any]], run: Any) -> None:
    """A SavedModel answers for PNG and JPEG files as the run does, each of its own size."""
    import io

    from PIL import Image

    from cnncli.datasets.images import decode
    from cnncli.engine.exporting.open import open_artifact
    from cnncli.engine.exporting.saved_model import outputs_of_files

    path = next(Path(row["path"]) for row in exported if row["format"] == "saved_model")
    generator = np.random.default_rng(0)
    files = []
    for size, mode, kind in (((9, 7), "L", "PNG"), ((20, 30), "RGB", "PNG"), ((16, 16), "RGB", "JPEG")):
        shape = (size[1], size[0]) if mode == "L" else (size[1], size[0], 3)
        buffer = io.BytesIO()
        Image.fromarray(generator.integers(0, 256, shape, dtype=np.uint8)).save(buffer, kind, quality=95)
        files.append(buffer.getvalue())
    artifact = open_artifact(path)
    expected = np.concatenate([artifact.outputs(decode(file, 1, "image")[None])["probabilities"] for file in files])
    found = outputs_of_files(path, files)["probabilities"]
    np.testing.assert_allclose(found[:2], expected[:2], atol=1e-6)
    np.testing.assert_allclose(found[2:], expected[2:], atol=0.05)


def test_second_export_replaces_the_first(run: Any) -> None:
    """Exporting again leaves one artifact with the same answers."""
    first, second = (invoke(str(run.path), "--format", "saved_model")["artifacts"][0] for _ in range(2))
    assert first["path"] == second["path"]
    assert first["max_abs_diff"] == second["max_abs_diff"]


def test_failed_proof_leaves_nothing(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """An artifact that does not pass is not there afterwards; the one before stays."""
    from cnncli.engine.exporting import parity

    invoke(str(run.path), "--format", "keras")
    before = {p.name: p.stat().st_mtime_ns for p in run.export_dir.iterdir()}
    original = parity.compare

    def worse(*arguments: Any) -> Any:
        from dataclasses import replace

        return replace(original(*arguments), max_abs_diff=1e-3)

    monkeypatch.setattr(parity, "compare", worse)
    with pytest.raises(ExportError, match=r"differs by 0\.001"):
        CliRunner().invoke(app, ["export", str(run.path), "--format", "keras"], catch_exceptions=False)
    assert {p.name: p.stat().st_mtime_ns for p in run.export_dir.iterdir()} == before


@pytest.mark.usefixtures("scripts_in_this_process")
def test_missing_package_is_one_line(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an extra, its format says what to install before anything is written; --all goes on without it."""
    from cnncli.serving import packages

    find: Callable[[str], Any] = packages.find_spec
    monkeypatch.setattr(packages, "find_spec", lambda name: None if "onnx" in name else find(name))
    with pytest.raises(ExportError, match="tf2onnx, onnx, onnxruntime are not installed") as raised:
        CliRunner().invoke(app, ["export", str(run.path), "--format", "onnx"], catch_exceptions=False)
    assert raised.value.hint == "pip install 'cnncli[onnx]'"
    result = CliRunner().invoke(app, ["export", str(run.path), "--all", "--json"], catch_exceptions=False)
    assert "onnx skipped: tf2onnx" in result.stderr
    assert [row["format"] for row in json.loads(result.stdout)["artifacts"]][:3] == ["keras", "saved_model", "litert"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["--all", "--format", "keras"], "--all"), (["--format", "keras", "--quantize", "int8"], "LiteRT")],
)
def test_contradicting_options(arguments: list[str], message: str) -> None:
    """Options that exclude each other are told apart before anything is loaded."""
    with pytest.raises(ExportError, match=message):
        CliRunner().invoke(app, ["export", "latest", *arguments], catch_exceptions=False)


def test_script_needs_no_cnncli(exported: list[dict[str, Any]], run: Any, tmp_path: Path) -> None:
    """The Python export gives the run's very bits in an interpreter that cannot import cnncli."""
    import subprocess
    import sys

    import keras

    from cnncli.datasets import load as load_splits
    from cnncli.engine.evaluation.trained import load_trained
    from cnncli.engine.exporting.open import open_artifact  # noqa: F401 - the engine sets its threads first
    from cnncli.engine.exporting.source import Source

    path = next(row["path"] for row in exported if row["format"] == "python")
    trained = load_trained(run)
    source = Source.of(run, trained, load_splits(trained.config))
    images = source.splits.test.images
    np.save(tmp_path / "images.npy", images)
    code = (
        "import sys; sys.modules['cnncli'] = None; sys.path.insert(0, sys.argv[1]); import numpy as np, network;"
        "np.save('answer.npy', network.predict(np.load('images.npy')))"
    )
    subprocess.run([sys.executable, "-c", code, path], cwd=tmp_path, check=True, capture_output=True)
    assert np.load(tmp_path / "answer.npy").tobytes() == source.outputs(images)["probabilities"].tobytes()
    assert keras.config.backend() == "tensorflow"


@pytest.mark.parametrize("kind", ["onnx", "litert", "web"])
def test_asked_without_tensorflow(exported: list[dict[str, Any]], run: Any, tmp_path: Path, kind: str) -> None:
    """`cnn eval` and `cnn predict` of an ONNX, LiteRT or HTML artifact say what the run says, without TensorFlow."""
    import subprocess
    import sys

    from PIL import Image

    from cnncli.engine.evaluation.evaluate import EvaluationOptions, evaluate

    path = next((row["path"] for row in exported if (row["format"], row["quantize"]) == (kind, None)), None)
    if path is None:
        pytest.skip(f"{kind} was left out")
    image = tmp_path / "digit.png"
    Image.fromarray(np.full((20, 9), 200, np.uint8)).save(image)
    code = "import sys; from cnncli.__main__ import main\ntry: main()\nexcept SystemExit as end: code = end.code\n"
    code += "sys.stderr.write('ENGINE ' + ' '.join(n for n in ('tensorflow', 'keras') if n in sys.modules))"
    documents = []
    for arguments in (["eval", path], ["predict", path, str(image), "--top", "10"]):
        trust = ["--trust"] if kind == "web" else []
        command = [sys.executable, "-c", code, *arguments, *trust, "--json"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stderr.splitlines()[-1] == "ENGINE "
        documents.append(json.loads(done.stdout))
    plain = evaluate(run, EvaluationOptions("best", "test")).result
    assert documents[0]["accuracy"] == plain.accuracy
    assert documents[0]["loss"] == pytest.approx(plain.loss, abs=1e-5)
    assert len(documents[1][0]["predictions"]) == 10
    assert "the image is blank: all its pixels have the same value" in documents[1][0]["doubts"]
    assert documents[1][0]["out_of_distribution"]["score"] == "confidence"
