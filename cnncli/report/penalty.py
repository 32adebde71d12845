"""What the regularizers add to the training loss, said wherever that loss is shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def penalty_sentence(metrics: Sequence[Mapping[str, Any]]) -> str | None:
    """Return the last epoch's penalty in a sentence; None for a run without regularizers.

    Args:
        metrics: Lines of metrics.jsonl.
    """
    penalty = (metrics[-1].get("train") or {}).get("regularization_loss") if metrics else None
    if penalty is None:
        return None
    return f"loss is the cross-entropy without the regularization loss, {penalty:.4f} at the end"
