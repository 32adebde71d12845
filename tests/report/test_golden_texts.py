"""Pages, lines and CSV files as they are printed, whole: each beside its golden text."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml
from rich.console import Console
from rich.progress import Progress

from cnncli.analysis.diff import diff
from cnncli.analysis.explain import explain
from cnncli.analysis.summary import summarize
from cnncli.analysis.zoo import exhibits
from cnncli.config.load import load, loads
from cnncli.report.bench import bench_table
from cnncli.report.dry_run import duration, forecast_lines, overfit_lines
from cnncli.report.explanation import explanation_latex, explanation_markdown, explanation_page
from cnncli.report.export import artifact_line, bench_page, title
from cnncli.report.grid import Grid
from cnncli.report.half_blocks import picture
from cnncli.report.html_material import Material
from cnncli.report.network_diff import diff_table, what_if_table
from cnncli.report.page import Page
from cnncli.report.passport import bar, passport_page
from cnncli.report.progress import LiveDisplay, PlainLines
from cnncli.report.resolved import origins, resolved_text
from cnncli.report.runs import comparison_lines, runs_table
from cnncli.report.sparkline import curve_lines, sparkline
from cnncli.report.tables import grid, summary_markdown, summary_text
from cnncli.report.zoo import zoo_table
from cnncli.runs.compare import Comparison, Pair
from cnncli.runs.events import EpochDone, Started, StepsDone
from cnncli.runs.groups import Group
from cnncli.runs.listing import Row
from cnncli.tasks.classification.evaluator import evaluate_logits
from cnncli.tasks.classification.mcnemar import McNemar
from cnncli.tasks.classification.page import evaluation_page
from cnncli.tasks.classification.predictions import Place, Ranking
from cnncli.tasks.invariance_page import invariance_page
from cnncli.tasks.predictions import PredictedFile, predictions_csv, predictions_table

Golden = Callable[[str, str], None]
METRICS = ("loss", "accuracy")

NET = """
name: net
data: {source: digits, image_size: [8, 8], channels: 1}
model:
  layers:
    - Conv2D: {filters: 4, kernel_size: 3, padding: same, name: stem}
    - Residual: {layers: [Conv2D: {filters: 4, kernel_size: 3, padding: same}, ReLU]}
    - Parallel: [[{Conv2D: {filters: 2, kernel_size: 1}}], [MaxPooling2D: {pool_size: 1}]]
    - Repeat: {times: 2, layers: [DepthwiseConv2D: {kernel_size: 3}]}
    - BatchNormalization
    - GlobalAveragePooling2D
    - Dense: {units: 10}
