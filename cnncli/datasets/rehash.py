"""Reading all data again, whatever the cache says of them, and telling where it was wrong: `cnn data --rehash`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from cnncli.datasets.cache import Known
from cnncli.datasets.recalled import Recalled
from cnncli.plural import counted

_NAMED = 20
"""Most images that are listed by name; their number is always whole."""


@dataclass
class Rehash:
    """What came of reading everything again.

    Attributes:
        num_images: Number of images that were read.
        num_known: Those of which the cache would have been believed.
        different: Those among them of which it said something else than was found.
    """

    num_images: int = 0
    num_known: int = 0
    different: list[str] = field(default_factory=list)

    def compare(self, recalled: Recalled, believed: npt.NDArray[np.bool_], found: Known) -> None:
        """Count images that have been read again.

        Args:
            recalled: What the cache says of them.
            believed: Of which it would have been believed.
            found: What they are.
        """
        rows = np.flatnonzero(believed)
        self.num_images += len(believed)
        self.num_known += len(rows)
        self.different += recalled.differences(rows, found)

    def to_json(self) -> dict[str, Any]:
        """Return the field `rehash` of `cnn data --json`."""
        return {
            "num_images": self.num_images,
            "num_known": self.num_known,
            "num_different": len(self.different),
            "examples": self.different[:_NAMED],
        }

    def to_text(self) -> str:
        """Return the same as a line."""
        again = f"{counted(self.num_images, 'image')} read again"
        if not self.different:
            return f"{again}; the cache knew {self.num_known:,} of them, all as they are"
        named = ", ".join(self.different[:_NAMED]) + (", …" if len(self.different) > _NAMED else "")
        return f"{again}; the cache knew {self.num_known:,} of them, {len(self.different):,} otherwise: {named}"


_current: ContextVar[Rehash | None] = ContextVar("rehash", default=None)


@contextmanager
def rehashing() -> Iterator[Rehash]:
    """Believe nothing that the cache says while a block runs, and compare it with what is found."""
    result = Rehash()
    token = _current.set(result)
    try:
        yield result
    finally:
        _current.reset(token)


def current() -> Rehash | None:
    """Return what counts the differences while nothing is believed, or None where the cache is used."""
    return _current.get()
