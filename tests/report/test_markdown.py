"""A page in Markdown: headings and list entries, with nothing of it lost."""

from __future__ import annotations

from cnncli.report.page import Entry, Page, Title


def test_each_part_in_markdown() -> None:
    """Titles are headings, entries and texts are list entries, empty lines are left out."""
    page = Page((Title("A run"), Entry("accuracy", "0.98", remark="n = 10"), "", "one sentence"))
    assert page.markdown() == "### A run\n\n- accuracy: 0.98\n\n- one sentence"