"""
OTHER = NET.replace("filters: 2, kernel_size: 1", "filters: 3, kernel_size: 1").replace(
    "    - BatchNormalization\n", ""
)


def drawn(part: Page | Grid | str, width: int | None = None) -> str:
    """Return a part of a page as text."""
    if isinstance(part, Page):
        return part.text(width)
    return part if isinstance(part, str) else "\n".join(part.lines(width))


def test_summaries(golden: Golden) -> None:
    """A network with branches at several widths and in Markdown."""
    summary = summarize(loads(NET))
    golden(
        "summary", "\n\n".join([*(summary_text(summary, width) for width in (None, 80, 50)), summary_markdown(summary)])
    )


def test_explanations(golden: Golden) -> None:
    """The same network explained, for the terminal, in Markdown and in LaTeX; one layer alone."""
    found = explain(loads(NET))
    texts = [explanation_page(found).text(90), explanation_markdown(found), explanation_latex(found)]
    golden("explanation", "\n\n".join([*texts, explanation_page(explain(loads(NET), "stem")).text(60)]))


def test_differences(golden: Golden) -> None:
    """Two networks side by side: all layers, what differs, nothing that differs, settings alone."""
    one, other = loads(NET), loads(OTHER, overrides=["train.epochs=3", "name=other"])
    slower = loads(NET, overrides=["train.optimizer={SGD: {momentum: 0.9}}", "data.image_size=[9, 8]"])
    pages = [
        what_if_table(diff(one, other), ["model.layers=…", "train.epochs=3"]),
        diff_table(diff(one, other)),
        diff_table(diff(other, one)),
        diff_table(diff(one, slower)),
        diff_table(diff(one, loads(NET, overrides=["train.ema=0.9"]))),
        diff_table(diff(one, one)),
    ]
    golden("differences", "\n\n".join(page.text(width) for page in pages for width in (None, 70)))


def test_evaluations(golden: Golden, material: Material) -> None:
    """The page of an evaluation, with and without room for its matrix; one without a mistake."""
    assert material.evaluation is not None
    names = ("a", "bbbbb", "cccccc", "d" * 16, "e" * 17)  # as long as fits, and a character longer
    right = evaluate_logits("validation", names, np.arange(5), 9 * np.eye(5))
    pages = [
        evaluation_page(material.evaluation),
        evaluation_page({**material.evaluation, "data": "other/folder"}, 30),
        evaluation_page({**right.to_json(), "checkpoint": "step-00000001"}),
    ]
    assert material.invariance is not None
    golden("evaluation", "\n\n".join([*map(drawn, pages), drawn(invariance_page(material.invariance))]))


def test_twenty_classes_have_a_matrix_and_more_have_none() -> None:
    """The limit is where it is said to be."""
    for number, is_shown in ((20, True), (21, False)):
        names = tuple(f"class {i}" for i in range(number))
        found = evaluate_logits("test", names, np.arange(number), np.eye(number))
        text = evaluation_page({**found.to_json(), "checkpoint": "x"}).text()
        assert ("Confusion matrix" in text) == is_shown


def test_passports(golden: Golden, material: Material) -> None:
    """Classes with their bars, and what was found; more classes than are listed."""
    many = {f"class {i:03}": i for i in range(103)}
    found = {
        **material.passport,
        "path": None,
        "classes": list(many),
        "num_examples": {"train": sum(many.values()), "test": 0},
        "counts": {"train": many, "test": dict.fromkeys(many, 0)},
        "sizes": {**material.passport["sizes"], "largest": [8, 8]},
        "duplicates": {
            "within": {"train": {"num_images": 1200}, "test": {"num_images": 2}},
            "across": {"train/test": {"num_images": 3}},
        },
        "near_duplicates": {"train/test": {"num_images": 4}},
        "formats": {},
        "modes": {"L": 7, "RGB": 1007},
        "mean": [0.1, 0.25, 1 / 3],
        "bad_files": [{}],
        "ignored_files": 1001,
    }
    golden("passport", "\n\n".join(drawn(passport_page("net", p), 78) for p in (material.passport, found)))


def test_bars_grow_by_eighths() -> None:
    """The smallest share has the thinnest bar, nothing has none."""
    assert [bar(share, 2) for share in (0, 1e-9, 1 / 16, 0.5, 0.75, 15 / 16, 1)] == [
        "  ", "▏ ", "▏ ", "█ ", "█▌", "█▉", "██",
    ]  # fmt: skip
    assert len(bar(0.3)) == 12


def predicted() -> list[PredictedFile]:
    """Return what is predicted for two files, one with three places and one with a single one."""
    places = [Place(name, p) for name, p in (("cat", 0.7), ("dog", 0.2004), ("cow", 1 / 3e4))]
    return [
        PredictedFile("a, b.png", Ranking(tuple(places))),
        PredictedFile("c.png", Ranking((Place("dog", 1.0),))),
        PredictedFile("d.png", error="damaged"),
    ]


def test_predictions(golden: Golden) -> None:
    """As CSV with every digit, and as a table."""
    logits = np.array([[2.0, 1.0, 0.0], [0.0, 0.0, 0.0], [0.0, 3.0, 3.5]])
    evaluation = evaluate_logits("test", ("a", "b", "c, d"), np.array([0, 1, 2]), logits, ["x", "y", "z"])
    rounded = [",".join(cell[:12] for cell in line.split(",")) for line in evaluation.csv().splitlines()]
    texts = [predictions_csv(predicted()), predictions_csv([]), drawn(predictions_table(predicted())), *rounded]
    golden("predictions", "\n".join(texts))
    assert float(evaluation.csv().splitlines()[1].split(",")[3]) == evaluation.confidences[0]


def test_runs(golden: Golden) -> None:
    """The table of runs at several widths."""
    began = datetime(2026, 1, 2, 3, 4, 5)
    rows = [
        Row("runs/net/1", "net", "1", began, "done", 12, "accuracy", 0.98765, 61_706, 3723.4),
        Row("runs/other-net/2", "other-net", "2", began, "damaged", 0, "accuracy", None, None, 0.0),
    ]
    assert rows[0].to_json()["started"] == "2026-01-02T03:04:05"
    golden("runs", "\n\n".join(drawn(runs_table(rows), width) for width in (None, 70, 60, 55, 45, 34)))


def test_chosen_runs(golden: Golden) -> None:
    """The table of runs with tags and what they were sorted and chosen by, at several widths."""
    began = datetime(2026, 1, 2, 3, 4, 5)
    rate, norm = "train.optimizer.Adam.learning_rate", "train.clip_norm"
    found = [
        {rate: 3e-4, norm: None, "train.optimizer": "Adam", "test_accuracy": 0.98123456, "train.replay": True},
        {rate: 0.002, norm: 0.5, "train.optimizer": "Adam", "test_accuracy": None, "train.replay": False},
    ]
    numbers = ("done", 12, "accuracy", 0.98765, 61_706, 3723.4)
    rows = [
        Row("runs/net/1", "net", "1", began, *numbers, tags=("baseline", "for-the-paper"), values=found[0]),
        Row("runs/other-net/2", "other-net", "2", began, *numbers, values=found[1]),
    ]
    shown = [drawn(runs_table(rows, tuple(found[0])), width) for width in (None, 120, 80, 60)]
    shown += [drawn(runs_table(rows, keys), width) for keys in ((), ("seconds",)) for width in (120, 80, 60)]
    golden("runs_chosen", "\n\n".join(shown))


def comparison(runs: int, pairs: int) -> Comparison:
    """Return a comparison of so many runs with so many tests."""
    names = tuple(f"net/{i}" for i in range(runs))
    config = {"seed": tuple(range(runs)), "train.ema": (None, True, "a" * 40, *[0.5] * (runs - 3))}
    metrics = {
        "test_accuracy": (None, 0.98765, 0.0005, *[12] * (runs - 3)),
        "seconds": (1234.5, 99.0, 0.0, *[100.04] * (runs - 3)),
    }
    group = Group(names[:2], {"test_accuracy": (0.9, 0.01, 2), "epochs": (1234, 0.0, 2)})
    found = [Pair(names[0], names[i + 1], McNemar(i + 1, 1000, 0.0123456)) for i in range(pairs)]
    return Comparison(names, config, metrics, (group,), tuple(found))


@pytest.mark.parametrize(("runs", "pairs", "width"), [(3, 1, 80), (3, 2, 40), (3, 0, 30), (27, 0, 200)])
def test_comparisons(runs: int, pairs: int, width: int, golden: Golden) -> None:
    """Runs side by side: as many at once as there is room for, repetitions, tests."""
    parts = comparison_lines(comparison(runs, pairs), width)
    golden(f"comparison_{runs}_{pairs}", "\n".join(drawn(part, width) for part in parts))


def test_the_zoo(golden: Golden) -> None:
    """Some shipped networks at two widths."""
    found = [exhibit for exhibit in exhibits() if exhibit.entry.name in {"lenet5", "alexnet", "resnet18"}]
    golden("zoo", "\n\n".join(drawn(zoo_table(found), width) for width in (100, 60)))


def test_speeds(golden: Golden) -> None:
    """What was measured of a network's steps and of its artifacts."""
    layer = {"name": "c1", "type": "Conv2D", "forward_ms": 1.25, "backward_ms": 2.5}
    document = {
        "images_per_second": 12345.6, "step_ms": 5.4321, "batch_size": 64, "inference_images_per_second": 45678.9,
        "peak_share": 0.256, "peak_gflops": 1234.5, "precision": "float32", "device": "CPU",
        "layers": [layer, {**layer, "name": "[d]", "type": "Dense", "forward_ms": 0.25, "backward_ms": 0.0}],
    }  # fmt: skip
    artifact = {
        "path": "export/net.onnx", "format": "onnx", "quantize": None, "bytes": 123456, "max_abs_diff": 1.23e-7,
        "agreement": 1.0, "num_examples": 1234, "accuracy": 0.98765, "tolerance": 1e-5, "peak_memory_bytes": 123456789,
        "accuracy_drop": 0.0123, "accuracy_drop_interval": [0.01, 0.0146],
        "latency": {"1": {"median": 0.0012345, "p95": 0.002}, "32": {"median": 0.012, "p95": 0.0234}},
    }  # fmt: skip
    quantized = {**artifact, "quantize": "int8", "tolerance": None, "peak_memory_bytes": None}
    said = io.StringIO()
    for empty in (document, {**document, "layers": [], "peak_share": 1.01}):
        Console(file=said, width=100).print(bench_table(empty))
    masks = [{**artifact, "pixel_agreement": 0.99999999}, {**quantized, "pixel_agreement": 1.0}]
    lines = [f"{title(row)}: {artifact_line(row)}" for row in (artifact, quantized, *masks)]
    page = bench_page([artifact, quantized])
    golden("speeds", "\n".join([said.getvalue(), *lines, *(drawn(page, width) for width in (None, 100, 90, 80, 70))]))


