"""Who works on a run: the one place that knows whether there are other workers.

The step loop and the trainer see none of it but this interface. One process has the whole batch and everything to
itself; several workers (`engine.distribution.workers`) are another class with the same members.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np

from cnncli.config.schema.schema import Config
from cnncli.engine.distribution.tree import Structure, add_tree
from cnncli.engine.input_pipeline.share import Share
from cnncli.errors import CnnError
from cnncli.workers.launcher import PEER_LOST

Document = TypeVar("Document")


class Orders(NamedTuple):
    """What all workers do next.

    Attributes:
        batches: Number of batches of the next steps; 0 to stop.
        is_save_due: Whether the state is saved before them.
        signal: Number of a signal that one of them got, or 0.
    """

    batches: int
    is_save_due: bool = False
    signal: int = 0


class Route(NamedTuple):
    """How workers make a sum.

    Attributes:
        bytes_sent: What each of them sends, or writes to memory.
        in_memory: Whether they add up in memory that all of them see, and send no messages.
    """

    bytes_sent: int
    in_memory: bool = False


class WorkerLostError(CnnError):
    """Another worker is gone; nothing is wrong with this one."""

    exit_code = PEER_LOST


class Strategy(Protocol):
    """How the processes of one training share its work. All call the same members in the same order.

    Attributes:
        rank: Number of this process, from 0.
        num_workers: Number of processes.
        share: The rows of every batch that this one computes.
        differences: In what the processes differ, so that the run is not exact; a line each.
    """

    rank: int
    num_workers: int
    share: Share
    differences: tuple[str, ...]

    @property
    def is_chief(self) -> bool:
        """Whether this process decides, and writes the run's files: exactly one does."""
        ...

    def divide(self, shards: int) -> None:
        """Take a share of batches of so many shards; CnnError if there are fewer than workers."""
        ...

    def add_up(self, parts: Sequence[Structure]) -> Structure:
        """Return the sums of what this worker's shards and all others have, along the tree. Part of the step's graph.

        Args:
            parts: A structure of tensors for each of this worker's shards.
        """
        ...

    def route(self, values: int, /) -> Route:
        """Return how a sum of so many float32 values over all workers is made."""
        ...

    def agree(self, orders: Orders) -> Orders:
        """Return the chief's orders, with a signal that any worker got."""
        ...

    def watched(self) -> AbstractContextManager[None]:
        """Tell of a lost worker while a block runs steps."""
        ...

    def broadcast(self, document: Document) -> Document:
        """Return the chief's document, plain data as JSON has it."""
        ...

    def broadcast_arrays(self, arrays: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        """Return the chief's arrays; every worker gives arrays of these names, shapes and types."""
        ...

    def gather(self, document: Any) -> list[Any]:
        """Return the documents of all workers by rank."""
        ...

    def wait_for_all(self) -> None:
        """Return when all workers have come to their last exchange."""
        ...


class OneProcess:
    """One process, which has the whole batch: nothing is exchanged.

    Args:
        shards: Number of shards of a batch.
    """

    rank = 0
    num_workers = 1
    is_chief = True
    differences: tuple[str, ...] = ()

    def __init__(self, shards: int = 1) -> None:
        self.share = Share.of(shards)

    @classmethod
    def of(cls, config: Config) -> OneProcess:
        """Return the strategy of a config that one process trains."""
        return cls(config.train.shards)

    def divide(self, shards: int) -> None:
        """Take all shards."""
        self.share = Share.of(shards)

    def add_up(self, parts: Sequence[Structure]) -> Structure:
        """Return the sums of all shards."""
        return add_tree(parts)

    def route(self, _: int, /) -> Route:
        """Return that nothing is sent."""
        return Route(0, in_memory=True)

    def agree(self, orders: Orders) -> Orders:
        """Return the orders."""
        return orders

    def watched(self) -> AbstractContextManager[None]:
        """Return a context that does nothing: there is nobody to be lost."""
        return nullcontext()

    def broadcast(self, document: Document) -> Document:
        """Return the document."""
        return document

    def broadcast_arrays(self, arrays: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        """Return the arrays."""
        return arrays

    def gather(self, document: Any) -> list[Any]:
        """Return the one document."""
        return [document]

    def wait_for_all(self) -> None:
        """Return at once."""
