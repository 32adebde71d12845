"""Which rows of every batch a worker computes: shards that follow each other, of a fixed number of them."""

from __future__ import annotations

from typing import NamedTuple


class Share(NamedTuple):
    """The shards that one worker takes of every batch.

    Shard i of a batch of n examples has its rows ⌊n·i/shards⌋ to ⌊n·(i+1)/shards⌋: none is padded, none left out.

    Attributes:
        shards: Number of shards of a batch, a power of two.
        first: Number of this worker's first one, from 0.
        taken: How many it takes.
    """

    shards: int = 1
    first: int = 0
    taken: int = 1

    @classmethod
    def of(cls, shards: int, rank: int = 0, num_workers: int = 1) -> Share:
        """Return the share of worker `rank`: as many shards as every other one's."""
        taken = shards // num_workers
        return cls(shards, rank * taken, taken)

    @property
    def numbers(self) -> range:
        """Numbers of its shards."""
        return range(self.first, self.first + self.taken)

    @property
    def is_whole(self) -> bool:
        """Whether there is no other worker."""
        return self.taken == self.shards

    def rows(self, batch_size: int) -> slice:
        """Return the rows of a batch of so many examples.

        At least one: where all its shards are empty, a row that is computed and not counted.
        """
        begin, end = (batch_size * number // self.shards for number in (self.first, self.first + self.taken))
        begin = min(begin, batch_size - 1)
        return slice(begin, max(end, begin + 1))
