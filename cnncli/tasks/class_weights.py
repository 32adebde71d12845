"""How much each class counts in the loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Literal

import numpy as np
import numpy.typing as npt

from cnncli.errors import DataError

ClassWeights = Literal["none", "balanced", "inverse_log"] | Mapping[str, float]
"""As `train.loss.class_weights` has them."""


def class_weights(
    wanted: ClassWeights, classes: Sequence[str], counts: npt.NDArray[np.int64]
) -> npt.NDArray[np.float32] | None:
    """Return the factor of each class in the loss, or None if all count alike.

    "balanced" is the number of examples / (number of classes with examples · examples of the class):
    every class then weighs the same in total, and the mean weight of an example is 1. A class
    without examples gets 0. "inverse_log" is 1 / ln(1.02 + frequency): rare classes weigh more, but at most 50 times as
    much as one that is everywhere would. With a mapping, the classes it does not name get 1.

    Args:
        wanted: "none", "balanced", "inverse_log" or weights by class name.
        classes: Names of the classes in the order of the labels.
        counts: Training examples of each class; of segmentation, pixels.

    Returns:
        float32 (classes,).

    Raises:
        DataError: If it names a class that does not exist.

    Reference: of inverse_log, Paszke et al., ENet, 2016 (arXiv 1606.02147).
    """
    if wanted == "none":
        return None
    if wanted == "inverse_log":
        frequencies = counts / max(int(counts.sum()), 1)
        return (1 / np.log(1.02 + frequencies)).astype(np.float32)
    if wanted == "balanced":
        share = int(counts.sum()) / np.count_nonzero(counts)
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
