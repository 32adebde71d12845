"""What a user's script may look like: `mypy --strict` finds nothing in it, and every type is one, not `Any`.

CI checks it together with the package; it is never run.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, assert_type

import numpy as np

import cnncli


def use_everything(images: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> cnncli.Run:
    """Do the main job, with every name that there is."""
    config = cnncli.load("digits_lenet", **{"train.epochs": 5})
    assert_type(config.train.epochs, int)
    numbers = assert_type(cnncli.summary(config), cnncli.NetworkSummary)
    assert_type(numbers.total_params, int)
    assert_type(numbers.macs, int)
    assert_type(numbers.to_json(), dict[str, Any])
    try:
        run = assert_type(cnncli.train(config, runs_dir="runs", device="cpu", seed=3), cnncli.Run)
    except cnncli.ConfigError as error:
        assert_type([problem.message for problem in error.problems], list[str])
        run = cnncli.Run("latest")
    except cnncli.CnnError as error:
        assert_type(error.hint, str | None)
        raise
    assert_type(run.config.name, str)
    assert_type(run.metrics, list[dict[str, Any]])
    assert_type((run.path, run.status, cnncli.__version__), tuple[Path, str, str])
    found = assert_type(run.evaluate("test", data=Path("photos"), tta=True, scales=(0.75, 1)), cnncli.Evaluation)
    assert_type((found.csv(), found.invariance()), tuple[str, dict[str, Any]])
    Path("evaluation.json").write_text(str(found["accuracy"]), encoding="utf-8")
    assert_type(run.predict(images, top=5), list[dict[str, Any]])
    assert_type(run.predict(["a.png", Path("b.png")], threshold=0.4, tiles=False), list[dict[str, Any]])
    assert_type(run.export("litert", quantize="int8"), Path)
    picture = assert_type(run.show("kernels", layer="c1"), cnncli.Picture)
    assert_type((picture.save("kernels.png"), picture.hint), tuple[Path, str | None])
    assert_type(cnncli.show("sobel", "activations", image="photo.jpg"), cnncli.Picture)
    run.keras_model()
    longer: dict[str, Any] = {"train.epochs": 8}
    return assert_type(run.resume(**longer), cnncli.Run)
