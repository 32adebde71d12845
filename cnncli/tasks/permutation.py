"""What a permutation test of two runs on the same images found, whatever their score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

import numpy as np

_ROUNDING = 1e-12


def remark(number: int) -> str:
    """Return what stands below a table of such tests."""
    return f"p is two-sided, from {number:,} random exchanges of images"


@dataclass(frozen=True)
class Permutation:
    """The test of two runs on the same images.

    Attributes:
        score: What is compared, in a word or two.
        difference: Score of the second run less that of the first.
        p_value: Share of random exchanges of both runs' images that lead to a difference at least so large.
    """

    name: ClassVar[str] = "permutation"
    title: ClassVar[str] = "Permutation test"
    remark: ClassVar[str]
    score: ClassVar[str]

    difference: float
    p_value: float

    @classmethod
    def of(cls, difference: float, exchanged: Sequence[float] | np.ndarray) -> Self:
        """Return the test of a difference, by the differences after random exchanges."""
        # The exchange of no image is one of all; rounding must not hide that a difference is as large.
        beyond = np.count_nonzero(np.abs(exchanged) >= abs(difference) - _ROUNDING)
        return cls(difference, (beyond + 1) / (len(exchanged) + 1))

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)

    def cells(self) -> dict[str, str]:
        """Return a row of a table."""
        return {f"{self.score}, 2nd − 1st": f"{self.difference:+.4f}", "p": f"{self.p_value:.2g}"}
