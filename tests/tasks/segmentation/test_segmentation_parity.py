"""How far an artifact's masks are from its run's: pixels that agree, ties, and the drop in mean IoU."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from cnncli.datasets.masks.scan import MaskFacts
from cnncli.datasets.masks.targets import MaskArray, Masks
from cnncli.tasks.predictions import PredictionOptions
from cnncli.tasks.segmentation.parity import SegmentationParity


def outputs(number: int = 3, seed: int = 0) -> dict[str, np.ndarray]:
    """Return masks and probabilities of images of 100 by 110 pixels."""
    logits = np.random.default_rng(seed).normal(size=(number, 100, 110, 3)) * 3
    probabilities = (np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)).astype(np.float32)
    return {"mask": probabilities.argmax(axis=-1).astype(np.uint8), "probabilities": probabilities}


def with_other_pixels(run: dict[str, np.ndarray], number: int) -> dict[str, np.ndarray]:
    """Return outputs in which the first image has so many pixels of another class."""
    mask = run["mask"].copy()
    mask[0].reshape(-1)[:number] = (mask[0].reshape(-1)[:number] + 1) % 3
    return {**run, "mask": mask}


def test_equal_outputs_agree() -> None:
    """No difference, every mask the same."""
    run = outputs()
    found = SegmentationParity().difference(run, run)
    assert found.max_abs_diff == 0
    assert found.same.tolist() == [True] * 3


@pytest.mark.parametrize(("wrong", "agrees"), [(1, True), (2, False)])
def test_a_mask_may_differ_in_one_pixel_of_ten_thousand(wrong: int, agrees: bool) -> None:
    """Of 11,000 pixels, 99.99 % are all but one."""
    run = outputs()
    found = SegmentationParity().difference(with_other_pixels(run, wrong), run)
    assert found.same.tolist() == [agrees, True, True]
    assert found.agreeing.tolist() == [1 - wrong / 11_000, 1, 1]


def test_ties_are_no_difference() -> None:
    """Where two probabilities of the run are equal up to rounding, either class is right."""
    run = outputs(1)
    run["probabilities"][0, :50] = [0.4000005, 0.4, 0.1999995]
    run["mask"][0, :50] = 0
    artifact = {**run, "mask": run["mask"].copy()}
    artifact["mask"][0, :50] = 1
    found = SegmentationParity().difference(artifact, run)
    assert found.same.tolist() == [True]
    assert found.agreeing.tolist() == [0.5]
    artifact["mask"][0, :50] = 2
    assert SegmentationParity().difference(artifact, run).same.tolist() == [False]


def test_the_largest_difference_of_a_probability_is_told() -> None:
    """One value moved by 0.01."""
    run = outputs()
    moved = run["probabilities"].copy()
    moved[1, 2, 3, 0] += 0.01
    found = SegmentationParity().difference({**run, "probabilities": moved}, run)
    assert found.max_abs_diff == pytest.approx(0.01, abs=1e-6)


def test_the_drop_is_that_of_both_mean_ious() -> None:
    """Mean IoU of both as scikit-learn counts all pixels; masks of another size are brought to the output's."""
    run, artifact = outputs(6), outputs(6, seed=1)
    truth = np.random.default_rng(3).integers(0, 3, (6, 100, 110)).astype(np.uint8)
    truth[:, :3] = 255
    large = truth.repeat(2, axis=1).repeat(2, axis=2)
    facts = MaskFacts.empty(6, 3)
    for row, mask in enumerate(large):
        facts.set(row, mask)
    targets = Masks(MaskArray(large), facts.pixels, facts.hashes)
    found = SegmentationParity().score_drop(artifact, run, targets, PredictionOptions("abc", (100, 110), "stretch"))
    counted = truth != 255
    of_artifact, of_run = (
        metrics.jaccard_score(truth[counted], one["mask"][counted], average="macro") for one in (artifact, run)
    )
    assert found.artifact == pytest.approx(of_artifact, abs=1e-12)
    assert found.run == pytest.approx(of_run, abs=1e-12)
    assert found.drop == pytest.approx(of_run - of_artifact, abs=1e-12)
    assert found.interval[0] <= found.drop <= found.interval[1]
