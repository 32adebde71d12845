"""The tool from Python: training, evaluation, predictions, models, pictures, and a notebook."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pytest

import cnncli

sys.path.insert(0, str(Path(__file__).parents[1] / "faults"))
import forked

NOTEBOOK = Path(__file__).parent / "session.ipynb"


@pytest.fixture
def run(small_config: Callable[..., Any], tmp_path: Path) -> cnncli.Run:
    """Return a short training."""
    return cnncli.train(small_config(), runs_dir=tmp_path / "runs")


def test_a_run_answers_as_its_commands_do(run: cnncli.Run, tmp_path: Path) -> None:
    """Metrics, evaluation and predictions; the Keras model and an export give the same probabilities."""
    import keras
    from PIL import Image

    assert run.status == "done"
    assert [epoch["epoch"] for epoch in run.metrics] == [1, 2, 3]
    assert cnncli.Run("latest", tmp_path / "runs").path == run.path
    printed = forked.run(forked.CNN, "eval", str(run.path), "--json")
    assert printed.returncode == 0, printed.stderr
    evaluation = run.evaluate("test")
    told = json.loads(printed.stdout)
    assert {**evaluation, "test_uses": 1} == {**told, "test_uses": 1}
    images = np.random.default_rng(0).integers(0, 256, (4, 8, 8), dtype=np.uint8)
    for number, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / f"{number}.png")
    of_pixels = run.predict(images, top=10)
    of_files = run.predict([tmp_path / f"{number}.png" for number in range(4)], top=10)
    assert [entry["predictions"] for entry in of_pixels] == [entry["predictions"] for entry in of_files]
    assert run.predict(images[..., None], top=10) == of_pixels
    probabilities = run.keras_model().predict(images[..., None], verbose=0)
    exported = keras.models.load_model(run.export("keras")).predict(images[..., None], verbose=0)
    for entry, ours, theirs in zip(of_pixels, probabilities, exported, strict=True):
        named = {found["class"]: found["probability"] for found in entry["predictions"]}
        np.testing.assert_allclose([named[str(digit)] for digit in range(10)], ours, atol=1e-6)
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_pictures_are_png_files(run: cnncli.Run, tmp_path: Path) -> None:
    """In a notebook and as a file; an unknown kind names those that there are."""
    picture = run.show("kernels")
    assert picture._repr_png_().startswith(b"\x89PNG")
    assert picture.save(tmp_path / "kernels.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(cnncli.CnnError, match="there is no picture 'kernel'"):
        run.show("kernel")


def test_a_network_without_a_run_can_be_shown(tmp_path: Path) -> None:
    """The picture is the command's, to the byte."""
    from PIL import Image

    image = tmp_path / "image.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)).save(image)
    drawn = cnncli.show("sobel", "activations", image=image).save(tmp_path / "ours.png")
    target = tmp_path / "command.png"
    done = forked.run(forked.CNN, "show", "sobel", "activations", "--image", str(image), "-o", str(target))
    assert done.returncode == 0, done.stderr
    assert drawn.read_bytes() == target.read_bytes()


def test_an_evaluation_has_predictions_and_an_invariance_profile(run: cnncli.Run, tmp_path: Path) -> None:
    """As the options of `cnn eval` write them."""
    asked = ("eval", str(run.path), "--split", "validation", "--invariance", "--csv", str(tmp_path / "rows.csv"))
    printed = forked.run(forked.CNN, *asked, "--json")
    assert printed.returncode == 0, printed.stderr
    evaluation = run.evaluate("validation")
    assert evaluation.csv() == (tmp_path / "rows.csv").read_text(encoding="utf-8")
    assert json.loads(json.dumps(evaluation.invariance())) == json.loads(printed.stdout)["invariance"]


@pytest.mark.parametrize(
    "images",
    [np.zeros((2, 8, 8)), np.zeros((8, 8), np.uint8), np.zeros((1, 8, 8, 4), np.uint8)],
    ids=["floats", "one image", "four channels"],
)
def test_pixels_of_another_kind_are_refused(run: cnncli.Run, images: Any) -> None:
    """The error says what came and what is expected."""
    with pytest.raises(cnncli.CnnError, match="the images are") as caught:
        run.predict(images)
    assert caught.value.hint is not None
    assert caught.value.hint.startswith("Give uint8 (number, height, width, channels)")


def test_ctrl_c_saves_and_resuming_ends_like_a_training_without(
    small_config: Callable[..., Any], run: cnncli.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """KeyboardInterrupt comes when the run is saved; what is resumed has the metrics of one that nobody stopped."""
    from cnncli.report.progress import PlainLines

    with monkeypatch.context() as patched:
        patched.setattr(PlainLines, "epoch_done", lambda *_: os.kill(os.getpid(), signal.SIGINT))
        with pytest.raises(KeyboardInterrupt, match="goes on"):
            cnncli.train(small_config(), runs_dir=tmp_path / "stopped")
    stopped = cnncli.Run("latest", tmp_path / "stopped")
    assert stopped.status == "interrupted"
    assert len(stopped.metrics) < 3
    resumed = stopped.resume()

    def losses(found: cnncli.Run) -> list[Any]:
        return [(epoch["train"], epoch["validation"]) for epoch in found.metrics]

    assert resumed.status == "done"
    assert losses(resumed) == losses(run)


def test_the_import_costs_a_tenth_of_tensorflow_s_at_most() -> None:
    """Less what Python itself takes to start."""

    def seconds(statement: str) -> float:
        begun = time.perf_counter()
        subprocess.run([sys.executable, "-c", statement], check=True, capture_output=True)
        return time.perf_counter() - begun

    empty, ours = (median(seconds(each) for _ in range(3)) for each in ("pass", "import cnncli"))
    assert ours - empty <= 0.1 * (seconds("import tensorflow") - empty)


def test_a_notebook_does_the_main_job(tmp_path: Path) -> None:
    """Fifteen cells in a real kernel: a table, a training, a picture, predictions, an export."""
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert len(notebook.cells) == 15
    client = NotebookClient(notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": tmp_path}})
    client.execute(env={**os.environ, "PYTHONPATH": str(Path(cnncli.__file__).parent.parent)})
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    kinds = {kind for output in outputs for kind in output.get("data", {})}
    assert {"text/markdown", "image/png"} <= kinds
    results = [output.data["text/plain"] for output in outputs if output.output_type == "execute_result"]
    assert results[-1] == "'digits_lenet.keras'"
    assert results[-2] == "(5, 10)"
