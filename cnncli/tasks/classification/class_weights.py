"""How much each class counts in the loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Literal

import numpy as np
import numpy.typing as npt

from cnncli.datasets.targets import Labels
from cnncli.errors import DataError

ClassWeights = Literal["none", "balanced"] | Mapping[str, float]
"""As `train.loss.class_weights` has them."""


def class_weights(wanted: ClassWeights, classes: Sequence[str], labels: Labels) -> npt.NDArray[np.float32] | None:
    """Return the factor of each class in the loss, or None if all count alike.

    "balanced" is the number of examples / (number of classes with examples · examples of the class):
    every class then weighs the same in total, and the mean weight of an example is 1. A class
    without examples gets 0. With a mapping, the classes it does not name get 1.

    Args:
        wanted: "none", "balanced" or weights by class name.
        classes: Names of the classes in the order of the labels.
        labels: Labels of the training split.

    Returns:
        float32 (classes,).

    Raises:
        DataError: If it names a class that does not exist.
    """
    if wanted == "none":
        return None
    if wanted == "balanced":
        counts = np.bincount(labels, minlength=len(classes))
        share = len(labels) / np.count_nonzero(counts)
        return np.divide(share, counts, out=np.zeros(len(classes)), where=counts > 0).astype(np.float32)
    weights = np.ones(len(classes), np.float32)
    for name, weight in wanted.items():
        if name not in classes:
            near = get_close_matches(name, classes, 1)
            hint = f'Did you mean "{near[0]}"?' if near else f"The classes are {', '.join(classes[:20])}."
            raise DataError(
                f'train.loss.class_weights names the class "{name}", which the data does not have', hint=hint
            )
        weights[classes.index(name)] = weight
    return weights
