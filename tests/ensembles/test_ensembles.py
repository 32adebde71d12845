"""Ensembles against NumPy's mean of what their members predict."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from cnncli.errors import CnnError

pytestmark = [pytest.mark.engine, pytest.mark.filterwarnings("ignore")]

Command = Callable[..., str]


@pytest.fixture(scope="module")
def command(request: pytest.FixtureRequest) -> Command:
    """Return a function that runs a command in this process and returns what it prints on stdout."""
    from cnncli.cli.app import app
    from cnncli.cli.console import err, out

    def run(*arguments: object) -> str:
        out.cache_clear()
        err.cache_clear()
        capture = request.config.pluginmanager.getplugin("capturemanager")
        capture.read_global_capture()
        with pytest.raises(SystemExit) as end:
            app(list(map(str, arguments)), prog_name="cnn")
        assert not end.value.code
        return str(capture.read_global_capture()[0])

    return run


@pytest.fixture(scope="module")
def classifiers(tmp_path_factory: pytest.TempPathFactory, make_member: Callable[..., Any], command: Command) -> Any:
    """Return three runs of two networks, their weighted ensemble, and what the command printed of it as JSON."""
    from cnncli.runs.run import Run

    runs_dir = tmp_path_factory.mktemp("classifiers")
    members = [make_member("plain", runs_dir, f"seed={seed}") for seed in (0, 1)] + [make_member("branched", runs_dir)]
    paths = [run.path for run in members]
    document = json.loads(command("ensemble", *paths, "--weights", "1,2,1", "--runs-dir", runs_dir, "--json"))
    return members, Run(Path(document["run"])), document


def split_of(run: Any) -> Any:
    """Return the test examples of a run."""
    from cnncli.datasets import load

    return load(run.config(), run.passport()["classes"]).test


def logits(run: Any, number: int | None = None) -> Any:
    """Return what a run's network ends in for all test images or the first ones."""
    from cnncli.engine.evaluation.predictor import Predictor
    from cnncli.engine.evaluation.trained import load_trained

    trained = load_trained(run)
    images = trained.preprocessing.resize_uint8(split_of(run).images[:number])
    return Predictor(trained.model, trained.preprocessing).logits(images)


def softmax(values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return probabilities along the last axis."""
    from scipy import special

    found: npt.NDArray[np.float64] = special.softmax(values.astype(np.float64), axis=-1)
    return found


def test_probabilities_are_the_weighted_mean(classifiers: Any) -> None:
    """To the precision of float32; and so is the energy that tells unlike images the mean of the members'."""
    from scipy import special

    members, run, _ = classifiers
    single = [logits(member) for member in members]
    own = logits(run)
    mean = np.average([softmax(each) for each in single], axis=0, weights=[1, 2, 1])
    assert np.abs(softmax(own) - mean).max() < 1e-6
    assert min(special.log_softmax(each, axis=-1).min() for each in single) < -30
    energies = np.mean([special.logsumexp(each, axis=-1) for each in single], axis=0)
    np.testing.assert_allclose(special.logsumexp(own, axis=-1), energies, rtol=1e-5)


def test_figures_are_those_of_the_mean(classifiers: Any) -> None:
    """Accuracy and loss of the ensemble by scikit-learn, of each member by its own evaluation; the gain by hand."""
    metrics = pytest.importorskip("sklearn.metrics")
    members, _, document = classifiers
    single, labels = [logits(member) for member in members], split_of(members[0]).targets.labels
    mean = np.average([softmax(each) for each in single], axis=0, weights=[1, 2, 1])
    assert document["accuracy"] == pytest.approx(metrics.accuracy_score(labels, mean.argmax(-1)))
    assert document["loss"] == pytest.approx(metrics.log_loss(labels, mean), rel=1e-5)
    scores = [metrics.accuracy_score(labels, each.argmax(-1)) for each in single]
    assert [member["accuracy"] for member in document["members"]] == pytest.approx(scores)
    assert [member["weight"] for member in document["members"]] == [0.25, 0.5, 0.25]
    gain, best = document["gain"], int(np.argmax(scores))
    right = mean.argmax(-1) == labels, single[best].argmax(-1) == labels
    assert gain["over"] == f"{members[best].name}/{members[best].id}"
    assert gain["value"] == pytest.approx(right[0].mean() - right[1].mean())
    assert sum(gain["interval"]) / 2 == pytest.approx(gain["value"] * len(labels) / (len(labels) + 2))
    assert gain["value"] != 0
    assert gain["test"]["only_second"] == (right[0] & ~right[1]).sum()


def test_an_ensemble_is_a_run(classifiers: Any, command: Command) -> None:
    """It has the parameters of all, says what it was made of, and is evaluated like any other run."""
    from cnncli.engine.evaluation.trained import load_trained

    members, run, document = classifiers
    record = run.record
    sizes = [load_trained(each).model.count_params() for each in (*members, run)]
    assert sizes[-1] == sum(sizes[:-1]) == record["total_params"]
    assert [each["checkpoint"] for each in record["ensemble"]] == ["step-00000007"] * 3
    manifest = json.loads((members[0].path / "checkpoints/step-00000007/manifest.json").read_text())
    assert record["ensemble"][0]["sha256"] in json.dumps(manifest)
    for refused in ("resume", "verify"):
        with pytest.raises(CnnError, match="is an ensemble"):
            command(refused, run.path)
    again = json.loads(command("eval", run.path, "--json"))
    assert {key: again[key] for key in ("accuracy", "loss", "calibration")} == {
        key: document[key] for key in ("accuracy", "loss", "calibration")
    }


@pytest.mark.needs("onnx")
def test_it_is_exported_as_one_network(classifiers: Any, command: Command) -> None:
    """Onnxruntime computes the mean of the members from raw pixels."""
    onnxruntime = pytest.importorskip("onnxruntime")
    members, run, _ = classifiers
    (artifact,) = json.loads(command("export", run.path, "--format", "onnx", "--json"))["artifacts"]
    session = onnxruntime.InferenceSession(artifact["path"])
    (found,) = session.run(["probabilities"], {session.get_inputs()[0].name: split_of(run).images[:50]})
    mean = np.average([softmax(logits(member, 50)) for member in members], axis=0, weights=[1, 2, 1])
    assert np.abs(found - mean).max() < 1e-5


def test_masks_are_averaged_at_every_pixel(tmp_path: Path, make_member: Callable[..., Any]) -> None:
    """Outputs of another size are enlarged first, as each network's own are; those of training alone are left out."""
    import tensorflow as tf

    from cnncli.ensembles.members import read_members
    from cnncli.ensembles.run import make_run

    runs = [make_member("coarse", tmp_path), make_member("fine", tmp_path)]
    run = make_run(read_members([str(each.path) for each in runs], tmp_path), "both", tmp_path)
    assert (run.name, run.status) == ("both", "done")
    assert not any("extra" in node.name for node in run.config().nodes)
    coarse = tf.image.resize(logits(runs[0], 6)["mask"], (16, 24)).numpy()
    mean = (softmax(coarse) + softmax(logits(runs[1], 6))) / 2
    assert np.abs(softmax(logits(run, 6)) - mean).max() < 1e-6
