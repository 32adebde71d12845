"""What a JSON document must look like for the code that reads it: types, ranges, keys.

A form is a function that takes a value and raises `Unexpected` where it is not of that form. Keys that a form does not
name may hold anything, for newer and older versions write others. This is no pydantic model because `cnn runs` reads
a thousand documents in less time than pydantic takes to be imported.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

Form = Callable[[Any], None]

LARGEST = 2**53
"""Beyond it, not every whole number is a float."""

MOST_TEXT = 10_000
"""Characters of a name, a path or a command."""

LONGEST_SHOWN = 60

_LARGEST_FLOAT = 1.7976931348623157e308


class _Missing:
    """Stands for the value of a key that is not there."""


MISSING = _Missing()


class Unexpected(ValueError):  # noqa: N818 - what was found, for `checked` to make an error of
    """A value is not of the form that it should have.

    Args:
        value: What it is.
        expected: What was expected, in words.
    """

    def __init__(self, value: Any, expected: str) -> None:
        super().__init__()
        self.place: list[str | int] = []
        self._value, self._expected = value, expected

    def __str__(self) -> str:
        place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in self.place).removeprefix(".")
        return f"{_cut(place) or 'it'} is {_shown(self._value)}, expected {self._expected}"


def whole(low: int = 0, high: int = LARGEST) -> Form:
    """Return the form of a whole number in a range, both ends included."""
    expected = f"a whole number from {low} " + (f"to {high}" if high < LARGEST else "on")

    def check(value: Any) -> None:
        if type(value) is not int or not low <= value <= high:
            raise Unexpected(value, expected)

    return check


def number(low: float = -_LARGEST_FLOAT, high: float = _LARGEST_FLOAT) -> Form:
    """Return the form of a finite number in a range, both ends included."""
    is_any = high == _LARGEST_FLOAT
    expected = (
        "a finite number" if is_any and low < 0 else f"a number from {low:g} " + ("on" if is_any else f"to {high:g}")
    )

    def check(value: Any) -> None:
        # NaN is in no range; a whole number larger than all floats is not either.
        if type(value) not in (int, float) or not low <= value <= high:
            raise Unexpected(value, expected)

    return check


def numbers(low: float, high: float) -> Form:
    """Return the form of a mapping, or null, whose values are numbers in a range, or null: thousands are checked."""
    one = mapped(optional(number(low, high)))

    def check(value: Any) -> None:
        if type(value) is not dict:
            if value is not None:
                one(value)
            return
        for item in value.values():
            if not (type(item) is float and low <= item <= high):
                one(value)
                return

    return check


def share(value: Any) -> None:
    """Take a number from 0 to 1, but for a rounding error."""
    if type(value) not in (int, float) or not -1e-6 <= value <= 1 + 1e-6:
        raise Unexpected(value, "a number from 0 to 1")


def real(value: Any) -> None:
    """Take every number, also NaN and the infinities: what is only compared."""
    if type(value) not in (int, float):
        raise Unexpected(value, "a number")


def text(least: int = 0, most: int = MOST_TEXT) -> Form:
    """Return the form of a text with so many characters."""
    expected = f"a text of {least} to {most} characters"

    def check(value: Any) -> None:
        if type(value) is not str or not least <= len(value) <= most:
            raise Unexpected(value, expected)

    return check


def one_of(*values: Any) -> Form:
    """Return the form of a value that is one of a few."""
    expected = "one of " + ", ".join(_shown(value) for value in values)

    def check(value: Any) -> None:
        if not any(type(value) is type(known) and value == known for known in values):
            raise Unexpected(value, expected)

    return check


def matching(pattern: re.Pattern[str]) -> Form:
    """Return the form of a text that a pattern describes as a whole."""

    def check(value: Any) -> None:
        if type(value) is not str or not pattern.fullmatch(value):
            raise Unexpected(value, f"a text like {pattern.pattern}")

    return check


def anything(_: Any) -> None:
    """Take every value: what nothing is computed from."""


def optional(form: Form) -> Form:
    """Return the form of a value that may also be null."""

    def check(value: Any) -> None:
        if value is not None:
            form(value)

    return check


def listed(form: Form, least: int = 0, most: int = LARGEST) -> Form:
    """Return the form of a list with so many items, all of one form."""
    expected = (
        "a list"
        if not least and most == LARGEST
        else f"a list of {least}"
        + (" or more items" if most == LARGEST else f" to {most} items" if most != least else " items")
    )

    def check(value: Any) -> None:
        if type(value) is not list or not least <= len(value) <= most:
            raise Unexpected(value, expected)
        _each(form, enumerate(value))

    return check


def mapped(form: Form) -> Form:
    """Return the form of a mapping whose values are all of one form."""

    def check(value: Any) -> None:
        if type(value) is not dict:
            raise Unexpected(value, "a mapping")
        _each(form, value.items())

    return check


def record(required: Mapping[str, Form], others: Mapping[str, Form] | None = None) -> Form:
    """Return the form of a mapping with named keys.

    Args:
        required: Keys that must be there, with the forms of their values.
        others: Keys that may be missing.
    """
    fields = [(key, form, True) for key, form in required.items()]
    fields += [(key, form, False) for key, form in (others or {}).items()]

    def check(value: Any) -> None:
        if type(value) is not dict:
            raise Unexpected(value, "a mapping")
        key = ""
        try:
            for key, form, is_required in fields:
                item = value.get(key, MISSING)
                if item is not MISSING or is_required:
                    form(item)
        except Unexpected as found:
            found.place.insert(0, key)
            raise

    return check


def _each(form: Form, items: Any) -> None:
    key: str | int = ""
    try:
        for key, item in items:  # noqa: B007 - read where an item is not of its form
            form(item)
    except Unexpected as found:
        found.place.insert(0, key)
        raise


def _shown(value: Any) -> str:
    """Return a value in a few words."""
    if isinstance(value, _Missing):
        return "missing"
    if isinstance(value, dict | list):
        kind = "mapping" if isinstance(value, dict) else "list"
        return f"a {kind} of {len(value)}" if value else f"an empty {kind}"
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    if isinstance(value, int) and abs(value) > LARGEST:
        return "a whole number beyond 2^53"
    return _cut(repr(value))


def _cut(told: str) -> str:
    return told if len(told) <= LONGEST_SHOWN else f"{told[: LONGEST_SHOWN - 1]}…"
