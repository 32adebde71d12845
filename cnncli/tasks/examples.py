"""Names of examples, made comparable: the same photos lie in a folder, or in a .zip with that folder in it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile


def below_shared_folder(names: Sequence[str]) -> list[str]:
    """Return names of examples without the folders that all of them lie in; numbers are names too, and stay."""
    places = [name.split("/") for name in names]
    levels = zip(*(place[:-1] for place in places), strict=False)
    shared = sum(1 for _ in takewhile(lambda level: len(set(level)) == 1, levels))
    return ["/".join(place[shared:]) for place in places]
