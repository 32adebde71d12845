"""When a loss or a gradient is no longer a finite number: what it was, where it began, and the evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from cnncli.engine.distribution.shards import Batch
from cnncli.engine.training.step_loop import StepLoop
from cnncli.errors import CnnError, RunError
from cnncli.files import durable
from cnncli.runs.run import Run


class DivergedError(CnnError):
    """The loss or a gradient is no longer a finite number."""


@dataclass(frozen=True)
class Finding:
    """Where the first number that is not finite appeared.

    Attributes:
        step: Number of the step, from 1.
        epoch: Number of the epoch, from 1.
        batch: Number of the batch in the epoch, from 1.
        what: "input", "output" of a layer, "loss", "gradient" of a layer, or "weights" of a layer after the step.
        layer: Name of the layer, or None.
        recent_losses: Losses of the steps before, oldest first.
        labels: Targets of the batch where they are one number an example, else none.
    """

    step: int
    epoch: int
    batch: int
    what: str
    layer: str | None
    recent_losses: list[float]
    labels: list[int]


def locate(loop: StepLoop, batch: Batch) -> tuple[str, str | None]:
    """Return what was not finite first for a batch, and in which layer."""
    model = loop.model
    if not _finite(batch.inputs):
        return "input", None
    names = [layer.name for layer in model.layers]
    with tf.GradientTape() as tape:
        looked_at = {"layers": [layer.output for layer in model.layers], "end": model.output}
        # `call`: of parts of images, which a model itself would refuse.
        made = keras.Model(model.inputs, looked_at).call(batch.inputs, training=True)
        for name, output in zip(names, made["layers"], strict=True):
            if not _finite(output):
                return "output", name
        loss = loop.objective.loss(batch.targets, made["end"])
    if not _finite(loss):
        return "loss", None
    weights = [(layer.name, v) for layer in model.layers for v in layer.trainable_variables]
    gradients = tape.gradient(loss, [variable.value for _, variable in weights])
    # Gradients flow from the loss backwards, so the first bad one is the last layer's.
    bad = [name for (name, _), gradient in zip(weights, gradients, strict=True) if not _finite(gradient)]
    return "gradient", bad[-1] if bad else None


def save_evidence(run: Run, finding: Finding, images: npt.NDArray[np.uint8]) -> str:
    """Write the batch as PNG files and the finding as JSON; return where a user finds them."""
    directory = run.path / f"diverged-step-{finding.step:08d}"
    try:
        durable.make_directories(run.own(directory))
        _write_images(directory, images, finding.labels)
        run.write_json(directory / "finding.json", asdict(finding))
    except (OSError, RunError) as error:
        return f"The batch cannot be written to {directory}: {error}"
    return f"The batch is in {directory}"


def _write_images(directory: Path, images: npt.NDArray[np.uint8], labels: Sequence[int]) -> None:
    from PIL import Image

    names = [f"-class-{label}" for label in labels] or [""] * len(images)
    for number, (image, name) in enumerate(zip(images, names, strict=True)):
        pixels = image.squeeze(-1) if image.shape[-1] == 1 else image
        content = BytesIO()
        Image.fromarray(pixels).save(content, "PNG")
        durable.replace_file(directory / f"{number:04d}{name}.png", content.getbuffer(), wait=False)


def error(finding: Finding, evidence: str, run: Run) -> DivergedError:
    """Return the error that tells a user what happened and what to try."""
    where = f" of layer {finding.layer}" if finding.layer else ""
    losses = ", ".join(f"{loss:.3g}" for loss in finding.recent_losses[-5:]) or "none"
    return DivergedError(
        f"training diverged at step {finding.step:,} (epoch {finding.epoch}, batch {finding.batch}): "
        f"non-finite values in the {finding.what}{where}; the last losses were {losses}",
        "Lower the optimizer's learning_rate, add warmup_epochs to the schedule, or set train.clip_norm: 1.0.\n"
        f"  {evidence}; the last good checkpoint is kept:\n"
        f"  cnn resume {run.path} --set train.clip_norm=1.0",
    )


def _finite(tensor: tf.Tensor) -> bool:
    return bool(tf.reduce_all(tf.math.is_finite(tf.cast(tensor, tf.float32))))
