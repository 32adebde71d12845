"""A damaged `.keras` file asked by `cnn predict`: one error and exit code 1, never a signal."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytestmark = [pytest.mark.engine, pytest.mark.filterwarnings("ignore")]

MEMBER = "model.weights.h5"

UNFREED = """
import ctypes
from cnncli.__main__ import main
from cnncli.errors import CnnError

def kept(error, *arguments):
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(error))
    begin(error, *arguments)

begin, CnnError.__init__ = CnnError.__init__, kept
main()
"""
"""The command, ending as large programs do: with objects that nobody has freed, here the errors and their frames."""


@pytest.fixture(scope="module")
def whole(make_source: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an exported network."""
    from cnncli.engine.exporting.keras_file import write_keras

    source = make_source("[{Conv2D: {filters: 2, kernel_size: 3}}, Flatten, {Dense: {units: 10}}]")
    path = tmp_path_factory.mktemp("whole") / "net.keras"
    write_keras(source, source.description, path)
    return path


def with_weights(whole: Path, path: Path, content: bytes | None) -> Path:
    """Write a copy of an archive whose weights are others, or missing."""
    with zipfile.ZipFile(whole) as given, zipfile.ZipFile(path, "w") as copy:
        for name in given.namelist():
            if name != MEMBER:
                copy.writestr(name, given.read(name))
            elif content is not None:
                copy.writestr(name, content)
    return path


def test_the_whole_file_answers(whole: Path, tmp_path: Path) -> None:
    """The file whose copies are damaged here answers what Keras's own loading of it answers."""
    import keras

    from cnncli.engine.exporting.keras_file import open_keras

    images = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 1), dtype=np.uint8)
    expected = keras.saving.load_model(whole, compile=False).predict(images, verbose=0)
    np.testing.assert_array_equal(open_keras(whole).outputs(images)["probabilities"], expected)


def test_damaged_weights_are_an_error(whole: Path, tmp_path: Path) -> None:
    """No HDF5, half of it, other weights and none are errors that name the file or its member."""
    from cnncli.engine.exporting.keras_file import open_keras
    from cnncli.errors import CnnError

    with zipfile.ZipFile(whole) as file:
        content = file.read(MEMBER)
    damaged = {"nothing": b"nothing", "half": content[: len(content) // 2], "none": None, "large": bytes(2**24 + 9000)}
    for name, wrong in damaged.items():
        with pytest.raises(CnnError, match=f"{name}.keras"):
            open_keras(with_weights(whole, tmp_path / f"{name}.keras", wrong))


def test_predict_ends_with_an_exit_code(whole: Path, tmp_path: Path) -> None:
    """The process that met damaged weights ends with 1: HDF5's last acts do not call into a Python that has ended."""
    path = with_weights(whole, tmp_path / "net.keras", b"nothing")
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "image.png")
    command = [sys.executable, "-c", UNFREED, "predict", str(path), str(tmp_path / "image.png")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert "net.keras cannot be loaded by Keras" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_tensorflow_raises() -> None:
    """Its own error for memory that the system refused, also behind one of ours; others with their hint."""
    import tensorflow as tf

    from cnncli.engine.exporting.child import told
    from cnncli.errors import ExportError

    refused = tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor with shape[3,1000000000]")
    ours = ExportError("it cannot be loaded by Keras", "Export it again.")
    known = {"error": ours.message, "hint": ours.hint, "known": True}
    assert (told(refused)["memory"], told(MemoryError())["memory"], told(ours)) == (True, True, known)
    ours.__cause__ = refused
    assert told(ours)["memory"]
    assert told(ValueError("first\nsecond")) == {"error": "first"}
