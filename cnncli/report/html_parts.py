"""Pictures, galleries and pages of the terminal as HTML."""

from __future__ import annotations

import re
from collections.abc import Iterable

from cnncli.report.grid import Grid
from cnncli.report.html import Content, Html, data_uri, definitions, element, table
from cnncli.report.html_material import Image
from cnncli.report.page import Entry, Page, Title

FILE = re.compile(r"([^\s:,]+\.[A-Za-z]\w*)")
"""A file's name with its folders, among other words."""


def image(found: Image, class_: str = "pixels") -> Html:
    """Return a picture that says what it shows to those who cannot see it."""
    return element("img", src=data_uri(found.content), alt=found.caption, class_=class_)


def gallery(images: Iterable[Image]) -> Html:
    """Return pictures side by side, each with its caption below it."""
    figures = (
        element("figure", element("img", src=data_uri(found.content), alt="", class_="pixels"), caption(found.caption))
        for found in images
    )
    return element("div", figures, class_="gallery")


def caption(text: str) -> Html:
    """Return a picture's caption; a file's name in it is never broken: what does not fit is shown on pointing at it."""
    parts = FILE.split(text)
    named = (element("span", part, class_="file", title=part) if i % 2 else part for i, part in enumerate(parts))
    return element("figcaption", named)


def wide_picture(found: Image) -> Html:
    """Return a large picture with its caption."""
    picture = element("img", src=data_uri(found.content), alt=found.caption, class_="pixels sheet")
    return element("figure", picture, caption(found.caption), class_="sheet")


def from_page(page: Page, caption: str) -> list[Html]:
    """Return what a page of the terminal says; its title is left to the section's heading."""
    parts: list[Html] = []
    entries: list[tuple[Content, Content]] = []
    for part in page.parts:
        if isinstance(part, Entry):
            entries.append((part.label, part.text))
        elif isinstance(part, Grid):
            parts.append(_from_grid(part, caption))
        elif isinstance(part, str) and part:
            parts.append(element("p", part))
        elif isinstance(part, Title):
            continue
    return [*parts, definitions(entries)] if entries else parts


def _from_grid(grid: Grid, caption: str) -> Html:
    """Return a table; columns without a heading hold bars and are left out."""
    kept = [i for i, column in enumerate(grid.columns) if column.title]
    rows = [[row[i] for i in kept] for row in (*grid.rows, *grid.footer)]
    return table([grid.columns[i].title for i in kept], rows, caption)


def note(text: str) -> Html:
    """Return a remark."""
    return element("p", text, class_="note")


def share_bar(share: float) -> Html:
    """Return a bar that a share of 1 fills."""
    ground = element("rect", width=100, height=4, class_="ground")
    filled = element("rect", width=round(100 * share, 1), height=4, class_="filled")
    return element(
        "svg", ground, filled, class_="bar", viewBox="0 0 100 4", preserveAspectRatio="none", aria_hidden="true"
    )
