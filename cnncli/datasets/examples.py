"""Some of many examples by their names, as a passport tells them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

MOST_LISTED = 20
"""Examples that are named; their number is always whole."""


def listed(chosen: npt.NDArray[np.bool_], ids: Sequence[str]) -> dict[str, Any]:
    """Return the number of chosen examples, and the names of the first.

    Args:
        chosen: (examples,).
        ids: What each example is called.
    """
    rows = np.flatnonzero(chosen).tolist()
    return {"num_images": len(rows), "examples": [ids[row] for row in rows[:MOST_LISTED]]}
