"""What shows asks the task: one that is no classification has a page, a report, pictures and a test of its own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pytest
from typer.testing import CliRunner

from cnncli.cli.app import app
from cnncli.config.load import loads
from cnncli.config.schema import tasks as specs
from cnncli.datasets import targets
from cnncli.errors import CnnError
from cnncli.report.html import Html, element, section
from cnncli.report.html_material import Material, Tile
from cnncli.report.html_page import Section, report_page
from cnncli.report.page import Page, Title
from cnncli.runs.compare import compare
from cnncli.runs.events import Silence
from cnncli.runs.listing import rows
from cnncli.runs.run import Run
from cnncli.tasks import task as tasks
from cnncli.tasks.pages import EvaluatedSplit, Pages, Recalled, Score

pytestmark = pytest.mark.engine

CONFIG = """
name: ink
task: ink
seed: {seed}
data: {{source: digits, image_size: [8, 8], channels: 1, validation: 0.2}}
model: {{layers: [{{Conv2D: {{filters: 2, kernel_size: 3, name: c1}}}}, Flatten, {{Dense: {{units: 1}}}}]}}
train: {{epochs: 2, batch_size: 500, replay: true, optimizer: {{Adam: {{learning_rate: 0.01}}}}}}
"""


class InkSpec(specs.TaskSpec):
    """How much of a digit's image is ink, as one number."""

    metrics = (specs.Metric("loss", False), specs.Metric("mean_error", False, primary=True))

    def check_output(self, shape: Any, num_classes: int | None, image_size: tuple[int, int]) -> None:
        """Take every output."""


@dataclass(frozen=True)
class Inks:
    """The mean of each image's pixels."""

    values: np.ndarray

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: np.ndarray) -> Inks:
        """Return the numbers at `rows`."""
        return Inks(self.values[rows])

    def read(self, row: int) -> float:
        """Return a number."""
        return float(self.values[row])

    def name(self, row: int, classes: Sequence[str]) -> str:
        """Return a number as text."""
        return f"{self.read(row):.2f}"

    def digests(self) -> np.ndarray:
        """Return the bytes of each number."""
        return self.values.astype("<f8").view(np.uint8).reshape(-1, 8)

    def content(self) -> bytes:
        """Return all bytes."""
        return self.values.tobytes()

    def counts(self, classes: Sequence[str]) -> dict[str, int]:
        """Return nothing: there are no classes."""
        return {}

    def strata(self) -> None:
        """Return nothing."""

    def fit(self, data: Any) -> np.ndarray:
        """Return float32 (examples,)."""
        return self.values.astype(np.float32)


class InkResult(NamedTuple):
    """Numbers and their predictions."""

    split: str
    ids: Sequence[str]
    true: np.ndarray
    predicted: np.ndarray

    def scalars(self) -> dict[str, float]:
        """Return mean squared and mean absolute error."""
        errors = self.predicted - self.true
        return {"loss": float((errors**2).mean()), "mean_error": float(np.abs(errors).mean())}

    def to_json(self) -> dict[str, Any]:
        """Return the scalars."""
        return {"split": self.split, "num_examples": len(self.true), **self.scalars()}

    def csv(self) -> str:
        """Return a line for each example."""
        numbers = zip(self.ids, self.true.tolist(), self.predicted.tolist(), strict=True)
        return "example,ink,predicted_ink\n" + "".join(f"{i},{t},{p}\n" for i, t, p in numbers)


class InkEvaluator:
    """Collects numbers."""

    def __init__(self, split: str, ids: Sequence[str]) -> None:
        self._split, self._ids = split, ids
        self._true: list[np.ndarray] = []
        self._predicted: list[np.ndarray] = []

    def update(self, outputs: np.ndarray, targets: Inks) -> None:
        """Add a batch."""
        self._true.append(targets.values)
        self._predicted.append(outputs[:, 0])

    def result(self) -> InkResult:
        """Return them."""
        return InkResult(self._split, self._ids, np.concatenate(self._true), np.concatenate(self._predicted))


class SignTest(NamedTuple):
    """How often each of two runs was nearer."""

    first: int
    second: int
    name: str = "sign_test"
    title: str = "Sign test"
    remark: str = "p is a coin's"

    def cells(self) -> dict[str, str]:
        """Return the counts."""
        return {"1st nearer": str(self.first), "2nd nearer": str(self.second)}

    def to_json(self) -> dict[str, Any]:
        """Return the counts."""
        return {"first_nearer": self.first, "second_nearer": self.second}


