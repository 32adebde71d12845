"""How many trainings this machine's memory bears at once."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from cnncli.analysis.rules.known_sets import num_training_examples
from cnncli.analysis.summary import summarize
from cnncli.config.schema.schema import Config
from cnncli.errors import CnnError
from cnncli.resources import available_memory, memory_of, total_memory
from cnncli.sweeps.proposal import Proposal
from cnncli.sweeps.spec import Sweep

PROCESS = 700_000_000
"""Bytes that a training takes besides its network: a training of digits_lenet peaks at 0.68 GB (TensorFlow 2.21)."""

MOST_FOR_EXAMPLES = 2**30
"""Larger splits stay on the disk."""


def forecast(config: Config) -> int:
    """Return the bytes that a training of a config takes at its peak on the CPU: an estimate, without TensorFlow."""
    examples = (num_training_examples(config.data) or 0) * prod(config.input_shape)
    return PROCESS + min(examples, MOST_FOR_EXAMPLES) + summarize(config).memory.training


class MemoryBound:
    """Whether there is room for one more training, given those that run.

    Where the system does not tell how much memory there is, there is room.

    Args:
        sweep: The sweep.
    """

    def __init__(self, sweep: Sweep) -> None:
        self._sweep = sweep
        self._forecasts: dict[int, int] = {}

    def has_room(self, proposal: Proposal, running: Mapping[int, Proposal]) -> bool:
        """Say whether a training fits beside others, which may not have taken yet what they will.

        Args:
            proposal: What would be trained.
            running: What is trained, by the number of the process.
        """
        available = available_memory()
        if available is None:
            return True
        promised = [self._needed(each) - (memory_of(pid) or 0) for pid, each in running.items()]
        return self._needed(proposal) + sum(max(0, more) for more in promised) <= available

    def require_possible(self, proposal: Proposal) -> None:
        """Refuse a training that would not fit even if it were alone.

        Raises:
            CnnError: With what it needs and what there is.
        """
        total, needed = total_memory(), self._needed(proposal)
        if total is not None and needed > total:
            raise CnnError(
                f"the training of trial {proposal.number} needs about {needed / 1e9:.1f} GB of memory, "
                f"this machine has {total / 1e9:.1f} GB",
                "Narrow sweep.space, or add a condition such as train.batch_size <= 64, and begin under another name; "
                "or go on with this one on a larger machine.",
            )

    def _needed(self, proposal: Proposal) -> int:
        if proposal.number not in self._forecasts:
            self._forecasts[proposal.number] = forecast(self._sweep.config(proposal.params))
        return self._forecasts[proposal.number]
