"""`cnn train --dry-run`: a few steps at the full batch, to know what the whole run will take."""

from __future__ import annotations

import math
from contextlib import suppress
from pathlib import Path
from time import perf_counter

import tensorflow as tf

from cnncli.analysis.rehearsal import Forecast
from cnncli.analysis.summary import summarize
from cnncli.config.schema.schema import Config
from cnncli.datasets import load as load_splits
from cnncli.engine.evaluation.predictor import Predictor
from cnncli.engine.input_pipeline.feed import cached
from cnncli.engine.runtime import configure, device_name
from cnncli.engine.training.setup import Setup
from cnncli.errors import CnnError
from cnncli.resources import peak_memory

MEASURED_SECONDS = 1.0
"""How long the measured steps may take; a slower single step is measured alone."""


def dry_run(config: Config) -> Forecast:
    """Take a few steps of a config's training and measure them; nothing is written.

    Raises:
        CnnError: If the data are missing, the memory does not suffice, or the first steps already diverge.
    """
    configure(config)
    splits = load_splits(config)
    memory = _Memory()
    setup = Setup.of(config, splits)
    setup.begin()
    compile_seconds, batch_size = _take_steps(setup, 1)
    seconds, _ = _take_steps(setup, 1)
    num_steps = min(max(1, int(MEASURED_SECONDS / seconds)), max(1, setup.steps_per_epoch - 1))
    if num_steps > 1:
        seconds, _ = _take_steps(setup, num_steps)
    arrays = setup.loop.state()
    return Forecast(
        device=device_name(),
        batch_size=batch_size,
        steps_per_epoch=setup.steps_per_epoch,
        epochs=config.train.epochs,
        compile_seconds=compile_seconds,
        step_seconds=seconds / num_steps,
        validation_seconds=_validation_seconds(setup),
        peak_bytes=memory.peak(),
        network_bytes=memory.grown(),
        estimated_bytes=summarize(config).memory.training,
        checkpoint_bytes=sum(array.nbytes for array in arrays.values()),
    )


def _take_steps(setup: Setup, number: int) -> tuple[float, int]:
    """Take the first steps of the first epoch; return the seconds and the examples of one."""
    begun = perf_counter()
    chunk = setup.feed.chunk(0, 0, number)
    losses = setup.loop.run(chunk, setup.rates(0, len(chunk.plan)), 0)
    seconds = perf_counter() - begun
    if len(losses) < len(chunk.plan):
        raise CnnError(
            f"the training diverges: a loss or gradient of step {len(losses) + 1} is not finite",
            "Lower the optimizer's learning_rate, add warmup_epochs to the schedule, or set train.clip_norm: 1.0.",
        )
    return seconds, chunk.batch_size


def _validation_seconds(setup: Setup) -> float:
    """Measure a batch of the validation split, and return the time of all."""
    split = setup.splits.validation
    if split is None:
        return 0.0
    predictor = Predictor(setup.model, setup.loop.preprocessing)
    images = cached(split, setup.loop.preprocessing).images[: predictor.batch_size]
    predictor.logits(images)  # compiles
    begun = perf_counter()
    predictor.logits(images)
    return (perf_counter() - begun) * math.ceil(len(split) / predictor.batch_size)


class _Memory:
    """The memory of what happens from here on."""

    def __init__(self) -> None:
        names = [gpu.name.removeprefix("/physical_device:") for gpu in tf.config.list_physical_devices("GPU")]
        self._gpu = names[0] if names else None
        if self._gpu is not None:
            tf.config.experimental.reset_memory_stats(self._gpu)
        else:
            _reset_peak()
        self._before = self.peak()

    def peak(self) -> int | None:
        """Return the most bytes held at one time, or None where the system does not say."""
        if self._gpu is not None:
            return int(tf.config.experimental.get_memory_info(self._gpu)["peak"])
        return peak_memory()

    def grown(self) -> int | None:
        """Return by how many bytes the peak has grown."""
        now = self.peak()
        return None if now is None or self._before is None else now - self._before


def _reset_peak() -> None:
    """Let Linux count the process's peak from now on; elsewhere it stays the peak of its whole life."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
