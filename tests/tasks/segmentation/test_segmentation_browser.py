"""The report of a segmentation in a real browser: it fits a phone, and everybody can read it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from cnncli.report.html import element
from cnncli.report.html_material import Pictures
from cnncli.tasks.segmentation.html import SECTIONS
from cnncli.tasks.segmentation.html_images import example_pictures

if TYPE_CHECKING:
    from .conftest import Segmented

pytestmark = pytest.mark.needs("chromium", "playwright")


def written(segmented: Segmented, file: Path) -> Path:
    """Write the sections that segmentation adds into a page of the report."""
    material: Any = SimpleNamespace(
        evaluation=segmented.document, pictures=Pictures(examples=example_pictures(segmented))
    )
    made = [part.make(material) for part in SECTIONS]
    style = Path(__file__).parents[3].joinpath("cnncli/report/templates/report.css").read_text(encoding="utf-8")
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>T</title>'
    head += f"<style>{style}</style>"
    body = element("main", element("h1", "Report"), [part for part in made if part is not None])
    file.write_text(f'<!doctype html><html lang="en"><head>{head}</head><body>{body}</body></html>', "utf-8")
    return file


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_sections_fit_and_can_be_read(
    visits: Any, segmented: Segmented, tmp_path: Path, scheme: Any, width: int
) -> None:
    """Nothing makes the page scroll sideways, four pictures stand in a row, and axe-core finds nothing."""
    page_file = written(segmented, tmp_path / "report.html")
    page = visits.open(page_file, color_scheme=scheme, viewport={"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    boxes = [image.bounding_box() for image in page.locator(".masks figure").first.locator("img").all()]
    assert len({round(box["y"]) for box in boxes}) == 1
    assert all(box["width"] > 60 for box in boxes)
    swatch = page.locator(".swatch rect").first
    assert swatch.evaluate("(mark) => getComputedStyle(mark).fill") == "rgb(0, 114, 178)"
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    found = axe.Axe().run(page).response["violations"]
    assert [(item["id"], [node["html"][:120] for node in item["nodes"][:3]]) for item in found] == []
