"""Artifacts of strangers in this process: the memory that they may take."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnncli.errors import ExportError
from cnncli.resources import at_most
from cnncli.serving.artifact import Artifact
from cnncli.serving.bounded import bounded
from tests.serving.onnx_bombs import DESCRIPTION

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts what a process takes")
IMAGES = np.zeros((2, 4, 6, 3), np.uint8)


def take(number: int) -> Any:
    """Take so many bytes of memory, and give them back."""
    return np.ones(number, np.uint8)[:1]


def test_only_so_much_more() -> None:
    """Within the block memory is refused, behind it is not, whatever was held before."""
    held = np.ones(50_000_000, np.uint8)
    with at_most(100_000_000):
        take(50_000_000)
        with pytest.raises(MemoryError):
            take(200_000_000)
    take(200_000_000)
    assert held.any()


@pytest.mark.parametrize("when", ["open", "compute"])
def test_one_error(tmp_path: Path, when: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes too much in the opening, or in an answer, is an error that says how to allow it."""
    monkeypatch.setenv("CNN_ARTIFACT_GB", "0.1")
    path = tmp_path / "net.keras"
    path.write_bytes(b"network")

    def compute(images: Any) -> dict[str, Any]:
        return {"probabilities": take(100_000_000_000 if when == "compute" else 10)}

    def opened(path: Path) -> Artifact:
        take(100_000_000_000 if when == "open" else 10)
        return Artifact("keras", DESCRIPTION, compute)

    def use() -> None:
        bounded(path, opened).outputs(IMAGES)

    with pytest.raises(ExportError, match=r"net\.keras took more than 0\.1 GB") as error:
        use()
    assert "CNN_ARTIFACT_GB=" in str(error.value.hint)


def test_other_errors_come_through(tmp_path: Path) -> None:
    """What is wrong with an artifact besides is said as before."""

    def opened(path: Path) -> Artifact:
        raise ExportError("it is damaged")

    with pytest.raises(ExportError, match="it is damaged"):
        bounded(tmp_path, opened)


@pytest.mark.engine
@pytest.mark.filterwarnings("ignore")
def test_what_tensorflow_raises(tmp_path: Path) -> None:
    """Its own error for memory that the system refused, also behind one of ours.

    Tensors of gigabytes would be waited for: TensorFlow tries again for ten seconds.
    """
    import tensorflow as tf

    def opened(path: Path) -> Artifact:
        try:
            raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor with shape[3,1000000000]")
        except tf.errors.OpError as error:
            raise ExportError("it cannot be loaded by Keras") from error

    with pytest.raises(ExportError, match=r"took more than 0\.5 GB"):
        bounded(tmp_path, opened)
