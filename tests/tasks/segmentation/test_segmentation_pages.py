"""What is shown of a segmentation: the page on the terminal, figures, sections of the report, and what they refuse."""

from __future__ import annotations

import io
import re
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from sklearn import metrics

from cnncli.analysis.explain import explain
from cnncli.analysis.summary import summarize
from cnncli.config.load import load
from cnncli.errors import RunError
from cnncli.files.form import Unexpected
from cnncli.report.figures import to_png
from cnncli.report.html_material import Material, Pictures
from cnncli.report.html_page import report_page
from cnncli.tasks.segmentation import examples
from cnncli.tasks.segmentation.examples import RIGHT, WRONG, image_ious, worst
from cnncli.tasks.segmentation.form import EVALUATION
from cnncli.tasks.segmentation.html_images import example_pictures
from cnncli.tasks.segmentation.pages import SegmentationPages

if TYPE_CHECKING:
    from .conftest import Segmented


def printed(document: dict[str, Any], width: int) -> str:
    """Return the page of an evaluation on a terminal."""
    text = io.StringIO()
    Console(file=text, width=width, color_system=None).print(SegmentationPages().page(document, width))
    return text.getvalue()


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_page_fits_the_terminal(segmented: Segmented, golden: Any, width: int) -> None:
    """Totals, scores of every class and the largest confusions; on a narrow terminal, less important columns go."""
    text = printed(segmented.document, width)
    assert max(map(len, text.splitlines())) <= width
    golden(f"evaluation-{width}", text)


def test_the_page_names_what_scikit_learn_finds(segmented: Segmented) -> None:
    """IoU of each class, pixel accuracy, and a dash for the class that is nowhere."""
    text = printed(segmented.document, 120)
    counted = segmented.truth != 255
    truth, predicted = segmented.truth[counted], segmented.predicted[counted]
    ious = metrics.jaccard_score(truth, predicted, average=None)
    assert len(ious) == 3
    for name, iou in zip(("road", "sky", "</b>$tree$"), ious, strict=True):
        assert re.search(rf"{re.escape(name)} +{iou:.4f} ", text)
    assert re.search(r"never +– +– ", text)
    assert f"mean IoU {ious.mean():.4f}" in text
    assert f"{metrics.accuracy_score(truth, predicted):.4f}, mean over classes" in text


def test_the_form_takes_an_evaluation(segmented: Segmented) -> None:
    """What `cnn eval` writes is shown again, read back from its JSON."""
    EVALUATION(segmented.document)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda document: document.pop("mean_iou"), "mean_iou"),
        (lambda document: document.update(pixel_accuracy=0.5), "the accuracy of the confusion matrix"),
        (lambda document: document.update(num_pixels=1), "the sum of the confusion matrix"),
        (lambda document: document["confusion_matrix"].pop(), "a confusion matrix of 4 × 4 numbers"),
        (lambda document: document["per_class"][0].update(iou=1.5), "from 0 to 1"),
        (lambda document: document["mean_iou_interval"].append(0.5), "2"),
    ],
)
def test_the_form_refuses_what_cannot_be_shown(segmented: Segmented, change: Any, expected: str) -> None:
    """One thing missing, out of range or at odds with another, each named."""
    document = deepcopy(segmented.document)
    change(document)
    with pytest.raises(Unexpected) as caught:
        EVALUATION(document)
    assert expected in f"{caught.value} {vars(caught.value)}"


