"""One evaluation over the held-out images of all folds, against pycocotools and a plain loop on all images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from cnncli.runs.evaluations import KeptEvaluation
from cnncli.tasks.detection.evaluation import COLUMNS, Evaluation
from cnncli.tasks.detection.overlap import Contents
from cnncli.tasks.detection.rows import read_rows
from cnncli.tasks.task import get_task

if TYPE_CHECKING:
    from .conftest import Detected

COCO = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large")
COCO += ("ar1", "ar10", "ar100", "ar_small", "ar_medium", "ar_large")


def folds_of(folder: Path, contents: Contents, num_classes: int, folds: int) -> tuple[list[KeptEvaluation], Evaluation]:
    """Write what runs keep of their folds, and return it with the evaluation of all images in the folds' order."""
    number = len(contents.objects)
    classes = tuple(f"class {label}" for label in range(num_classes))

    def of(rows: list[int]) -> Evaluation:
        own = Contents([contents.objects[row] for row in rows], [contents.detections[row] for row in rows])
        return Evaluation("validation", classes, own, np.square(rows) / 10, [f"{row}.png" for row in rows])

    kept = []
    parts = [list(range(fold, number, folds)) for fold in range(folds)]
    for fold, rows in enumerate(parts):
        file = folder / f"{fold}.csv"
        file.write_text(of(rows).csv(), encoding="utf-8")
        kept.append(KeptEvaluation({**of(rows).to_json(), "checkpoint": "e0001"}, file))
    return kept, of([row for rows in parts for row in rows])


@pytest.mark.parametrize("seed", [3, 8, 13, 21])
def test_all_folds_have_the_scores_of_pycocotools(script: Any, tmp_path: Path, seed: int) -> None:
    """With crowds, difficult objects, empty images, and areas of outlines; VOC's AP by the loop."""
    campaign = script("campaigns/detection_scores.py")
    contents, num_classes = campaign.random_contents(seed)
    kept, whole = folds_of(tmp_path, contents, num_classes, min(3, len(contents.objects)))
    found = get_task("detection").out_of_fold(kept)
    document = found.to_json()
    stats, _, _ = campaign.pycocotools_scores(whole.contents, num_classes)
    for name, expected in zip(COCO, stats.tolist(), strict=True):
        assert document[name] == (None if np.isnan(expected) else pytest.approx(expected, abs=1e-12))
    voc = campaign.voc_loop(whole.contents, num_classes)
    assert [row["voc_ap50"] for row in document["per_class"]] == [
        None if np.isnan(value) else pytest.approx(value, abs=1e-12) for value in voc.tolist()
    ]
    assert found.csv() == whole.csv()
    assert document | {"loss": None} == whole.to_json() | {"loss": None}
    assert document["loss"] == pytest.approx(np.mean(np.arange(len(contents.objects)) ** 2 / 10))
    get_task("detection").pages.form({**document, "checkpoint": "best"})


def test_folds_are_ranked_together(detected: Detected, tmp_path: Path) -> None:
    """The AP of all detections by their scores is not the mean of the folds' APs, nor is the loss."""
    kept, whole = folds_of(tmp_path, detected.evaluation.contents, 4, 4)
    found = get_task("detection").out_of_fold(kept)
    assert found.scalars()["ap"] == whole.scalars()["ap"] == pytest.approx(detected.evaluation.scalars()["ap"])
    assert found.scalars()["loss"] == pytest.approx(whole.scalars()["loss"])
    assert found.scalars()["loss"] != pytest.approx(np.mean([fold.document["loss"] for fold in kept]))
    assert found.scalars()["ap"] != pytest.approx(np.mean([fold.document["ap"] for fold in kept]))


def test_a_file_of_an_earlier_version_is_read(detected: Detected, tmp_path: Path) -> None:
    """It says no areas: those of the boxes are taken."""
    lines = detected.predictions_file.read_text(encoding="utf-8").splitlines()
    assert lines[0].split(",") == list(COLUMNS)
    file = tmp_path / "predictions.csv"
    file.write_text("".join(line.rpartition(",")[0] + "\n" for line in lines), encoding="utf-8")
    found, expected = read_rows(file), read_rows(detected.predictions_file)
    assert found is not None
    assert expected is not None
    np.testing.assert_allclose(found.areas, expected.areas)
