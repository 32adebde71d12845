"""What is told of one image's probabilities, against SciPy and by hand."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy import special

from cnncli.datasets.targets import ClassNumbers
from cnncli.errors import CnnError
from cnncli.report.grid import Column
from cnncli.tasks.classification.mcnemar import read_outcomes
from cnncli.tasks.classification.pages import ClassificationPages
from cnncli.tasks.classification.predictions import Place, Ranking, evaluated_examples
from cnncli.tasks.classification.task import ClassificationTask
from cnncli.tasks.predictions import PredictedFile, PredictionOptions, predictions_csv, predictions_table

CLASSES = ("a", "b", "c", "d")


def test_outputs_are_the_softmax() -> None:
    """What an exported network should return is SciPy's softmax in double precision, also of large logits."""
    logits = np.random.default_rng(0).normal(0, 30, (50, 4)).astype(np.float32)
    found = ClassificationTask().outputs(logits, (8, 8))
    assert found.keys() == {"probabilities"}
    assert found["probabilities"].dtype == np.float64
    np.testing.assert_allclose(found["probabilities"], special.softmax(logits.astype(np.float64), axis=1), rtol=1e-12)


def test_predictions_of_a_batch() -> None:
    """Each image gets its most probable classes, as many as are asked for; equals keep their order."""
    probabilities = np.array([[0.1, 0.4, 0.4, 0.1], [0.7, 0.0, 0.1, 0.2]])
    options = PredictionOptions(CLASSES, (8, 8), "stretch", top=3)
    first, second = ClassificationTask().predictions({"probabilities": probabilities}, [(8, 8), (9, 9)], options)
    assert first.places == (("b", 0.4), ("c", 0.4), ("a", 0.1))
    assert second.places == (("a", 0.7), ("d", 0.2), ("c", 0.1))


def test_outputs_without_a_class() -> None:
    """Of a network with outputs to spare, which older versions trained, the spare ones are called by their places."""
    found = Ranking.of(np.array([0.1, 0.0, 0.2, 0.0, 0.7]), CLASSES, top=2)
    assert found.places == (("output 4", 0.7), ("c", 0.2))


def test_table() -> None:
    """The first class has columns of its own, the next ones share one; files that cannot be read are left out."""
    ranking = Ranking((Place("a", 0.5), Place("b", 0.25), Place("c", 0.125)))
    found = predictions_table([PredictedFile("x", error="damaged"), PredictedFile("y", ranking)])
    assert [column.title for column in found.columns] == ["File", "Class", "", "Next"]
    assert found.rows == [("y", "a", "50.0 %", "b 25.0 %, c 12.5 %")]
    assert predictions_table([]).columns == (Column("File", left=True),)


def test_csv_is_a_table() -> None:
    """Probabilities have every digit, and every line as many values as the header has columns."""
    long, short = Ranking((Place("a", 0.1 + 0.2), Place("b, c", 1 / 3))), Ranking((Place("a", 1.0),))
    doubtful = PredictedFile("y", short, doubts=("dark", "blank"))
    files = [PredictedFile("x", error="damaged"), doubtful, PredictedFile("z", long)]
    header, *lines = csv.reader(io.StringIO(predictions_csv(files)))
    assert header == ["file", "class_1", "probability_1", "class_2", "probability_2", "warning", "error"]
    assert lines == [
        ["x", "", "", "", "", "", "damaged"],
        ["y", "a", "1.0", "", "", "dark; blank", ""],
        ["z", "a", "0.30000000000000004", "b, c", "0.3333333333333333", "", ""],
    ]


def test_names_that_a_spreadsheet_would_run(tmp_path: Path) -> None:
    """They are written with an apostrophe, in both tables, and read back as they were."""
    names = ("=1+1", "@cat", "'-x", "-1")
    evaluator = ClassificationTask().evaluator(
        "test", PredictionOptions(names, (8, 8), "stretch"), ("=a", "+b", "-c", "\td")
    )
    evaluator.update(np.eye(4, dtype=np.float32), ClassNumbers(np.arange(4)))
    evaluation = evaluator.result()
    (tmp_path / "predictions.csv").write_text(evaluation.csv(), encoding="utf-8")
    with (tmp_path / "predictions.csv").open(encoding="utf-8", newline="") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert [cell for cell in cells if cell.startswith(("=", "+", "@", "\t")) or cell[:2] == "-c"] == []
    rows = evaluated_examples(tmp_path / "predictions.csv")
    assert [(row.example, row.true) for row in rows] == list(zip(("=a", "+b", "-c", "\td"), names, strict=True))
    outcomes = read_outcomes(tmp_path / "predictions.csv")
    assert outcomes is not None
    assert sorted(outcomes.examples) == sorted(zip(("=a", "+b", "-c", "\td"), names, strict=True))


def test_no_mistakes_are_said_in_words(tmp_path: Path) -> None:
    """A network without mistakes has no gallery of them: an empty picture would look like a failure."""
    file = tmp_path / "predictions.csv"
    lines = [f"{number},a,a,0.75,0.5" for number in range(1200)]
    file.write_text("\n".join(["example,true,predicted,probability,margin", *lines]) + "\n", encoding="utf-8")
    run, document = SimpleNamespace(name="net"), {"checkpoint": "step-00000010"}
    evaluated: Any = SimpleNamespace(
        run=run, split="test", document=document, predictions_file=file, examples=range(1200)
    )
    with pytest.raises(CnnError, match="no mistakes to show: net, step-00000010 classifies all 1,200 examples of test"):
        ClassificationPages().figures()["mistakes"](evaluated, 24)
