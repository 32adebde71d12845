"""Counts in sentences: "1 epoch", "2 epochs"."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, in the plural unless it is one.

    Example: counted(1, "epoch") == "1 epoch", counted(2000, "class") == "2,000 classes"
    """
    ending = "" if number == 1 else "es" if noun.endswith(("s", "x", "tch")) else "s"
    return f"{number:,} {noun}{ending}"
