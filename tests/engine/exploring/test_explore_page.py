"""The page of `cnn explore` in headless Chromium, for a LeNet of two epochs: what it shows is what the run computes."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnncli.report.help_pages import written
from cnncli.runs.run import Run

pytestmark = [
    pytest.mark.engine,
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.needs("chromium", "playwright"),
]
LOOKS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light", "viewport": {"width": 1280, "height": 900}},
    "dark": {"color_scheme": "dark", "viewport": {"width": 1280, "height": 900}},
    "phone": {"color_scheme": "light", "viewport": {"width": 360, "height": 740}},
    "forced colours": {"forced_colors": "active", "viewport": {"width": 1280, "height": 900}},
}
PANELS = ("number", "change", "learning", "quiz")
SETTLED = "() => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 30)))"
"""Waits for what the next frame computes."""


@pytest.fixture(scope="module")
def explored(run: Run) -> Any:
    """Return its page."""
    from cnncli.engine.exploring.explore import Wanted, explore

    return explore(run, Wanted(), pytest.fail)


@pytest.fixture(scope="module")
def model(run: Run) -> Callable[[str], Any]:
    """Return a function that gives the run's network in Keras, of a checkpoint."""
    from cnncli.engine.evaluation.trained import load_trained

    return lambda checkpoint: load_trained(run, checkpoint).model


@pytest.fixture(scope="module")
def opened(module_visits: Any, explored: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Any]]:
    """Return a function that opens a page; at the end none had even an image of its own to ask for."""
    file = tmp_path_factory.mktemp("page") / "explore.html"

    def open_page(text: str | None = None, **settings: Any) -> Any:
        file.write_text(text or explored.text, encoding="utf-8")
        page = module_visits.open(file, **{"viewport": {"width": 1280, "height": 900}, "locale": "en-US", **settings})
        page.evaluate(SETTLED)
        return page

    yield open_page
    assert [url for url in module_visits.asked if url.startswith("data:")] == []


@pytest.fixture(scope="module")
def kept(opened: Callable[..., Any]) -> Any:
    """Return the page, opened once."""
    return opened()


@pytest.fixture
def page(kept: Any) -> Any:
    """Return the page as at its beginning."""
    go(kept, "#example=0")
    return kept


def go(page: Any, link: str) -> None:
    """Follow a link within the page."""
    page.evaluate("(link) => { location.hash = link; follow(); }", link)
    page.evaluate(SETTLED)


def answers(page: Any) -> np.ndarray:
    """Return the probabilities that the page computed."""
    return np.array(page.evaluate("Array.from(shown.probabilities)"))


def image(page: Any) -> np.ndarray:
    """Return the image that the network reads, from 0 to 1."""
    return np.array(page.evaluate("Array.from(shown.image.pixels)"), np.float32).reshape(1, 32, 32, 1) / 255


def softmax(logits: Any) -> np.ndarray:
    """Return probabilities."""
    shifted = np.exp(np.asarray(logits, np.float64) - np.max(logits))
    return (shifted / shifted.sum()).reshape(-1)


TABLES = """() => {
  const numbers = (row, name) => Array.from(row.querySelectorAll(`.${name} data`), (one) => one.textContent);
  const rows = Array.from(document.querySelectorAll("#number .sum"));
  return rows.map((row) => ["input", "weight", "product"].map((name) => numbers(row, name)));
}"""


def test_numbers_shown_make_the_value(page: Any, model: Callable[[str], Any]) -> None:
    """Patch · kernel + bias, as told with nine digits, is the value told; and that is Keras's."""
    import keras

    page.select_option("#digits", "9")
    trained = model("best")
    inside = keras.Model(trained.inputs, [layer.output for layer in trained.layers])
    maps = {layer.name: np.asarray(found)[0] for layer, found in zip(trained.layers, inside(image(page)), strict=True)}
    generator = np.random.default_rng(0)
    for name in ("c1", "c3") * 6:
        unit = [int(generator.integers(length)) for length in maps[name].shape]
        page.evaluate("([name, unit]) => choose(indexOf(name), unit)", [name, unit])
        patch, kernel, products = np.array(page.evaluate(TABLES), np.float64).transpose(1, 0, 2)
        bias, value = (float(page.inner_text(f"#unit-{part}")) for part in ("bias", "value"))
        np.testing.assert_allclose(patch * kernel, products, rtol=1e-6, atol=1e-9)
        assert max((patch * kernel).sum() + bias, 0) == pytest.approx(value, rel=1e-5, abs=1e-6)
        assert value == pytest.approx(maps[name][tuple(unit)], rel=1e-4, abs=1e-5)
    for name in ("s2", "c5", "logits"):
        shape = maps[name].shape
        unit = [int(generator.integers(length)) for length in shape]
        page.evaluate("([name, unit]) => choose(indexOf(name), [0, 0, 0].concat(unit).slice(-3))", [name, unit])
        assert float(page.inner_text("#unit-value")) == pytest.approx(maps[name][tuple(unit)], rel=1e-4, abs=1e-5)
    rows = page.eval_on_selector_all("#number tbody tr", "(rows) => rows.map((row) => row.lastChild.textContent)")
    assert sum(map(float, rows)) == pytest.approx(float(page.inner_text("#unit-sum")), rel=1e-5)
    page.select_option("#digits", "3")