def test_examples_have_their_own_pixels(segmented: Segmented) -> None:
    """Prediction, uncertainty, IoU and errors of each image are those of plain NumPy and scikit-learn."""
    ious = image_ious(segmented)
    rows = [3, 0, 10]
    found = list(examples.segmented(segmented, rows, ious))
    assert [one.name for one in found] == [f"folder/{row}.png" for row in rows]
    for row, one in zip(rows, found, strict=True):
        truth, predicted = segmented.truth[row], segmented.predicted[row]
        assert (one.predicted == predicted).all()
        assert (one.truth == truth).all()
        assert np.abs(one.uncertainty - (1 - segmented.probabilities[row].max(axis=-1))).max() < 1e-6
        counted = truth != 255
        if counted.any():
            assert one.iou == pytest.approx(
                metrics.jaccard_score(truth[counted], predicted[counted], average="macro"), abs=1e-12
            )
        errors = one.errors()
        assert (errors[~counted] == 0).all()
        assert (errors[counted & (truth == predicted)] == RIGHT).all()
        assert (errors[counted & (truth != predicted)] == WRONG).all()
    assert found[2].caption == "folder/10.png: nothing counts"


def test_the_worst_come_first(segmented: Segmented) -> None:
    """The lowest IoU first; an image in which nothing counts is none of them."""
    ious = image_ious(segmented)
    found = worst(ious, 20)
    assert sorted(found) == list(range(10))
    assert [ious[row] for row in found] == sorted(ious[:10])
    assert worst(ious, 2) == found[:2]


def test_predictions_of_other_examples_are_refused(segmented: Segmented, tmp_path: Path) -> None:
    """A file with fewer lines than examples, and none at all."""
    short = tmp_path / "predictions-test.csv"
    lines = segmented.predictions_file.read_text(encoding="utf-8").splitlines(keepends=True)
    short.write_text("".join(lines[:-1]), encoding="utf-8")
    with pytest.raises(RunError, match="it has 10 lines, expected 11"):
        image_ious(replace(segmented, predictions_file=short))
    with pytest.raises(RunError, match="it has 0 lines, expected 11"):
        image_ious(replace(segmented, predictions_file=tmp_path / "none.csv"))


def texts(figure: Any) -> list[str]:
    """Return the legend's texts."""
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_figures_of_masks(segmented: Segmented) -> None:
    """Image, truth, prediction and errors of each example, and a legend of every colour in them."""
    draw = SegmentationPages().figures()
    figure = draw["worst"](segmented, 2)
    rows = worst(image_ious(segmented), 2)
    assert [axes.get_xlabel() for axes in figure.axes] == ["image", "truth", "prediction", "errors"] * 2
    for place, row in enumerate(rows):
        shown = [axes.images[0].get_array() for axes in figure.axes[4 * place : 4 * place + 4]]
        assert (shown[0] == segmented.examples.images[row]).all()
        # Equal classes have equal colours in truth and prediction, and no others do.
        for label in range(3):
            colours = {
                tuple(pixel)
                for mask, picture in ((segmented.truth[row], shown[1]), (segmented.predicted[row], shown[2]))
                for pixel in picture[mask == label].tolist()
            }
            assert len(colours) == 1
        assert {tuple(pixel) for pixel in shown[1][segmented.truth[row] == 255].tolist()} == {(0, 0, 0)}
    assert texts(figure) == ["road", "sky", "</b>$tree$", "not counted", "wrong", "right"]
    assert to_png(figure).startswith(b"\x89PNG")
    first = draw["masks"](segmented, 24)
    assert len(first.axes) == 4 * 11
    assert first.axes[4].get_title(loc="left").startswith("folder/1.png: IoU 0.")


def test_figure_of_uncertainty(segmented: Segmented) -> None:
    """1 − the largest probability from 0 to 1, with a colour bar."""
    figure = SegmentationPages().figures()["uncertainty"](segmented, 3)
    heat = figure.axes[5].images[-1]
    assert np.abs(heat.get_array() - (1 - segmented.probabilities[1].max(axis=-1))).max() < 1e-6
    assert heat.get_clim() == (0, 1)
    assert figure.axes[-1].get_ylabel() == "1 − largest probability"
    assert texts(figure)[:3] == ["road", "sky", "</b>$tree$"]


