"""What an artifact has to compute, and what the run itself computes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cnncli.analysis.summary import summarize
from cnncli.datasets.targets import Targets
from cnncli.engine.evaluation.proof_examples import measuring_split, spread
from cnncli.engine.exporting.source import Source, sized
from cnncli.serving.artifact import Pixels
from cnncli.tasks.outputs import NamedOutputs

NUM_EXAMPLES = 1000
"""Real examples that an artifact computes; the whole split where it has fewer."""

NUM_COUNTED = 10_000
"""Real examples where a score is to be compared, not only each prediction."""

MOST_MACS = 2 * 10**12
"""Multiply-accumulates spent on more than `NUM_EXAMPLES`: about a minute of one processor."""


def num_examples(source: Source, counted: bool) -> int:
    """Return how many real examples to compute.

    Args:
        source: The network.
        counted: Whether a score is to be compared.
    """
    if not counted:
        return NUM_EXAMPLES
    macs = max(1, summarize(source.config).macs)
    return max(NUM_EXAMPLES, min(NUM_COUNTED, MOST_MACS // macs))


@dataclass(frozen=True)
class Case:
    """Images of one size and the run's outputs.

    Attributes:
        name: "real examples", "all 0", …
        images: uint8 (number, height, width, channels).
        expected: The run's outputs.
        targets: What they show, where it is known.
    """

    name: str
    images: Pixels
    expected: NamedOutputs
    targets: Targets | None = None

    def part(self, name: str, rows: slice) -> Case:
        """Return some of the images as a case of its own."""
        return Case(name, self.images[rows], {output: values[rows] for output, values in self.expected.items()})


class Proof:
    """Real examples and edge cases with the run's outputs.

    Args:
        source: The run's network.
        number: Most real examples.
    """

    def __init__(self, source: Source, number: int = NUM_EXAMPLES) -> None:
        self._source = source
        self.split = measuring_split(source.examples)
        self._examples = self.split.take(spread(len(self.split), number), self.split.name)

    @cached_property
    def real(self) -> Case:
        """The real examples, in the network's size."""
        images = sized(self._examples, self._source.preprocessing)
        return Case("real examples", images, self._source.outputs(images), self._examples.targets)

    @cached_property
    def edges(self) -> tuple[Case, ...]:
        """Images as no example is, and batches as none is."""
        real = self.real
        shape = real.images.shape[1:]
        noise = np.random.default_rng(0).integers(0, 256, (16, *shape), dtype=np.uint8)
        made = (
            ("all 0", np.zeros((1, *shape), np.uint8)),
            ("all 255", np.full((1, *shape), 255, np.uint8)),
            ("noise", noise),
        )
        return (
            *(Case(name, images, self._source.outputs(images)) for name, images in made),
            real.part("batch of 1", slice(1)),
            real.part("batch of 7", slice(-7, None)),
        )

    @cached_property
    def other_sizes(self) -> tuple[Case, ...]:
        """Images of other sizes than the network's, for artifacts that resize by themselves."""
        return tuple(Case("other sizes", images, self._source.outputs(images)) for images in self._differently_sized())

    def _differently_sized(self) -> Iterator[Pixels]:
        if isinstance(self._examples.images, np.ndarray):
            yield self._examples.images[:64]
        else:
            yield from (self._examples.images.decode(i)[None] for i in range(min(8, len(self._examples))))
        some = self.real.images[:8]
        height, width = some.shape[1:3]
        yield np.repeat(np.repeat(some, 2, axis=1), 3, axis=2)[:, : height + 5, : 2 * width + 1]
        yield np.pad(some, ((0, 0), (0, 3), (1, 1), (0, 0)), mode="reflect" if min(height, width) > 3 else "edge")
        yield some[:, : height // 2 + 1, : max(1, width - 1)]
