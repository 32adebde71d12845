"""A run's TensorBoard event files, always equal to its metrics.jsonl."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import tensorflow as tf


class EventLog:
    """Scalars of each epoch under `train/` and `validation/`, and the layer table as text.

    Event files can only be appended to, so a resumed run writes them anew from its metrics: no
    point is missing and none stands twice, wherever the run was stopped.

    Args:
        directory: The run's `tensorboard/`.
        summary_markdown: Layer table for the text tab.
        metrics: Lines of `metrics.jsonl` so far.
    """

    def __init__(self, directory: Path, summary_markdown: str, metrics: Iterable[dict[str, Any]] = ()) -> None:
        shutil.rmtree(directory, ignore_errors=True)
        self._train = tf.summary.create_file_writer(str(directory / "train"))
        self._validation = tf.summary.create_file_writer(str(directory / "validation"))
        with self._train.as_default():
            tf.summary.text("model", summary_markdown, step=0)
        for line in metrics:
            self.write(line)

    def write(self, line: dict[str, Any]) -> None:
        """Write one epoch's scalars at its step and put them on disk."""
        step = line["step"]
        with self._train.as_default():
            _scalars(line["train"], step)
            _scalars({name: line[name] for name in ("learning_rate", "images_per_second")}, step)
        self._train.flush()
        if line["validation"]:
            with self._validation.as_default():
                _scalars(line["validation"], step)
            self._validation.flush()

    def close(self) -> None:
        """Close the files."""
        self._train.close()
        self._validation.close()


def _scalars(values: dict[str, float], step: int) -> None:
    for name, value in values.items():
        tf.summary.scalar(name, value, step=step)
