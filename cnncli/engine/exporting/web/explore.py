"""`cnn explore`: a run's network in one page, with test images, and its weights of every epoch where it kept them."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cnncli.datasets import own
from cnncli.datasets.splits import Split
from cnncli.datasets.splits import image as image_of
from cnncli.engine.evaluation.predictor import Predictor
from cnncli.engine.evaluation.trained import load_trained
from cnncli.engine.exporting.source import Source
from cnncli.engine.exporting.web.page import Lecture, page_text
from cnncli.engine.exporting.web.program import Program, obstacles
from cnncli.engine.network.adapt import freeze_statistics
from cnncli.engine.network.variables import model_variables
from cnncli.engine.training import replay
from cnncli.errors import CnnError, DataError
from cnncli.report.files import write_text
from cnncli.runs.run import Run

MOST_BYTES = 30_000_000
"""Bytes of a page from which on it is refused."""

MOST_REPLAY = 12_000_000
"""Bytes that the weights of all epochs may take; of more, some epochs are left out evenly."""

_MOST_LOOKED_AT = 1_000
"""Examples among which the page's are chosen."""

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class ExploreOptions:
    """What a page is to hold.

    Attributes:
        examples: Number of test images.
        checkpoint: "best", "last", or a checkpoint's path.
        data: Where the run's examples are now, or None where its config says it.
    """

    examples: int = 30
    checkpoint: str = "best"
    data: Path | None = None


@dataclass(frozen=True)
class Explored:
    """A page that was written.

    Attributes:
        path: The file.
        bytes: Its size.
        examples: Number of images in it.
        epochs: Epochs whose weights are in it.
    """

    path: Path
    bytes: int
    examples: int
    epochs: tuple[int, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the fields of `cnn explore --json`."""
        return {"path": str(self.path), "bytes": self.bytes, "examples": self.examples, "epochs": list(self.epochs)}


def explore(run: Run, target: Path, options: ExploreOptions) -> Explored:
    """Write the page of a run.

    Args:
        run: The run.
        target: The file; one that exists is replaced.
        options: What it is to hold.

    Raises:
        CnnError: Before anything is written, if a page cannot hold the network, or would be larger than `MOST_BYTES`.
    """
    trained = load_trained(run, options.checkpoint)
    source = Source.of(run, trained)
    found = list(obstacles(source))
    if found:
        raise CnnError(f"a page cannot compute this network: {'; '.join(found)}", "`cnn show` draws its feature maps.")
    lecture = _lecture(run, source, options)
    text = page_text(source, source.description, lecture)
    size = len(text.encode())
    if size > MOST_BYTES:
        raise CnnError(
            f"the page would have {size / 1e6:.1f} MB; the limit is {MOST_BYTES / 1e6:.0f} MB",
            "Take fewer images (--examples 10), or a smaller network.",
        )
    write_text(target, text)
    return Explored(target, size, len(lecture.examples["truths"]), lecture.epochs)


def _lecture(run: Run, source: Source, options: ExploreOptions) -> Lecture:
    """Return what the page shows besides the network."""
    best = (run.record.get("best") or {}).get("epoch")
    return Lecture(_examples(run, source, options), *_epochs(run, source), _curves(run), best)


def _examples(run: Run, source: Source, options: ExploreOptions) -> dict[str, Any]:
    """Return images of the test split, else of validation: one of each class, wrong ones, and right ones."""
    nothing = {"pixels": "", "truths": [], "predicted": [], "ids": [], "split": ""}
    if source.config.task != "classification":
        return nothing
    try:
        splits = own(source.config, run.passport(), options.data)
    except DataError:
        if options.data is not None:
            raise
        return nothing
    split = splits.test or splits.validation or splits.train
    rows = range(min(len(split), _MOST_LOOKED_AT))
    pixels = np.stack([_resized(source, split, row) for row in rows])
    predicted = Predictor(source.trained.model, source.preprocessing).logits(pixels).argmax(axis=-1)
    classes = source.trained.classes
    truths = np.array([classes.index(split.targets.name(row, classes)) for row in rows])
    chosen = _chosen(truths, predicted, options.examples)
    return {
        "pixels": base64.b64encode(np.ascontiguousarray(pixels[chosen]).tobytes()).decode(),
        "truths": [int(truths[row]) for row in chosen],
        "predicted": [int(predicted[row]) for row in chosen],
        "ids": [str(split.ids[row]) for row in chosen],
        "split": split.name,
    }


def _resized(source: Source, split: Split, row: int) -> Pixels:
    """Return an image as the network reads it, uint8 (height, width, channels)."""
    resized: Pixels = np.asarray(source.preprocessing.resize_uint8(image_of(split, row)[None])[0])
    return resized


def _chosen(truths: npt.NDArray[Any], predicted: npt.NDArray[Any], number: int) -> list[int]:
    """Return rows: the first of each class, then wrong ones up to a third of all, then the next right ones."""
    first = [int(np.flatnonzero(truths == label)[0]) for label in np.unique(truths)]
    wrong = [int(row) for row in np.flatnonzero(truths != predicted)]
    right = [int(row) for row in np.flatnonzero(truths == predicted)]
    order = dict.fromkeys([*first, *wrong[: max(number // 3, 1)], *right, *wrong])
    return sorted(list(order)[:number])


def _epochs(run: Run, source: Source) -> tuple[tuple[int, ...], tuple[bytes, ...]]:
    """Return the weights of epochs as the page has them, as many as there is room for."""
    if not run.replay_dir.is_dir():
        return (), ()
    recorded = dict(replay.read_weights(run))
    size = len(Program.of(source).buffer())
    most = max(MOST_REPLAY // max(size, 1), 0)
    numbers = sorted(recorded)
    if len(numbers) > most:
        numbers = [numbers[i] for i in np.linspace(0, len(numbers) - 1, most).astype(int)] if most > 1 else []
    return tuple(numbers), tuple(_buffers(source, (recorded[number] for number in numbers)))


def _buffers(source: Source, recorded: Iterator[Mapping[str, npt.NDArray[Any]]]) -> Iterator[bytes]:
    """Yield weights as the page has them; the network has its own again afterwards."""
    variables = model_variables(source.trained.model)
    kept = {name: np.asarray(variable).copy() for name, variable in variables.items()}
    try:
        for arrays in recorded:
            for name, array in arrays.items():
                variables[name].assign(array)
            yield Program.of(source).buffer()
    finally:
        for name, array in kept.items():
            variables[name].assign(array)
        freeze_statistics(source.trained.model)


def _curves(run: Run) -> dict[str, list[float | None]]:
    """Return the metrics of all epochs by name: "training loss"."""
    curves: dict[str, list[float | None]] = {}
    for line in run.metrics():
        for split, shown in (("train", "training"), ("validation", "validation")):
            for name, value in (line.get(split) or {}).items():
                curves.setdefault(f"{shown} {name}", []).append(value if isinstance(value, float) else None)
    return curves
