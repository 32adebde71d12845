"""Any text can be shown, stored and opened in a spreadsheet without being obeyed, and read back."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnncli.files.characters import csv_cell, from_csv_cell, json_safe, visible

ANY_TEXT = st.text(st.characters(categories=None))


@given(ANY_TEXT)
def test_no_terminal_obeys_what_is_shown(text: str) -> None:
    """No control character is left but line feeds and tabs; text without any is shown as it is."""
    shown = visible(text)
    assert not [c for c in shown if unicodedata.category(c) == "Cc" and c not in "\n\t"]
    if not any(unicodedata.category(c) in ("Cc", "Cf") for c in text):
        assert shown == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("\x9b2J", r"\x9b2J"),
        ("gpj.\u202eexe", r"gpj.\u202eexe"),
        ("Zoë's naïve café – 東京", "Zoë's naïve café – 東京"),
    ],
)
def test_what_is_shown(text: str, shown: str) -> None:
    """Escape sequences in 7 and 8 bits, and characters that turn the direction of text."""
    assert visible(text) == shown


@given(ANY_TEXT)
def test_json_is_utf8_and_reads_back(text: str) -> None:
    """Bytes of file names that are not UTF-8 survive as escapes."""
    document = json_safe(json.dumps([text], ensure_ascii=False))
    assert json.loads(document.encode("utf-8")) == [text]
    assert "\x9b" not in document


@given(ANY_TEXT | st.from_regex(r"\A'*[=+\-@\t]?[0-9a-z.]*\Z"))
def test_cells_read_back(text: str) -> None:
    """Whatever a cell begins with."""
    assert from_csv_cell(csv_cell(text)) == text


@pytest.mark.parametrize("text", ["=1+1", "=HYPERLINK(A1)", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1"])
def test_no_spreadsheet_runs_a_cell(text: str) -> None:
    """What a spreadsheet would compute begins with an apostrophe."""
    assert csv_cell(text) == f"'{text}"


@pytest.mark.parametrize("text", ["-1", "+0.5", "-1e-05", "-inf", "cat", "a=b", "", "'tis"])
def test_numbers_and_words_stay(text: str) -> None:
    """Also negative numbers."""
    assert csv_cell(text) == text


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_every_text_can_be_written(encoding: str) -> None:
    """Look-alikes for signs and lines, letters without their accents, and the bytes of a name as they were."""
    text = "3×3 – █▁ ─ é 東 \udcff"
    written = text.encode(encoding, "stand_in")
    assert written.endswith(b"\xff")
    if encoding == "ascii":
        assert written == b"3x3 - #_ - e ? \xff"
    else:
        assert written[:-1].decode(encoding).startswith("3×3")
