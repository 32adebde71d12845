"""What an evaluation of a classifier must look like for everything that shows it."""

from __future__ import annotations

from typing import Any

from cnncli.files.form import Form, listed, mapped, number, record, share, text, whole
from cnncli.tasks.confusion import require_agreement

_INTERVAL = listed(share, 2, 2)
_SCORES = dict.fromkeys(("precision", "recall", "f1"), share)
_BIN = {"low": number(-1, 2), "high": number(-1, 2), "count": whole(), "confidence": share, "accuracy": share}

_TYPES: Form = record(
    {
        "split": text(1),
        "num_examples": whole(1),
        "checkpoint": text(1),
        "loss": number(),
        "accuracy": share,
        "accuracy_interval": _INTERVAL,
        "top_k_accuracy": mapped(share),
        "classes": listed(text(1), least=1),
        "confusion_matrix": listed(listed(whole())),
        "per_class": listed(record({"class": text(1), "support": whole(), **_SCORES})),
        "averages": mapped(record(_SCORES)),
        "calibration": record({"ece": share, "num_bins": whole(), "bins": listed(record(_BIN))}),
    }
)


def EVALUATION(value: Any) -> None:  # noqa: N802 - a form like the others
    """An evaluation whose accuracy is that of its confusion matrix."""
    _TYPES(value)
    require_agreement(value, "num_examples", "accuracy")
