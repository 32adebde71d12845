"""Reports and pictures of all kinds of networks, data and states of a run."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnncli.config.load import loads
from cnncli.errors import CnnError
from cnncli.runs.events import Silence
from cnncli.runs.run import Run
from cnncli.tasks.classification.html import SECTIONS
from cnncli.tasks.task import get_task

pytestmark = pytest.mark.engine

CLASSES = ["$x_1$", "猫", "<b>&\"'"]
END = "{Dense: {units: 3}}]"
NETWORKS = {
    "dense": f"[Flatten, {END}",
    "conv1d": f"[{{Reshape: {{target_shape: [12, 36]}}}}, {{Conv1D: {{filters: 4, kernel_size: 3}}}}, Flatten, {END}",
    "residual": "[{Conv2D: {filters: 3, kernel_size: 1}}, {Residual: {layers: [{Conv2D: {filters: 3, kernel_size: 3, "
    f"padding: same}}}}, BatchNormalization]}}}}, GlobalMaxPooling2D, {END}",
    "parallel": "[{Parallel: [[{Conv2D: {filters: 2, kernel_size: 3, padding: same}}], [{MaxPooling2D: {pool_size: 3, "
    f"strides: 1, padding: same}}}}]]}}, {{Conv2D: {{filters: 20, kernel_size: 3}}}}, Flatten, {END}",
    "depthwise": "[{DepthwiseConv2D: {kernel_size: 3}}, GlobalAveragePooling2D, {Dense: {units: 3}}, Softmax]",
    "convolution to the end": "[{Conv2D: {filters: 3, kernel_size: 12}}, Flatten]",
}


def train_in(folder: Path, layers: str, validation: float = 0.2) -> Run:
    """Train a network for an epoch on 90 colour images of 12×12, which are written into the folder."""
    from cnncli.engine.training.train import train

    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (120, 12, 12, 3)).astype(np.uint8)
    labels = np.arange(120) % 3
    arrays = {"x_train": images[:90], "y_train": labels[:90], "x_test": images[90:], "y_test": labels[90:]}
    np.savez(folder / "noise.npz", classes=np.array(CLASSES), **arrays)
    text = (
        f"{{name: odd, data: {{source: npz, path: {folder / 'noise.npz'}, image_size: [12, 12], channels: 3, "
        f"validation: {validation}}}, model: {{layers: {layers}}}, train: {{epochs: 1, replay: true}}}}"
    )
    return Run.open(Path(train(loads(text), folder / "runs", Silence()).run))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Run]:
    """Return a function that gives the run of a network by its name, which each test has a copy of."""
    return cache(lambda name: train_in(tmp_path_factory.mktemp("trained"), NETWORKS[name]))


@pytest.fixture
def run_of(trained: Callable[[str], Run], tmp_path: Path) -> Callable[[str], Run]:
    """Return a function that gives a run to be changed."""

    def run(name: str) -> Run:
        path = trained(name).path
        return Run.open(Path(shutil.copytree(path, tmp_path / "runs" / path.parent.name / path.name)))

    return run


@pytest.mark.parametrize("name", NETWORKS)
def test_report_of_every_kind_of_network(run_of: Callable[[str], Run], name: str) -> None:
    """Whatever the layers, a report comes about with all that the network allows."""
    from cnncli.engine.inspection.report import collect
    from cnncli.report.html_page import report_page

    material = collect(run_of(name))
    page = report_page(material, SECTIONS)
    assert material.pictures.missing == ()
    assert len(material.pictures.heats) == 3
    assert material.pictures.replay is not None
    assert [frame.epoch for frame in material.pictures.replay.frames] == [0, 1]
    assert sum(cell.count for cell in material.pictures.examples.cells.values()) == 18
    assert "猫" in page
    assert "<b>&" not in page


@pytest.mark.parametrize("name", ["dense", "conv1d", "residual"])
def test_pictures_of_every_kind_of_network(run_of: Callable[[str], Run], name: str, tmp_path: Path) -> None:
    """Every picture is drawn, or it is told why not."""
    from cnncli.engine.inspection.figures import Choice, draw
    from cnncli.engine.inspection.network import InspectedNetwork
    from cnncli.report.figures import save

    run = run_of(name)
    network = InspectedNetwork(run.config(), run)
    told = {}
    for kind in get_task("classification").pages.kinds():
        try:
            assert save(draw(kind, network, Choice()), tmp_path / f"{kind}.png").stat().st_size > 1000
        except CnnError as error:
            told[kind] = error.message
    assert set(told) <= {"kernels", "gradcam", "receptive_field", "augmentation"}
    assert "augmentation" in told


def test_report_without_the_data(tmp_path: Path) -> None:
    """Once the examples are gone, the numbers are still there, and what is missing is told."""
    from cnncli.engine.inspection.report import collect
    from cnncli.report.html_page import report_page

    run = train_in(tmp_path, NETWORKS["parallel"])
    collect(run)
    (tmp_path / "noise.npz").unlink()
    material = collect(run)
    assert material.evaluation is not None
    assert material.pictures.kernels is not None
    assert material.pictures.examples is None
    assert "noise.npz does not exist" in report_page(material, SECTIONS)
    run.evaluation_file("validation").unlink()
    assert "No predictions are shown" in report_page(collect(run), SECTIONS)


def test_report_without_a_checkpoint(run_of: Callable[[str], Run]) -> None:
    """A run whose checkpoints were deleted has a report of its curves and its config."""
    from cnncli.engine.inspection.report import collect
    from cnncli.report.html_page import report_page

    run = run_of("dense")
    for path in sorted(run.checkpoints_dir.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    page = report_page(collect(run), SECTIONS)
    assert "has no checkpoint" in page
    assert "source: npz" in page


def test_nobody_looks_at_test_unasked(run_of: Callable[[str], Run]) -> None:
    """Reports show validation until test was measured; of another checkpoint than measured, validation again."""
    from cnncli.engine.evaluation.evaluate import EvaluationOptions, evaluate, save
    from cnncli.engine.inspection.measured import usual_split

    run = run_of("dense")
    assert usual_split(run) == "validation"
    save(run, evaluate(run, EvaluationOptions("best", "test")))
    assert usual_split(run) == "test"
    document: dict[str, Any] = {"checkpoint": "step-00000099"}
    run.write_json(run.evaluation_file("test"), document)
    assert usual_split(run) == "validation"
    assert run.record["test_uses"] == 1


def test_without_validation_test_is_shown_and_counted(tmp_path: Path) -> None:
    """Where there is nothing else, a report measures on test, which counts as a use."""
    from cnncli.engine.inspection.report import collect

    run = train_in(tmp_path, NETWORKS["dense"], validation=0.0)
    material = collect(run)
    assert material.evaluation is not None
    assert material.evaluation["split"] == "test"
    assert run.record["test_uses"] == 1


def test_every_class_has_its_attribution(run_of: Callable[[str], Run], monkeypatch: pytest.MonkeyPatch) -> None:
    """One example of each of ten classes; where there are more than can be drawn, it is said."""
    from cnncli.engine.inspection import report
    from cnncli.report.html_network import attribution

    assert report.MOST_HEATS >= 10
    run = run_of("residual")
    monkeypatch.setattr(report, "MOST_HEATS", 2)
    assert "One example of each of 2 classes, of 3." in str(attribution(report.collect(run)))
    monkeypatch.setattr(report, "MOST_HEATS", 40)
    material = report.collect(run)
    assert len(material.pictures.heats) == 3
    assert "One example" not in str(attribution(material))
