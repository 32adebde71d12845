"""What the documents of a run must look like, so that no code that uses them can fail over them.

Keys that older versions did not write may be missing. `checked` makes the error of whatever else is wrong.
"""

from __future__ import annotations

from typing import Any

from cnncli.errors import RunError
from cnncli.files.form import (
    Form,
    Unexpected,
    anything,
    listed,
    mapped,
    number,
    numbers,
    one_of,
    optional,
    record,
    share,
    text,
    whole,
)

MOST_THREADS = 1024

METRICS = listed(record({"name": text(1), "higher_is_better": one_of(True, False)}, {"primary": one_of(True, False)}))

RUN: Form = record(
    {},
    {
        "name": text(),
        "status": one_of("running", "done", "interrupted", "failed"),
        "started": optional(text()),
        "ended": optional(text()),
        "command": optional(text(most=1_000_000)),
        "directory": optional(text()),
        "config_directory": optional(text()),
        "host": optional(text()),
        "slurm_step": text(),
        "group": text(),
        "platform": optional(text()),
        "versions": mapped(optional(text())),
        "git_commit": optional(text()),
        "seed": whole(),
        "fold": whole(),
        "folds": whole(),
        "metrics": METRICS,
        "device": optional(text()),
        "threads": optional(whole(1, MOST_THREADS)),
        "parts": optional(whole(1, MOST_THREADS)),
        "cpu_features": listed(text()),
        "arithmetic": mapped(anything),
        "variables": mapped(text()),
        "total_params": optional(whole()),
        "epochs": whole(),
        "best": optional(record({"epoch": whole(), "monitor": text(), "value": number()})),
        "test_uses": whole(),
        "no_longer_exact": listed(anything),
        "imported": one_of(True, False),
        "ensemble": listed(anything),
        "tags": listed(text(1)),
    },
)
"""run.json."""

MOST = 3.4e38
"""Largest number of float32: what TensorBoard holds."""

_NUMBERS = numbers(-MOST, MOST)

METRICS_LINE: Form = record(
    {"epoch": whole(1)},
    {
        "step": whole(),
        "learning_rate": optional(number(-MOST, MOST)),
        "seconds": optional(number(0, 1e15)),
        "images_per_second": optional(number(0, MOST)),
        "train": _NUMBERS,
        "validation": _NUMBERS,
    },
)
"""A line of metrics.jsonl."""

_STATISTICS = {
    "mean": listed(number(), least=1),
    "deviation": listed(number(), least=1),
    "brightness": record({"mean": number(), "deviation": number()}),
    "grey_share": share,
}


LOOK: Form = record({}, {"num_images": whole(), **_STATISTICS})
"""How images look as a whole; of none, or where an artifact does not tell, there is nothing to say."""

_SIZE = listed(whole(1), 2, 2)
_FOUND = record({"num_images": whole()})

_MASKS = record({"pixels": mapped(whole()), "ignored_pixels": whole(), "void": _FOUND, "turned_alone": _FOUND})
"""What a passport tells of a split's masks."""

_BOX_SIZE = listed(number(0), 2, 2)
_BOX_SIZES = mapped(record(dict.fromkeys(("smallest", "median", "largest"), _BOX_SIZE)))
_IN_NETWORK = record(
    {
        "image_size": _SIZE,
        "stride": _BOX_SIZE,
        "field": optional(_SIZE),
        "box_sizes": _BOX_SIZES,
        "num_objects": whole(),
        "same_cell": whole(),
        "same_cell_and_class": whole(),
        "larger_than_field": whole(),
    }
)
"""What these are for a detector."""

_BOXES = record(
    {
        "objects": mapped(whole()),
        "objects_per_image": record({"min": whole(), "median": number(0), "max": whole()}),
        "box_sizes": _BOX_SIZES,
        "num_difficult": whole(),
        "num_crowd": whole(),
        "empty": _FOUND,
        "unclear": _FOUND,
        "repeated": _FOUND,
    },
    {"in_network": _IN_NETWORK},
)
"""What a passport tells of a split's objects."""

_BAD_BOXES = record({"num_objects": whole(), "num_dropped": whole(), "num_clipped": whole()})


def _targets(value: Any) -> None:
    """Take what a passport tells of a split's targets besides their counts."""
    is_boxes = isinstance(value, dict) and "objects" in value
    (_BOXES if is_boxes else _MASKS)(value)


_CLASSES = {"classes": listed(text(1))}
_MAY_BE_MISSING: dict[str, Form] = {
    "looks": record({"train": LOOK}, {"validation": LOOK, "test": LOOK}),
    "channels": one_of(1, 3),
    "content_hash": text(64, 64),
    "split_hash": text(64, 64),
}
_MEASURED: dict[str, Form] = {
    "source": text(),
    "path": optional(text()),
    "num_examples": mapped(whole()),
    "counts": mapped(mapped(whole())),
    "sizes": record(
        {"num_distinct": whole(), "smallest": _SIZE, "largest": _SIZE, "most_common": listed(record({"size": _SIZE}))}
    ),
    "modes": mapped(whole()),
    "formats": mapped(whole()),
    "mean": listed(number()),
    "deviation": listed(number()),
    "duplicates": record({"within": mapped(_FOUND), "across": mapped(_FOUND)}),
    "near_duplicates": mapped(_FOUND),
    "contradictions": _FOUND,
    "constant": _FOUND,
    "bad_files": listed(anything),
    "ignored_files": whole(),
    **_MAY_BE_MISSING,
}


def PASSPORT(value: Any) -> None:  # noqa: N802 - a form like the others
    """data.json; that of an imported network knows no more than the classes."""
    # Another document in its place, such as an evaluation, has classes too, but other things of the same names.
    record(_CLASSES, _MEASURED)(value)
    if "source" not in value:
        return
    record(_MEASURED, {"targets": mapped(_targets), "bad_boxes": _BAD_BOXES})(value)
    known = set(value["classes"])
    for split, counts in value["counts"].items():
        if split not in value["num_examples"]:
            raise Unexpected(split, f"one of {', '.join(value['num_examples'])}, as num_examples has them")
        if counts and not known <= counts.keys():
            missing = min(known - counts.keys())
            found = Unexpected(missing, "a key of the counts of every split")
            found.place = ["classes", value["classes"].index(missing)]
            raise found


ORIGINS: Form = mapped(text())
"""origins.json."""

EVALUATION: Form = record(
    {},
    {
        "split": text(1),
        "checkpoint": text(1),
        "num_examples": whole(),
        "data": optional(text()),
        "doubts": listed(text()),
        "views": whole(1),
        "scales": listed(number(0), least=1),
        "test_uses": whole(),
        "predictions_sha256": text(64, 64),
    },
)
"""What evaluation-<split>.json holds whatever the task; `Pages.form` knows the rest."""


def checked(document: Any, form: Form, where: str, hint: str | None = None) -> Any:
    """Return a document that is of a form.

    Args:
        document: As parsed.
        form: What it must look like.
        where: What errors call it: its file, and the line where it has several.
        hint: What to do where it is not.

    Raises:
        RunError: With the key, what it holds and what was expected.
    """
    try:
        form(document)
    except Unexpected as found:
        raise RunError(f"{where} cannot be read: {found}", hint) from found
    return document
