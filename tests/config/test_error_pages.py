"""Every code that can be printed has a page, and every page a code that can be printed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import cnncli
from cnncli.config.error_pages import page, pages
from cnncli.errors import CnnError

PACKAGE = Path(cnncli.__file__).parent
_CODE = re.compile(r'"([EW]\d{3})"')


def used() -> set[str]:
    """Return the codes in the package's source."""
    texts = (path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py"))
    return {code for text in texts for code in _CODE.findall(text)}


def test_every_code_has_a_page_and_every_page_a_code() -> None:
    """Neither more nor fewer."""
    assert used() == pages().keys()


def test_pages_are_in_order_and_say_something() -> None:
    """Sorted by code, each with a title and at least a sentence."""
    assert list(pages()) == sorted(pages())
    assert all(found.title and len(found.body) > 40 for found in pages().values())


def test_a_page_is_found_by_its_code() -> None:
    """In small letters as well; an unknown code is reported."""
    assert page("e012").title == "Unknown argument"
    assert page("E012").markdown.startswith("## E012 · Unknown argument\n\n")
    with pytest.raises(CnnError, match='Unknown error code "E999"'):
        page("E999")
