"""`model.nms: matrix` in what opens without cnncli: the Python script, and the page in Node and in a browser."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnncli.serving import web_page
from tests.engine.exporting.test_export_detectors import NET, OUTPUTS, SIZE, imported, keras_boxes, pictures
from tests.engine.tasks.test_detection import suppressed

pytestmark = [pytest.mark.engine, pytest.mark.filterwarnings("ignore")]

PAGE, BROWSER = pytest.mark.needs("page-runtime"), pytest.mark.needs("chromium")


@pytest.fixture(scope="module")
def source(make_source: Callable[..., Any]) -> Any:
    """Return a network with random weights, boxes some five cells wide and scores that are far apart."""
    about = ["task=detection", f"model.outputs={OUTPUTS}", "data.source=digit_boxes", "data.channels=3"]
    made = make_source(NET, *about, f"data.image_size={list(SIZE)}", "model.nms=matrix")
    for name in ("centres", "centres_4"):
        layer = made.trained.model.get_layer(name)
        layer.kernel.assign(8 * layer.kernel)
    for name in ("edges", "edges_4"):
        layer = made.trained.model.get_layer(name)
        layer.bias.assign(layer.bias + 1)
    return replace(made, description=replace(made.description, task="detection"))


@pytest.mark.parametrize(
    "runtime", ["script", pytest.param("page", marks=PAGE), pytest.param("browser", marks=BROWSER)]
)
def test_scores_are_those_of_a_plain_loop(
    runtime: str, source: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lowered box by box where they overlap a better one of their class, and in their new order."""
    from cnncli.engine.exporting.web_page import write_web

    path, images = tmp_path / "net", pictures(*SIZE)
    if runtime == "script":
        found = imported(source, path).predict(images)
    else:
        write_web(source, source.description, path)
        if runtime == "browser":
            monkeypatch.setattr(web_page, "NODES", ())
        found = web_page.open_web(path).outputs(images)
    assert [found[name].dtype for name in ("boxes", "classes", "scores")] == [np.float32, np.int32, np.float32]
    for row, peaks in enumerate(keras_boxes(source, images, "stretch")):
        best = peaks[:100]
        lowered = suppressed(best)
        scores, labels, boxes = (np.array(column) for column in zip(*lowered, strict=True))
        number = len(scores)
        assert sum(own for own, *_ in best) > 1.1 * scores.sum()
        np.testing.assert_allclose(found["scores"][row, :number], scores, atol=1e-5)
        assert (found["scores"][row, number:] == 0).all()
        # Of scores that are nearly equal, rounding decides which comes first.
        apart = (np.diff(scores, prepend=2) < -2e-5) & (np.diff(scores, append=-1) < -2e-5)
        assert apart.sum() > 25
        np.testing.assert_array_equal(found["classes"][row, :number][apart], labels[apart])
        np.testing.assert_allclose(found["boxes"][row, :number][apart], boxes[apart], rtol=1e-5, atol=1e-3)


@PAGE
def test_gate_holds(source: Any, write: Callable[..., Any]) -> None:
    """Examples, edge cases and other sizes: the boxes of the run."""
    kept = write("web", source, number=8)
    assert kept.parity.agreement == 1
    assert kept.parity.max_abs_diff <= 1e-5
    assert kept.parity.to_json()["ap50_drop"] == 0