def draw_scatter(evaluated: EvaluatedSplit, count: int) -> Any:
    """Draw so many predictions over the truth."""
    from cnncli.report.figures import new_figure

    lines = evaluated.run.predictions_file(evaluated.split).read_text(encoding="utf-8").splitlines()
    figure = new_figure(4, 4, f"{evaluated.document['num_examples']} examples of {evaluated.split}")
    figure.subplots().plot([float(line.split(",")[2]) for line in lines[1 : count + 1]])
    return figure


class InkPages(Pages):
    """What there is to see of numbers."""

    def page(self, document: Mapping[str, Any], width: int | None = None) -> Page:
        """Return the error."""
        return Page((Title(f"mean error {document['mean_error']:.4f} on {document['split']}"),))

    def score(self, outputs: np.ndarray, classes: Sequence[str], label: str | None = None) -> Score:
        """Return the number itself."""
        return Score(
            np.ones_like(outputs), ["ink"] * len(outputs), [f"predicted {value:.2f}" for value in outputs[:, 0]]
        )

    def record(self, outputs: np.ndarray) -> dict[str, np.ndarray]:
        """Return the numbers."""
        return {"ink": outputs[:, 0]}

    def recall(self, recorded: Mapping[str, Any], truths: Sequence[str], classes: Sequence[str]) -> list[Recalled]:
        """Return the numbers, right where they round to the truth."""
        return [Recalled(f"{v:.2f} ink", f"{v:.2f}" == t) for v, t in zip(recorded["ink"], truths, strict=True)]

    def figures(self) -> dict[str, Any]:
        """Return a plot."""
        return {"scatter": draw_scatter}

    def sections(self) -> tuple[Section, ...]:
        """Return what `pictures` found, as a section with data for a script."""

        def make(material: Material) -> Html:
            return section("ink", "Ink", element("p", f"{material.pictures.examples} images with ink"))

        return (Section("ink", "Ink", make, lambda material: {"ink": material.pictures.examples}),)

    def tiles(self, document: Mapping[str, Any]) -> Iterator[Tile]:
        """Yield the error."""
        yield Tile("Mean error", f"{document['mean_error']:.4f}", "of the share that is ink")

    def pictures(self, evaluated: EvaluatedSplit) -> int:
        """Return the number of examples."""
        return len(evaluated.examples)


class InkTask(tasks.Task):
    """One number an image."""

    loss_name = "squared error"
    pages: ClassVar[Pages] = InkPages()  # type: ignore[misc]

    def evaluator(self, split: str, classes: Sequence[str], ids: Sequence[str] = ()) -> Any:
        """Return what collects numbers."""
        return InkEvaluator(split, ids)

    def progress(self, metrics: Mapping[str, float]) -> str:
        """Return the loss."""
        return f"loss {metrics['loss']:.4f}"

    def is_overfit(self, metrics: Mapping[str, float]) -> bool:
        """Say whether the loss is gone."""
        return metrics["loss"] < 1e-3

    def read_rows(self, path: Path) -> np.ndarray | None:
        """Return the errors of a run's predictions."""
        if not path.exists():
            return None
        lines = [line.split(",") for line in path.read_text(encoding="utf-8").splitlines()[1:]]
        return np.array([abs(float(true) - float(predicted)) for _, true, predicted in lines])

    def compare(self, first: np.ndarray, second: np.ndarray) -> SignTest:
        """Count who is nearer."""
        return SignTest(int((first < second).sum()), int((second < first).sum()))


def make_objective(*_: Any) -> Any:
    """Return the squared error of one number."""
    import tensorflow as tf

    from cnncli.engine.tasks.objective import Objective

    class SquaredError(Objective):
        """The mean of squared differences."""

        target_spec = tf.TensorSpec([None], tf.float32)
        sum_types: ClassVar[Mapping[str, Any]] = {"error": tf.float64}  # type: ignore[misc]

        def loss(self, targets: Any, outputs: Any) -> Any:
            """Return the square of each difference."""
            return tf.square(tf.cast(outputs[:, 0], tf.float32) - targets)

        def sums(self, targets: Any, outputs: Any) -> Any:
            """Return the absolute differences, summed."""
            errors = tf.abs(tf.cast(outputs[:, 0], tf.float32) - targets)
            return {"error": tf.cast(tf.reduce_sum(errors), tf.float64)}

        def means(self, sums: Mapping[str, float], num_examples: int) -> dict[str, float]:
            """Return the mean error."""
            return {"mean_error": float(sums["error"]) / num_examples}

        def outputs(self, logits: Any) -> Any:
            """Return the number."""
            return {"ink": logits[:, 0]}

    return SquaredError()