def test_figure_of_confusions(segmented: Segmented) -> None:
    """Shares of each true class's pixels."""
    figure = SegmentationPages().figures()["confusion"](segmented, 0)
    counted = segmented.truth != 255
    expected = metrics.confusion_matrix(
        segmented.truth[counted], segmented.predicted[counted], labels=range(4), normalize="true"
    )
    assert np.allclose(figure.axes[0].images[0].get_array(), expected)


def make_material(segmented: Segmented) -> Material:
    """Return material for a whole report."""
    config = load("shapes_unet")
    document = segmented.document
    return Material(
        name="streets",
        identity="20260101-120000",
        path="runs/streets/20260101-120000",
        record={"command": "cnn train streets", "device": "CPU", "versions": {}},
        status="done",
        config_text="name: streets\n",
        task=config.task_spec,
        summary=summarize(config),
        explanation=explain(config),
        metrics=[],
        passport={"classes": document["classes"]},
        evaluation=document,
        tiles=tuple(SegmentationPages().tiles(document)),
        invariance=None,
        pictures=Pictures(examples=example_pictures(segmented)),
    )


def test_sections_of_the_report(segmented: Segmented) -> None:
    """Scores with bars, confusions in percent, examples with a legend, calibration; names are never markup."""
    page = report_page(make_material(segmented), SegmentationPages().sections())
    document = segmented.document
    assert "&lt;/b&gt;$tree$" in page
    assert "</b>$tree$" not in page
    iou = document["per_class"][0]["iou"]
    assert f"{iou:.4f}" in page
    assert f'<rect width="{round(100 * iou, 1)}" height="4" class="filled"/>' in page
    row = np.array(document["confusion_matrix"])[1]
    cells = "".join(f'<td class="s[0-5]">{100 * n / row.sum():.0f}</td>' for n in row[:3])
    assert re.search(f'<th scope="row">sky</th>{cells}<td class="zero">0</td>', page)
    # Eight examples of each kind, four pictures each.
    assert page.count('alt="Prediction for folder/') == 16
    assert page.count('alt="Errors in folder/') == 16
    swatches = re.findall(r'fill="#(\w{6})"/></svg>([^<]+)</li>', page)
    assert [name for _, name in swatches] == ["road", "sky", "&lt;/b&gt;$tree$", "not counted", "wrong", "right"]
    assert len({colour for colour, _ in swatches}) == 6
    assert f"differ by {document['calibration']['ece']:.4f}" in page


def test_pictures_of_the_report(segmented: Segmented) -> None:
    """Errors keep their colours exactly; large images become small, with their masks."""
    large = segmented.examples.images.repeat(40, axis=1).repeat(40, axis=2)
    split = replace(segmented.examples, images=large)
    counted = segmented.truth[0] != 255
    wrong = counted & (segmented.truth[0] != segmented.predicted[0])
    errors = pixels_of(example_pictures(segmented).first[0].images[3])
    assert ((errors == WRONG).all(axis=-1) == wrong).all()
    assert ((errors == 0).all(axis=-1) == ~counted).all()
    shown = example_pictures(replace(segmented, examples=split)).first[0].images
    assert {pixels_of(image).shape for image in shown} == {(144, 240, 3)}
    colours = np.unique(pixels_of(shown[3]).reshape(-1, 3), axis=0).tolist()
    assert sorted(colours) == sorted([[0, 0, 0], [*WRONG], [*RIGHT]])


def pixels_of(image: Any) -> np.ndarray:
    """Return the pixels of an encoded picture."""
    with Image.open(io.BytesIO(image.content)) as opened:
        return np.asarray(opened.convert("RGB"))


def test_without_examples_or_evaluation(segmented: Segmented) -> None:
    """Sections are left out, and the page is still one."""
    material = make_material(segmented)
    sections = SegmentationPages().sections()
    assert 'id="examples"' not in report_page(replace(material, pictures=Pictures()), sections)
    bare = report_page(replace(material, pictures=Pictures(), evaluation=None, tiles=()), sections)
    assert 'id="classes"' not in bare
    assert 'id="calibration"' not in bare
