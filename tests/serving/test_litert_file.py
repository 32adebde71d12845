"""How a LiteRT file is opened and asked, against an interpreter that keeps what it is reported."""

from __future__ import annotations

import sys
import zipfile
from dataclasses import replace
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from cnncli.errors import ExportError
from cnncli.serving.description import CLASSES_FILE, FILE, Description
from cnncli.serving.litert_file import open_litert

ABOUT = Description(
    "net", ("dark", "light"), 2, 3, 1, "bilinear", "crop", False, "name: net", "c0", "d0", "s0",
    {"num_images": 3}, (2, 3), "net/0", "step-1", "float32", {"python": "3.11"},
)  # fmt: skip


class Interpreter:
    """Answers the mean of each image; refuses any other number of images than it was laid out for."""

    told: list[Any]

    def __init__(self, model_content: bytes) -> None:
        if not model_content.startswith(b"network"):
            raise ValueError("not a flatbuffer")
        Interpreter.told = []
        self.laid_out: tuple[int, ...] | None = None

    def get_input_details(self) -> list[dict[str, Any]]:
        """Return the one input."""
        return [{"index": 5}]

    def get_output_details(self) -> list[dict[str, Any]]:
        """Return the one output."""
        return [{"index": 8}]

    def resize_tensor_input(self, index: int, shape: tuple[int, ...]) -> None:
        """Take a new shape, which holds once tensors are allocated."""
        assert index == 5
        self.told.append(tuple(shape))
        self.laid_out, self.wanted = None, tuple(shape)

    def allocate_tensors(self) -> None:
        """Lay out."""
        self.laid_out = self.wanted

    def set_tensor(self, index: int, images: np.ndarray) -> None:
        """Take images of the shape that was allocated."""
        assert (index, images.shape) == (5, self.laid_out)
        self.images = images
        self.answers = np.empty((len(images), 2), np.float32)

    def invoke(self) -> None:
        """Compute."""
        light = self.images.mean(axis=(1, 2, 3)) / 255
        self.answers[:] = np.stack([1 - light, light], axis=1)

    def get_tensor(self, index: int) -> np.ndarray:
        """Return memory that the next call writes anew."""
        assert index == 8
        return self.answers


@pytest.fixture
def network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a file with a network, and its description behind it."""
    package, module = ModuleType("ai_edge_litert"), ModuleType("ai_edge_litert.interpreter")
    package.__spec__ = ModuleSpec("ai_edge_litert", None)
    module.Interpreter = Interpreter  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "ai_edge_litert", package)
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", module)
    path = tmp_path / "net.tflite"
    path.write_bytes(b"network")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(CLASSES_FILE, "dark\nlight\n")
        archive.writestr(FILE, ABOUT.to_json())
    return path


def test_answers(network: Path) -> None:
    """The file answers as its interpreter does, which is laid out anew where the number of images changes."""
    artifact = open_litert(network)
    assert (artifact.format, artifact.description) == ("litert", ABOUT)
    images = np.random.default_rng(0).integers(0, 256, (9, 2, 3, 1), dtype=np.uint8)
    light = images.mean((1, 2, 3)) / 255
    expected = np.stack([1 - light, light], axis=1)
    parts = (slice(0, 4), slice(4, 8), slice(8, 9), slice(0, 4))
    found = [artifact.outputs(images[rows])["probabilities"] for rows in parts]
    np.testing.assert_allclose(np.concatenate(found), expected[[*range(9), *range(4)]], rtol=1e-6)
    assert Interpreter.told == [(4, 2, 3, 1), (1, 2, 3, 1), (4, 2, 3, 1)]


def test_damaged_files(network: Path) -> None:
    """What is no network, and a network that says nothing of itself, are errors that name the file."""
    content = network.read_bytes()
    network.write_bytes(b"noise" + content)
    with pytest.raises(ExportError, match=r"LiteRT cannot run .*net\.tflite: not a flatbuffer"):
        open_litert(network)
    for damaged in (b"network", b""):
        network.write_bytes(damaged)
        with pytest.raises(ExportError, match=r"net\.tflite has no description of its classes"):
            open_litert(network)
    network.unlink()
    with pytest.raises(ExportError, match=r"net\.tflite has no description of its classes"):
        open_litert(network)


@pytest.mark.parametrize("name", ["two\nlines", "two\u2028lines", "two\rlines"])
def test_classes_are_read_back_as_others_read_them(network: Path, name: str) -> None:
    """A name of two lines would move all classes after it by one."""
    about = replace(ABOUT, classes=(name, "light"))
    with zipfile.ZipFile(network, "w") as archive:
        archive.writestr(CLASSES_FILE, about.classes_text)
        archive.writestr(FILE, about.to_json())
    with pytest.raises(ExportError, match=r"line 1 of its classes\.txt is 'two', expected") as error:
        open_litert(network)
    assert "single line" in str(error.value.hint)
    with pytest.raises(ExportError, match=r"line 2 of its classes\.txt is None, expected 'light'"):
        ABOUT.check_classes(b"dark\n", "x")
