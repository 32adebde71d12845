"""An evaluation of detected objects: every number again by pycocotools, by loops, or by hand."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from cnncli.config.load import loads
from cnncli.config.schema.schema import Loss
from cnncli.datasets.boxes.targets import Boxes, Objects
from cnncli.errors import DataError
from cnncli.tasks.detection.average_precision import coco_scores
from cnncli.tasks.detection.evaluation import COLUMNS
from cnncli.tasks.detection.evaluator import DetectionEvaluator
from cnncli.tasks.detection.loss import Learned, loss
from cnncli.tasks.detection.matching import match
from cnncli.tasks.detection.outcomes import confusion_matrix, outcomes
from cnncli.tasks.detection.overlap import Contents, Detections
from cnncli.tasks.detection.resampling import bootstrap, ranked, selected_ap50
from cnncli.tasks.detection.thresholds import best_thresholds
from cnncli.tasks.predictions import PredictionOptions
from cnncli.tasks.task import task_of

if TYPE_CHECKING:
    from .conftest import Detected


def test_scores_are_those_of_pycocotools(detected: Detected, script: Any) -> None:
    """Everything that COCO's summary names, in the images' own pixels; VOC's by the loop."""
    campaign = script("campaigns/detection_scores.py")
    contents = detected.evaluation.contents
    stats, precision, _ = campaign.pycocotools_scores(contents, 4)
    document = detected.document
    names = ["ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large"]
    names += ["ar1", "ar10", "ar100", "ar_small", "ar_medium", "ar_large"]
    for name, expected in zip(names, stats.tolist(), strict=True):
        assert (document[name] is None) == np.isnan(expected)
        assert document[name] is None or document[name] == pytest.approx(expected, abs=1e-12)
    for label, row in enumerate(document["per_class"][:3]):
        assert row["ap"] == pytest.approx(precision[:, :, label, 0, 2].mean(), abs=1e-12)
        assert row["curve"] == pytest.approx(precision[0, :, label, 0, 2].tolist(), abs=1e-12)
    voc = campaign.voc_loop(contents, 4)
    assert [row["voc_ap50"] for row in document["per_class"][:3]] == pytest.approx(voc[:3].tolist(), abs=1e-12)
    assert document["voc_ap50"] == pytest.approx(voc[:3].mean(), abs=1e-12)
    # No image has the last class: it has no scores, and the mean leaves it out.
    assert (
        document["per_class"][3] | {"class": "never", "ap": None, "ap50": None, "voc_ap50": None, "f1": None}
        == (document["per_class"][3])
    )
    scalars = detected.evaluation.scalars()
    assert scalars == {"loss": document["loss"], "ap": document["ap"], "ap50": document["ap50"]}
    assert json.loads(json.dumps(document)) == document


def test_boxes_are_in_the_original_images_pixels(detected: Detected) -> None:
    """The network reads 96×128 of 120×160: edges are five quarters, cut off at the image's."""
    outputs = detected.outputs(range(9))
    for row, own in enumerate(detected.evaluation.contents.detections):
        expected = (outputs["boxes"][row].astype(np.float64) * 1.25).clip(0, [160, 120, 160, 120])
        some = outputs["scores"][row] > 0
        assert np.allclose(own.corners, expected[some], atol=1e-9)
        assert (own.scores == outputs["scores"][row][some]).all()
        assert (own.labels == outputs["classes"][row][some]).all()


def test_the_loss_is_the_mean_over_images(detected: Detected) -> None:
    """Of each image that of its objects in the network's pixels; it differs from that without its crowds."""
    losses = []
    for row in range(9):
        own = detected.examples.targets.read(row)
        learned = Learned(own.corners * 0.8, own.labels, own.crowd)
        losses.append(loss(detected.logits, row, learned, (96, 128)))
        if own.crowd.any():
            assert loss(detected.logits, row, learned.take(~own.crowd), (96, 128)) > losses[-1]
    assert detected.evaluation.loss == pytest.approx(np.mean(losses), rel=1e-9)
    assert any(detected.examples.targets.read(row).crowd.any() for row in range(9))


