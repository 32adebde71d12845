"""The report as text: complete, well-formed, closed to the outside."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from cnncli.report.html import VOID, element, json_script
from cnncli.report.html_chart import Axes, Series, line_chart, ticks
from cnncli.report.html_material import Material
from cnncli.report.html_page import OF_THE_NETWORK, OF_THE_TRAINING, report_page
from cnncli.tasks.classification.html import SECTIONS


class Outline(HTMLParser):
    """Checks that elements are closed in order, and keeps ids, links, addresses and alternative texts."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.sources: list[str] = []
        self.images_without_alt = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        found = dict(attrs)
        if tag not in VOID and tag != "link":
            self.open.append(tag)
        if "id" in found:
            self.ids.append(found["id"] or "")
        if "href" in found:
            self.links.append(found["href"] or "")
        if "src" in found:
            self.sources.append(found["src"] or "")
        self.images_without_alt += tag == "img" and "alt" not in found

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note nothing: an element that ends itself."""

    def handle_endtag(self, tag: str) -> None:
        """Check that the innermost element ends."""
        assert self.open.pop() == tag


def outline(page: str) -> Outline:
    """Parse a page."""
    found = Outline()
    found.feed(page)
    found.close()
    assert found.open == []
    return found


def test_page_is_whole(material: Material) -> None:
    """Every section is there, every link leads somewhere, no id stands twice, every image has its text."""
    found = outline(report_page(material, SECTIONS))
    assert {part.identity for part in (*OF_THE_TRAINING, *SECTIONS, *OF_THE_NETWORK)} <= set(found.ids)
    assert len(found.ids) == len(set(found.ids))
    assert all(link.removeprefix("#") in found.ids for link in found.links if link != "data:,")
    assert found.images_without_alt == 0


def test_page_of_a_run_that_has_just_begun(bare_material: Material) -> None:
    """What is not there yet is left out with a note."""
    page = report_page(bare_material, SECTIONS)
    found = outline(page)
    assert "confusion" not in found.ids
    assert "there is no checkpoint yet" in page
    assert all(link.removeprefix("#") in found.ids for link in found.links if link != "data:,")


def test_page_asks_for_nothing(material: Material) -> None:
    """All images are in the page, and its policy forbids every request."""
    page = report_page(material, SECTIONS)
    assert all(source.startswith("data:image/") for source in outline(page).sources)
    assert "default-src 'none'" in page
    assert not re.search(r"(?:src|href|action)=[\"']?(?:https?:)?//", page)
    assert "@import" not in page


def test_names_cannot_break_out(material: Material) -> None:
    """A class named like markup is shown as text, also in the data that the script reads."""
    page = report_page(material, SECTIONS)
    assert "<img src=x" not in page
    assert page.count("</script>") == 2
    text = re.search(r'<script type="application/json" id="report-data">(.*?)</script>', page, re.DOTALL)
    assert text is not None
    cells = json.loads(text[1])["cells"]
    assert "</script><img src=x onerror=alert(1)>\"'&" in cells


def test_every_confusion_has_its_images(material: Material) -> None:
    """For every number in the matrix there are images in the data."""
    page = report_page(material, SECTIONS)
    text = re.search(r'id="report-data">(.*?)</script>', page, re.DOTALL)
    assert text is not None
    cells = json.loads(text[1])["cells"]
    assert material.evaluation is not None
    names = material.evaluation["classes"]
    for true, counts in zip(names, material.evaluation["confusion_matrix"], strict=True):
        for said, count in zip(names, counts, strict=True):
            if count:
                assert cells[true][said]["count"] == count
                assert cells[true][said]["images"]


def test_many_classes_are_listed_not_drawn(material: Material) -> None:
    """A matrix of 1,000 classes is reported as its most frequent confusions."""
    assert material.evaluation is not None
    names = [f"class {i}" for i in range(1000)]
    matrix = [[0] * 1000 for _ in names]
    for i in range(1000):
        matrix[i][(i + i % 2) % 1000] = i + 1
    found = {**material.evaluation, "classes": names, "confusion_matrix": matrix}
    page = report_page(replace(material, evaluation=found), SECTIONS)
    assert "true class 999, predicted class 0: 1,000" in page
    assert page.count("<button") == 101
    assert len(page) < 1_000_000


def test_sizes_stay_small(material: Material) -> None:
    """Without images the page takes few bytes."""
    assert len(report_page(material, SECTIONS)) < 200_000


def test_element_escapes_what_is_not_html() -> None:
    """Texts and attributes are escaped, elements are not."""
    inner = element("b", "a & b")
    assert element("p", "<", inner, title='"') == '<p title="&quot;">&lt;<b>a &amp; b</b></p>'


def test_json_cannot_end_its_script() -> None:
    """No "<" is left in the data, and they read back as they were."""
    script = json_script("x", {"a": "</script>\u2028&"})
    text = script.removeprefix('<script type="application/json" id="x">').removesuffix("</script>")
    assert "<" not in text
    assert json.loads(text) == {"a": "</script>\u2028&"}


@pytest.mark.parametrize(
    ("low", "high", "whole", "expected"),
    [
        (0, 1, False, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (1, 12, True, [2, 4, 6, 8, 10, 12]),
        (1, 2, True, [1, 2]),
        (0, 0.002, False, [0, 0.0005, 0.001, 0.0015, 0.002]),
        (-0.5, 0.5, False, [-0.4, -0.2, 0, 0.2, 0.4]),
        (0, 300, False, [0, 100, 200, 300]),
    ],
)
def test_ticks_are_round_numbers(low: float, high: float, whole: bool, expected: list[float]) -> None:
    """Ticks are multiples of 1, 2, 2.5 or 5 times a power of ten; epochs are whole."""
    assert ticks(low, high, 5, whole) == pytest.approx(expected)


@pytest.mark.parametrize("points", [[], [(1.0, 0.5)], [(1.0, 0.5), (2.0, 0.5)], [(1.0, None), (2.0, 0.1)]])
def test_chart_of_little(points: list[tuple[float, float | None]]) -> None:
    """One point, equal points, unknown points: every chart is drawn without NaN."""
    chart = line_chart(Axes("Loss", "epoch", "", whole=True), [Series("loss", points, "first")])
    assert "nan" not in chart
    assert "inf" not in chart
