"""Who works on a run: the one place that knows whether there are other workers.

A step loop adds up and agrees through its strategy, and only the strategy's writer writes to the run. A single process
has nothing to exchange; several workers (with `tf.distribute`'s collectives) are another class with the same members.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import tensorflow as tf


class Strategy(Protocol):
    """How the processes of one training share its work.

    Attributes:
        num_workers: Number of processes.
        is_writer: Whether this one writes the run's files: exactly one does.
    """

    num_workers: int
    is_writer: bool

    def add_up(self, tensors: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """Return the sums of additive tensors over all workers: gradients, losses, counts. Part of the step's graph."""
        ...

    def agree(self, finite: tf.Tensor) -> tf.Tensor:
        """Return whether a flag is true on every worker: all take a step, or none does. Part of the step's graph."""
        ...


class OneProcess:
    """One process, which has the whole batch: nothing is exchanged."""

    num_workers = 1
    is_writer = True

    def add_up(self, tensors: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """Return the tensors."""
        return list(tensors)

    def agree(self, finite: tf.Tensor) -> tf.Tensor:
        """Return the flag."""
        return finite


def make_strategy() -> Strategy:
    """Return the strategy of this process."""
    return OneProcess()
