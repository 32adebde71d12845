"""What the values of masks may mean where no config says it: classes.txt, the values themselves, old customs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnncli.datasets.masks.collect import content, listed_classes
from cnncli.datasets.masks.layout import pairs
from cnncli.datasets.masks.values import Value, suggested_classes, values_of
from cnncli.datasets.store import Store

_VOID = {"void", "ignore", "ignored", "unlabelled", "unlabeled", "unlabel"}
"""Names, in lower case, of what is no class."""

_MOST_LOOKED_AT = 500
"""Masks whose values are looked at; a value that only others have is told when they are measured."""


@dataclass(frozen=True)
class Meaning:
    """What the values of masks mean.

    Attributes:
        classes: The value of each class; None where classes.txt names them.
        ignored: The value of pixels that belong to no class, or None.
    """

    classes: Mapping[str, Value] | None
    ignored: int | None

    def keys(self) -> dict[str, Any]:
        """Return the keys of `data` that say so."""
        named = {} if self.classes is None else {"classes": {name: _plain(of) for name, of in self.classes.items()}}
        return named if self.ignored is None else {**named, "ignore": self.ignored}


def meaning_of(store: Store, origin: str) -> Meaning:
    """Find out what the masks of a store mean, from their values and classes.txt.

    Raises:
        DataError: If it has no images and masks, or classes.txt is none.
    """
    listing = store.listing()
    found = pairs(listing.names, origin, None, None)
    places = np.linspace(0, len(found.found) - 1, min(_MOST_LOOKED_AT, len(found.found))).astype(int).tolist()
    names = [listing.names[found.found[place].mask] for place in places]
    values = values_of((name, content(store, name)) for name in names)
    listed = listed_classes(store, listing)
    if listed is not None:
        return Meaning(None, _ignored(listed, values or ()))
    suggested = suggested_classes(values)
    if suggested is None:
        return Meaning(None, None)
    return Meaning(suggested.classes, 255 if suggested.ignored else None)


def _ignored(names: Sequence[str], values: Sequence[Value]) -> int | None:
    """Return the value that is no class's: it is called so, or it is the only one that has no name."""
    void = [number for number, name in enumerate(names) if name.casefold() in _VOID]
    if len(void) == 1:
        return void[0]
    unnamed = [value for value in values if isinstance(value, int) and value >= len(names)]
    return unnamed[0] if len(unnamed) == 1 else None


def _plain(value: Value) -> Any:
    return value if isinstance(value, int) else list(value)
