"""The texts of the page: every language has the same, and the page uses them all."""

from __future__ import annotations

import json
import re
from pathlib import Path

import cnncli

TEMPLATES = Path(cnncli.__file__).parent / "engine" / "exporting" / "templates"
TABLES = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in (TEMPLATES / "texts").glob("*.json")}
MADE = r"change_|preset_|question_|formula_"
"""Beginnings of keys that the page puts together."""


def test_all_languages_have_the_same_texts() -> None:
    """The same keys, with the same values to fill in."""
    assert {"en", "de"} <= TABLES.keys()
    holes = {
        language: {key: sorted(re.findall(r"\{\w+\}", text)) for key, text in table.items()}
        for language, table in TABLES.items()
    }
    assert all(each == holes["en"] for each in holes.values())


def test_the_page_has_a_text_for_each_key_and_uses_each() -> None:
    """In scripts by `say`, in the page by data-text and data-label."""
    scripts = "".join(path.read_text(encoding="utf-8") for path in TEMPLATES.glob("web_*.js"))
    page = (TEMPLATES / "web_page.html").read_text(encoding="utf-8")
    named = set(re.findall(r'data-(?:text|label)="(\w+)"', page))
    used = {key for key in TABLES["en"] if f'"{key}"' in scripts} | named
    assert named <= TABLES["en"].keys()
    asked = set(re.findall(r'say\("(\w+)"', scripts)) - set(re.findall(rf'say\("((?:{MADE}))" \+', scripts))
    assert asked <= TABLES["en"].keys()
    assert [key for key in TABLES["en"] if key not in used and not re.match(MADE, key)] == ["name"]
