"""Axes of a sweep's plots: numbers evenly or by their exponents, and choices side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from typing import NamedTuple

from cnncli.report.figures import shortened
from cnncli.report.html_chart import number_text, ticks, widened
from cnncli.report.numbers import short
from cnncli.sweeps.landscape import Variable

MARGIN = 0.04
"""Share of an axis that is left free at both ends, so that no mark is cut off."""
LARGE = 10_000
"""From here on numbers at an axis have a prefix: 417 k."""
SPREAD = 0.5
"""Share of a choice's column over which its trials are spread."""
GOLDEN = 0.618034
"""Multiples of it fill an interval evenly, however many there are."""
WITHIN_DECADES = {1: (1.0, 2.0, 5.0), 2: (1.0, 3.0)}
"""Digits of the marks at a logarithmic axis, by the number of decades that it covers; of more decades their ends."""


class Tick(NamedTuple):
    """A number, or a choice, at an axis.

    Attributes:
        place: Where it stands, from 0 to 1.
        text: What it is.
        value: The number itself, of a choice its place among the choices.
    """

    place: float
    text: str
    value: float


@dataclass(frozen=True)
class Axis:
    """Where the values of a variable lie.

    Attributes:
        title: What the axis shows.
        low: The number at its beginning; of a logarithmic one its logarithm to base 10.
        high: The number at its end.
        is_log: Whether it is logarithmic.
        is_whole: Whether its numbers are whole.
        choices: What stands side by side instead of numbers.
    """

    title: str
    low: float = 0.0
    high: float = 1.0
    is_log: bool = False
    is_whole: bool = False
    choices: tuple[str, ...] = ()

    @classmethod
    def of(cls, variable: Variable, title: str) -> Axis:
        """Return the axis on which all values of a variable lie."""
        if variable.choices:
            return cls(title, choices=variable.choices)
        ends = [log10(bound) if variable.is_log else bound for bound in variable.bounds]
        low, high = widened(*ends)
        free = MARGIN * (high - low)
        return cls(title, low - free, high + free, variable.is_log, variable.is_whole)

    def place(self, value: float | str) -> float:
        """Return where a value lies, from 0 to 1."""
        if isinstance(value, str):
            return (self.choices.index(value) + 0.5) / len(self.choices)
        return ((log10(value) if self.is_log else value) - self.low) / (self.high - self.low)

    def number(self, place: float) -> float:
        """Return the number that lies at a place, of choices with their places among each other as numbers."""
        if self.choices:
            return place * len(self.choices) - 0.5
        found = self.low + place * (self.high - self.low)
        return float(10**found) if self.is_log else found

    def ticks(self, most: int, room: int = 100) -> list[Tick]:
        """Return the choices, or about so many round numbers.

        Args:
            most: How many numbers.
            room: Characters that the text of each may have.
        """
        if self.choices:
            texts = _cut(self.choices, room)
            return [Tick(self.place(choice), texts[i], i) for i, choice in enumerate(self.choices)]
        values = self._round(most) if self.is_log else ticks(self.low, self.high, most, self.is_whole)
        return [Tick(self.place(value), tick_text(value), value) for value in values]

    def _round(self, most: int) -> list[float]:
        first, last = floor(self.low), ceil(self.high)
        digits = WITHIN_DECADES.get(round(self.high - self.low), (1.0,))
        exponents = range(first, last + 1, max(1, ceil((last - first) / most)))
        found = [digit * 10.0**exponent for exponent in exponents for digit in digits]
        inside = [round(value, 12) for value in found if self.low <= log10(value) <= self.high]
        return inside if len(inside) > 1 else ticks(10**self.low, 10**self.high, most, self.is_whole)


def _cut(choices: Sequence[str], room: int) -> list[str]:
    """Return texts of at most so many characters: their beginnings, and where these are equal their ends."""
    cut = [shortened(choice, room) for choice in choices]
    if len(set(cut)) == len(choices):
        return cut
    same = next((i for i, letters in enumerate(zip(*choices, strict=False)) if len(set(letters)) > 1), 0)
    start = min(same, max(map(len, choices)) - room + 1)
    return [shortened(f"…{choice[start:]}", room) for choice in choices]


def aside(number: int) -> float:
    """Return how far a trial stands from the middle of its choice's column, in columns: equal values are seen apart."""
    return (number * GOLDEN % 1 - 0.5) * SPREAD


def tick_text(value: float) -> str:
    """Return a number in few characters: 0.001, 256, 417 k."""
    if abs(value) < LARGE:
        return number_text(value)
    digits, prefix = short(value).split(" ")
    return f"{digits.rstrip('0').rstrip('.') if '.' in digits else digits} {prefix}"