STARTED = Started("runs/net/1", "CPU", 12, 50, 3000, 600, 61706, "accuracy", notes=("Read [this].",))
EPOCH = EpochDone(
    3, 150, 0.00123456, 12.34, 2431.5, {"loss": 0.51234, "accuracy": 0.87654}, {"loss": 0.6, "accuracy": 0.8}
)
FIRST = EpochDone(1, 50, 0.001, 9.96, 99.5, {"loss": 2.0, "accuracy": 0.1}, {}, is_best=True)


def test_plain_lines_of_a_training(golden: Golden) -> None:
    """One line an epoch, whatever its length; a resumed run without validation."""
    said = io.StringIO()
    for started in (STARTED, Started("r", "GPU", 1234, 1000, 3000, 0, 7, "accuracy", resumed_at=4000)):
        listener = PlainLines(Console(file=said, width=40))
        listener.started(started)
        listener.steps_done(StepsDone(1, 7, {"loss": 1.0, "accuracy": 0.5}, 10.0, 0.1))
        listener.epoch_done(FIRST)
        listener.epoch_done(EPOCH)
        listener.ended()
    golden("training", said.getvalue())


@pytest.mark.parametrize("width", [60, 80, 100])
def test_the_table_of_a_training(width: int, golden: Golden) -> None:
    """Head and rows of the live table, and what the bar says, at each width where they change."""
    said = io.StringIO()
    for started in (STARTED, Started("r", "GPU", 1234, 1000, 3000, 0, 7, "accuracy", resumed_at=4000)):
        display = LiveDisplay(Console(file=said, width=width))
        display.steps_done(
            StepsDone(1, 1, {"loss": 1.0, "accuracy": 0.5}, 10.0, 0.1)
        )  # nothing is shown before the start
        display.started(started)
        bar = display._bar
        assert bar is not None
        shown = [bar.tasks[0].description, bar.tasks[0].completed, bar.tasks[0].total, bar.tasks[0].fields["numbers"]]
        display.steps_done(StepsDone(3, 7, {"loss": 1.23456, "accuracy": 0.56789}, 12345.6, 0.00123))
        shown += [bar.tasks[0].description, bar.tasks[0].completed, bar.tasks[0].fields["numbers"]]
        for epoch in (FIRST, EPOCH):
            display.epoch_done(epoch)
        display.noted("A [note].")
        display.ended()
        assert display._bar is None
        display.ended()
        said.write("\n".join(map(str, shown)) + "\n\n")
    golden(f"training_table_{width}", said.getvalue())


