"""What an evaluation of a detector must look like for everything that shows it."""

from __future__ import annotations

from typing import Any

from cnncli.files.form import Form, Unexpected, listed, number, optional, record, share, text, whole

_SCORES = ("ap", "ap50", "ap75", "voc_ap50", "ar100")
_CLASS: dict[str, Form] = {
    "class": text(1),
    "objects": whole(),
    "images": whole(),
    "detections": whole(),
    "count_error": number(0),
    "count_bias": number(),
    "curve": listed(optional(share)),
    **dict.fromkeys((*_SCORES, "threshold", "precision", "recall", "f1"), optional(share)),
}
_SIZES = tuple(f"{kind}_{size}" for kind in ("ap", "ar") for size in ("small", "medium", "large"))

_TYPES: Form = record(
    {
        "split": text(1),
        "num_examples": whole(1),
        "num_objects": whole(),
        "checkpoint": text(1),
        "loss": optional(number()),
        "ap50_interval": optional(listed(share, 2, 2)),
        "classes": listed(text(1), least=1),
        "per_class": listed(record(_CLASS)),
        "confusion_matrix": listed(listed(whole())),
        **dict.fromkeys((*_SCORES[:4], "ar1", "ar10", "ar100", *_SIZES), optional(share)),
    }
)


def EVALUATION(value: Any) -> None:  # noqa: N802 - a form like the others
    """An evaluation whose confusion matrix has every class and the background, and no more objects than there are."""
    _TYPES(value)
    matrix, size = value["confusion_matrix"], len(value["classes"]) + 1
    if len(matrix) != size or any(len(row) != size for row in matrix):
        raise Unexpected(matrix, f"a confusion matrix of {size} × {size} numbers, one for each two classes")
    if len(value["per_class"]) != size - 1:
        raise Unexpected(value["per_class"], f"the scores of {size - 1} classes")
    objects = sum(map(sum, matrix[:-1]))
    if objects != value["num_objects"]:
        raise Unexpected(value["num_objects"], f"num_objects {objects}, the sum of the confusion matrix")
