"""Text of strangers made fit to be shown and stored: names of files and classes may hold any character."""

from __future__ import annotations

import codecs
import re
import unicodedata

STAND_INS = {
    "×": "x",
    "·": "*",
    "±": "+-",
    "→": "->",
    "←": "<-",
    "≥": ">=",
    "≤": "<=",
    "≈": "~",
    "−": "-",
    "–": "-",
    "—": "-",
    "…": "...",
    "‘": "'",
    "’": "'",
    "“": '"',
    "”": '"',
    "•": "*",
    "│": "|",
    "┃": "|",
    "─": "-",
    "━": "-",
    "█": "#",
    "▀": "#",
    "▄": "#",
    "µ": "u",
    "√": "sqrt",
    "°": "deg",
    "²": "2",
    "³": "3",
} | dict(zip("▁▂▃▅▆▇", "_.-=+*", strict=True))
"""What is written in place of characters that an encoding does not have."""

# Codes that a terminal obeys (C0, DEL, C1), and those that turn the direction of text, so that it reads otherwise.
_OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_NOT_IN_JSON = re.compile("[\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def visible(text: str) -> str:
    r"""Return a text whose control characters are escaped, "\x1b", so that no terminal obeys them."""
    return text if text.isprintable() else _OBEYED.sub(_escape, text)


def json_safe(text: str) -> str:
    r"""Return a JSON text in which what is no character, or may not be shown as it is, is escaped: "\udcff"."""
    return _NOT_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def csv_cell(text: str) -> str:
    """Return a cell that no spreadsheet takes for a formula: an apostrophe before what would begin one."""
    return f"'{text}" if _is_formula(text) else text


def from_csv_cell(cell: str) -> str:
    """Return the text that `csv_cell` made a cell of."""
    return cell[1:] if cell.startswith("'") and _is_formula(cell[1:]) else cell


def _is_formula(text: str) -> bool:
    if not text.lstrip("'").startswith(_FORMULA):
        return False
    try:
        float(text)
    except ValueError:
        return True
    return False


def stand_in(error: UnicodeError) -> tuple[str | bytes, int]:
    """Replace what an encoding does not have: `errors="stand_in"` of a stream.

    A character gets its look-alike from `STAND_INS`, its letter without accents, or "?". A byte of a file name that is
    not UTF-8 is written as that byte, so that the name still leads to the file.
    """
    if not isinstance(error, UnicodeEncodeError):
        raise error
    character = error.object[error.start]
    if 0xDC80 <= ord(character) <= 0xDCFF:
        return bytes([ord(character) - 0xDC00]), error.start + 1
    plain = STAND_INS.get(character) or unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return plain or "?", error.start + 1


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


codecs.register_error("stand_in", stand_in)