def test_bold_rows_are_the_best(golden: Golden, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal the best epoch's row is bold, notes are yellow, the head is bold."""
    said = io.StringIO()
    console = Console(file=said, width=80, force_terminal=True, color_system="standard", force_interactive=False)
    monkeypatch.setattr(Progress, "start", lambda self: None)
    display = LiveDisplay(console)
    display.started(STARTED)
    display.epoch_done(FIRST)
    display.epoch_done(EPOCH)
    display.noted("note")
    golden("training_colours", said.getvalue().replace("\x1b", "ESC"))


def test_curves_of_long_trainings_are_means_of_neighbours() -> None:
    """Sixteen epochs in eight bars: each the mean of two, unknown values left out."""
    losses = [float(i) for i in range(16)]
    metrics: list[dict[str, Any]] = [{"train": {"loss": loss}} for loss in losses]
    (line,) = curve_lines(metrics, METRICS, 48)
    assert line == "loss      training    ▁▂▃▄▅▆▇█  0.0000 → 15.0000"
    for unknown in (2, 3, 4):
        metrics[unknown]["train"]["loss"] = float("nan")
    (line,) = curve_lines(metrics, METRICS, 48)
    assert line == "loss      training    ▁·▃▄▅▆▇█  0.0000 → 15.0000"
    assert curve_lines([{"train": {"loss": 1}}, {"train": {"loss": "x"}}, {"train": None}, {}], METRICS) == [
        "loss      training    ▁···  1.0000 → 1.0000"
    ]
    assert sparkline([0.0, 0.49, 0.5, 1.0], 0.0, 1.0) == "▁▄▅█"


def rehearsed(**changes: Any) -> list[str]:
    """Return the forecast's lines."""
    forecast = {
        "device": "CPU", "batch_size": 128, "steps_per_epoch": 1234, "epochs": 12, "compile_seconds": 2.345,
        "step_seconds": 0.0123, "validation_seconds": 75.4, "peak_bytes": 1_234_567_890, "network_bytes": 234_567,
        "estimated_bytes": 1_000_000_000, "checkpoint_bytes": 740_000, "images_per_second": 12345.6,
        "epoch_seconds": 90.6, "total_seconds": 7300.0,
    }  # fmt: skip
    return forecast_lines(SimpleNamespace(**{**forecast, **changes}))  # type: ignore[arg-type]


def memorized(loss: float = 1.2, **changes: Any) -> list[str]:
    """Return the verdict on the training on one batch."""
    found = {
        "learned": False, "steps": 1234, "seconds": 12.34, "num_examples": 128,
        "metrics": {"loss": loss, "accuracy": 0.98765},
        "first_loss": 2.345, "chance_loss": 2.302, "diverged": False, "layers_without_gradient": (),
        "num_contradictions": 0,
    }  # fmt: skip
    return overfit_lines(SimpleNamespace(**{**found, **changes}))  # type: ignore[arg-type]


def test_rehearsals(golden: Golden) -> None:
    """Forecasts and verdicts in every case."""
    lines = [
        *rehearsed(),
        *rehearsed(validation_seconds=0.0, network_bytes=None),
        *rehearsed(peak_bytes=None),
        *memorized(learned=True),
        *memorized(diverged=True),
        *memorized(),
        *memorized(loss=1.1),
        *memorized(loss=1.1, num_contradictions=1002, layers_without_gradient=("a", "b")),
    ]
    golden("rehearsals", "\n".join(lines))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0123456, "12.3 ms"), (0.9994, "999 ms"), (0.9996, "1 s"), (4.5678, "4.57 s"), (59.94, "59.9 s"),
        (59.96, "1 min 0 s"), (200.4, "3 min 20 s"), (3599.4, "59 min 59 s"), (3600, "1 h 0 min"), (7530, "2 h 6 min"),
    ],
)  # fmt: skip
def test_durations(seconds: float, text: str) -> None:
    """As people say them, rounded where the next unit begins."""
    assert duration(seconds) == text


