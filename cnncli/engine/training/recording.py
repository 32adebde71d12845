"""What a run keeps of its training: metrics, checkpoints, event files, the replay. Only one process writes it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt

from cnncli.analysis.summary import Summary
from cnncli.engine.training import divergence
from cnncli.engine.training.pace import CheckpointClock
from cnncli.engine.training.progress import Progress
from cnncli.engine.training.replay import Replay
from cnncli.engine.training.setup import Setup
from cnncli.engine.training.tensorboard import EventLog, first_images, first_kernels
from cnncli.runs.events import EpochDone
from cnncli.runs.run import Run
from cnncli.tasks.ood import KEY, OodDetector


class Recording:
    """Records a training in its run's directory, in an order that survives a crash at any moment.

    Of each epoch, the metrics are written first, then what the replay shows, then the checkpoint: every epoch that a
    checkpoint counts has both. Event files are rebuilt from the metrics.

    Args:
        run: The run, locked by the caller.
        setup: What is trained.
    """

    def __init__(self, run: Run, setup: Setup) -> None:
        self.run = run
        self._setup = setup
        self._writes = setup.strategy.is_chief
        self._clock = CheckpointClock(setup.config.train.checkpoint)
        self._saved: Progress | None = None
        self._detector: OodDetector | None = None
        self._replay: Replay | None = None
        self._event_log: EventLog | None = None

    @contextmanager
    def opened(self, summary: Summary) -> Iterator[None]:
        """Keep the event files open while a block runs.

        Args:
            summary: The network, for TensorBoard's text and graph tabs.

        Raises:
            RunError: If the files cannot be written, here or later.
        """
        if not self._writes:
            yield
            return
        if self._setup.config.train.replay:
            self._replay = Replay(self.run, self._setup)
        pictures = self._replay.images if self._replay is not None else lambda _: {}
        log = EventLog(self.run.own(self.run.tensorboard_dir), summary, self.run.metrics(), pictures)
        self._event_log = log
        try:
            log.write_pictures(0, {"training_images": first_images(self._setup)})
            yield
        finally:
            log.close()
            self._event_log = None

    def go_back(self, progress: Progress) -> None:
        """Discard what was recorded after the checkpoint that training resumes from."""
        self._saved = progress
        self.run.truncate_metrics(progress.epoch)

    def begin(self, progress: Progress) -> None:
        """Record the network before its first step."""
        if self._replay is not None:
            self._replay.save(0)
        self.save(progress)

    def steps_left(self, progress: Progress) -> int:
        """Return the number of steps until the next one that must be saved."""
        return self._clock.steps_left(progress.step)

    def is_save_due(self, progress: Progress) -> bool:
        """Say whether the config wants the state saved within an epoch, after the steps taken so far."""
        return self._saved != progress and progress.batch > 0 and self._clock.is_due(progress.step)

    def epoch_done(
        self,
        event: EpochDone,
        progress: Progress,
        is_last: bool,
        detector: OodDetector | None = None,
        picture: npt.NDArray[np.uint8] | None = None,
    ) -> None:
        """Record an epoch, whose sums have been reset by now.

        Args:
            event: The epoch.
            progress: Where training is.
            is_last: Whether no other epoch follows.
            detector: Of images unlike those of validation.
            picture: What the network makes of the first validation images, for TensorBoard.
        """
        if not self._writes:
            return
        self._detector = detector
        self.run.append_metrics(event.to_json())
        if self._replay is not None:
            with self._setup.loop.updates.averaged():
                self._replay.save(event.epoch)
        # Before the checkpoint: of an epoch that it knows, a resumed run finds the picture in the former event files.
        if self._event_log is not None and picture is not None:
            self._event_log.write_validation_picture(event.step, picture)
        if event.is_best or self._clock.is_due(event.step, event.epoch) or is_last:
            self.save(progress, best=event.is_best)
        if self._event_log is not None:
            self._event_log.write(event.to_json())

    def end(self, progress: Progress) -> None:
        """Save the state in which training stopped, if it is not saved yet."""
        if self._saved != progress:
            self.save(progress)
        # The replay's pictures show them after every epoch.
        if self._event_log is not None and self._replay is None:
            self._event_log.write_pictures(progress.step, first_kernels(self._setup))

    def save(self, progress: Progress, best: bool = False) -> None:
        """Write a checkpoint of the current step."""
        if not self._writes:
            return
        arrays = self._setup.loop.state()
        # It belongs to the weights at the epoch's end, and to no others.
        detector = self._detector if progress.batch == 0 else None
        self.run.checkpoints.save(
            progress.step,
            arrays,
            {"progress": progress.to_json(), **({} if detector is None else {KEY: detector.to_json()})},
            weights=[name for name in arrays if name.startswith("model/")],
            best=best,
            keep=self._setup.config.train.checkpoint.keep,
        )
        self._saved = progress
        self._clock.saved()

    def diverged(self, finding: divergence.Finding, images: npt.NDArray[np.uint8]) -> divergence.DivergedError:
        """Save the evidence of a divergence, and return the error that reports it."""
        evidence = (
            divergence.save_evidence(self.run, finding, images)
            if self._writes
            else "The chief writes its part of the batch"
        )
        return divergence.error(finding, evidence, self.run)
