"""The words of the page: the same in every language, each used, none missing."""

from __future__ import annotations

import json
import re
from pathlib import Path
from string import Formatter

import pytest

import cnncli

PAGE = Path(cnncli.__file__).parent / "engine" / "exporting" / "templates" / "page"
TEXTS = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted((PAGE / "texts").glob("*.json"))}
SOURCE = "\n".join(path.read_text(encoding="utf-8") for path in [*sorted(PAGE.glob("*.js")), PAGE / "page.html"])
PREFIXES = tuple(re.findall(r't\("(\w+_)" \+', SOURCE))
"""Of keys that are put together: a formula's, a panel's, a question's."""


def gaps(text: str) -> set[str | None]:
    """Return the names of the numbers that stand in a text."""
    return {name for _, name, _, _ in Formatter().parse(text)} - {None}


@pytest.mark.parametrize("language", TEXTS)
def test_languages_have_the_same_texts(language: str) -> None:
    """The same keys in the same order, and in each text the same numbers."""
    own, english = TEXTS[language], TEXTS["en"]
    assert list(own) == list(english)
    assert [key for key in english if gaps(own[key]) != gaps(english[key])] == []
    assert [key for key, text in own.items() if not text.strip()] == []


def test_languages_differ() -> None:
    """No text was left in English but for words that are the same, and names."""
    same = {key for key, text in TEXTS["de"].items() if text == TEXTS["en"][key] and " " in text.strip()}
    assert same == {"preset_sobel_x", "preset_sobel_y"}


def test_every_text_is_used() -> None:
    """No text is left over, and none is asked for that is not there."""
    english = set(TEXTS["en"]) - {"name"}
    named = {key for key in english if re.search(rf'["\']{key}["\']', SOURCE)}
    assert {key for key in english - named if not key.startswith(PREFIXES)} == set()
    asked = set(re.findall(r'\bt\("(\w+)"[,)]', SOURCE)) | set(re.findall(r'data-(?:text|label)="(\w+)"', SOURCE))
    assert asked - english == set()


def test_all_formulas_are_explained() -> None:
    """Every kind of value and every formula that the page may show has its words."""
    units = (PAGE.parent / "web_units.js").read_text(encoding="utf-8")
    keys = set(re.findall(r'key: "(\w+)"', units)) | {"window", "dense", "softmax", "activation", "interpolate"}
    keys |= {name.lower() for name in ("Add", "Subtract", "Average", "Multiply", "Maximum", "Minimum")}
    keys |= {"same", "permute", "padChannels", "shift", "enlarge", "pick"}
    assert {key for key in keys if f"formula_{key}" not in TEXTS["en"]} == set()


def test_words_are_put_in_as_text() -> None:
    """Nothing is ever read as HTML: names of classes and layers are a stranger's."""
    assert re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function", SOURCE) == []
