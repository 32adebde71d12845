"""A file spoilt at a few places: bytes, tokens of its format, cuts, repetitions."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence


def spoilt(content: bytes, tokens: Sequence[bytes], draw: random.Random, place_in: Callable[[int], int]) -> bytes:
    """Return a spoilt copy of a file.

    Args:
        content: The file.
        tokens: What is written into it.
        draw: Decides what is done.
        place_in: Decides where, in a file of so many bytes.
    """
    changed = bytearray(content)
    for _ in range(draw.choice((1, 1, 2, 3, 8))):
        place = place_in(len(changed))
        end = min(len(changed), place + draw.randrange(60))
        kind = draw.randrange(6)
        if kind == 0 and changed:
            changed[place % len(changed)] = draw.randrange(256)
        elif kind == 1:
            changed[place:place] = draw.choice(tokens)
        elif kind == 2:
            del changed[place:end]
        elif kind == 3:
            changed[place:place] = changed[place:end] * draw.choice((1, 2, 50))
        elif kind == 4:
            changed[place : place + draw.randrange(8)] = draw.choice(tokens)
        elif draw.random() < 0.3:
            del changed[place:]
    return bytes(changed)
