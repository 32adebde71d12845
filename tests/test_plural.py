"""Counts in sentences."""

from __future__ import annotations

import pytest

from cnncli.plural import counted


@pytest.mark.parametrize(
    ("number", "noun", "text"),
    [
        (0, "epoch", "0 epochs"),
        (1, "epoch", "1 epoch"),
        (2, "epoch", "2 epochs"),
        (1, "class", "1 class"),
        (1234, "class", "1,234 classes"),
        (2, "batch", "2 batches"),
        (3, "box", "3 boxes"),
    ],
)
def test_a_count_agrees_with_its_noun(number: int, noun: str, text: str) -> None:
    """One is singular, anything else plural, thousands are grouped."""
    assert counted(number, noun) == text
