"""The few examples that a run keeps, so that it can be exported and proven where its data are not at hand."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from cnncli.config.schema.schema import Config
from cnncli.datasets.splits import Split, Splits
from cnncli.datasets.splits import image as image_of
from cnncli.datasets.targets import ClassNumbers
from cnncli.engine.input_pipeline.preprocessing import Preprocessing
from cnncli.errors import RunError
from cnncli.report.numbers import size
from cnncli.runs import limits
from cnncli.runs.run import Run

MOST_EXAMPLES = 64
MOST_BYTES = 4_000_000
"""Most bytes of pixels that are kept."""


def measuring_split(splits: Splits) -> Split:
    """Return the split that proves an export: test, else validation, else train."""
    return splits.test or splits.validation or splits.train


def spread(num_examples: int, most: int) -> npt.NDArray[np.int64]:
    """Return rows at equal distances from the first to the last, at most `most`."""
    return np.linspace(0, num_examples - 1, min(most, num_examples)).round().astype(np.int64)


def save(run: Run, splits: Splits, preprocessing: Preprocessing) -> None:
    """Keep examples in the network's size in a run's proof.npz, evenly over the split that proves an export.

    Nothing is kept where one image alone is too large, or where the task's targets are not classes.

    Raises:
        CnnError: If an image can no longer be read, or the disk refuses.
    """
    split = measuring_split(splits)
    rows = spread(len(split), min(MOST_EXAMPLES, MOST_BYTES // _num_bytes(preprocessing)))
    if not len(rows) or not isinstance(split.targets, ClassNumbers):
        return
    resized = [preprocessing.resize_uint8(image_of(split, row)[None])[0].numpy() for row in rows.tolist()]
    arrays: dict[str, npt.NDArray[Any]] = {
        "pixels": np.stack(resized),
        "labels": split.targets.labels[rows],
        "ids": np.array([split.ids[row] for row in rows.tolist()]),
        "split": np.array(split.name),
    }
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)  # type: ignore[arg-type]  # the stubs see allow_pickle among them
    run.write_text(run.proof_file, content.getvalue())


def _num_bytes(preprocessing: Preprocessing) -> int:
    return preprocessing.height * preprocessing.width * preprocessing.channels


def load(run: Run, config: Config, classes: Sequence[str]) -> Split | None:
    """Return the examples that a run keeps, or None where it keeps none.

    Args:
        run: The run.
        config: Its config.
        classes: Names of its classes.

    Raises:
        RunError: If they cannot be read, or are not images of the network's size with their classes.
    """
    if not run.proof_file.exists():
        return None
    try:
        with np.load(io.BytesIO(run.read_bytes(run.proof_file, limits.ARRAYS)), allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in ("pixels", "labels", "ids", "split")}
    except Exception as error:
        raise RunError(f"{run.proof_file} cannot be read: {error}", "Give the data with --data PATH.") from error
    pixels, labels, ids = arrays["pixels"], arrays["labels"], arrays["ids"]
    number, expected = len(np.atleast_1d(labels)), (*config.data.image_size, config.data.channels)
    fits = pixels.dtype == np.uint8 and pixels.shape == (number, *expected) and number > 0
    named = labels.shape == ids.shape == (number,) and labels.dtype.kind in "iu" and ids.dtype.kind == "U"
    if not (fits and named and labels.min() >= 0 and labels.max() < len(classes) and arrays["split"].shape == ()):
        raise RunError(
            f"{run.proof_file} cannot be read: expected images of {size(expected)} with their classes",
            "Remove the file, and give the data with --data PATH.",
        )
    return Split(str(arrays["split"]), pixels, ClassNumbers(labels.astype(np.int64)), ids.tolist())
