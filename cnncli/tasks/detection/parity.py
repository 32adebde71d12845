"""How far an artifact's boxes and scores are from its run's."""

from __future__ import annotations

from typing import cast

import numpy as np

from cnncli.datasets.boxes.targets import Boxes
from cnncli.datasets.targets import Targets
from cnncli.tasks.detection.evaluator import in_original
from cnncli.tasks.detection.matching import match
from cnncli.tasks.detection.overlap import Contents, Detections, Flags, overlaps
from cnncli.tasks.detection.resampling import Ranked, bootstrap, percentiles, ranked, selected_ap50
from cnncli.tasks.outputs import NamedOutputs
from cnncli.tasks.parity import Difference, ScoreDrop
from cnncli.tasks.predictions import PredictionOptions

SAME_BOX = 0.9999
"""IoU from which on two boxes are the same."""

SAME_EDGES = 1e-3
"""Pixels up to which edges are the same: of a box smaller than a pixel, rounding alone makes another IoU."""

SAME_SCORE = 1e-5

LEAST_COMPARED = 0.01
"""Score below which boxes are not compared: among hundreds of empty cells, rounding decides which one is a peak."""


class DetectionParity:
    """Differences between scores and edges, boxes that the other lacks, and the drop in AP at IoU 0.5."""

    value: str = "a box or its score"
    prediction: str = "boxes"
    score: str = "ap50"
    is_share: bool = True
    advice: str = (
        "A network that has learned little finds peaks where neighbours are nearly equal, and rounding decides which: "
        "train it longer."
    )

    def difference(self, outputs: NamedOutputs, expected: NamedOutputs) -> Difference:
        """Compare boxes of equal class with each other: edges as a share of the image, and scores.

        Every box of either must have one of the other: its IoU at least 0.9999, its score within 1e-5. A box that the
        other lacks differs by its whole score. Two may be left out: those with a score near the lowest that is
        compared, and those near the last of as many as a network returns.
        """
        if not all(np.isfinite(values).all() for values in outputs.values()):
            return Difference(float("inf"), None, np.zeros(len(outputs["scores"]), np.bool_))
        largest, same = [0.0], []
        for row in range(len(expected["scores"])):
            of_artifact, of_run = _detections(outputs, row), _detections(expected, row)
            limit = max(_least(outputs, row), _least(expected, row)) + SAME_SCORE
            found = [_compared(one, other, limit) for one, other in ((of_run, of_artifact), (of_artifact, of_run))]
            largest += [difference for difference, _ in found]
            same.append(all(is_same for _, is_same in found))
        return Difference(max(largest), None, np.array(same, np.bool_))

    def score_drop(
        self, outputs: NamedOutputs, expected: NamedOutputs, targets: Targets, options: PredictionOptions
    ) -> ScoreDrop:
        """Compare the AP at IoU 0.5 of both on the same images, with a bootstrap's interval over images."""
        boxes, times = cast("Boxes", targets), bootstrap(len(targets))
        of_artifact, of_run = (_ranked(named, boxes, options) for named in (outputs, expected))
        all_once = np.ones((1, len(targets)), np.int64)
        artifact, run = (float(np.nan_to_num(selected_ap50(found, all_once)[0])) for found in (of_artifact, of_run))
        drops = percentiles(selected_ap50(of_run, times) - selected_ap50(of_artifact, times))
        return ScoreDrop(artifact, run, run - artifact, drops or (0.0, 0.0))


def _ranked(named: NamedOutputs, targets: Boxes, options: PredictionOptions) -> Ranked:
    objects = [targets.read(row) for row in range(len(targets))]
    contents = Contents(objects, [in_original(named, row, own.size, options) for row, own in enumerate(objects)])
    return ranked(match(contents, len(options.classes)), contents)


def _detections(named: NamedOutputs, row: int) -> Detections:
    """Return the boxes of an image in the network's pixels."""
    some = named["scores"][row] > 0
    boxes, scores = (named[name][row][some].astype(np.float64) for name in ("boxes", "scores"))
    return Detections(boxes, named["classes"][row][some].astype(np.int64), scores)


def _least(named: NamedOutputs, row: int) -> float:
    """Return the score down to which all boxes of an image are there."""
    return max(LEAST_COMPARED, float(named["scores"][row].min(initial=1.0)))


def _compared(own: Detections, other: Detections, limit: float) -> tuple[float, bool]:
    """Return how far boxes are from those of the other, and whether each has its like.

    Args:
        own: The boxes of one image.
        other: Those that the other returned.
        limit: Score above which a box must be there.
    """
    chosen = own.scores > limit
    corners, labels, scores = own.corners[chosen], own.labels[chosen], own.scores[chosen]
    if not len(labels):
        return 0.0, True
    if not len(other.labels):
        return float(scores.max()), False
    alike = labels[:, None] == other.labels
    shared = np.where(alike, overlaps(corners, other.corners), -1.0)
    edges = np.where(alike, np.abs(corners[:, None] - other.corners).max(axis=-1), np.inf)
    apart = np.abs(scores[:, None] - other.scores)
    is_box: Flags = (shared >= SAME_BOX) | (edges <= SAME_EDGES)
    same = is_box & (apart <= SAME_SCORE)
    extent = max(1.0, float(np.abs(own.corners).max()), float(np.abs(other.corners).max()))
    differences = np.where(is_box, np.maximum(edges / extent, apart), scores[:, None]).min(axis=1)
    return float(differences.max()), bool(same.any(axis=1).all())
