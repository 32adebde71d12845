"""One training from its current step to its end."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from cnncli.datasets.targets import Targets
from cnncli.engine import runtime
from cnncli.engine.distribution.strategy import Orders
from cnncli.engine.evaluation.predictor import Predictor
from cnncli.engine.input_pipeline.feed import Chunk, cached
from cnncli.engine.network.adapt import freeze_statistics
from cnncli.engine.network.pretrained import Source
from cnncli.engine.training import divergence
from cnncli.engine.training.pace import Pace
from cnncli.engine.training.progress import Progress
from cnncli.engine.training.recording import Recording
from cnncli.engine.training.setup import Setup
from cnncli.engine.training.signals import StopRequest
from cnncli.errors import RunError
from cnncli.runs.checkpoint import Checkpoint
from cnncli.runs.events import EpochDone, Listener, Started, StepsDone
from cnncli.tasks.ood import OodDetector
from cnncli.tasks.predictions import PredictionOptions
from cnncli.tasks.task import task_of

MOST_PICTURED = 4
"""Validation images that TensorBoard shows after every epoch, where the task draws them."""


class Trainer:
    """Runs epochs: steps, validation, and the decisions that follow from them.

    Args:
        setup: What is trained, on what.
        recording: Keeps what comes of it.
        listener: Hears of progress.
    """

    def __init__(self, setup: Setup, recording: Recording, listener: Listener) -> None:
        self.setup = setup
        self.recording = recording
        self.listener = listener
        self.progress = Progress()
        self.notes: tuple[str, ...] = ()
        self._config, self._loop, self._feed = setup.config, setup.loop, setup.feed
        self._task = task_of(setup.config)
        split = setup.splits.validation
        # The chief validates, the others wait.
        reads = split is not None and setup.strategy.is_chief
        self._validation = cached(split, setup.loop.preprocessing) if split is not None and reads else None
        self._predictor = Predictor(setup.model, setup.loop.preprocessing)
        self._pace = Pace()
        self._recent_losses: deque[float] = deque(maxlen=20)

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to train."""
        train = self._config.train
        return self.progress.epoch >= train.epochs or self.progress.stopped_early(train)

    def begin(self, source: Source | None = None) -> None:
        """Give a new run's network what it takes from the examples, and from another run or a file."""
        if source is not None:
            self.recording.run.update(started_from=source.record)
        faster = runtime.hint(self._config, self._feed.num_examples)
        self.notes += self.setup.begin(source) + (() if faster is None else (faster,))

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go to where a checkpoint was written.

        Raises:
            CheckpointError: If it is of another network or optimizer.
        """
        self._loop.restore(checkpoint.arrays)
        freeze_statistics(self.setup.model)
        self.progress = Progress.from_json(checkpoint.meta.get("progress"))
        self.recording.go_back(self.progress)

    def share_state(self) -> None:
        """Give every worker the chief's state, and how far it has come."""
        strategy = self.setup.strategy
        if strategy.num_workers > 1:
            self._loop.restore(strategy.broadcast_arrays(self._loop.state()))
            freeze_statistics(self.setup.model)
            self.progress = Progress.from_json(strategy.broadcast(self.progress.to_json()))

    def _require_same_state(self) -> None:
        """Raise RunError if the workers no longer have the same state, bit by bit, though they compute alike."""
        strategy = self.setup.strategy
        if strategy.num_workers == 1:
            return
        if strategy.differences:  # Rounding drives them apart: all go on with the chief's.
            self._loop.restore(strategy.broadcast_arrays(self._loop.state()))
            return
        digests = strategy.gather(_digest(self._loop.state()))
        odd = [str(rank) for rank, digest in enumerate(digests) if digest != digests[0]]
        if odd:
            raise RunError(
                f"the states of the workers differ after step {self.progress.step:,}: that of worker {', '.join(odd)} "
                "is not the chief's",
                "Resume from the last checkpoint, which is good. Look for faulty memory in one of the machines.",
            )

    def _save(self) -> None:
        self._require_same_state()
        self.recording.save(self.progress)

    def _locate(self, images: tf.Tensor, targets: tf.Tensor, batch_size: int) -> tuple[str, str | None]:
        """Return what was not finite first in this worker's rows of a batch, and in which layer."""
        return divergence.locate(self._loop, self._loop.batch(images, targets, self.progress.step, batch_size))

    def train(self, stop: StopRequest) -> None:
        """Train to the end, or until a stop is asked for; either way the last state is a checkpoint."""
        if self.progress.step == 0:
            self.recording.begin(self.progress)
        self.listener.started(self._started())
        try:
            while not self.finished and self._train_epoch(stop) and self._end_epoch(stop):
                pass
        finally:
            self.listener.ended()
        self._require_same_state()
        self.recording.end(self.progress)

    def _orders(self, stop: StopRequest) -> Orders:
        """Agree with all workers on the next steps; a signal that one of them got is one to all."""
        must_stop = stop.is_due(self.progress.epoch) or self.progress.out_of_time(self._config.train)
        limit = min(self._pace.batches, self.recording.steps_left(self.progress))
        own = Orders(0 if must_stop else limit, self.recording.is_save_due(self.progress), stop.signal or 0)
        agreed = self.setup.strategy.agree(own)
        if agreed.signal:
            stop.hear(agreed.signal)
        return agreed._replace(batches=0) if agreed.signal else agreed

    def _started(self) -> Started:
        return Started(
            run=str(self.recording.run.path),
            device=runtime.device_name(),
            epochs=self._config.train.epochs,
            steps_per_epoch=self.setup.steps_per_epoch,
            num_examples=self._feed.num_examples,
            num_validation=0 if self._validation is None else len(self._validation.targets),
            num_params=self.setup.model.count_params(),
            metric=self._config.task_spec.primary.name,
            resumed_at=self.progress.step or None,
            notes=self.notes + self._about_the_loss(),
            training_metric=next(m.name for m in self._config.task_spec.training_metrics if m.primary),
        )

    def _about_the_loss(self) -> tuple[str, ...]:
        """Return a line about what the loss shown leaves out, if that is anything."""
        penalty = self._loop.penalty()
        if penalty is None:
            return ()
        added = f"the regularizers now add {penalty:.4f} to it"
        return (f"The loss shown is the {self._task.loss_name}; {added} (regularization_loss in metrics.jsonl).",)

    def _train_epoch(self, stop: StopRequest) -> bool:
        """Take the rest of the epoch's steps, or those until a stop is asked for; return whether none is left."""
        while self.progress.batch < self.setup.steps_per_epoch:
            orders = self._orders(stop)
            if orders.is_save_due:
                self._save()
            if not orders.batches:
                return False
            self._take_steps(orders.batches)
        return True

    def _take_steps(self, limit: int) -> None:
        """Take at most `limit` steps; the time that their examples are waited for counts."""
        begun = perf_counter()
        chunk = self._feed.chunk(self.progress.epoch, self.progress.batch, limit)
        rates = self._rates(self.progress.step, len(chunk.plan))
        losses = self._loop.run(chunk, rates, self.progress.step)
        seconds = perf_counter() - begun
        self._recent_losses.extend(losses.tolist())
        self.progress = self.progress.after_steps(len(losses), seconds)
        if len(losses) < len(chunk.plan):
            raise self._diverged(chunk, len(losses))
        layer = self._loop.non_finite_layer()
        if layer is not None:
            raise self._diverged(chunk, len(losses) - 1, ("weights", layer))
        self._pace.measured(len(losses), seconds)
        self.listener.steps_done(
            StepsDone(
                epoch=self.progress.epoch + 1,
                batch=self.progress.batch,
                metrics=self._loop.means().by_name(),
                images_per_second=chunk.num_examples / seconds,
                learning_rate=float(rates[-1, 0]),
            )
        )

    def _rates(self, first_step: int, num_steps: int) -> np.ndarray:
        return self.setup.rates(first_step, num_steps, self.progress.plateau_factor)

    def _diverged(
        self, chunk: Chunk, batch: int, where: tuple[str, str | None] | None = None
    ) -> divergence.DivergedError:
        """Find out what was not finite in a batch of a chunk, keep the evidence, and return the error."""
        indices = chunk.plan[batch]
        images, targets = tf.gather(chunk.images, indices), tf.gather(chunk.targets, indices)
        what, layer = where or self._located_by_all(images, targets, chunk.batch_size)
        # Steps whose loss or gradient is not finite are not taken, so they are not counted yet.
        not_taken = 0 if what == "weights" else 1
        finding = divergence.Finding(
            step=self.progress.step + not_taken,
            epoch=self.progress.epoch + 1,
            batch=self.progress.batch + not_taken,
            what=what,
            layer=layer,
            recent_losses=list(self._recent_losses),
            labels=np.asarray(targets).tolist() if targets.shape.rank == 1 else [],
        )
        error = self.recording.diverged(finding, np.asarray(images))
        self.setup.strategy.wait_for_all()  # Nobody ends before the chief has written it.
        return error

    def _located_by_all(self, images: tf.Tensor, targets: tf.Tensor, batch_size: int) -> tuple[str, str | None]:
        """Return what was not finite first, and in which layer, in the rows of whichever worker saw it."""
        found = self.setup.strategy.gather(self._locate(images, targets, batch_size))
        what, layer = next((each for each in found if each[1] or each[0] != "gradient"), found[0])
        return what, layer

    def _end_epoch(self, stop: StopRequest) -> bool:
        """Validate and go to the next epoch; after a signal stay at the end of this one, to validate when resumed.

        Returns:
            Whether there is a next epoch to go to.
        """
        validation = self._validated(stop)
        if validation is None:
            return False
        means, seconds = self._loop.means(), self.progress.seconds
        event = EpochDone(
            epoch=self.progress.epoch + 1,
            step=self.progress.step,
            learning_rate=float(self._rates(self.progress.step - 1, 1)[0, 0]),
            seconds=seconds,
            images_per_second=self._feed.num_examples / seconds,
            train=means.by_name(),
            validation=validation.metrics,
        )
        self.progress = self.progress.after_epoch(event.named(), self._config)
        best = self.progress.best
        event = replace(event, is_best=best is not None and best.epoch == event.epoch)
        self._loop.reset_means()
        self._require_same_state()
        self.recording.epoch_done(event, self.progress, self.finished, validation.detector, validation.picture)
        self.listener.epoch_done(event)
        return True

    def _validated(self, stop: StopRequest) -> _Validated | None:
        """Return what came of the chief's validation; None if a signal came."""
        strategy = self.setup.strategy
        own = self._validate(stop) if strategy.is_chief else None
        told = strategy.broadcast((own.metrics, None) if own is not None else (None, stop.signal))
        metrics, signal = told
        if signal is not None:
            stop.hear(signal)
        return own if strategy.is_chief else None if metrics is None else _Validated(metrics, None, None)

    def _validate(self, stop: StopRequest) -> _Validated | None:
        """Return the metrics of the validation split, none where there is none; None if a signal came."""
        if self._validation is None:
            return _Validated({}, None, None)
        images, targets = self._validation.images, self._validation.targets
        options = PredictionOptions.of(self._config.data, self.setup.splits.classes)
        evaluator, size = self._task.evaluator("validation", options), self._predictor.batch_size
        picture = None
        with self._loop.updates.averaged():
            for start in range(0, len(images), size):
                if stop.signal is not None:
                    return None
                rows = np.arange(start, min(start + size, len(images)))
                outputs, known = self._predictor.logits(images[start : start + size]), targets.take(rows)
                evaluator.update(outputs, known)
                if start == 0:
                    picture = self._picture(images[:MOST_PICTURED], known.take(rows[:MOST_PICTURED]), outputs)
        result = evaluator.result()
        scalars = result.scalars()
        metrics = {metric.name: scalars[metric.name] for metric in self._config.task_spec.metrics}
        return _Validated(metrics, self._task.ood_detector(result), picture)

    def _picture(self, images: tf.Tensor, targets: Targets, outputs: Any) -> npt.NDArray[np.uint8] | None:
        """Return what the network makes of the first validation images, where the task draws that."""
        shown = tf.nest.map_structure(lambda array: array[: len(targets)], outputs)
        fitted = targets.fit(self._config.data)
        return self._task.pages.progress_picture(np.asarray(images), fitted, shown, self.setup.splits.classes)


def _digest(arrays: Mapping[str, np.ndarray]) -> str:
    """Return a hash of all bits of a state."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(arrays[name]).tobytes())
    return digest.hexdigest()


class _Validated(NamedTuple):
    """What came of a validation: metrics; where the task has them, a detector of images unlike these, and a picture."""

    metrics: dict[str, float]
    detector: OodDetector | None
    picture: npt.NDArray[np.uint8] | None
