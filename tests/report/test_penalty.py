"""Where the training loss is shown, the regularization loss is shown too, if there is one."""

from __future__ import annotations

from io import StringIO
from types import SimpleNamespace

import pytest
from rich.console import Console

from cnncli.config.schema.tasks import TASKS
from cnncli.report.html_run import curves
from cnncli.report.penalty import penalty_sentence
from cnncli.report.progress import PlainLines
from cnncli.runs.events import EpochDone

EPOCH = EpochDone(2, 10, 0.1, 1.0, 50.0, {"loss": 0.5, "accuracy": 0.75}, {"loss": 0.25, "accuracy": 0.875})
PENALIZED = EpochDone(**{**vars(EPOCH), "train": {**EPOCH.train, "regularization_loss": 0.53125}})
SENTENCE = "loss is the cross-entropy without the regularization loss, 0.5312 at the end"


def test_the_line_of_an_epoch() -> None:
    """The penalty stands behind the loss that it is added to."""
    said = []
    for event in (EPOCH, PENALIZED):
        written = StringIO()
        PlainLines(Console(file=written)).epoch_done(event)
        said.append(written.getvalue())
    plain, penalized = said
    assert "loss 0.5000  accuracy 0.7500  validation loss 0.2500" in plain
    assert plain.replace("loss 0.5000  acc", "loss 0.5000 (regularization loss 0.5312)  acc") == penalized


@pytest.mark.parametrize(("last", "sentence"), [(EPOCH, None), (PENALIZED, SENTENCE)])
def test_the_sentence_is_of_the_last_epoch(last: EpochDone, sentence: str | None) -> None:
    """At the end of a training and beside the curves of the HTML report."""
    metrics = [PENALIZED.to_json(), last.to_json()]
    assert penalty_sentence(metrics) == sentence
    assert (SENTENCE in curves(SimpleNamespace(metrics=metrics, task=TASKS["classification"]))) == (
        sentence is not None
    )  # type: ignore[arg-type]


def test_a_run_without_epochs() -> None:
    """Nothing is said before there is a loss."""
    assert penalty_sentence([]) is None
