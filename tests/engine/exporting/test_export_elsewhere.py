"""The ten lines that use each format elsewhere, run as they stand in `cnn help exports`."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytestmark = [pytest.mark.engine, pytest.mark.filterwarnings("ignore"), pytest.mark.needs("onnx", "litert")]

HERE = Path(__file__).parent / "elsewhere"
SCRIPTS = sorted(HERE.glob("*.py"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with every export of a trained run, and an image of a digit."""
    from cnncli.config.load import load
    from cnncli.datasets import load as load_splits
    from cnncli.engine.exporting.export import Wanted, export
    from cnncli.engine.training.train import train
    from cnncli.runs.events import Silence
    from cnncli.runs.run import Run

    config = load("digits_lenet", ["train.epochs=2"])
    run = Run.open(Path(train(config, tmp_path_factory.mktemp("runs"), Silence()).run))
    for _ in export(run, Wanted(kinds=("keras", "saved_model", "onnx", "litert")), print):
        pass
    images = load_splits(config).named("test").images
    Image.fromarray(images[0][..., 0]).save(run.export_dir / "digit.png")
    return run.export_dir


@pytest.fixture(scope="module")
def answer(folder: Path) -> tuple[str, np.ndarray]:
    """Return the class and the probabilities that the run gives the digit."""
    from cnncli.engine.evaluation.predictor import Predictor
    from cnncli.engine.evaluation.trained import load_trained
    from cnncli.runs.run import Run

    trained = load_trained(Run.open(folder.parent))
    pixels = np.asarray(Image.open(folder / "digit.png"))[None, :, :, None]
    logits = Predictor(trained.model, trained.preprocessing).logits(trained.preprocessing.resize_uint8(pixels))
    probabilities = np.exp(logits[0] - logits[0].max())
    return trained.classes[int(logits.argmax())], probabilities / probabilities.sum()


RUN = """
import pathlib, sys
sys.modules["cnncli"] = None
for path in map(pathlib.Path, sys.argv[1:]):
    print(path.stem, end=" ", flush=True)
    exec(compile(path.read_bytes(), path, "exec"), {"__name__": "__main__"})
"""
"""Runs scripts one after the other, as TensorFlow takes seconds to be imported, and says which printed what."""


@pytest.fixture(scope="module")
def said(folder: Path) -> dict[str, str]:
    """Return what each script prints; none finds a library imported that it needs and does not import itself."""
    names = ("with_litert", "with_onnxruntime", "with_saved_model", "with_keras")
    assert set(names) == {script.stem for script in SCRIPTS}
    command = [sys.executable, "-c", RUN, *(str(HERE / f"{name}.py") for name in names)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return dict(line.split(maxsplit=1) for line in done.stdout.splitlines())


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_script(script: Path, said: dict[str, str], answer: tuple[str, np.ndarray]) -> None:
    """The script, which knows nothing of cnncli, says the run's class."""
    assert said[script.stem].split()[0] == answer[0]


@pytest.mark.parametrize("form", ["encoded", "serving_default"])
def test_request_form_of_tensorflow_serving(form: str, folder: Path, answer: tuple[str, np.ndarray]) -> None:
    """The JSON that TensorFlow Serving takes, unpacked by its rules, fits the signature."""
    import tensorflow as tf

    if form == "encoded":
        instances: list[Any] = [{"b64": base64.b64encode((folder / "digit.png").read_bytes()).decode()}]
    else:
        instances = np.asarray(Image.open(folder / "digit.png"))[None, :, :, None].tolist()
    body = json.loads(json.dumps({"signature_name": form, "instances": instances}))
    signature = tf.saved_model.load(str(folder / "digits_lenet_saved_model")).signatures[body["signature_name"]]
    # One input: an instance is its value. An object with the one key b64 is a string of bytes.
    ((name, spec),) = signature.structured_input_signature[1].items()
    values = [base64.b64decode(v["b64"]) if isinstance(v, dict) else v for v in body["instances"]]
    found = signature(**{name: tf.constant(values, spec.dtype)})
    assert list(found) == ["probabilities"]
    np.testing.assert_allclose(found["probabilities"][0], answer[1], atol=1e-5)


@pytest.mark.parametrize("path", [*SCRIPTS, HERE / "serving_request.sh"], ids=lambda path: path.stem)
def test_manual_shows_what_is_tested(path: Path) -> None:
    """`cnn help exports` shows these very lines."""
    from cnncli.report.help_pages import written

    blocks = re.findall(r"```\w*\n(.*?)```", written()["exports"].body, re.DOTALL)
    text = path.read_text(encoding="utf-8")
    assert [block.strip() for block in blocks].count(text.strip()) == 1
