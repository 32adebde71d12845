"""ONNX files: what they compute in onnxruntime, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnncli.importing.graph import GraphImportError
from cnncli.importing.read import Imported, read
from tests.importing.computed import outputs
from tests.importing.onnx_files import NETWORKS, Builder

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
