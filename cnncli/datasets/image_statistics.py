"""Statistics of a set of images, and whether another set differs so much that a network would be misled."""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from cnncli.datasets.facts import Facts

ImageStatistics = dict[str, Any]
"""num_images; mean and deviation of the pixels by channel, 0 to 1; brightness: mean and deviation of the
images' own means; grey_share: share of images whose file shows no colour."""

_LEAST_DIFFERENCE = 0.1

_COMPARED = {"brightness", "deviation", "grey_share"}


def image_statistics(facts: Facts) -> ImageStatistics:
    """Summarise images by their facts."""
    channels = facts.sums.shape[1]
    if not len(facts):
        return {"num_images": 0, "mean": [0.0] * channels, "deviation": [0.0] * channels}
    pixels = facts.sizes.prod(axis=1, dtype=np.int64)
    total = float(pixels.sum())
    mean = facts.sums.sum(axis=0) / total
    variance = np.maximum(facts.squares.sum(axis=0) / total - mean**2, 0)
    brightness = facts.sums.mean(axis=1) / pixels / 255
    return {
        "num_images": len(facts),
        "mean": _rounded(mean / 255),
        "deviation": _rounded(np.sqrt(variance) / 255),
        "brightness": {"mean": round(float(brightness.mean()), 6), "deviation": round(float(brightness.std()), 6)},
        "grey_share": round(float(facts.grey.mean()), 6),
    }


def training_look(passport: dict[str, Any]) -> ImageStatistics:
    """Return how training images looked, as a run's passport has it; of no images where it does not say."""
    found: ImageStatistics = passport.get("looks", {}).get("train", {"num_images": 0})
    return found


def differences(incoming: ImageStatistics, trained: ImageStatistics) -> tuple[str, ...]:
    """Say how images differ from those of training: one sentence for each difference, none if they fit.

    Args:
        incoming: `image_statistics` of the images that come in.
        trained: `image_statistics` of the training split, from the run's passport: `passport["looks"]["train"]`.
    """
    if not incoming["num_images"] or not trained.get("num_images") or not trained.keys() >= _COMPARED:
        return ()
    differing = [_brightness(incoming, trained), _contrast(incoming, trained), _colour(incoming, trained)]
    return tuple(sentence for sentence in differing if sentence)


def _brightness(incoming: ImageStatistics, trained: ImageStatistics) -> str | None:
    mean, usual = incoming["brightness"]["mean"], trained["brightness"]["mean"]
    spread = trained["brightness"]["deviation"]
    if mean <= 1.0 / 255 and usual > 4.0 / 255:
        return "the values are 0 to 1; expected 0 to 255"
    allowed = max(_LEAST_DIFFERENCE, spread * (2 + 2 / sqrt(incoming["num_images"])))
    if abs(mean - usual) <= allowed:
        return None
    if abs(1 - mean - usual) <= allowed:
        return f"the images look inverted: mean brightness {mean:.2f}, {usual:.2f} in training"
    return f"the images are much {'brighter' if mean > usual else 'darker'}: {mean:.2f}, {usual:.2f} in training"


def _contrast(incoming: ImageStatistics, trained: ImageStatistics) -> str | None:
    deviation, usual = (float(np.mean(statistics["deviation"])) for statistics in (incoming, trained))
    if usual > 0 and deviation < usual / 5:
        return f"the images have little contrast: deviation {deviation:.3f}, {usual:.3f} in training"
    return None


def _colour(incoming: ImageStatistics, trained: ImageStatistics) -> str | None:
    if incoming["grey_share"] == 1 and trained["grey_share"] <= 0.01:
        return "the images are grey; the training images had colour"
    if incoming["grey_share"] == 0 and trained["grey_share"] >= 0.99:
        return "the images have colour; the training images were grey"
    return None


def _rounded(values: npt.NDArray[np.float64]) -> list[float]:
    return [round(float(value), 6) for value in values]
