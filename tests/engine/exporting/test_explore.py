"""`cnn explore`: the page as a lecturer uses it, in headless Chromium, and its numbers as it shows them."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import cnncli
from cnncli.cli.app import app
from cnncli.runs.run import Run

pytestmark = [pytest.mark.engine, pytest.mark.needs("chromium", "playwright")]

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), ""
)
GUARD = 120_000
"""Milliseconds after which a test gives up instead of hanging."""

HELP = (Path(cnncli.__file__).parent / "help_pages.md").read_text(encoding="utf-8")
LECTURE = {
    "kernel": "layer=c1&unit=10,12,2&example=4",
    "map": "layer=c1&unit=0,0,0&example=4",
    "pooling": "layer=s2&unit=5,6,1&example=4",
    "receptive field": "layer=c3&unit=4,4,5&example=4",
    "answer": "layer=logits&unit=0,0,3&example=4",
}
"""The five steps of a lecture, as `cnn help exploring` gives them."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Return a run of two epochs with its replay."""
    runs = tmp_path_factory.mktemp("explored")
    sets = ["--set", "train.epochs=2", "--set", "train.replay=true", "--set", "train.checkpoint.keep=3"]
    done = CliRunner().invoke(app, ["train", "digits_lenet", *sets, "--runs-dir", str(runs)])
    assert done.exit_code == 0, done.output
    return Run.open(Path(done.stdout.splitlines()[-1]))


