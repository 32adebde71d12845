"""What an unquoted word of YAML means: the numbers and truth values of YAML 1.2's core schema."""

from __future__ import annotations

import re
from math import isfinite

from cnncli.config.yaml.tree import Plain

_INTEGER = re.compile(r"[-+]?[0-9]+")
_OCTAL_OR_HEX = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_WORDS: dict[str, Plain] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
MAX_DIGITS = 30
"""Longest number that is read; no setting needs more, and very long ones take quadratic time."""


class NumberError(ValueError):
    """A number that no setting can mean: too long, or not finite."""


def read(word: str) -> Plain:
    """Return the value of an unquoted word.

    `no`, `on`, `1:30`, `2026-01-01` and `1_000` are texts, `1e-3` is a number and `012` is twelve, unlike
    in YAML 1.1.

    Raises:
        NumberError: If the word is a number of too many digits, infinite or not a number.
    """
    if word in _WORDS:
        return _WORDS[word]
    if word[0] not in "+-.0123456789":
        return word
    if _NOT_FINITE.fullmatch(word):
        raise NumberError(f"{word} is not a number that a setting can have.")
    if not _FLOAT.fullmatch(word) and not _OCTAL_OR_HEX.fullmatch(word):
        return word
    if len(word) > MAX_DIGITS:
        raise NumberError(f"A number of {len(word)} characters; the limit is {MAX_DIGITS}.")
    return _number(word)


def _number(word: str) -> int | float:
    if _INTEGER.fullmatch(word):
        return int(word)
    if _OCTAL_OR_HEX.fullmatch(word):
        return int(word, 0)
    number = float(word)
    if not isfinite(number):
        raise NumberError(f"{word} is larger than the largest floating-point number.")
    return number