def test_resolved_configs() -> None:
    """Every value of the resolved text has its path and where it came from."""
    config = loads(NET, overrides=["train.epochs=3"])
    text, sources = resolved_text(config), origins(config)
    assert not text.endswith("\n")
    read = yaml.safe_load(text)
    assert sources["train.epochs"] == "--set"
    assert sources["model.layers[0].Conv2D.filters"] == "(text):6"
    assert sources["data.image_size"] == "(text):3"
    assert sources["model.layers[0].Conv2D.strides"] == sources["seed"] == "default"
    for path in sources:
        value = read
        for key, index in re.findall(r"([A-Za-z_0-9]+)|\[(\d+)\]", path):
            value = value[key] if key else value[int(index)]
        assert not isinstance(value, dict) or not value, path


@pytest.mark.parametrize("colours", [None, "truecolor"])
def test_pictures_of_half_blocks(colours: Any, golden: Golden) -> None:
    """A gradient in grey and in colour, as wide as there is room."""
    ramp = np.arange(0, 240, 4, dtype=np.uint8).reshape(6, 10)
    said = io.StringIO()
    console = Console(file=said, width=8, color_system=colours, force_terminal=colours is not None)
    for pixels in (ramp[..., None], np.dstack([ramp, ramp[::-1], ramp // 2])):
        for width in (32, 4):
            console.print(picture(pixels, console, width))
    golden(f"half_blocks_{colours}", said.getvalue().replace("\x1b", "ESC"))


def test_columns_go_one_after_another(golden: Golden, material: Material) -> None:
    """Which columns of each table are left at each width, the least important gone first."""
    began = datetime(2026, 1, 2, 3, 4, 5)
    other = loads(OTHER)
    tables = {
        "runs": runs_table([Row("runs/net/1", "net", "1", began, "done", 12, "accuracy", 0.98765, 61_706, 3723.4)]),
        "zoo": zoo_table([next(iter(exhibits()))]).parts[0],
        "summary": grid(summarize(loads(NET))),
        "differences": diff_table(diff(loads(NET), other)).parts[2],
        "passport": passport_page("net", material.passport).parts[2],
        "predictions": predictions_table(predicted()),
    }
    lines = []
    for name, table in tables.items():
        assert isinstance(table, Grid)
        heads = {" ".join(table.lines(width)[0].split()): width for width in range(130, 20, -1)}
        lines += [f"{name} from {width}: {head}" for head, width in heads.items()]
    golden("columns", "\n".join(lines))


def test_the_summary_of_a_shipped_network(golden: Golden) -> None:
    """GoogLeNet, with all its branches, at the width of a terminal."""
    golden("googlenet", summary_text(summarize(load("googlenet")), 80))