def test_examples_are_what_the_run_answers(page: Any, explored: Any, model: Callable[[str], Any]) -> None:
    """One of each class, right and wrong ones; the page computes for each what the run predicted."""
    found = page.evaluate("examples.map(({ truth, predicted, right }) => [truth, predicted, right])")
    assert len(found) == explored.examples == 30
    assert {truth for truth, _, _ in found} == set("0123456789")
    assert {right for _, _, right in found} == {True, False}
    assert all((truth == predicted) == right for truth, predicted, right in found)
    for number in (0, 7, 29):
        go(page, f"#example={number}")
        assert str(answers(page).argmax()) == found[number][1]
        np.testing.assert_allclose(answers(page), softmax(model("best")(image(page))), atol=1e-5)


def test_a_shifted_image_shifts_the_map(page: Any) -> None:
    """Three pixels to the right and two down move the map of a convolution by as many, to the last bit."""
    maps = "Array.from(shown.outputs[indexOf('c1')])"
    before = np.array(page.evaluate(maps)).reshape(28, 28, 6)
    page.evaluate("openPanel('change')")
    for name, value in (("right", 3), ("down", 2)):
        page.fill(f"#change-{name}", str(value))
    page.evaluate(SETTLED)
    after = np.array(page.evaluate(maps)).reshape(28, 28, 6)
    assert (after[2:, 3:] == before[:-2, :-3]).all()
    assert (after != before).any()
    # The untouched image's answer stands beside.
    assert page.locator("#answer tr small").count() == 10


def test_an_edited_kernel_answers_as_in_keras(page: Any, model: Callable[[str], Any]) -> None:
    """A preset and two numbers typed in, and a channel switched off; one button undoes all."""
    before = answers(page)
    page.evaluate("openPanel('change'); choose(indexOf('c1'), [3, 4, 2])")
    page.click("#preset-sobel_x")
    page.fill("#weight-0-1", "1.25")
    page.press("#weight-0-1", "Enter")
    page.fill("#weight-4-4", "-0.5")
    page.press("#weight-4-4", "Tab")
    edited = model("best")
    kernel, bias = edited.get_layer("c1").get_weights()
    kernel[:, :, 0, 2] = np.pad([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], 1)
    kernel[0, 1, 0, 2], kernel[4, 4, 0, 2] = 1.25, -0.5
    edited.get_layer("c1").set_weights([kernel, bias])
    expected = softmax(edited(image(page)))
    np.testing.assert_allclose(answers(page), expected, atol=1e-5)
    assert np.abs(expected - before).max() > 1e-3
    # The link restores the edits.
    go(page, page.evaluate("link()"))
    np.testing.assert_allclose(answers(page), expected, atol=1e-5)
    page.check("#channel-off")
    kernel[..., 2], bias[2] = 0, 0
    edited.get_layer("c1").set_weights([kernel, bias])
    np.testing.assert_allclose(answers(page), softmax(edited(image(page))), atol=1e-5)
    page.click("#undo")
    np.testing.assert_array_equal(answers(page), before)
    assert page.is_disabled("#undo")


def test_replay_is_the_checkpoint_of_the_epoch(page: Any, run: Run, explored: Any, model: Callable[[str], Any]) -> None:
    """Weights after epoch e answer as the run's checkpoint of e does; the curves mark the moment."""
    assert explored.epochs == (0, 1, 2)
    page.evaluate("openPanel('learning')")
    checkpoints = sorted(path.name for path in run.checkpoints_dir.iterdir() if path.name.startswith("step-"))
    assert len(checkpoints) == 3
    seen = []
    for epoch, checkpoint in enumerate(checkpoints):
        page.fill("#epoch", str(epoch))
        page.evaluate(SETTLED)
        seen.append(answers(page))
        np.testing.assert_allclose(seen[-1], softmax(model(checkpoint)(image(page))), atol=1e-5)
        assert float(page.get_attribute(".moment >> nth=0", "x1")) == pytest.approx(46 + 182 * epoch)
    assert np.abs(seen[0] - seen[1]).max() > 1e-3
    page.click("#epoch-own")
    assert "epoch" not in page.evaluate("location.hash")


