"""Imported networks beside their sources: the largest difference of any output, by format and network.

    python tests/campaigns/import_parity.py

Caffe's and Darknet's files are computed by loops in NumPy as the formats define their layers, ONNX's by onnxruntime;
what PyTorch made of its own files was kept with them. Differences above 1e-5 end it with exit code 1.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
from tests.importing import onnx_files, test_caffe_weights, test_darknet_weights, test_torch_weights  # noqa: E402
from tests.importing.computed import outputs  # noqa: E402

sys.path.pop(0)

LIMIT = 1e-5
Row = tuple[str, str, Any, Any]
"""Format, network, what the import computes and what its source does."""


def _images(found: Any) -> Any:
    return np.random.default_rng(1).random((4, *found.config.input_shape)).astype(np.float32)


def _first(images: Any) -> Any:
    return images.transpose(0, 3, 1, 2).astype(np.float64)


def caffe(folder: Path) -> Iterator[Row]:
    """Yield LeNet, a grouped AlexNet and a residual net."""
    for name, (text, draw, compute) in test_caffe_weights.NETWORKS.items():
        blobs = draw(np.random.default_rng(0))
        found = test_caffe_weights.imported(folder, text, test_caffe_weights.caffe_files.caffemodel(blobs))
        images = _images(found)
        yield "Caffe", name, outputs(found, images), np.stack([compute(image, blobs) for image in _first(images)])


def darknet(folder: Path) -> Iterator[Row]:
    """Yield a network with a route, a shortcut and groups."""
    sections = test_darknet_weights.drawn_weights()
    found = test_darknet_weights.imported(folder, test_darknet_weights.file(sections))
    images = _images(found)
    expected = np.stack([test_darknet_weights.computed(image, sections) for image in _first(images)])
    yield "Darknet", "route and shortcut", outputs(found, images), expected


def onnx(folder: Path) -> Iterator[Row]:
    """Yield all networks, with and without a route."""
    import onnxruntime

    from cnncli.importing.read import read

    for name, write in onnx_files.NETWORKS.items():
        path = folder / f"{name}.onnx"
        path.write_bytes(write())
        found = read(path)
        images = _images(found)
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        (expected,) = session.run(None, {"input": images.transpose(0, 3, 1, 2)})
        yield "ONNX", name, outputs(found, images), expected


def pytorch(folder: Path) -> Iterator[Row]:
    """Yield the files that PyTorch wrote, in both of its formats."""
    known = np.load(test_torch_weights.FILES / "known.npz")
    for name in test_torch_weights.SHAPES:
        for suffix in (".pt", ".safetensors"):
            found = test_torch_weights.imported(name, suffix, folder)
            yield "PyTorch", f"{name}{suffix}", outputs(found, known[f"{name}_images"]), known[f"{name}_outputs"]


def main() -> int:
    """Print every difference."""
    worst = 0.0
    with TemporaryDirectory() as folder:
        for source in (caffe, darknet, onnx, pytorch):
            for kind, name, found, expected in source(Path(folder)):
                difference = float(np.abs(np.asarray(found) - expected).max())
                worst = max(worst, difference)
                print(f"{kind:8} {name:20} {difference:.1e}")
    print(f"largest {worst:.1e} (limit {LIMIT:.0e})")
    return int(worst > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
