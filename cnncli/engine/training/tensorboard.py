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

from cnncli.analysis.summary import Summary
from cnncli.engine.network import activations
from cnncli.engine.training.setup import Setup
from cnncli.errors import RunError
from cnncli.layers.base import Shape
from cnncli.layers.graph import INPUT_NAME
from cnncli.report.figures_pixels import grid_pixels, kernel_pixels
from cnncli.report.tables import summary_markdown

MOST_IMAGES = 16
"""Training images that are shown."""

IMAGES_ACROSS = 4

VALIDATION_PICTURE = "first_images"
"""Name of the picture of the first validation images: each beside its target and the prediction."""

NEEDED = ("step", "train", "learning_rate", "images_per_second")
"""What a line of metrics.jsonl must hold to be written."""

Pictures = Callable[[int], Mapping[str, npt.NDArray[np.uint8]]]


class EventLog:
    """Scalars of each epoch under `train/` and `validation/`; the network as a graph, and as a table in the text tab.

    Event files can only be appended to, so a resumed run writes them anew from its metrics: no
    point is missing and none appears twice, wherever the run was stopped. What the metrics do not tell, pictures of
    the first validation images, is taken over from the former files.

    Args:
        directory: The run's `tensorboard/`.
        summary: The network.
        metrics: Lines of `metrics.jsonl` so far.
        pictures: Returns an epoch's pictures by name, uint8 (height, width, 3).

    Raises:
        RunError: If the disk refuses, here and later.
    """

    def __init__(
        self,
        directory: Path,
        summary: Summary,
        metrics: Iterable[dict[str, Any]] = (),
        pictures: Pictures = lambda _: {},
    ) -> None:
        self._directory = directory
        self._pictures = pictures
        with self._writing():
            former = _validation_pictures(directory / "validation")
            # A file that could not be removed would show its points a second time.
            if directory.exists():
                shutil.rmtree(directory)
            self._train = tf.summary.create_file_writer(str(directory / "train"))
            self._validation = tf.summary.create_file_writer(str(directory / "validation"))
            with self._train.as_default():
                tf.summary.text("model", summary_markdown(summary), step=0)
                tf.summary.graph(graph_of(summary))
        for line in metrics:
            self.write(line)
            if line["step"] in former:
                self._write_validation(former[line["step"]], line["step"])

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
            self.write_pictures(step, self._pictures(line["epoch"]))
            if line.get("validation"):
                with self._validation.as_default():
                    _scalars(line["validation"], step)
                self._validation.flush()

    def write_pictures(self, step: int, pictures: Mapping[str, npt.NDArray[np.uint8]]) -> None:
        """Write pictures, uint8 (height, width, 3), by name at a step and put them on disk."""
        with self._writing():
            with self._train.as_default():
                for name, picture in pictures.items():
                    tf.summary.image(name, picture[None], step=step)
            self._train.flush()

    def write_validation_picture(self, step: int, picture: npt.NDArray[np.uint8]) -> None:
        """Write what the network makes of the first validation images, uint8 (height, width, 3), and put it on disk."""
        with self._writing():
            with self._validation.as_default():
                tf.summary.image(VALIDATION_PICTURE, picture[None], step=step)
            self._validation.flush()

    def _write_validation(self, summary: bytes, step: int) -> None:
        """Write what former event files held."""
        with self._writing():
            with self._validation.as_default():
                tf.summary.experimental.write_raw_pb(summary, step=step)
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


def _validation_pictures(directory: Path) -> dict[int, bytes]:
    """Return the pictures of the first validation images in event files, as serialized summaries by their steps."""
    found: dict[int, bytes] = {}
    for file in sorted(directory.glob("events.out.tfevents.*")):
        try:
            for record in tf.data.TFRecordDataset(str(file)):
                event = tf.compat.v1.Event.FromString(record.numpy())
                values = [value for value in event.summary.value if value.tag == VALIDATION_PICTURE]
                if values:
                    found[event.step] = tf.compat.v1.Summary(value=values).SerializeToString()
        except tf.errors.DataLossError:  # The file ends where a process was killed.
            continue
    return found


def graph_of(summary: Summary) -> tf.compat.v1.GraphDef:
    """Return a network as TensorBoard's Graphs tab draws one: a node for each layer, edges labelled with shapes."""
    graph = tf.compat.v1.GraphDef()
    _add_node(graph, INPUT_NAME, "Input", summary.input_shape)
    for row in summary.rows:
        node = _add_node(graph, row.name, row.type, row.output_shape)
        node.input.extend(row.inputs)
        node.attr["parameters"].i = row.params
        node.attr["multiply_accumulates"].i = row.macs
    return graph


def _add_node(graph: tf.compat.v1.GraphDef, name: str, kind: str, shape: Shape) -> Any:
    """Add a node with one output, whose first axis is the batch."""
    node = graph.node.add(name=name, op=kind)
    made = node.attr["_output_shapes"].list.shape.add()
    for size in (-1, *shape):
        made.dim.add(size=size)
    return node


def first_images(setup: Setup) -> npt.NDArray[np.uint8]:
    """Return images of the first step as the network saw them, augmented, side by side."""
    chunk = setup.feed.first_batch()
    images, targets = (tf.gather(all_of_them, chunk.plan[0]) for all_of_them in (chunk.images, chunk.targets))
    # The whole batch is augmented: what is drawn depends on an image's place in it, and mixing on the others.
    seen = setup.loop.batch(images, targets, tf.constant(0), chunk.batch_size).inputs
    return grid_pixels(np.asarray(seen[:MOST_IMAGES], np.float32), IMAGES_ACROSS)


def first_kernels(setup: Setup) -> dict[str, npt.NDArray[np.uint8]]:
    """Return the filters of the first convolution by its name; nothing of a network without one."""
    with setup.loop.updates.averaged():
        found = next(activations.all_kernels(setup.model), None)
    return {} if found is None else {f"kernels/{found.layer}": kernel_pixels(found.weights, colours=None)}


def _scalars(values: dict[str, float], step: int) -> None:
    for name, value in values.items():
        if value is None:  # What was NaN.
            continue
        tf.summary.scalar(name, float(value), step=step)