def test_occlusion_is_drawn(page: Any) -> None:
    """Where the map is highest, the probability with that square covered is the lowest."""
    page.evaluate("openPanel('change')")
    page.click("#occlude")
    page.wait_for_selector("#occlusion-map")
    assert page.evaluate("document.getElementById('occlusion-map').width") > 10
    assert "%" in page.inner_text("#occlusion-told")


def test_frames_are_the_receptive_field(page: Any, run: Run) -> None:
    """What is framed in the image has the size that `cnn summary` tells, and what is told of it too."""
    from cnncli.analysis.summary import summarize

    rows = {row.name: row.receptive_field for row in summarize(run.config()).rows}
    for name in ("c1", "s2", "c3", "s4"):
        page.evaluate("(name) => choose(indexOf(name), [1, 1, 0])", name)
        (frame,) = page.evaluate("framesOf(-1).map(({ height, width }) => [height, width])")
        assert tuple(frame) == rows[name]
        assert f"{frame[0]} × {frame[1]}" in page.inner_text("#unit-field")


def test_quiz(page: Any) -> None:
    """The numbers are hidden, right answers are right, and the way leads to them."""
    page.evaluate("choose(indexOf('c3'), [2, 3, 4])")
    page.check("#quizzing")
    assert not page.locator(".layer .secret").first.is_visible()
    assert page.locator("#unit-value").count() == 0
    value = page.evaluate("explained.value")
    right = {"size": "10 x 10 x 16", "parameters": "2416", "value": f"{value:.4f}", "field": "14, 14"}
    ways = {"size": "14", "parameters": "5 · 5 · 6", "value": "relu", "field": "c1: 10 × 10"}
    for question, answer in right.items():
        page.select_option("#question", question)
        for text, verdict in (("7", "✗"), (answer, "✓")):
            page.fill("#guess", text)
            page.press("#guess", "Enter")
            assert page.inner_text("#verdict").startswith(verdict)
        page.click("#show-way")
        assert ways[question] in page.inner_text("#way")
    page.uncheck("#quizzing")
    assert page.locator(".layer .secret").first.is_visible()


def lecture() -> list[str]:
    """Return the links of the lecture in `cnn help explore`."""
    return re.findall(r"`(#example=[^`]*)`", written()["explore"].body)


def test_the_steps_of_a_lecture_open(page: Any) -> None:
    """Each of the five links shows its layer and its value, and the page's own link is the same one again."""
    assert len(lecture()) == 5
    for link in lecture():
        go(page, link)
        name = re.search(r"layer=(\w+)", link)
        assert name is not None
        assert page.inner_text(".layer.chosen h3").endswith(name[1])
        page.evaluate("openPanel('number')")
        assert page.inner_text("#unit-title").startswith(name[1])
        assert re.search(r"\d", page.inner_text("#unit-value"))
        page.evaluate("(link) => openPanel(new URLSearchParams(link.slice(1)).get('panel') || 'number')", link)
        own = page.evaluate("link()")
        assert own.replace("unit=0,0,", "unit=") == link


def test_a_drawing_is_answered(page: Any) -> None:
    """A stroke on the empty pad has an answer, clearing it has none."""
    page.click("#clear")
    page.evaluate(SETTLED)
    assert page.locator("#answer tr").count() == 0
    box = page.locator("#pad").bounding_box()
    page.mouse.move(box["x"] + 140, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + 140, box["y"] + 220, steps=4)
    page.mouse.up()
    page.evaluate(SETTLED)
    assert page.locator("#answer tr").count() == 10
    assert answers(page).sum() == pytest.approx(1, abs=1e-5)


def test_german(page: Any) -> None:
    """The language is the browser's, and can be changed; numbers have their comma."""
    page.select_option("#language", "de")
    assert page.inner_text("#tab-change") == "Was wäre, wenn"
    assert page.get_attribute("html", "lang") == "de"
    assert "," in page.inner_text("#answer tr >> nth=0")
    page.select_option("#language", "en")


REACHABLE = """() => Array.from(document.querySelectorAll("a, button, input, select, [tabindex='0']"))
  .filter((one) => !one.disabled && one.tabIndex >= 0 && one.checkVisibility()).length"""


