"""A run's TensorBoard event files, always equal to its metrics.jsonl."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from cnncli.errors import RunError

NEEDED = ("step", "train", "learning_rate", "images_per_second")
"""What a line of metrics.jsonl must hold to be written."""

Pictures = Callable[[int], Mapping[str, npt.NDArray[np.uint8]]]


class EventLog:
    """Scalars of each epoch under `train/` and `validation/`, and the layer table as text.

    Event files can only be appended to, so a resumed run writes them anew from its metrics: no
    point is missing and none appears twice, wherever the run was stopped.

    Args:
        directory: The run's `tensorboard/`.
        summary_markdown: Layer table for the text tab.
        metrics: Lines of `metrics.jsonl` so far.
        pictures: Returns an epoch's pictures by name, uint8 (height, width, 3).

    Raises:
        RunError: If the disk refuses, here and later.
    """

    def __init__(
        self,
        directory: Path,
        summary_markdown: str,
        metrics: Iterable[dict[str, Any]] = (),
        pictures: Pictures = lambda _: {},
    ) -> None:
        self._directory = directory
        self._pictures = pictures
        with self._writing():
            # A file that could not be removed would show its points a second time.
            if directory.exists():
                shutil.rmtree(directory)
            self._train = tf.summary.create_file_writer(str(directory / "train"))
            self._validation = tf.summary.create_file_writer(str(directory / "validation"))
            with self._train.as_default():
                tf.summary.text("model", summary_markdown, step=0)
        for line in metrics:
            self.write(line)

    def write(self, line: dict[str, Any]) -> None:
        """Write one epoch's scalars at its step and put them on disk."""
        missing = [name for name in NEEDED if not isinstance(line.get(name), int | float | dict)]
        if missing:
            raise RunError(
                f"metrics.jsonl: the line of epoch {line['epoch']} has no {' and no '.join(missing)}, "
                "so the run's event files cannot be written again",
                "Restore metrics.jsonl from a copy.",
            )
        step = line["step"]
        with self._writing():
            with self._train.as_default():
                _scalars(line["train"], step)
                _scalars({name: line[name] for name in ("learning_rate", "images_per_second")}, step)
                for name, picture in self._pictures(line["epoch"]).items():
                    tf.summary.image(name, picture[None], step=step)
            self._train.flush()
            if line.get("validation"):
                with self._validation.as_default():
                    _scalars(line["validation"], step)
                self._validation.flush()

    def close(self) -> None:
        """Close the files."""
        with self._writing():
            self._train.close()
            self._validation.close()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Return the disk's refusal as one line."""
        try:
            yield
        except (tf.errors.OpError, OSError) as error:
            reason = str(error).splitlines()[0].rpartition("; ")[-1]
            raise RunError(
                f"event files cannot be written to {self._directory}: {reason}",
                "Free disk space or fix the permissions, then continue with `cnn resume`.",
            ) from error


def _scalars(values: dict[str, float | None], step: int) -> None:
    for name, value in values.items():
        if value is None:  # What was NaN.
            continue
        tf.summary.scalar(name, float(value), step=step)
