"""How many steps run before Python is asked again, and when a checkpoint is due."""

from __future__ import annotations

import sys
from time import monotonic

from cnncli.config.schema.schema import Checkpoint


class Pace:
    """Chooses chunks that take about half a second, so that progress moves and Ctrl-C is heard.

    Attributes:
        batches: Number of batches for the next chunk.
    """

    seconds = 0.5

    def __init__(self) -> None:
        self.batches = 1
        self._first = True

    def measured(self, batches: int, seconds: float) -> None:
        """Learn from a chunk; the very first also compiled the loop and says nothing."""
        if self._first:
            self._first = False
            self.batches = 4
            return
        ideal = int(self.seconds * batches / max(seconds, 1e-6))
        self.batches = max(1, min(ideal, 4 * self.batches))


class CheckpointClock:
    """Says when the config wants a checkpoint.

    Args:
        checkpoint: The config's `train.checkpoint`.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        every = {"epochs": 1} if checkpoint.every == "epoch" else checkpoint.every
        self._epochs = every.get("epochs")
        self._steps = every.get("steps")
        self._minutes = every.get("minutes")
        self._saved_at = monotonic()

    def saved(self) -> None:
        """Note that a checkpoint is on the disk."""
        self._saved_at = monotonic()

    def steps_left(self, step: int) -> int:
        """Return the number of steps until one that must be saved."""
        return sys.maxsize if self._steps is None else self._steps - step % self._steps

    def is_due(self, step: int, ended_epoch: int | None = None) -> bool:
        """Say whether a checkpoint is due after `step` steps, and at the end of epoch `ended_epoch` (from 1)."""
        if self._steps is not None and step % self._steps == 0:
            return True
        if self._epochs is not None and ended_epoch is not None and ended_epoch % self._epochs == 0:
            return True
        return self._minutes is not None and monotonic() - self._saved_at >= 60 * self._minutes