def test_the_loss_is_that_of_the_config(detected: Detected) -> None:
    """An evaluator of the config's task computes it, and the task says in words what it is."""
    data = "data: {source: digit_boxes, image_size: [8, 8]}"
    text = f"name: x\ntask: detection\n{data}\nmodel: {{layers: [Flatten]}}\n"
    plain, changed = (task_of(loads(text + more)) for more in ("", "train: {loss: {box: l1, box_weight: 0.1}}\n"))
    assert plain.loss_name == "focal loss of the centres, and 5 · (1 − GIoU) of the boxes"
    assert changed.loss_name == "focal loss of the centres, and 0.1 · the L1 loss, in strides, of the boxes"
    losses = []
    for task in (plain, changed):
        evaluator = task.evaluator("test", detected.options)
        evaluator.update(detected.logits, detected.examples.targets)
        losses.append(evaluator.result().scalars()["loss"])
    assert losses[0] == detected.evaluation.loss
    objects = (detected.examples.targets.read(row) for row in range(9))
    learned = [Learned(own.corners * 0.8, own.labels, own.crowd) for own in objects]
    settings = Loss(box="l1", box_weight=0.1)
    expected = [loss(detected.logits, row, own, (96, 128), settings) for row, own in enumerate(learned)]
    assert losses[1] == pytest.approx(np.mean(expected), rel=1e-9)


def test_an_artifact_is_scored_as_its_run(detected: Detected) -> None:
    """All scores are the same from boxes, classes and scores; there is no loss."""
    evaluator = DetectionEvaluator("test", detected.options, detected.examples.ids)
    evaluator.update_exported(detected.outputs(range(9)), detected.examples.targets)
    found, expected = evaluator.result().to_json(), detected.evaluation.to_json()
    assert found.pop("loss") is None
    assert found == {key: value for key, value in expected.items() if key != "loss"}


def test_without_examples_or_objects() -> None:
    """No example is an error; images without objects have an AP of 0 while training, and none in the JSON."""
    options = PredictionOptions(("a", "b"), (8, 8), "pad")
    with pytest.raises(DataError, match="the test split has no examples"):
        DetectionEvaluator("test", options).result()
    empty = np.zeros(0, np.bool_)
    nothing = Objects(np.zeros((0, 4)), np.zeros(0, np.int64), empty, empty, np.zeros(0), (9, 7))
    evaluator = DetectionEvaluator("test", options)
    logits = {"heatmap": np.full((2, 2, 2, 2), -3.0), "box": np.zeros((2, 2, 2, 4))}
    evaluator.update(logits, Boxes.of([nothing, nothing]))
    result = evaluator.result()
    scalars = result.scalars()
    assert (scalars["ap"], scalars["ap50"]) == (0, 0)
    assert scalars["loss"] > 0
    document = result.to_json()
    assert (document["ap"], document["ap50_interval"], document["num_objects"]) == (None, None, 0)


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf, 1e30])
@pytest.mark.parametrize("output", ["heatmap", "box"])
def test_a_network_that_diverges_is_scored(detected: Detected, output: str, broken: float) -> None:
    """Whatever it ends in, there are scores and no warning; of logits that are not finite the loss is not either."""
    logits = {**detected.logits, output: np.full_like(detected.logits[output], broken)}
    evaluator = DetectionEvaluator("test", detected.options, detected.examples.ids)
    evaluator.update(logits, detected.examples.targets)
    found = evaluator.result()
    assert 0 <= found.scalars()["ap"] <= 1
    assert len(found.to_json()["per_class"]) == 4
    assert "nan" not in found.csv()
    if (output == "heatmap" and not np.isfinite(broken)) or np.isnan(broken):
        assert not np.isfinite(found.scalars()["loss"])


def test_resampled_ap_is_that_of_the_repeated_images(detected: Detected) -> None:
    """Of random selections, the AP at IoU 0.5 of as many copies of each image; the interval is their percentiles."""
    contents = detected.evaluation.contents
    found = ranked(match(contents, 4), contents)
    times = np.random.default_rng(1).multinomial(9, np.full(9, 1 / 9), 12)
    scores = selected_ap50(found, np.concatenate([times, np.eye(9, dtype=np.int64)[8:]]))
    for row, score in zip(times, scores[:-1], strict=True):
        copies = np.repeat(np.arange(9), row)
        repeated = Contents(*([part[i] for i in copies] for part in contents))
        assert score == pytest.approx(coco_scores(match(repeated, 4)).ap(0), abs=1e-9)
    assert np.isnan(scores[-1])  # The last image alone has no objects.
    every = selected_ap50(found, bootstrap(9))
    low, high = np.percentile(every, (2.5, 97.5))
    assert detected.document["ap50_interval"] == pytest.approx([low, high])
    assert low < detected.document["ap50"] < high


