"""One run from its current step to its end."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import replace
from time import perf_counter

import numpy as np
import tensorflow as tf

from cnncli.config.schema.schema import Config
from cnncli.datasets.splits import Splits
from cnncli.engine import runtime
from cnncli.engine.evaluation.predictor import BATCH_SIZE, Predictor
from cnncli.engine.input_pipeline.feed import Chunk, hold, make_feed
from cnncli.engine.input_pipeline.preprocessing import Preprocessing
from cnncli.engine.network.adapt import measure, settle
from cnncli.engine.network.model import build
from cnncli.engine.network.transfer import take_weights
from cnncli.engine.tasks.classification import CrossEntropy
from cnncli.engine.training import divergence
from cnncli.engine.training.pace import CheckpointClock, Pace
from cnncli.engine.training.progress import Progress
from cnncli.engine.training.replay import Replay
from cnncli.engine.training.signals import StopRequest
from cnncli.engine.training.step_loop import Learner
from cnncli.engine.training.tensorboard import EventLog
from cnncli.runs.checkpoint import Checkpoint
from cnncli.runs.events import EpochDone, Listener, Started, StepsDone
from cnncli.runs.find import evaluated_weights
from cnncli.runs.run import Run
from cnncli.tasks.classification.class_weights import class_weights
from cnncli.tasks.classification.evaluation import Evaluation


class Trainer:
    """Trains one run: epochs, validation, metrics, checkpoints.

    Args:
        config: The run's config.
        run: The run's directory, locked by the caller.
        splits: The run's examples.
        listener: Hears of progress.
    """

    def __init__(self, config: Config, run: Run, splits: Splits, listener: Listener) -> None:
        self.config = config
        self.run = run
        self.progress = Progress()
        self.notes: tuple[str, ...] = ()
        self.listener = listener
        self._preprocessing = preprocessing = Preprocessing(config.data)
        self.model = build(config)
        self.feed = make_feed(splits.train, preprocessing, config.seed, config.train.batch_size)
        self.validation = None if splits.validation is None else hold(splits.validation, preprocessing)
        weights = class_weights(config.train.loss.class_weights, splits.classes, splits.train.labels)
        self.learner = Learner(config, self.model, preprocessing, CrossEntropy(config.train.loss, weights))
        self.predictor = Predictor(self.model, preprocessing)
        self._replay: Replay | None = None
        self._pace = Pace()
        self._recent_losses: deque[float] = deque(maxlen=20)
        self._saved: Progress | None = None
        self._clock = CheckpointClock(config.train.checkpoint)

    @property
    def steps_per_epoch(self) -> int:
        """Number of steps of an epoch; the last may be of fewer examples."""
        return math.ceil(self.feed.num_examples / self.config.train.batch_size)

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to train."""
        return self.progress.epoch >= self.config.train.epochs or self.progress.stopped_early(self.config.train)

    def begin(self, source: Checkpoint | None = None) -> None:
        """Give a new run's network what is measured on the data, and what it takes from another run's checkpoint."""
        measure(self.config, self.model, self.feed, self._preprocessing)
        start = self.config.train.start_from
        if start is not None and source is not None:
            arrays = evaluated_weights(source.arrays)
            taken = take_weights(self.model, arrays, start.layers, f"{start.run} {source.path.name}")
            self.notes += taken.lines()
        settle(self.model)
        faster = runtime.hint(self.config, self.feed.num_examples)
        self.notes += () if faster is None else (faster,)

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go to where a checkpoint was written.

        Raises:
            CheckpointError: If it is of another network or optimizer.
        """
        self.learner.restore(checkpoint.arrays)
        settle(self.model)
        self.progress = self._saved = Progress.from_json(checkpoint.meta["progress"])
        self.run.truncate_metrics(self.progress.epoch)

    def train(self, stop: StopRequest, event_log: EventLog, replay: Replay | None = None) -> None:
        """Train to the end, or until a stop is asked for; either way the last state is a checkpoint."""
        self._replay = replay
        if self.progress.step == 0:
            if replay is not None:
                replay.keep(0)
            self._save()
        self.listener.started(self._started())
        try:
            while not self.finished and not self._must_stop(stop):
                self._train_epoch(stop)
                if self.progress.batch == self.steps_per_epoch:
                    self._end_epoch(stop, event_log)
        finally:
            self.listener.ended()
        if self._saved != self.progress:
            self._save()

    def _must_stop(self, stop: StopRequest) -> bool:
        return stop.signal is not None or self.progress.out_of_time(self.config.train)

    def _started(self) -> Started:
        from cnncli.engine.runtime import device_name

        return Started(
            run=str(self.run.path),
            device=device_name(),
            epochs=self.config.train.epochs,
            steps_per_epoch=self.steps_per_epoch,
            num_examples=self.feed.num_examples,
            num_validation=0 if self.validation is None else len(self.validation.labels),
            num_params=self.model.count_params(),
            resumed_at=self.progress.step or None,
            notes=self.notes + self._about_the_loss(),
        )

    def _about_the_loss(self) -> tuple[str, ...]:
        """Return a line about what the loss shown leaves out, if that is anything."""
        penalty = self.learner.penalty()
        if penalty is None:
            return ()
        added = f"the regularizers now add {penalty:.4f} to it"
        return (f"The loss shown is the cross-entropy; {added} (regularization_loss in metrics.jsonl).",)

    def _train_epoch(self, stop: StopRequest) -> None:
        """Take the rest of the epoch's steps, or those until a stop is asked for."""
        while self.progress.batch < self.steps_per_epoch and not self._must_stop(stop):
            self._take_steps(min(self._pace.batches, self._clock.steps_left(self.progress.step)))
            if self._clock.is_due(self.progress.step) and self.progress.batch < self.steps_per_epoch:
                self._save()

    def _take_steps(self, limit: int) -> None:
        """Take at most `limit` steps; the time that their examples are waited for counts."""
        begun = perf_counter()
        chunk = self.feed.chunk(self.progress.epoch, self.progress.batch, limit)
        rates = self.rates(self.progress.step, len(chunk.plan))
        losses = self.learner.run(chunk, rates, self.progress.step)
        seconds = perf_counter() - begun
        self._recent_losses.extend(losses.tolist())
        self.progress = self.progress.after_steps(len(losses), seconds)
        if len(losses) < len(chunk.plan):
            raise self._diverged(chunk, len(losses))
        spoiled = self.learner.spoiled_layer()
        if spoiled is not None:
            raise self._diverged(chunk, len(losses) - 1, ("weights", spoiled))
        self._pace.measured(len(losses), seconds)
        means = self.learner.means()
        rate = chunk.plan.size / seconds
        self.listener.steps_done(
            StepsDone(
                epoch=self.progress.epoch + 1,
                batch=self.progress.batch,
                loss=means.loss,
                accuracy=means.accuracy,
                images_per_second=rate,
                learning_rate=float(rates[-1, 0]),
            )
        )

    def _diverged(
        self, chunk: Chunk, batch: int, where: tuple[str, str | None] | None = None
    ) -> divergence.DivergedError:
        """Find out what was not finite in a batch of a chunk, keep the evidence, and return the error."""
        indices = chunk.plan[batch]
        images, labels = tf.gather(chunk.images, indices), tf.gather(chunk.labels, indices)
        what, layer = where or divergence.locate(self.learner, self.learner.batch(images, labels, self.progress.step))
        # Steps whose loss or gradient is not finite are not taken, so they are not counted yet.
        not_taken = 0 if what == "weights" else 1
        finding = divergence.Finding(
            step=self.progress.step + not_taken,
            epoch=self.progress.epoch + 1,
            batch=self.progress.batch + not_taken,
            what=what,
            layer=layer,
            recent_losses=list(self._recent_losses),
            labels=np.asarray(labels).tolist(),
        )
        return divergence.error(finding, divergence.keep_evidence(self.run, finding, np.asarray(images)), self.run)

    def rates(self, first_step: int, num_steps: int) -> np.ndarray:
        """Return the learning rates of the next steps, float32 (num_steps, groups)."""
        train = self.config.train
        steps = range(first_step, first_step + num_steps)
        factors = [train.schedule.rate(1.0, step, self.steps_per_epoch, train.epochs) for step in steps]
        bases = self.learner.updates.base_rates * self.progress.plateau_factor
        return np.outer(factors, bases).astype(np.float32)

    def _end_epoch(self, stop: StopRequest, event_log: EventLog) -> None:
        """Validate and go to the next epoch; after a signal stay at the end of this one, to validate when resumed."""
        validation = self._validate(stop)
        if validation is None:
            return
        means, seconds = self.learner.means(), self.progress.seconds
        event = EpochDone(
            epoch=self.progress.epoch + 1,
            step=self.progress.step,
            learning_rate=float(self.rates(self.progress.step - 1, 1)[0, 0]),
            seconds=seconds,
            images_per_second=self.feed.num_examples / seconds,
            train=means.by_name(),
            validation=validation,
        )
        self.progress = self.progress.after_epoch(event.named(), self.config.train)
        best = self.progress.best
        event = replace(event, is_best=best is not None and best.epoch == event.epoch)
        self.learner.reset_means()
        self.run.append_metrics(event.to_json())
        if self._replay is not None:
            with self.learner.updates.averaged():
                self._replay.keep(event.epoch)
        if event.is_best or self._clock.is_due(event.step, event.epoch) or self.finished:
            self._save(best=event.is_best)
        event_log.write(event.to_json())
        self.listener.epoch_done(event)

    def _validate(self, stop: StopRequest) -> dict[str, float] | None:
        """Return loss and accuracy on the validation split, nothing where there is none; None if a signal came."""
        if self.validation is None:
            return {}
        images, parts = self.validation.images, []
        with self.learner.updates.averaged():
            for start in range(0, len(images), BATCH_SIZE):
                if stop.signal is not None:
                    return None
                parts.append(self.predictor.logits(images[start : start + BATCH_SIZE]))
        evaluation = Evaluation.from_logits("validation", (), self.validation.labels, np.concatenate(parts))
        return {"loss": evaluation.loss, "accuracy": evaluation.accuracy}

    def _save(self, best: bool = False) -> None:
        """Write a checkpoint of this very step."""
        arrays = self.learner.state()
        self.run.checkpoints.save(
            self.progress.step,
            arrays,
            {"progress": self.progress.to_json()},
            weights=[name for name in arrays if name.startswith("model/")],
            best=best,
            keep=self.config.train.checkpoint.keep,
        )
        self._saved = self.progress
        self._clock.saved()
