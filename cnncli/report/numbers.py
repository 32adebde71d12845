"""Numbers in the form in which people read them."""

from __future__ import annotations

from collections.abc import Sequence

_PREFIXES = ((10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "k"))


def full(number: int) -> str:
    """Return all digits, in groups of three: 61,706."""
    return f"{number:,}".replace("-", "−")


def signed(number: int) -> str:
    """Return a difference with its sign: +1,216, −84, 0."""
    return f"{number:+,}".replace("-", "−") if number else "0"


def short(number: float, unit: str = "") -> str:
    """Return three to four digits with a prefix: 1.58 G, 416 k, 12."""
    for size, prefix in _PREFIXES:
        if abs(number) >= size:
            value = number / size
            digits = 2 if abs(value) < 10 else 1 if abs(value) < 100 else 0
            return f"{value:.{digits}f} {prefix}{unit}"
    return f"{number:g} {unit}".rstrip()


def size(shape: Sequence[int]) -> str:
    """Return a shape or window: 28×28×6."""
    return "×".join(map(str, shape)) or "1"


def percent(share: float) -> str:
    """Return a share of 1 in percent: 78 %."""
    return f"{100 * share:.0f} %"