def test_best_thresholds_by_trying_every_score(detected: Detected) -> None:
    """The score with the highest F1 of each class, precision and recall there; and the counts of every image."""
    evaluation = detected.evaluation
    matches, contents = evaluation.matches, evaluation.contents
    for label, row in enumerate(detected.document["per_class"][:3]):
        own = (matches.labels == label) & ~matches.ignored[:, 0, 0]
        right, scores = matches.hits[own, 0, 0], matches.scores[own]
        tried = {}
        for score in np.unique(scores):
            hits, number = right[scores >= score].sum(), (scores >= score).sum()
            tried[float(score)] = (2 * hits / (number + row["objects"]), hits / number, hits / row["objects"])
        best = max(tried, key=lambda score: (tried[score][0], score))
        assert row["threshold"] == best
        assert (row["f1"], row["precision"], row["recall"]) == pytest.approx(tried[best])
        errors = []
        for image, objects in enumerate(contents.objects):
            detected_here = (scores[matches.images[own] == image] >= best).sum()
            true = (objects.labels == label) & ~objects.difficult & ~objects.crowd
            errors.append(int(detected_here) - int(true.sum()))
        assert row["count_error"] == pytest.approx(np.abs(errors).mean())
        assert row["count_bias"] == pytest.approx(np.mean(errors))
        assert row["detections"] == (scores >= best).sum()
    assert detected.document["per_class"][3]["threshold"] is None


@pytest.mark.parametrize(
    ("scores", "expected"), [([0.5, 0.5, 0.4], (0.4, 2 / 3, 1, 0.8)), ([0.5, 0.5, 0.0], (0.5, 1 / 2, 1 / 2, 1 / 2))]
)
def test_equal_scores_pass_together(scores: list[float], expected: tuple[float, ...]) -> None:
    """One right and one wrong detection of the same score: no threshold lies between them."""
    corners = np.array([[0, 0, 10, 10], [50, 50, 60, 60], [20, 0, 30, 10]], np.float64)
    off = np.zeros(2, np.bool_)
    own = Objects(corners[[0, 2]], np.zeros(2, np.int64), off, off, np.full(2, 100.0), (99, 99))
    found = Detections(corners, np.zeros(3, np.int64), np.array(scores))
    contents = Contents([own], [found.take(found.scores > 0)])
    assert best_thresholds(ranked(match(contents, 1), contents)) == [pytest.approx(expected)]


def test_outcomes_by_hand() -> None:
    """Right, of another class, twice, of nothing; found, missed; a difficult object and what is detected there."""
    corners = np.array([[0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10], [60, 0, 70, 10]], np.float64)
    difficult = np.array([False, False, False, True])
    own = Objects(corners, np.array([0, 1, 0, 1]), difficult, ~difficult & False, np.full(4, 100.0), (99, 99))
    boxes = np.array([[0, 0, 10, 9], [20, 0, 30, 9], [0, 0, 9, 10], [80, 0, 90, 10], [60, 0, 70, 10]], np.float64)
    boxes = np.concatenate([boxes, boxes[1:2]])
    detections = Detections(boxes, np.array([0, 0, 0, 1, 1, 0]), np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4]))
    (found,) = outcomes(Contents([own], [detections]), 2)
    assert found.detections == ("right", "confused", "false", "false", "ignored", "false")
    assert found.objects == ("right", "confused", "missed", "ignored")
    assert found.found.tolist() == [0, 1, -1, -1, -1, -1]
    assert found.f1 == pytest.approx(2 / 8)
    assert confusion_matrix(Contents([own], [detections]), 2).tolist() == [[1, 0, 1], [1, 0, 0], [2, 1, 0]]


def test_outcomes_add_up(detected: Detected) -> None:
    """The confusion matrix has every object once, on its diagonal what counts as right for the F1."""
    matrix, document = detected.evaluation.confusion, detected.document
    assert matrix[:-1].sum(axis=1).tolist() == [row["objects"] for row in document["per_class"]]
    assert matrix[:, :-1].sum(axis=0).tolist() == [row["detections"] for row in document["per_class"]]
    for label, row in enumerate(document["per_class"][:3]):
        assert matrix[label, label] == round(row["recall"] * row["objects"])
    assert matrix[-1, -1] == 0


def test_a_line_for_each_object_and_detection(detected: Detected) -> None:
    """All of both in order, with their boxes; an image with neither has a line as well."""
    contents = detected.evaluation.contents
    lines = list(csv.DictReader(io.StringIO(detected.evaluation.csv())))
    assert tuple(lines[0]) == COLUMNS
    number = sum(len(own.labels) for part in contents for own in part)
    assert len(lines) == number
    kinds = [line["kind"] for line in lines]
    assert (kinds.count("difficult"), kinds.count("crowd")) == (1, 1)
    own = [line for line in lines if line["example"] == "folder/3.png" and line["kind"] == "detection"]
    assert [float(line["score"]) for line in own] == contents.detections[3].scores.tolist()
    assert [float(line["ymax"]) for line in own] == contents.detections[3].corners[:, 3].tolist()
    right = [line for line in lines if line["outcome"] == "right"]
    assert len(right) == detected.evaluation.matches.hits[:, 0, 0].sum()
