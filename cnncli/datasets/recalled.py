"""What the cache says of the files at hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cnncli.datasets.cache import Known
from cnncli.datasets.facts import Facts
from cnncli.datasets.stamps import Stamps


@dataclass(frozen=True)
class Recalled:
    """What the cache says of files.

    Attributes:
        known: What it holds; None where there is nothing of use.
        rows: Place there of each file, -1 for one that it does not know.
    """

    known: Known | None
    rows: npt.NDArray[np.int64]

    @classmethod
    def of(cls, known: Known | None, names: Sequence[str], vocabulary: tuple[str, ...]) -> Recalled:
        """Look files up by their names, in what was measured in the same vocabulary."""
        if known is None or known.facts.vocabulary != vocabulary:
            return cls(None, np.full(len(names), -1))
        row_of = {name: row for row, name in enumerate(known.names)}
        return cls(known, np.array([row_of.get(name, -1) for name in names], np.int64))

    def believed(self, stamps: Stamps) -> npt.NDArray[np.bool_]:
        """Say of which files the stamp is as it was."""
        same = self.rows >= 0
        if self.known is None or self.known.stamps.shape[1:] != stamps.shape[1:]:
            return np.zeros_like(same)
        same[same] = (self.known.stamps[self.rows[same]] == stamps[same]).all(axis=1)
        return same

    def contains(self, row: int, content: bytes) -> bool:
        """Say whether a file contained the same when the cache came to know it."""
        known, place = self.known, int(self.rows[row])
        return known is not None and place >= 0 and known.contents[place].tobytes() == content

    def copy(self, rows: npt.NDArray[np.int64], found: Known) -> None:
        """Take over what is known of some files."""
        if self.known is None or not len(rows):
            return
        places = self.rows[rows]
        found.contents[rows] = self.known.contents[places]
        for name in Facts.columns():
            getattr(found.facts, name)[rows] = getattr(self.known.facts, name)[places]
        for row, place in zip(rows.tolist(), places.tolist(), strict=True):
            found.reasons[row] = self.known.reasons[place]

    def differences(self, rows: npt.NDArray[np.int64], found: Known) -> list[str]:
        """Name those among some files of which the cache says something else than what was found."""
        if self.known is None:
            return []
        places = self.rows[rows]
        differ = (self.known.contents[places] != found.contents[rows]).any(axis=1)
        for name in Facts.columns():
            was, now = getattr(self.known.facts, name)[places], getattr(found.facts, name)[rows]
            differ |= (was != now).reshape(len(rows), -1).any(axis=1)
        return [found.names[row] for row in rows[differ].tolist()]
