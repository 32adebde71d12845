"""What is shown of a detector: the page on the terminal, figures, sections of the report, and what they refuse."""

from __future__ import annotations

import io
import re
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from cnncli.analysis.explain import explain
from cnncli.analysis.summary import summarize
from cnncli.config.load import load
from cnncli.datasets.splits import Splits
from cnncli.errors import CnnError, RunError
from cnncli.files.form import Unexpected
from cnncli.report.figures import to_png
from cnncli.report.html_material import Material, Pictures
from cnncli.report.html_page import report_page
from cnncli.tasks.detection import html_images
from cnncli.tasks.detection.examples import COLOURS, DetectedSplit, legend
from cnncli.tasks.detection.form import EVALUATION
from cnncli.tasks.detection.html_images import example_pictures
from cnncli.tasks.detection.outcomes import outcomes
from cnncli.tasks.detection.pages import DetectionPages
from cnncli.tasks.detection.samples import chosen_rows
from cnncli.tasks.detection.task import DetectionTask
from cnncli.tasks.task import get_task

if TYPE_CHECKING:
    from .conftest import Detected

PAGES = DetectionPages()


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_page_fits_the_terminal(detected: Detected, golden: Any, width: int) -> None:
    """Totals, scores and counts of every class and the largest errors; where it is narrow, some columns go."""
    text = io.StringIO()
    Console(file=text, width=width, color_system=None).print(PAGES.page(detected.document, width))
    assert max(map(len, text.getvalue().splitlines())) <= width
    golden(f"evaluation-{width}", text.getvalue())


def test_the_form_takes_an_evaluation(detected: Detected) -> None:
    """What `cnn eval` writes is shown again; of an exported network there is no loss."""
    EVALUATION(detected.document)
    EVALUATION({**detected.document, "loss": None, "ap50_interval": None})


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda document: document.pop("ap50"), "ap50"),
        (lambda document: document.update(num_objects=1), "the sum of the confusion matrix"),
        (lambda document: document["confusion_matrix"].pop(), "a confusion matrix of 5 × 5 numbers"),
        (lambda document: document["per_class"].pop(), "the scores of 4 classes"),
        (lambda document: document["per_class"][0].update(ap=1.5), "from 0 to 1"),
        (lambda document: document["per_class"][0]["curve"].append("x"), "from 0 to 1"),
        (lambda document: document["ap50_interval"].append(0.5), "2"),
    ],
)
def test_the_form_refuses_what_cannot_be_shown(detected: Detected, change: Any, expected: str) -> None:
    """One thing missing, out of range or at odds with another, each named."""
    document = deepcopy(detected.document)
    change(document)
    with pytest.raises(Unexpected) as caught:
        EVALUATION(document)
    assert expected in f"{caught.value} {vars(caught.value)}"


def test_the_worst_come_first(detected: Detected) -> None:
    """The lowest F1 first, from the file of predictions alone."""
    split = DetectedSplit(detected)
    expected = [own.f1 for own in outcomes(detected.evaluation.confident, 4)]
    found = split.worst(20)
    assert [expected[row] for row in found] == sorted(score for score in expected if not np.isnan(score))
    assert split.worst(2) == found[:2]
    shown = list(split.at([3, 0]))
    assert [one.name for one in shown] == ["folder/3.png", "folder/0.png"]
    for row, one in zip((3, 0), shown, strict=True):
        assert (one.pixels == detected.examples.images[row]).all()
        own = detected.evaluation.confident
        assert np.array_equal(one.objects.corners, own.objects[row].corners)
        assert np.array_equal(one.detections.scores, own.detections[row].scores)


def test_kinds_of_boxes_are_told_apart(detected: Detected) -> None:
    """Each outcome has its colour, objects are dashed, and errors have labels; the caption counts them."""
    every = list(DetectedSplit(detected).at(range(9)))
    kinds = {kind for own in every for kind in (*own.outcomes.detections, *own.outcomes.objects)}
    assert kinds == set(COLOURS)
    assert [name for name, _ in legend(every)] == ["right", "another class", "false", "missed", "not counted"]
    for own in every:
        marks = own.marks()
        assert sum(mark.is_dashed for mark in marks) == len(own.objects.labels)
        assert len(marks) == len(own.objects.labels) + len(own.detections.labels)
        for mark in marks:
            kind = next(kind for kind, colour in COLOURS.items() if colour == mark.colour)
            is_error = kind == "missed" if mark.is_dashed else kind in ("confused", "false")
            assert bool(mark.label) == is_error
        missed = own.outcomes.objects.count("missed")
        assert (f"{missed} missed" in own.caption) == (missed > 0)
    assert any(re.fullmatch(r"ring 0\.\d\d, is </b>\$plate\$", mark.label) for own in every for mark in own.marks())