def register(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the task known in the four places where tasks are."""
    from cnncli.engine.tasks import objective

    monkeypatch.setitem(specs.TASKS, "ink", InkSpec())
    monkeypatch.setitem(targets.TARGETS, "ink", lambda split: Inks(split.images.mean(axis=(1, 2, 3)) / 255))
    monkeypatch.setitem(tasks.TASKS, "ink", InkTask)
    monkeypatch.setitem(objective.OBJECTIVES, "ink", make_objective)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Run]]:
    """Return two runs of the task, which is known as long as this module's tests run."""
    from cnncli.engine.training.train import train

    folder = tmp_path_factory.mktemp("ink")
    with pytest.MonkeyPatch.context() as patch:
        register(patch)
        yield [Run.open(Path(train(loads(CONFIG.format(seed=seed)), folder, Silence()).run)) for seed in (0, 1)]


@pytest.fixture
def cnn(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Return a function that runs a command in this process."""
    from cnncli.cli.console import err, out

    monkeypatch.setenv("COLUMNS", "100")

    def run(*arguments: str) -> Any:
        out.cache_clear()
        err.cache_clear()
        return CliRunner().invoke(app, list(arguments))

    return run


def test_eval_prints_the_page_of_the_task(trained: list[Run], cnn: Callable[..., Any]) -> None:
    """The number on it is the error of the predictions in the CSV file."""
    done = cnn("eval", str(trained[0].path), "--split", "validation")
    lines = trained[0].predictions_file("validation").read_text(encoding="utf-8").splitlines()[1:]
    numbers = np.array([[float(cell) for cell in line.split(",")[1:]] for line in lines])
    expected = np.abs(numbers[:, 0] - numbers[:, 1]).mean()
    assert done.output.strip() == f"mean error {expected:.4f} on validation"


def test_invariance_of_no_classes_is_refused(trained: list[Run], cnn: Callable[..., Any]) -> None:
    """A profile is of classes."""
    done = cnn("eval", str(trained[0].path), "--split", "validation", "--invariance")
    assert "there is no invariance profile of ink" in str(done.exception)


def test_report_has_the_sections_and_curves_of_the_task(trained: list[Run]) -> None:
    """Its own section and tile, charts of its metrics, attribution of its score, the replay of its predictions."""
    from cnncli.engine.inspection.report import collect

    run = trained[0]
    material = collect(run)
    page = report_page(material, InkPages().sections())
    examples = run.passport()["num_examples"]["validation"]
    assert f"<p>{examples} images with ink</p>" in page
    assert f'{{"ink":{examples},"replay":' in page.replace(" ", "")
    assert "<dt>Mean error</dt>" in page
    assert 'aria-label="Mean error' in page
    assert 'aria-label="Accuracy' not in page
    assert "makes its mean error less honest" in page
    assert not [word for word in ("Confusion", "accuracy", "Calibration") if word in page]
    assert material.pictures.replay is not None
    last = material.pictures.replay.frames[-1].predictions
    assert len(last) == 10
    assert all(text.endswith(" ink") for text, _ in last)
    assert [heat.caption.split(", ")[1].split(" ")[0] for heat in material.pictures.heats] == ["predicted"] * 9


def test_show_draws_what_the_task_has_and_names_it(trained: list[Run], cnn: Callable[..., Any]) -> None:
    """A picture of another task is an error that lists this one's."""
    from cnncli.engine.inspection.figures import Choice, draw
    from cnncli.engine.inspection.network import InspectedNetwork

    network = InspectedNetwork(trained[0].config(), trained[0])
    for kind in ("scatter", "gradcam", "saliency", "activations"):
        assert draw(kind, network, Choice(split="validation")).axes
    done = cnn("show", str(trained[0].path), "confusion")
    assert isinstance(done.exception, CnnError)
    assert done.exception.message == 'there is no picture "confusion" of ink'
    kinds = "kernels, activations, gradcam, saliency, scatter, augmentation, schedule, receptive_field"
    assert done.exception.hint == f"There are: {kinds}."


def test_saliency_is_of_the_task_s_score(trained: list[Run]) -> None:
    """Here the gradient of the one output, by a tape around the network."""
    import tensorflow as tf

    from cnncli.engine.inspection.attribution import saliency
    from cnncli.engine.inspection.network import InspectedNetwork

    network = InspectedNetwork(trained[0].config(), trained[0])
    shown = network.examples("validation", 0, 1)
    model, preprocessing = network.trained.model, network.trained.preprocessing
    inputs = tf.Variable(preprocessing.to_float(tf.constant(shown.pixels)))
    with tf.GradientTape() as tape:
        number = model(inputs)[0, 0]
    expected = np.abs(np.asarray(tape.gradient(number, inputs)))[0, ..., 0]
    found = saliency(model, preprocessing, shown.pixels, network.score(shown).weights)[0]
    assert found == pytest.approx(expected / expected.max(), abs=1e-5)


def test_runs_are_compared_by_the_task(trained: list[Run], cnn: Callable[..., Any]) -> None:
    """The lowest error is the best, and the test is the task's own; its list is in the JSON beside McNemar's."""
    from cnncli.engine.evaluation.evaluate import EvaluationOptions, evaluate_run

    documents = [evaluate_run(run, EvaluationOptions("best", "test"))[1] for run in trained]
    found = compare(trained, tasks.get_task)
    lowest = [min(line["validation"]["mean_error"] for line in run.metrics()) for run in trained]
    assert list(found.metrics["best_validation_mean_error"]) == lowest
    assert list(found.metrics["test_mean_error"]) == [document["mean_error"] for document in documents]
    assert "best_validation_accuracy" not in found.metrics
    errors = [InkTask().read_rows(run.predictions_file("test")) for run in trained]
    assert errors[0] is not None
    assert errors[1] is not None
    nearer = {"first_nearer": int((errors[0] < errors[1]).sum()), "second_nearer": int((errors[1] < errors[0]).sum())}
    document = found.to_json()
    assert document["mcnemar"] == []
    assert document["sign_test"] == [{"first": trained[0].id, "second": trained[1].id, **nearer}]
    text = cnn("compare", *(str(run.path) for run in trained)).output
    assert "Sign test, test split  1st nearer  2nd nearer" in text
    assert "p is a coin's." in text


def test_runs_are_listed_by_their_own_metric(trained: list[Run], cnn: Callable[..., Any]) -> None:
    """The JSON has a key of its name; a table of runs of two tasks names each."""
    folder = trained[0].path.parent.parent
    row = rows(folder)[0]
    assert row.to_json()["best_validation_mean_error"] == min(
        line["validation"]["mean_error"] for line in Run.open(Path(row.run)).metrics()
    )
    assert "best val. mean_error" in cnn("runs", "--runs-dir", str(folder)).output
    other = Run.create(folder, "classes", "name: classes\n")
    other.append_metrics({"epoch": 1, "validation": {"accuracy": 0.5}})
    text = cnn("runs", "--runs-dir", str(folder)).output
    assert "accuracy 0.5000" in text
    assert f"mean_error {row.best:.4f}" in text


def test_training_ends_with_the_curves_of_the_task(trained: list[Run], cnn: Callable[..., Any], tmp_path: Path) -> None:
    """The terminal shows the task's metrics, and which epoch was best by the primary one."""
    path = tmp_path / "ink.yaml"
    path.write_text(CONFIG.format(seed=0), encoding="utf-8")
    lines = cnn("train", str(path), "--runs-dir", str(tmp_path)).stdout.splitlines()
    assert [line.split()[0] for line in lines[:4:2]] == ["loss", "mean_error"]
    (run,) = (tmp_path / "ink").iterdir()
    record = json.loads((run / "run.json").read_text(encoding="utf-8"))
    best = f"best epoch {record['best']['epoch']}: validation mean error {record['best']['value']:.4f}"
    assert best in lines
    assert [metric["name"] for metric in record["metrics"]] == ["loss", "mean_error"]
