"""A page as one file that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from string import Template
from typing import Any, NamedTuple

from cnncli.report.html import Content, Html, element, joined, json_script


class Made(NamedTuple):
    """A section of a page that is drawn.

    Attributes:
        identity: Where the navigation leads to.
        title: What the navigation calls it.
        content: The section.
    """

    identity: str
    title: str
    content: Html


def document(
    title: Content, sections: Sequence[Made], data: Mapping[str, Any], script: str, styles: Iterable[str] = ()
) -> str:
    """Return a page as HTML: no request leaves it, and its policy forbids any.

    Args:
        title: The page's title.
        sections: What is on it.
        data: What its script needs.
        script: File of the script among the templates.
        styles: Files of further styles.
    """
    links = [element("li", element("a", part.title, href=f"#{part.identity}")) for part in sections]
    return Template(_read("report.html")).substitute(
        title=joined(title),
        style="".join(map(_read, ("report.css", *styles))),
        script=_read(script),
        links=joined(links),
        sections=joined(part.content for part in sections),
        data=json_script("report-data", data),
    )


def _read(name: str) -> str:
    return (files("cnncli.report") / "templates" / name).read_text(encoding="utf-8")
