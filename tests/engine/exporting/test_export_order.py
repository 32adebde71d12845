"""The order of a detector's boxes in every format: where logits are equal, and where their sigmoids are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.engine.exporting.test_export_detectors import imported
from tests.tasks.detection.test_decoding import loop

pytestmark = [pytest.mark.engine, pytest.mark.filterwarnings("ignore")]

HEIGHT, WIDTH = SIZE = (24, 40)
NET = """
      - Conv2D: {filters: 10, kernel_size: 1, strides: [2, 4], use_bias: false, inputs: input, name: centres}
      - Conv2D: {filters: 4, kernel_size: 1, strides: [2, 4], inputs: input, name: edges}
      - Conv2D: {filters: 10, kernel_size: 1, strides: [8, 8], use_bias: false, inputs: input, name: centres_8}
      - Conv2D: {filters: 4, kernel_size: 1, strides: [8, 8], inputs: input, name: edges_8}"""

OUTPUTS = "{heatmap: centres, box: edges, heatmap_8: centres_8, box_8: edges_8}"


@pytest.fixture(scope="module")
def source(make_source: Callable[..., Any]) -> Any:
    """Return a network whose logits are a grey value's share of 32, exact in every runtime."""
    about = ["task=detection", f"model.outputs={OUTPUTS}", "data.source=digit_boxes", "data.channels=3"]
    made = make_source(NET, *about, f"data.image_size=[{HEIGHT}, {WIDTH}]")
    kernel = np.zeros((1, 1, 3, 10), np.float32)
    kernel[:, :, np.arange(10) % 3, np.arange(10)] = 32
    kernel[..., 7:] *= -1
    for name in ("centres", "centres_8"):
        made.trained.model.get_layer(name).kernel.assign(kernel)
    return replace(made, description=replace(made.description, task="detection"))


@pytest.mark.parametrize(
    "title",
    [
        "keras",
        "python",
        pytest.param("onnx", marks=pytest.mark.needs("onnx")),
        pytest.param("litert", marks=pytest.mark.needs("litert")),
        pytest.param("web", marks=pytest.mark.needs("page-runtime")),
    ],
)
def test_order(title: str, source: Any, tmp_path: Path) -> None:
    """By logits up to 32, sigmoids of 1; of equal ones by scale, row, column and class: as in a loop over cells."""
    from cnncli.engine.exporting.formats import FORMATS
    from cnncli.engine.exporting.open import open_artifact

    kind = next(kind for kind in FORMATS if kind.title == title)
    path = tmp_path / f"net{kind.suffix}"
    if title == "python":
        compute = imported(source, path).predict
    else:
        kind.write(source, replace(source.description, any_size=kind.resizes(source.config.data)), path)
        compute = open_artifact(path).outputs
    # Of few grey values, so that many logits are equal: small ones in the first image, large ones in the second.
    images = np.random.default_rng(0).integers(0, 18, (2, *SIZE, 3)).astype(np.uint8)
    images[1] = 255 - images[1]
    found = compute(images)
    planes = {name: np.asarray(plane) for name, plane in source.trained.model(images / np.float32(255)).items()}
    for row in range(2):
        scales = [(planes[f"heatmap{end}"][row], planes[f"box{end}"][row]) for end in ("", "_8")]
        peaks = [one for heatmap, box in scales for one in loop(heatmap, box, SIZE)]
        scores, labels, boxes = zip(*sorted(peaks, key=lambda one: -one[0])[:100], strict=True)
        np.testing.assert_array_equal(found["classes"][row], labels)
        np.testing.assert_allclose(found["scores"][row], scores, atol=1e-6)
        np.testing.assert_allclose(found["boxes"][row], boxes, rtol=1e-5, atol=1e-3)
