"""COCO's and Pascal VOC's scores: by hand, against pycocotools, and against a plain loop.

The large campaign is `tests/campaigns/detection_scores.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from cnncli.datasets.boxes.targets import Objects
from cnncli.tasks.detection.average_precision import coco_scores, voc_average_precision
from cnncli.tasks.detection.matching import match
from cnncli.tasks.detection.overlap import Contents, Detections, overlaps

Box = tuple[float, float, float, float]


def objects(
    *boxes: Box, labels: Sequence[int] = (), difficult: Sequence[int] = (), crowd: Sequence[int] = ()
) -> Objects:
    """Return the objects of an image of 200×200; by default all of class 0, none difficult, none a crowd."""
    corners = np.array(boxes, np.float64).reshape(-1, 4)
    flags = [np.isin(np.arange(len(boxes)), rows) for rows in (difficult, crowd)]
    sides = corners[:, 2:] - corners[:, :2]
    numbers = np.array(labels or [0] * len(boxes), np.int64)
    return Objects(corners, numbers, *flags, sides.prod(axis=1), (200, 200))


def detections(*found: tuple[Box, float], labels: Sequence[int] = ()) -> Detections:
    """Return detections with their scores; by default all of class 0."""
    corners = np.array([box for box, _ in found], np.float64).reshape(-1, 4)
    numbers = np.array(labels or [0] * len(found), np.int64)
    return Detections(corners, numbers, np.array([score for _, score in found], np.float64))


def test_thirty_random_sets_equal_the_oracles(script: Any) -> None:
    """All numbers of pycocotools and of the loop, class by class: crowds, empty images, ties, missing classes."""
    campaign = script("campaigns/detection_scores.py")
    assert max(campaign.differences(30)) <= campaign.LIMIT


def test_intersection_over_union_by_hand() -> None:
    """Halves, quarters, boxes that only touch, boxes without area; of a crowd the share of the box itself."""
    box = np.array([[0.0, 0.0, 10.0, 10.0]])
    others = np.array([[0, 0, 10, 5], [5, 5, 15, 15], [10, 0, 20, 10], [3, 3, 3, 3], [-5, 0, 5, 20]], np.float64)
    assert overlaps(box, others)[0].tolist() == [0.5, 25 / 175, 0, 0, 50 / 250]
    crowd = np.array([False, True, False, True, True])
    assert overlaps(box, others, crowd)[0].tolist() == [0.5, 0.25, 0, 0, 0.5]
    assert overlaps(others[3:4], others[3:4]).tolist() == [[0]]


def test_average_precision_by_hand() -> None:
    """Two of three objects found, one detection between them wrong: 67 of 101 recalls, 34 of them at precision 1."""
    contents = Contents(
        [objects((0, 0, 40, 40), (50, 0, 90, 40), (100, 0, 140, 40)), objects()],
        [detections(((0, 0, 40, 40), 0.9), ((50, 0, 90, 40), 0.5)), detections(((0, 0, 40, 40), 0.7))],
    )
    found = coco_scores(match(contents, 2))
    assert found.ap(0) == pytest.approx((34 + 33 * 2 / 3) / 101, abs=1e-12)
    assert found.ap() == pytest.approx(found.ap(0), abs=1e-12)
    assert found.ar() == pytest.approx(2 / 3)
    assert found.ar(1) == pytest.approx(1 / 3)
    assert found.ap(size="medium") == pytest.approx(found.ap())
    assert np.isnan([found.ap(size="small"), found.ap(size="large")]).all()
    # The second class has no objects: it has no score, and the mean is of the first alone.
    assert np.isnan(found.precision[1]).all()
    assert voc_average_precision(contents, 2)[0] == pytest.approx(1 / 3 + 1 / 3 * 2 / 3)
    assert np.isnan(voc_average_precision(contents, 2)[1])


def test_of_equal_overlaps_the_last_object_is_taken() -> None:
    """As pycocotools does it: so the first is left for the second detection, and both are right."""
    between, first = ((10.0, 0.0, 50.0, 40.0), 0.9), ((0.0, 0.0, 40.0, 40.0), 0.8)
    contents = Contents([objects((0, 0, 40, 40), (20, 0, 60, 40))], [detections(between, first)])
    assert match(contents, 1).found[:, 0, 0].tolist() == [1, 0]
    assert coco_scores(match(contents, 1)).ap(0) == pytest.approx(1)


def test_a_second_detection_of_an_object_is_wrong() -> None:
    """COCO's matching gives it the next best object; VOC's does not."""
    found = detections(((0, 0, 40, 40), 0.9), ((0, 0, 40, 40), 0.8))
    one = Contents([objects((0, 0, 40, 40))], [found])
    assert match(one, 1).found[:, 0, 0].tolist() == [0, -1]
    two = Contents([objects((0, 0, 40, 40), (0, 10, 40, 50))], [found])
    assert match(two, 1).found[:, 0, 0].tolist() == [0, 1]
    assert voc_average_precision(two, 1).tolist() == [0.5]
    assert coco_scores(match(two, 1)).ap(0) == pytest.approx(1)


@pytest.mark.parametrize("kind", ["difficult", "crowd"])
def test_objects_that_need_not_be_found(kind: str) -> None:
    """Neither missing nor finding them counts; of one difficult object a second detection is wrong, of a crowd none."""
    own = objects((0, 0, 40, 40), (100, 100, 140, 140), **{kind: (1,)})
    right, first, second = ((0, 0, 40, 40), 0.3), ((100, 100, 140, 140), 0.9), ((100, 100, 140, 135), 0.8)
    assert coco_scores(match(Contents([own], [detections(right)]), 1)).ap() == pytest.approx(1)
    assert coco_scores(match(Contents([own], [detections(right, first)]), 1)).ap() == pytest.approx(1)
    twice = Contents([own], [detections(right, first, second)])
    assert coco_scores(match(twice, 1)).ap(0) == pytest.approx(1 if kind == "crowd" else 0.5)
    assert voc_average_precision(twice, 1).tolist() == [1]


def test_without_objects_or_detections() -> None:
    """No objects at all: no score. No detections: 0. No images: no score."""
    assert np.isnan(coco_scores(match(Contents([objects()], [detections(((0, 0, 9, 9), 0.5))]), 2)).ap())
    nothing = Contents([objects((0, 0, 9, 9))], [detections()])
    assert coco_scores(match(nothing, 1)).ap() == 0
    assert voc_average_precision(nothing, 1).tolist() == [0]
    assert np.isnan(coco_scores(match(Contents([], []), 1)).ap())
    assert np.isnan(voc_average_precision(Contents([], []), 1)).all()