def test_keyboard_reaches_everything(page: Any) -> None:
    """Tab stops at each control once; arrows walk in a map and from panel to panel."""
    page.evaluate("choose(indexOf('c1'), [3, 4, 2]); document.activeElement.blur()")
    page.evaluate("(document.getElementById('language')).focus()")
    page.evaluate("window.stops = new Set()")
    number = page.evaluate(REACHABLE)
    for _ in range(number):
        page.evaluate("stops.add(document.activeElement)")
        page.keyboard.press("Tab")
    assert page.evaluate("stops.delete(document.body), stops.size") == number
    page.focus(".layer:nth-of-type(2) .maps")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("PageDown")
    assert page.evaluate("state.unit") == [4, 5, 3]
    page.focus("#tab-number")
    page.keyboard.press("ArrowRight")
    assert page.is_visible("#panel-change")
    assert page.evaluate("document.activeElement.id") == "tab-change"


def test_the_window_slides(page: Any, opened: Callable[..., Any]) -> None:
    """On its own at the speed that is set, to the next row at the end of one; a step at a time without motion."""
    page.evaluate("choose(indexOf('c3'), [4, 9, 2])")
    page.fill("#speed", "30")
    page.click("#slide")
    page.wait_for_selector("#unit-title:has-text('row 5, column 2')")
    page.click("#slide")
    still = opened(reduced_motion="reduce")
    go(still, "#example=3&layer=c3&unit=4,9,2")
    still.click("#slide")
    assert still.evaluate("[state.unit, sliding]") == [[5, 0, 2], None]
    still.context.close()


@pytest.mark.parametrize("look", LOOKS)
def test_axe_finds_nothing(opened: Callable[..., Any], look: str) -> None:
    """No finding of axe-core in four looks, with every panel open; nothing makes the page scroll sideways."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    page = opened(**LOOKS[look])
    go(page, "#example=3&layer=c3&unit=4,5,2&right=2")
    page.evaluate("(names) => { for (const name of names) byId('panel-' + name).hidden = false; }", list(PANELS))
    found = axe.Axe().run(page).response["violations"]
    assert [(item["id"], item["impact"], [node["html"][:150] for node in item["nodes"][:3]]) for item in found] == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.context.close()


def test_hostile_names_stay_text(run: Run, opened: Callable[..., Any]) -> None:
    """Names of classes that are HTML are shown as they are, in a page for a worker too."""
    from cnncli.engine.evaluation.trained import load_trained
    from cnncli.engine.exporting.source import Source
    from cnncli.engine.exporting.web_page import page_text
    from cnncli.engine.exporting.web_program import Program

    evil = "<img src=x onerror=alert(1)>"
    source = Source.of(run, load_trained(run))
    about = replace(source.description, any_size=True, classes=(evil, "</script><b>", *"23456789"), name=evil)
    pixels = base64.b64encode(np.arange(1024, dtype=np.uint8).tobytes()).decode()
    examples = [{"pixels": pixels, "truth": evil, "predicted": "</script><b>", "right": False}]
    program = Program.of(source)
    program.macs = 10**9
    page = opened(page_text(program, source, about, {"examples": examples}))
    page.wait_for_selector("#answer tr >> nth=9")
    assert page.inner_text("h1") == evil
    assert page.inner_text("#answer td >> nth=0") == evil
    assert evil in page.inner_text("#truth")
    assert page.locator("img, b#x").count() == 0
    # A network as large as is said here is asked in a worker.
    assert page.evaluate("client.then(({ threaded }) => threaded)")
    page.evaluate("choose(indexOf('c3'), [1, 2, 3])")
    page.wait_for_selector("#unit-value")
    page.context.close()


def test_size(explored: Any) -> None:
    """With 30 examples and without earlier epochs, LeNet-5's page has less than 1.5 MB; it names no address."""
    epochs = sum(map(len, re.findall(r'"weights":"([^"]*)"', explored.text)))
    assert explored.bytes - epochs < 1_500_000
    assert re.findall(r"https?://|//cdn|@import|url\(|\bfetch\(|XMLHttpRequest|WebSocket", explored.text) == []


def test_the_benchmark_measures(
    script: Callable[[str], Any], opened: Callable[..., Any], module_visits: Any, tmp_path: Path
) -> None:
    """`explore_page.py` in small: the page of MNIST's LeNet-5 with 30 examples has less than 1.5 MB, and is quick."""
    benchmark = script("benchmarks/explore_page.py")
    file = tmp_path / "mnist_lenet5.html"
    file.write_text(benchmark.page_of("mnist_lenet5"), encoding="utf-8")
    assert file.stat().st_size < 1_500_000
    page = opened("<!doctype html><title>empty</title>")
    module_visits.files.add(file.as_uri())
    told = benchmark.measure(page, file, 2)
    page.context.close()
    first, *changed = (int(number) for number in re.findall(r"(?:after|median) (\d+) ms", told))
    # Generous: other tests run beside it.
    assert first < 10_000
    assert max(changed) < 2_000
