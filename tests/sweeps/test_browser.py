"""The page of a sweep in a real browser: no request, by mouse and by keyboard, nothing in anyone's way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cnncli.report.sweep_plots.page import sweep_page
from cnncli.sweeps.landscape import Landscape

pytestmark = [pytest.mark.needs("chromium", "playwright")]


@pytest.fixture
def open_page(visits: Any, landscape: Landscape, tmp_path: Path) -> Callable[..., Any]:
    """Return what opens the page."""
    file = tmp_path / "sweep.html"
    file.write_text(sweep_page(landscape), encoding="utf-8")

    def opened(width: int = 1280, scheme: str = "light") -> Any:
        return visits.open(file, color_scheme=scheme, viewport={"width": width, "height": 800})

    return opened


@pytest.mark.parametrize(("widths", "scheme"), [((360, 1280), "light"), ((1280, 360), "dark")])
def test_page_fits_and_can_be_read(open_page: Any, widths: tuple[int, int], scheme: str) -> None:
    """Nothing makes it scroll sideways, and axe-core finds nothing, with a trial chosen and all configs open."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page = open_page(widths[0], scheme)
    page.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
    page.locator("#trial-slider").fill("9")
    for width in widths:
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    found = axe.Axe().run(page).response["violations"]
    assert [(item["id"], [node["html"][:120] for node in item["nodes"][:3]]) for item in found] == []


def test_a_trial_stands_out_everywhere(open_page: Any, landscape: Landscape) -> None:
    """Chosen by keyboard it has its marks lit in every plot and its row; Escape shows all again."""
    page = open_page()
    slider = page.locator("#trial-slider")
    slider.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    lit = page.locator(".on")
    assert {mark.get_attribute("data-trial") for mark in lit.all()} == {"2"}
    sections = "Array.from(document.querySelectorAll('.on'), (mark) => mark.closest('section').id)"
    assert set(page.evaluate(sections)) == {"history", "front", "parallel", "slices", "trials"}
    assert page.locator("#trial-panel strong").inner_text() == "Trial 2: accuracy 0.9556, macs 1,012,520"
    assert slider.get_attribute("aria-valuetext") == "trial 2"
    page.keyboard.press("Escape")
    assert lit.count() == 0
    assert page.locator("#trial-panel").inner_text() == ""


def test_a_trial_stands_out_when_pointed_at(open_page: Any, landscape: Landscape) -> None:
    """Until the pointer leaves; a click keeps it, another one lets it go."""
    page = open_page()
    number = landscape.found.best[0]
    row = page.locator(f"#trials-table tr[data-trial='{number}']")
    row.hover()
    assert page.locator(f"#parallel .on[data-trial='{number}']").count() == 1
    page.locator("h1").hover()
    assert page.locator(".on").count() == 0
    row.click()
    page.locator("h1").hover()
    assert page.locator("#trial-chosen").inner_text() == str(number)
    assert page.locator(".on").count() > 2
    row.click()
    page.locator("h1").hover()
    assert page.locator(".on").count() == 0


def test_table_is_sorted(open_page: Any, landscape: Landscape) -> None:
    """Upwards, then downwards; trials without the value come last both times."""
    page = open_page()
    button = page.locator("#trials-table thead button", has_text="accuracy")
    values = landscape.objectives[0].values
    shown = "Array.from(document.querySelectorAll('#trials-table tbody tr'), (row) => Number(row.dataset.trial))"
    for direction in ("ascending", "descending"):
        button.click()
        assert button.locator("..").get_attribute("aria-sort") == direction
        order = page.evaluate(shown)
        known = sorted(values, key=lambda n: values[n], reverse=direction == "descending")
        assert [values[n] for n in order[: len(values)]] == [values[n] for n in known]
        assert set(order[len(values) :]) == {t.proposal.number for t in landscape.found.trials} - values.keys()
