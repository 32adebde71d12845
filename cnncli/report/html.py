"""Pieces of HTML that are safe by construction: whatever is not `Html` already is escaped."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

VOID = frozenset({"img", "input", "br", "meta", "line", "rect", "circle", "path", "polyline", "polygon"})
"""Elements without content."""

LONG = 60
"""Rows beyond which a table scrolls by itself."""


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


Content = str | Html | None


def element(name: str, *content: Content | Iterable[Content], **attributes: Any) -> Html:
    """Return an element.

    Args:
        name: Its tag.
        content: Texts, which are escaped, and elements; None is left out.
        attributes: Attributes; `_` in a name stands for `-`, a last one is dropped ("class_"). True gives an attribute
            without a value; None and False give none.
    """
    text = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in VOID:
        return Html(f"<{name}{text}>") if name in ("img", "input", "br", "meta") else Html(f"<{name}{text}/>")
    return Html(f"<{name}{text}>{joined(*content)}</{name}>")


def joined(*content: Content | Iterable[Content]) -> Html:
    """Return texts and elements one after another, texts escaped."""
    parts = []
    for part in content:
        if isinstance(part, Html):
            parts.append(str(part))
        elif isinstance(part, str):
            parts.append(escape(part))
        elif part is not None:
            parts.append(str(joined(*part)))
    return Html("".join(parts))


def _attribute(key: str, value: Any) -> str:
    if value is None or value is False:
        return ""
    name = key.removesuffix("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{escape(str(value))}"'


def table(header: Sequence[Content], rows: Iterable[Sequence[Content]], caption: Content, numbers: bool = True) -> Html:
    """Return a table in a region that scrolls by itself where it is too wide; the first column heads the rows.

    Args:
        header: Titles of the columns.
        rows: Cells.
        caption: What the table shows.
        numbers: Whether all columns but the first are numbers, to be aligned at the right.
    """
    head = element("tr", [element("th", title, scope="col") for title in header])
    body = [
        element("tr", element("th", first, scope="row"), [element("td", cell) for cell in rest])
        for first, *rest in rows
    ]
    inside = element("caption", caption), element("thead", head), element("tbody", body)
    found = element("table", *inside, class_="numbers" if numbers else None)
    return scrolling(found, caption, tall=len(body) > LONG)


def scrolling(content: Html, label: Content, tall: bool = False) -> Html:
    """Return wide content in a box that scrolls by itself, reachable by the keyboard.

    Args:
        content: What is wide, or tall.
        label: What it is, for those who cannot see it.
        tall: Whether it is also cut off below and scrolls up and down.
    """
    return element("div", content, class_="wide tall" if tall else "wide", role="region", aria_label=label, tabindex=0)


def definitions(entries: Iterable[tuple[Content, Content]]) -> Html:
    """Return terms with what is said of each."""
    return element("dl", [element("div", element("dt", term), element("dd", said)) for term, said in entries])


def section(identity: str, title: str, *content: Content | Iterable[Content]) -> Html:
    """Return a part of the page that the navigation can lead to."""
    heading = element("h2", title, id=f"{identity}-title")
    return element("section", heading, *content, id=identity, aria_labelledby=f"{identity}-title")


def data_uri(content: bytes) -> str:
    """Return a PNG or JPEG file as an address that holds it."""
    kind = "png" if content.startswith(b"\x89PNG") else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def json_script(identity: str, document: Any) -> Html:
    """Return data for the page's script; nothing in them can end the element."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Html(f'<script type="application/json" id="{escape(identity)}">{text}</script>')
