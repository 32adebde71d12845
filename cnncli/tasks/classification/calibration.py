"""Whether a network is right as often as its confidence says."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Bin:
    """Examples of similar confidence.

    Attributes:
        low: Confidence above which they lie.
        high: Confidence up to which they lie.
        count: Number of examples.
        confidence: Their mean confidence.
        accuracy: Share of them classified correctly.
    """

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """A reliability diagram in numbers.

    Attributes:
        bins: The bins that hold examples, least confident first.
        num_bins: Number of bins of equal width between 0 and 1.
    """

    bins: tuple[Bin, ...]
    num_bins: int

    @property
    def expected_error(self) -> float:
        """Expected calibration error: the bins' mean |confidence − accuracy|, by their counts."""
        total = sum(part.count for part in self.bins)
        return sum(part.count / total * abs(part.confidence - part.accuracy) for part in self.bins)

    @property
    def largest_error(self) -> float:
        """Largest |confidence − accuracy| of any bin."""
        return max(abs(part.confidence - part.accuracy) for part in self.bins)

    def to_json(self) -> dict[str, Any]:
        """Return `ece`, `largest_error` and the bins that hold examples."""
        return {
            "ece": self.expected_error,
            "largest_error": self.largest_error,
            "num_bins": self.num_bins,
            "bins": [asdict(part) for part in self.bins],
        }


def calibration(
    confidences: npt.NDArray[np.float64], correct: npt.NDArray[np.bool_], num_bins: int = 15
) -> Calibration:
    """Compare confidence with accuracy in bins of equal width.

    Args:
        confidences: Probability of the predicted class of each example.
        correct: Whether each was classified correctly.
        num_bins: Number of bins; a bin holds its upper bound.

    Reference: Guo et al., On calibration of modern neural networks, ICML 2017.
    """
    import numpy as np

    numbers = np.clip(np.ceil(confidences * num_bins).astype(int) - 1, 0, num_bins - 1)
    bins = []
    for number in range(num_bins):
        inside = numbers == number
        if inside.any():
            mean, accuracy = float(confidences[inside].mean()), float(correct[inside].mean())
            low, high = number / num_bins, (number + 1) / num_bins
            bins.append(Bin(low, high, int(inside.sum()), mean, accuracy))
    return Calibration(tuple(bins), num_bins)