def test_predictions_of_other_examples_are_refused(detected: Detected, tmp_path: Path) -> None:
    """A file with fewer images than examples, and none at all."""
    text = detected.predictions_file.read_text(encoding="utf-8")
    short = tmp_path / "predictions-test.csv"
    short.write_text("".join(line for line in text.splitlines(keepends=True) if "/8.png" not in line), encoding="utf-8")
    with pytest.raises(RunError, match="it has 8 images, expected 9"):
        DetectedSplit(replace(detected, predictions_file=short))
    with pytest.raises(RunError, match="it has 0 images, expected 9"):
        DetectedSplit(replace(detected, predictions_file=tmp_path / "none.csv"))


def test_figures(detected: Detected) -> None:
    """Confusions as shares, a curve and a dot for each class with objects, images with their boxes."""
    draw = PAGES.figures()
    matrix = np.array(detected.document["confusion_matrix"])
    shown = draw["confusion"](detected, 0).axes[0]
    assert np.allclose(shown.images[0].get_array(), matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1))
    assert [text.get_text() for text in shown.get_xticklabels()][-1] == "background"
    curves = draw["precision_recall"](detected, 0).axes[0].lines
    assert len(curves) == 6
    assert curves[0].get_ydata() == pytest.approx(detected.document["per_class"][0]["curve"])
    first, worst = draw["boxes"](detected, 4), draw["worst"](detected, 2)
    assert [axes.get_title(loc="left").partition("\n")[0] for axes in first.axes][:4] == [
        f"folder/{row}.png" for row in range(4)
    ]
    assert len(worst.axes) == 2
    assert to_png(worst).startswith(b"\x89PNG")


@pytest.fixture(scope="module")
def material(detected: Detected) -> Material:
    """Return material for a whole report."""
    config = load("shapes_unet")
    document = detected.document
    return Material(
        name="blood",
        identity="20260101-120000",
        path="runs/blood/20260101-120000",
        record={"command": "cnn train blood", "device": "CPU", "versions": {}},
        status="done",
        config_text="name: blood\n",
        task=config.task_spec,
        summary=summarize(config),
        explanation=explain(config),
        metrics=[],
        passport={"classes": document["classes"]},
        evaluation=document,
        tiles=tuple(PAGES.tiles(document)),
        invariance=None,
        pictures=Pictures(examples=example_pictures(detected)),
    )


def test_sections_of_the_report(detected: Detected, material: Material) -> None:
    """Scores, curves, counts, confusions in percent, examples with a legend; names are never markup."""
    page = report_page(material, PAGES.sections())
    document = detected.document
    assert "&lt;/b&gt;$plate$" in page
    assert "</b>$plate$" not in page
    for row in document["per_class"][:3]:
        assert f"{row['ap']:.4f}" in page
        assert f"{row['threshold']:.3f}" in page
    row = np.array(document["confusion_matrix"])[1]
    cells = "".join(
        f'<td class="s[0-5]">{100 * n / row.sum():.0f}</td>' if n else '<td class="zero">0</td>' for n in row
    )
    assert re.search(f'<th scope="row">&lt;/b&gt;\\$plate\\$</th>{cells}', page)
    assert page.count('class="boxes"') == 3
    assert page.count('alt="folder/') == 18
    swatches = re.findall(r'fill="#(\w{6})"/></svg>([^<]+)</li>', page)
    found = [name for _, name in swatches]
    assert found[:5] == ["right", "another class", "false", "missed", "not counted"]
    assert found[5:] == ["cell", "&lt;/b&gt;$plate$", "ring"]
    assert {"classes", "precision", "counting", "confusion", "examples", "heatmaps"} <= set(
        re.findall(r'id="(\w+)"', page)
    )


