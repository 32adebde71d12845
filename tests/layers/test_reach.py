"""What outputs see, put together by hand: the hull of both branches, without those that see nothing."""

from __future__ import annotations

from itertools import product

from cnncli.layers.reach import Sight


def test_branches_see_what_either_sees() -> None:
    """The first pixel of one to the last of the other; a branch that sees nothing adds nothing, on either side."""
    spans = [(0, 0), (2, 5), (-1, 3), (4, 2), (1, 0)]
    for one, other in product(spans, spans):
        joined = Sight((one[0],), (one[1],), 1, 16).joined(Sight((other[0],), (other[1],), 1, 16), 16)
        pixels = {p for first, last in (one, other) for p in range(first, last + 1)}
        if pixels:
            assert (joined.first(0), joined.last(0)) == (min(pixels), max(pixels))
            assert (joined.first(3), joined.last(3)) == (min(pixels) + 3, max(pixels) + 3)
        else:
            assert joined.first(0) > joined.last(0)
