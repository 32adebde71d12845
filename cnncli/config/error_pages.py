"""The pages of errors and warnings: what `cnn explain E012` shows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from cnncli.config.language.suggestions import suggestion
from cnncli.errors import CnnError

FILE = Path(__file__).resolve().parent.parent / "error_pages.md"
_HEADING = re.compile(r"^## ([EW]\d{3}) · (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Page:
    """What is known about one error.

    Attributes:
        code: Its number, "E012".
        title: What it is, in a few words.
        body: Markdown: what it means, an example, what to do.
    """

    code: str
    title: str
    body: str

    @property
    def markdown(self) -> str:
        """The page with its heading."""
        return f"## {self.code} · {self.title}\n\n{self.body}"

    def to_json(self) -> dict[str, str]:
        """Return plain data."""
        return {"code": self.code, "title": self.title, "text": self.body}


@lru_cache(maxsize=1)
def pages() -> dict[str, Page]:
    """Return all pages by code."""
    parts = _HEADING.split(FILE.read_text(encoding="utf-8"))[1:]
    triples = zip(parts[::3], parts[1::3], parts[2::3], strict=True)
    return {code: Page(code, title.strip(), body.strip()) for code, title, body in triples}


def page(code: str) -> Page:
    """Return the page of a code.

    Raises:
        CnnError: If there is no such code.
    """
    found = pages().get(code.upper())
    if found is None:
        near = suggestion(code, pages())
        raise CnnError(f'Unknown error code "{code}".{near}', f"Codes: {', '.join(sorted(pages()))}")
    return found