@pytest.fixture(scope="module")
def file(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the run's page."""
    path = tmp_path_factory.mktemp("page") / "page.html"
    done = CliRunner().invoke(app, ["explore", str(run.path), "-o", str(path), "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["epochs"] == [0, 1, 2]
    return path


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """Start Chromium once."""
    from playwright import sync_api

    with sync_api.sync_playwright() as started:
        browser = started.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"], timeout=GUARD
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def page(chromium: Any, file: Path) -> Iterator[Any]:
    """Open the page from its file; no test may leave an error or a request behind."""
    context = chromium.new_context(locale="en-GB", reduced_motion="reduce")
    opened = context.new_page()
    opened.set_default_timeout(GUARD)
    said: list[str] = []
    opened.on("console", lambda message: said.append(message.text))
    opened.on("pageerror", lambda error: said.append(str(error)))
    opened.on(
        "request", lambda request: said.append(request.url) if not request.url.startswith(("file:", "blob:")) else None
    )
    opened.goto(file.as_uri())
    wait(opened, "!restoring && flow.maps !== null")
    yield opened
    context.close()
    assert said == []


def view(page: Any, link: str) -> None:
    """Go to a view by its link, as a lecturer does, and wait until it is there."""
    page.evaluate("async (link) => { history.replaceState(null, '', '#' + link); await restore(); }", link)


def wait(page: Any, condition: str) -> None:
    """Wait for a condition; the page's own policy forbids the browser to look for it."""
    for _ in range(GUARD // 20):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(20)
    pytest.fail(condition)


def keras_maps(run: Run, pixels: np.ndarray, layer: str) -> np.ndarray:
    """Return Keras's own output of a layer."""
    import keras

    from cnncli.engine.evaluation.trained import load_trained

    model = load_trained(run).model
    return np.asarray(keras.Model(model.input, model.get_layer(layer).output)(pixels[None] / np.float32(255)))[0]


@pytest.mark.parametrize("step", LECTURE)
def test_the_steps_of_a_lecture_open_as_links(step: str, page: Any) -> None:
    """Each shows its layer and value, whose arithmetic is that of the map."""
    assert f"#{LECTURE[step]} " in HELP
    view(page, LECTURE[step])
    name = re.match(r"layer=(\w+)", LECTURE[step])
    assert name is not None
    assert page.locator("#unit h3").inner_text().startswith(name[1])
    assert LECTURE[step].split("&", maxsplit=1)[0] in page.evaluate("location.hash")
    assert page.locator("#unit h3").is_visible()


@pytest.mark.parametrize(("layer", "unit"), [("c1", "0,27,3"), ("c3", "9,0,15"), ("c5", "0,0,77"), ("logits", "0,0,3")])
def test_what_is_shown_adds_up(layer: str, unit: str, page: Any, run: Run) -> None:
    """The value is the sum of the shown products, plus the shown bias; the map is Keras's."""
    view(page, f"layer={layer}&unit={unit}&example=2")
    page.evaluate("digits = 9; termsOpen = true; drawUnit()")
    rows = page.evaluate(
        "Array.from(byId('terms').querySelectorAll('tbody tr'), (r) => Array.from(r.cells, (c) => c.textContent))"
    )
    shown = dict(
        page.evaluate("Array.from(document.querySelectorAll('#unit .sum b'), (b) => [b.dataset.value, b.textContent])")
    )
    products = [float(value) * float(weight) for _, value, weight, _ in rows]
    before = sum(products) + float(shown["bias"])
    value = float(shown["value"])
    if layer == "logits":
        assert before == pytest.approx(value, rel=1e-5, abs=1e-6)
    else:
        assert max(before, 0.0) == pytest.approx(value, rel=1e-5, abs=1e-6)
    pixels = np.asarray(page.evaluate("Array.from(input.pixels)"), np.float32).reshape(32, 32, 1)
    place = tuple(int(each) for each in unit.split(","))
    theirs = keras_maps(run, pixels, layer)
    assert value == pytest.approx(float(theirs[place[-theirs.ndim :]]), abs=1e-4)


def test_fields_are_those_of_the_summary(page: Any) -> None:
    """Of a value in the middle, as `cnn summary` has them."""
    from cnncli.analysis.summary import summarize
    from cnncli.config.load import load

    seen = {row.name: row.receptive_field for row in summarize(load("digits_lenet")).rows}
    for layer in ("c1", "s2", "c3", "s4"):
        view(page, f"layer={layer}&unit=2,2,0&example=1")
        assert tuple(map(int, page.locator("#field").inner_text().split("×"))) == tuple(seen[layer])


def test_a_shifted_image_shifts_the_maps(page: Any) -> None:
    """By three pixels down and two to the left, exactly, where the border is not seen."""
    maps = []
    for link in ("", "&down=3&right=-2"):
        view(page, "layer=c1&unit=0,0,0&example=3" + link)
        maps.append(np.asarray(page.evaluate("Array.from(flow.maps[0])"), np.float32).reshape(28, 28, 6))
        page.evaluate("byId('unchange').click()")
    np.testing.assert_array_equal(maps[1][3:, :-2], maps[0][:-3, 2:])


def test_an_edited_kernel_answers_as_keras(page: Any, run: Run) -> None:
    """A preset put into a filter by hand, then a channel off; one button undoes both."""
    from cnncli.engine.evaluation.trained import load_trained

    view(page, "layer=c1&unit=4,4,2&example=5")
    answer = "Array.from(byId('answer').rows, (row) => parseFloat(row.cells[1].textContent))"
    first = page.evaluate(answer)
    page.locator("#unit select[data-keep=preset]").select_option("sharpen")
    wait(page, "!byId('undo').hidden")
    model = load_trained(run).model
    kernel, bias = (np.array(weight) for weight in model.get_layer("c1").get_weights())
    kernel[..., 0, 2] = 0
    kernel[1:4, 1:4, 0, 2] = [[0, -1, 0], [-1, 5, -1], [0, -1, 0]]
    model.get_layer("c1").set_weights([kernel, bias])
    pixels = np.asarray(page.evaluate("Array.from(input.pixels)"), np.float32).reshape(1, 32, 32, 1)
    logits = np.asarray(model(pixels / 255)).ravel()
    expected = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    np.testing.assert_allclose(page.evaluate(answer), 100 * expected, atol=0.051)
    page.locator("#undo").click()
    wait(page, "byId('undo').hidden && !waiting")
    page.evaluate("update()")
    assert page.evaluate(answer) == first


def test_an_epoch_answers_as_its_checkpoint(page: Any, run: Run) -> None:
    """The slider puts the weights of the epoch into the page."""
    from cnncli.engine.evaluation.trained import load_trained

    checkpoint = sorted(run.checkpoints_dir.glob("step-*"))[-2]
    trained = load_trained(run, str(checkpoint))
    view(page, "layer=c1&unit=0,0,0&example=6&epoch=1")
    pixels = np.asarray(page.evaluate("Array.from(input.pixels)"), np.float32).reshape(1, 32, 32, 1)
    logits = page.evaluate("Array.from(flow.maps[flow.maps.length - 1])")
    np.testing.assert_allclose(logits, np.asarray(trained.model(pixels / np.float32(255))).ravel(), atol=1e-4)
    assert page.locator("#epochnumber").text_content() == "1"
    page.evaluate("setEpoch(lecture.epochs.length)")


def test_the_occlusion_map_is_kerass(page: Any, run: Run) -> None:
    """Square after square is covered: each probability is Keras's of the covered image."""
    from cnncli.engine.evaluation.trained import load_trained

    view(page, "layer=c1&unit=0,0,0&example=7")
    pixels = np.asarray(page.evaluate("Array.from(input.pixels)"), np.float32).reshape(32, 32)
    found = page.evaluate(
        "async () => { const f = await engine.call('occlusion', { ...input, pixels: Float32Array.from(input.pixels) }, "
        "3, 6, 8, 127.5); return { ...f, answers: Array.from(f.answers) }; }"
    )
    covered = []
    for top in found["tops"]:
        for left in found["lefts"]:
            image = pixels.copy()
            image[top : top + 6, left : left + 6] = 127.5
            covered.append(image)
    logits = np.asarray(load_trained(run).model(np.stack(covered)[..., None] / np.float32(255)), np.float64)
    expected = np.exp(logits - logits.max(1, keepdims=True))
    np.testing.assert_allclose(found["answers"], (expected / expected.sum(1, keepdims=True))[:, 3], atol=1e-5)
    page.evaluate("occlude()")
    wait(page, "!byId('occlusion').hidden && byId('occluded').textContent.includes('%')")


def test_the_keyboard_reaches_everything(page: Any) -> None:
    """Tab alone comes to every control that is shown; arrow keys walk over a map."""
    view(page, "layer=c1&unit=3,3,0&example=4")
    page.evaluate("document.querySelectorAll('details').forEach((each) => (each.open = true))")
    reachable = page.evaluate(
        "Array.from(document.querySelectorAll('button, input, select, summary, canvas[tabindex]'), (e, i) => "
        "{ e.dataset.number = i; return e.offsetParent && !e.disabled ? i : -1; }).filter((i) => i >= 0)"
    )
    page.evaluate("document.activeElement.blur(); window.scrollTo(0, 0)")
    reached = set()
    for _ in range(len(reachable) + 40):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("Number(document.activeElement.dataset.number ?? -1)"))
    # What the panel holds is drawn anew while maps are walked over: it is reached under another number.
    outside = "(list) => list.filter((i) => { const e = document.querySelector(`[data-number='${i}']`);"
    outside += " return e && !e.closest('#unit'); })"
    assert page.evaluate(outside, [i for i in reachable if i not in reached]) == []
    view(page, "layer=c1&unit=3,3,0&example=4")
    page.locator("#layer0").focus()
    for key in ("ArrowDown", "ArrowRight", "ArrowRight", "PageDown"):
        page.keyboard.press(key)
        page.wait_for_timeout(50)
    assert page.evaluate("selected.at") == [4, 5, 1]


def test_a_quiz_hides_asks_and_checks(page: Any) -> None:
    """The numbers are hidden; a wrong answer is told, and the way is shown."""
    view(page, "layer=c3&unit=1,1,0&example=4&quiz=1")
    assert not page.locator(".layer .secret").first.is_visible()
    page.locator("#guess").fill("3x3x3")
    page.locator("[data-keep=check]").click()
    assert page.locator("#question [role=status]").inner_text() == "Not yet"
    page.locator("#guess").fill("10 x 10 x 16")
    page.locator("[data-keep=check]").click()
    assert page.locator("#question [role=status]").inner_text() == "Right"
    page.locator("[data-keep=way]").click()
    assert "5×5" in page.locator("#question .sum").inner_text()
    page.locator("#quizzing").click()


def test_german_is_chosen_by_the_browser(chromium: Any, file: Path) -> None:
    """Every text of the page has a German one."""
    context = chromium.new_context(locale="de-AT")
    opened = context.new_page()
    opened.goto(file.as_uri())
    assert opened.locator("#whatif summary").inner_text() == "Was wäre, wenn …"
    assert opened.evaluate("document.documentElement.lang") == "de"
    context.close()


def test_size(file: Path, run: Run) -> None:
    """Under 1.5 MB with 30 images, without the weights of the epochs."""
    text = file.read_text(encoding="utf-8")
    (epochs,) = re.findall(r'id="epochs">([^<]*)<', text)
    assert len(text) - len(epochs) < 1_500_000
    assert len(json.loads(re.findall(r'id="lecture">([^<]*)<', text)[0])["examples"]["truths"]) == 30
    assert run.replay_dir.is_dir()


VIEWS = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "phone": {"color_scheme": "light", "viewport": {"width": 360, "height": 740}},
    "forced colours": {"forced_colors": "active"},
}


@pytest.mark.parametrize("look", VIEWS)
def test_nothing_is_in_anyones_way(look: str, chromium: Any, file: Path) -> None:
    """Of axe-core's rules none is broken, with everything open; nothing is wider than the window."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    context = chromium.new_context(**VIEWS[look])
    opened = context.new_page()
    opened.goto(file.as_uri() + "#layer=c3&unit=4,4,5&example=4&quiz=1")
    wait(opened, "!restoring && flow.maps !== null")
    opened.evaluate("document.querySelectorAll('details').forEach((each) => (each.open = true))")
    found = axe.Axe().run(opened).response["violations"]
    assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in found] == []
    assert opened.evaluate("document.documentElement.scrollWidth <= innerWidth")
    context.close()


def test_names_stay_text(chromium: Any, file: Path, tmp_path: Path) -> None:
    """A class or a layer called like a tag is shown, and never becomes one."""
    name = "<img src=x onerror=document.title=1>"
    text = file.read_text(encoding="utf-8")
    escaped = name.replace("<", "\\u003c")
    hostile = text.replace('"classes": ["0", "1"', f'"classes": ["{escaped}", "1"').replace(
        '"name": "c1"', f'"name": "{escaped}"'
    )
    assert hostile.count(escaped) >= 2
    (tmp_path / "hostile.html").write_text(hostile, encoding="utf-8")
    context = chromium.new_context()
    opened = context.new_page()
    opened.goto((tmp_path / "hostile.html").as_uri())
    wait(opened, "!restoring && flow.maps !== null")
    opened.evaluate("choose(0, [1, 1, 0])")
    wait(opened, "document.querySelector('#unit h3') !== null")
    assert opened.locator("img").count() == 0
    assert opened.locator("#unit h3").inner_text().startswith(name)
    assert opened.locator("#answer tr").first.inner_text().startswith(name)
    assert opened.title() == "digits_lenet"
    context.close()
