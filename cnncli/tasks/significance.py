"""How certain a measured share is."""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Z_95 = 1.959963984540054
"""The standard normal's 97.5 % point."""


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """Return the 95 % score interval of a proportion.

    Unlike the textbook's share ± 1.96 standard errors it stays inside 0 to 1 and keeps its coverage near the ends,
    where good classifiers live.

    Example: wilson_interval(98, 100) == (0.93, 0.9945), rounded
    Reference: Wilson, Journal of the American Statistical Association 22 (158), 1927.
    """
    share, z2 = successes / trials, Z_95**2
    centre = share + z2 / (2 * trials)
    spread = Z_95 * sqrt(share * (1 - share) / trials + z2 / (4 * trials**2))
    scale = 1 + z2 / trials
    low = 0.0 if successes == 0 else (centre - spread) / scale
    high = 1.0 if successes == trials else (centre + spread) / scale
    return low, high


def paired_interval(before: npt.NDArray[np.bool_], after: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """Return the 95 % interval of a drop of accuracy, both measured on the same examples."""
    return discordant_interval(int((before & ~after).sum()), int((after & ~before).sum()), len(before))


def discordant_interval(only_first: int, only_second: int, number: int) -> tuple[float, float]:
    """Return the 95 % interval of the accuracy of a first classifier less that of a second.

    Args:
        only_first: Number of examples that only the first got right.
        only_second: Number of examples that only the second got right.
        number: Number of all examples.

    Reference: Agresti and Min, Statistics in Medicine 24 (5), 2005 (Wald, half an example added to each cell).
    """
    lost, won = only_first + 0.5, only_second + 0.5
    number += 2
    centre = (lost - won) / number
    spread = Z_95 * sqrt(max(lost + won - (lost - won) ** 2 / number, 0.0)) / number
    return centre - spread, centre + spread