def test_without_examples_or_evaluation(material: Material) -> None:
    """Sections are left out, and the page is still one."""
    assert 'id="examples"' not in report_page(replace(material, pictures=Pictures()), PAGES.sections())
    bare = report_page(replace(material, pictures=Pictures(), evaluation=None, tiles=()), PAGES.sections())
    assert not {"classes", "precision", "counting", "confusion"} & set(re.findall(r'id="(\w+)"', bare))


def test_pictures_of_the_report(detected: Detected, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a small image an enlarged one, with the box of a false detection where it was."""
    monkeypatch.setattr(html_images, "MOST_SHOWN", 1)
    examples = replace(detected.examples, images=detected.examples.images * 0)
    example = next(DetectedSplit(detected).at(DetectedSplit(detected).worst(1)))
    (mark,) = (mark for mark in example.marks() if mark.colour == COLOURS["false"])
    with Image.open(io.BytesIO(example_pictures(replace(detected, examples=examples)).worst[0].content)) as opened:
        assert opened.size == (480, 360)
        pixels = np.asarray(opened.convert("RGB")).astype(int)
    near = np.abs(pixels - COLOURS["false"]).max(axis=-1) < 60
    rows, columns = np.nonzero(near)
    left, _, right, bottom = (3 * value for value in mark.corners)
    assert [columns.min(), rows.max(), columns.max()] == pytest.approx([left, bottom - 1, right - 1], abs=2)


def test_large_images_are_drawn_small(detected: Detected, monkeypatch: pytest.MonkeyPatch) -> None:
    """No side is longer than the page needs."""
    monkeypatch.setattr(html_images, "MOST_SHOWN", 1)
    examples = replace(detected.examples, images=(detected.examples.images * 0).repeat(8, axis=1).repeat(8, axis=2))
    with Image.open(io.BytesIO(example_pictures(replace(detected, examples=examples)).worst[0].content)) as opened:
        assert opened.size == (640, 480)


def fitted(detected: Detected, number: int) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Return images in the network's size, their targets as training has them, and what the network ends in."""
    rows = np.arange(number)
    data: Any = SimpleNamespace(image_size=(96, 128), resize=SimpleNamespace(fit="stretch"))
    images = [np.asarray(Image.fromarray(detected.examples.images[row]).resize((128, 96))) for row in rows]
    logits = {name: values[:number] for name, values in detected.logits.items()}
    return np.stack(images), detected.examples.targets.take(rows).fit(data), logits


def test_pictures_while_it_learns(detected: Detected) -> None:
    """Two images side by side for each example, objects dashed at the left; large ones are thinned out."""
    images, targets, logits = fitted(detected, 3)
    found = PAGES.progress_picture(images, targets, logits, detected.evaluation.classes)
    assert found.shape == (3 * 98 - 2, 2 * 130 - 2, 3)
    left, top = (int(np.floor(value + 0.5)) for value in targets[0, 0, :2])
    assert tuple(found[top, left].tolist()) == tuple(class_colour(targets[0, 0, 4]))
    small = PAGES.progress_picture(images[:, ::2, ::2], targets, logits, detected.evaluation.classes)
    assert small.shape == found.shape
    large = images.repeat(5, axis=1).repeat(5, axis=2)
    targets[..., :4] *= 5
    assert PAGES.progress_picture(large, targets, logits, "abcd").shape[1] <= 2 * 258


def test_a_picture_of_a_network_that_diverges(detected: Detected) -> None:
    """Boxes that are not finite are not drawn: the picture is that of an image in which nothing is detected."""
    images, targets, logits = fitted(detected, 1)
    classes = detected.evaluation.classes
    nothing = PAGES.progress_picture(
        images, targets, logits | {"heatmap": np.full_like(logits["heatmap"], -9)}, classes
    )
    diverged = logits | {"box": np.full_like(logits["box"], np.nan)}
    np.testing.assert_array_equal(PAGES.progress_picture(images, targets, diverged, classes), nothing)


def class_colour(label: float) -> list[int]:
    """Return the colour of a class of four."""
    from cnncli.tasks.colours import class_colours

    colour: list[int] = class_colours(4)[int(label)].tolist()
    return colour


def test_objects_laid_over_augmented_images(detected: Detected) -> None:
    """Objects of each image in their classes' colours; the legend names the classes that are there."""
    images, targets, _ = fitted(detected, 4)
    laid, colours = PAGES.laid_over(images.reshape(2, 2, 96, 128, 3), targets.reshape(2, 2, -1, 6), "abcd")
    assert laid.shape == (2, 2, 96, 128, 3)
    assert [name for name, _ in colours] == ["a", "b", "c"]
    changed = (laid.reshape(images.shape) != images).any(axis=(1, 2, 3))
    assert changed.all()


def test_attribution_is_of_the_highest_cell(detected: Detected) -> None:
    """One logit of each image, by default the highest of all; of several scales that of the highest."""
    classes = detected.evaluation.classes
    score = PAGES.score(detected.logits, classes)
    heatmap = detected.logits["heatmap"]
    best = heatmap.reshape(9, -1).max(axis=1)
    assert np.array_equal((score.weights["heatmap"] * heatmap).sum(axis=(1, 2, 3)), best)
    assert not score.weights["box"].any()
    assert list(score.names) == [classes[int(place) % 4] for place in heatmap.reshape(9, -1).argmax(axis=1)]
    asked = PAGES.score({**detected.logits, "heatmap_2": heatmap[:, ::2, ::2] + 9}, classes, "ring")
    assert set(asked.names) == {"ring"}
    assert not asked.weights["heatmap"].any()
    found = (asked.weights["heatmap_2"] * (heatmap[:, ::2, ::2] + 9)).sum(axis=(1, 2, 3))
    assert np.array_equal(found, heatmap[:, ::2, ::2, 2].max(axis=(1, 2)) + 9)
    with pytest.raises(CnnError, match='there is no class "x"'):
        PAGES.score(detected.logits, classes, "x")


def test_what_the_replay_keeps() -> None:
    """The number of peaks of each class from a score of 0.3 on; right where all numbers are."""
    heatmap = np.full((3, 6, 6, 2), -5.0, np.float32)
    heatmap[0, 1, 1, 0] = heatmap[0, 4, 4, 0] = heatmap[0, 1, 4, 1] = heatmap[1, 2, 2, 1] = 2
    recorded = PAGES.record({"heatmap": heatmap, "box": np.zeros((3, 6, 6, 4))})
    assert recorded["counts"].tolist() == [[2, 1], [0, 1], [0, 0]]
    found = PAGES.recall(recorded, ["2 a, 1 b", "2 b", "0 objects"], ["a", "b"])
    assert [(one.text, one.is_right) for one in found] == [("2 a, 1 b", True), ("1 b", False), ("0 objects", True)]
    with pytest.raises(RunError, match="holds no counts of 2 examples"):
        PAGES.recall(recorded, ["", ""], ["a", "b"])


def test_samples_of_the_data(detected: Detected, tmp_path: Path) -> None:
    """The image with most objects of each class comes first, from the rarest class on; a picture is written."""
    targets = detected.examples.targets
    counts = np.stack([np.bincount(own.labels, minlength=4) for own in targets.objects])
    rarest = np.argsort((counts > 0).sum(axis=0), kind="stable")
    expected = [int(counts[:, label].argmax()) for label in rarest]
    assert chosen_rows(targets, 4)[: len(set(expected))] == list(dict.fromkeys(expected))
    assert sorted(chosen_rows(targets, 4)) == list(range(9))
    splits = Splits(detected.evaluation.classes, detected.examples, None, None)
    path = DetectionTask().draw_samples(splits, tmp_path / "samples.png")
    with Image.open(path) as image:
        assert image.width > 1000


def test_the_task_in_words() -> None:
    """It is known by its name; a batch in a few words; when one is overfit; there is no loss of chance."""
    task = get_task("detection")
    metrics = {"loss": 1.5, "box_iou": 0.95, "center_score": 0.8}
    assert task.progress(metrics) == "loss 1.5000, box IoU 0.9500"
    assert not task.is_overfit(metrics)
    assert task.is_overfit({**metrics, "center_score": 0.92})
    assert task.chance_loss(3) is None
    assert {"boxes", "precision_recall"} <= set(task.pages.kinds())
