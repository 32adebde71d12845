"""What an evaluation of a segmentation must look like for everything that shows it."""

from __future__ import annotations

from typing import Any

from cnncli.files.form import Form, listed, number, optional, record, share, text, whole
from cnncli.tasks.confusion import require_agreement

_BIN = {"low": share, "high": share, "count": whole(), "confidence": number(0, 1.001), "accuracy": share}
_CLASS: dict[str, Form] = {
    "class": text(1),
    "pixels": whole(),
    "images": whole(),
    **dict.fromkeys(("iou", "precision", "recall", "f1"), optional(share)),
}

_TYPES: Form = record(
    {
        "split": text(1),
        "num_examples": whole(1),
        "num_pixels": whole(),
        "checkpoint": text(1),
        "loss": number(),
        "mean_iou": share,
        "mean_iou_interval": listed(share, 2, 2),
        "pixel_accuracy": share,
        "mean_accuracy": share,
        "classes": listed(text(1), least=1),
        "confusion_matrix": listed(listed(whole())),
        "per_class": listed(record(_CLASS, {"boundary_f1": optional(share)})),
        "calibration": record({"ece": share, "num_bins": whole(), "bins": listed(record(_BIN))}),
    },
    {
        "mean_boundary_f1": optional(share),
        "frequency_weighted_iou": share,
        "foreground": text(1),
        "dice": optional(share),
        "adapted_rand_error": optional(share),
    },
)


def EVALUATION(value: Any) -> None:  # noqa: N802 - a form like the others
    """An evaluation whose pixel accuracy is that of its confusion matrix."""
    _TYPES(value)
    require_agreement(value, "num_pixels", "pixel_accuracy")
