"""Numbers in the form in which people read them."""

from __future__ import annotations

from collections.abc import Sequence

_PREFIXES = ("", "k", "M", "G", "T", "P")


def full(number: int) -> str:
    """Return all digits, in groups of three: 61,706."""
    return f"{number:,}".replace("-", "−")


def signed(number: int) -> str:
    """Return a difference with its sign: +1,216, −84, 0."""
    return f"{number:+,}".replace("-", "−") if number else "0"


def short(number: float, unit: str = "") -> str:
    """Return three digits with a prefix: 1.58 G, 417 k, 12."""
    power = 0
    while abs(number) / 1000**power >= 999.5 and power < len(_PREFIXES) - 1:
        power += 1
    value = abs(number) / 1000**power
    digits = 2 if value < 9.995 else 1 if value < 99.95 else 0
    text = f"{value:.{digits}f}" if power else f"{value:.3g}"
    sign = "−" if number < 0 else ""
    return f"{sign}{text} {_PREFIXES[power]}{unit}".rstrip()


def size(shape: Sequence[int]) -> str:
    """Return a shape or window: 28×28×6."""
    return "×".join(map(str, shape)) or "1"


def percent(share: float) -> str:
    """Return a share of 1 in percent: 78 %."""
    return f"{100 * share:.0f} %"
