"""Parts of the report that several tasks have: scores with a bar, confusion matrices, legends of colours."""

from __future__ import annotations

from collections.abc import Sequence

from cnncli.report.html import Content, Html, element, scrolling
from cnncli.report.html_parts import share_bar
from cnncli.tasks.confusion import SHADES
from cnncli.tasks.pages import LegendEntry


def score_cell(value: float | None, bar: bool = False) -> Content:
    """Return a score with four digits, and a bar below it; a dash where there is none."""
    if value is None:
        return "–"
    return element("span", f"{value:.4f}", share_bar(value) if bar else None)


def shares_matrix(names: Sequence[str], matrix: Sequence[Sequence[int]]) -> Html:
    """Return a confusion matrix as percent of each row."""
    head = element("tr", element("td"), [element("th", name, scope="col") for name in names])
    rows = []
    for true, counts in zip(names, matrix, strict=True):
        total = sum(counts) or 1
        rows.append(element("tr", element("th", true, scope="row"), [_cell(count / total) for count in counts]))
    inside = element("thead", head), element("tbody", rows)
    return scrolling(element("table", *inside, class_="matrix shares"), "Confusion matrix as numbers")


def _cell(share: float) -> Html:
    if share == 0:
        return element("td", "0", class_="zero")
    text = f"{100 * share:.0f}" if share >= 0.005 else "<1"
    return element("td", text, class_=f"s{sum(share >= bound for bound in SHADES) - 1}")


def swatches(entries: Sequence[LegendEntry]) -> Html:
    """Return names, each beside its colour."""
    items = [element("li", _swatch(colour), name) for name, colour in entries]
    return element("ul", items, class_="swatches", aria_label="Colours")


def _swatch(colour: tuple[int, int, int]) -> Html:
    filled = element("rect", width=10, height=10, fill="#{:02x}{:02x}{:02x}".format(*colour))
    return element("svg", filled, class_="swatch", viewBox="0 0 10 10", aria_hidden="true")
