"""The report in a real browser: no error, no request, everything by mouse and by keyboard, nothing in anyone's way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from cnncli.report.html_material import Material
from cnncli.report.html_page import report_page
from cnncli.tasks.classification.html import SECTIONS

pytestmark = [pytest.mark.browser, pytest.mark.needs("chromium", "playwright")]

VIEWS = {
    "light": {"color_scheme": "light", "viewport": {"width": 1280, "height": 900}},
    "dark": {"color_scheme": "dark", "viewport": {"width": 1280, "height": 900}},
    "phone": {"color_scheme": "light", "viewport": {"width": 360, "height": 740}},
    "dark phone": {"color_scheme": "dark", "viewport": {"width": 360, "height": 740}},
}


@pytest.fixture(params=VIEWS.values(), ids=VIEWS.keys())
def view(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Return one of the ways to look at a page."""
    return request.param


@pytest.fixture
def open_page(visits: Any, material: Material, tmp_path: Path) -> Callable[..., Any]:
    """Return a function that opens the report."""
    file = tmp_path / "report.html"
    file.write_text(report_page(material, SECTIONS), encoding="utf-8")
    return partial(visits.open, file)


def test_page_fits_its_window(open_page: Any, view: dict[str, Any]) -> None:
    """Nothing makes the page itself scroll sideways, also with every disclosure open."""
    page = open_page(**view)
    page.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_axe_finds_nothing(open_page: Any, view: dict[str, Any]) -> None:
    """No finding of axe-core, serious or not, with a cell open and all disclosures open."""
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="the package axe-playwright-python is not installed"
    )
    page = open_page(**view)
    page.locator("#matrix button").first.click()
    page.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
    found = axe.Axe().run(page).response["violations"]
    assert [(item["id"], item["impact"], [node["html"][:120] for node in item["nodes"][:3]]) for item in found] == []


def test_cells_open_by_mouse(open_page: Any) -> None:
    """A click on a number shows that many images, or says of how many they are."""
    page = open_page()
    button = page.locator("#matrix button[data-true=zero][data-predicted=zero]")
    button.click()
    panel = page.locator("#cell-panel")
    assert panel.locator("h3").inner_text() == button.get_attribute("aria-label")
    assert panel.locator("img").count() == min(3, int(button.inner_text()))
    assert panel.locator("p").inner_text() == f"3 of {button.inner_text()}, the least confident."
    assert button.get_attribute("aria-pressed") == "true"
    assert all(image.evaluate("(image) => image.naturalWidth") for image in panel.locator("img").all())


def test_cells_open_by_keyboard(open_page: Any) -> None:
    """The tab key stops at the matrix once; arrows move to the next number; Enter and Space open it."""
    page = open_page()
    buttons = page.locator("#matrix button")
    assert [b.get_attribute("tabindex") for b in buttons.all()].count("0") == 1
    page.locator("#confusion .wide").focus()
    page.keyboard.press("Tab")
    focused = "document.activeElement.getAttribute('aria-label')"
    first = page.evaluate(focused)
    assert first == buttons.first.get_attribute("aria-label")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    moved = page.evaluate(focused)
    assert moved != first
    page.keyboard.press("Enter")
    assert page.locator("#cell-panel h3").inner_text() == moved
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Space")
    assert page.locator("#cell-panel h3").inner_text() == page.evaluate(focused) != moved
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    assert page.evaluate("document.activeElement.tagName") == "BUTTON"


def test_a_hostile_name_is_only_text(open_page: Any) -> None:
    """The class that is named like markup opens like any other."""
    page = open_page()
    hostile = "</script><img src=x onerror=alert(1)>\"'&"
    button = next(b for b in page.locator("#matrix button").all() if b.get_attribute("data-true") == hostile)
    button.click()
    assert hostile in page.locator("#cell-panel h3").inner_text()


def test_slider_by_keyboard_and_mouse(open_page: Any) -> None:
    """Home, arrows and a click at the end change epoch, pictures and answers together."""
    page = open_page(reduced_motion="reduce")
    slider, label = page.locator("#replay-slider"), page.locator("#replay-epoch")
    pictures = "[...document.querySelectorAll('#replay-pictures img')].map((picture) => picture.src)"
    last = page.evaluate(pictures)
    assert label.inner_text() == "after epoch 3"
    slider.focus()
    page.keyboard.press("Home")
    assert label.inner_text() == "before training"
    assert slider.get_attribute("aria-valuetext") == "before training"
    first = page.evaluate(pictures)
    assert first != last
    assert page.locator("#replay-predictions .prediction").first.get_attribute("class") == "prediction right"
    page.keyboard.press("ArrowRight")
    assert label.inner_text() == "after epoch 1"
    assert page.locator("#replay-predictions .prediction").first.get_attribute("class") == "prediction wrong"
    box = slider.bounding_box()
    page.mouse.click(box["x"] + box["width"] - 3, box["y"] + box["height"] / 2)
    assert label.inner_text() == "after epoch 3"
    assert page.evaluate(pictures) == last


def test_play_runs_to_the_end_and_stops(open_page: Any) -> None:
    """The button plays from the start to the last epoch, and is ready to play again."""
    from playwright.sync_api import expect

    page = open_page()
    page.locator("#replay-play").click()
    assert page.locator("#replay-play").inner_text() == "Pause"
    expect(page.locator("#replay-epoch")).to_have_text("after epoch 3")
    expect(page.locator("#replay-play")).to_have_text("Play")


def test_page_without_script_shows_the_end(open_page: Any) -> None:
    """Where scripts are off, the last epoch and all tables are still there."""
    page = open_page(java_script_enabled=False)
    assert page.locator("#replay-pictures img").count() == 2
    assert page.locator("#matrix button").count() > 3


def test_a_phone_shows_whole_tables_and_whole_file_names(open_page: Any, material: Material, tmp_path: Path) -> None:
    """At 390 pixels every table but the matrix fits into its box; a file's name in a caption stays on one line."""
    file = "photos/cat/IMG-20260405-123456_edited.jpg"
    caption = f"true cat, predicted dog (90.0 %), {file}"
    examples = replace(material.pictures.examples, hits=(replace(material.pictures.examples.hits[0], caption=caption),))
    shown = replace(material, pictures=replace(material.pictures, examples=examples))
    (tmp_path / "report.html").write_text(report_page(shown, SECTIONS), encoding="utf-8")
    page = open_page(viewport={"width": 390, "height": 844})
    wide = "[...document.querySelectorAll('.wide')].filter(w => w.querySelector('table:not(.matrix)'))"
    measured = page.evaluate(f"{wide}.map(w => [w.ariaLabel, w.scrollWidth - w.clientWidth])")
    assert len(measured) > 10
    assert [name for name, over in measured if over > 0] == []
    assert page.evaluate("document.querySelector('.gallery .file').getClientRects().length") == 1
    line = "parseFloat(getComputedStyle(document.querySelector('.gallery .file')).lineHeight)"
    assert page.evaluate(f"document.querySelector('.gallery .file').clientHeight < 1.5 * {line}")
    assert page.get_by_title(file).count() == 1
