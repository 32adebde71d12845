"""What a sweep has found, next to what Optuna says of the same trials."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from typer.testing import CliRunner

from cnncli.cli.app import app
from cnncli.config.load import load as load_config

optuna = pytest.importorskip("optuna")

DISTRIBUTIONS = {
    "train.optimizer": optuna.distributions.CategoricalDistribution(["SGD", "Adam"]),
    "train.optimizer.Adam.learning_rate": optuna.distributions.FloatDistribution(1e-4, 1e-1, log=True),
    "train.batch_size": optuna.distributions.IntDistribution(32, 512, log=True),
    "model.layers[0].Conv2D.filters": optuna.distributions.IntDistribution(4, 16, step=4),
}
"""The space of the campaign's sweep."""


@pytest.fixture(scope="module")
def runs_dir(script: Callable[[str], ModuleType], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a sweep of twenty trials with two objectives."""
    folder, campaign = tmp_path_factory.mktemp("sweep"), script("faults/sweep_campaign.py")
    campaign.undisturbed(campaign.write(folder, 20, more="seed: 3"), folder / "runs", 4)
    return folder / "runs"


def shown(runs_dir: Path, *options: str) -> Any:
    """Return what `cnn sweep show --json` prints."""
    done = CliRunner().invoke(app, ["sweep", "show", "search", "--runs-dir", str(runs_dir), "--json", *options])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_export_is_the_same_study(runs_dir: Path, tmp_path: Path) -> None:
    """Optuna reads the same values and parameters from the journal, and finds the same best trials."""
    found = shown(runs_dir, "--export-optuna", str(tmp_path / "journal.log"))
    backend = optuna.storages.journal.JournalFileBackend(str(tmp_path / "journal.log"))
    study = optuna.load_study(study_name="search", storage=optuna.storages.JournalStorage(backend))
    assert [trial.params for trial in study.trials] == [trial["params"] for trial in found["trials"]]
    states = {"COMPLETE": "done", "FAIL": "failed", "PRUNED": "refused"}
    assert [states[trial.state.name] for trial in study.trials] == [trial["state"] for trial in found["trials"]]
    for ours, theirs in zip(found["trials"], study.trials, strict=True):
        assert (None if ours["values"] is None else list(ours["values"].values())) == theirs.values
    assert [trial.number for trial in study.best_trials] == [trial["number"] for trial in found["best"]]


@pytest.mark.filterwarnings("ignore:PedAnovaImportanceEvaluator computes")
def test_importance_is_that_of_optuna(runs_dir: Path) -> None:
    """PED-ANOVA on a study made by hand, in which low values are good."""
    found, done = shown(runs_dir), shown(runs_dir)["trials"]
    for name, sign in (("accuracy", -1), ("macs", 1)):
        study = optuna.create_study()
        for trial in (each for each in done if each["values"]):
            frozen = optuna.trial.create_trial(
                params=trial["params"],
                distributions={key: DISTRIBUTIONS[key] for key in trial["params"]},
                value=sign * trial["values"][name],
            )
            study.add_trial(frozen)
        evaluator = optuna.importance.PedAnovaImportanceEvaluator()
        expected = optuna.importance.get_param_importances(study, evaluator=evaluator, target=lambda each: each.value)
        assert found["importance"][name] == pytest.approx(expected)
    assert next(iter(found["importance"]["macs"])) == "model.layers[0].Conv2D.filters"


def test_best_trials_are_dominated_by_none(runs_dir: Path) -> None:
    """By two loops over all pairs."""
    found = shown(runs_dir)
    points = {each["number"]: each["values"] for each in found["trials"] if each["values"]}
    front = [
        number
        for number, own in points.items()
        if not any(
            (other["accuracy"] >= own["accuracy"] and other["macs"] < own["macs"])
            or (other["accuracy"] > own["accuracy"] and other["macs"] <= own["macs"])
            for other in points.values()
        )
    ]
    assert [each["number"] for each in found["best"]] == front
    assert len(front) > 1


def test_best_config_is_that_of_the_trial(runs_dir: Path, tmp_path: Path) -> None:
    """Loading the file that is written gives the config of the first of the best; it says only what differs."""
    found = shown(runs_dir, "--best", str(tmp_path / "best.yaml"))
    number = found["best"][0]["number"]
    trained = load_config(runs_dir / "search.sweep" / f"trial-{number:04d}" / "config.yaml")
    assert load_config(tmp_path / "best.yaml").document == trained.document
    keys = re.findall(r"^(\w+):", (tmp_path / "best.yaml").read_text(), re.MULTILINE)
    assert keys[0] == "extends"
    assert "data" not in keys


def test_best_config_of_a_sweep_without_its_base_says_everything(runs_dir: Path, tmp_path: Path) -> None:
    """As sweeps have none that were begun by an older version."""
    shutil.copytree(runs_dir, tmp_path / "runs")
    (tmp_path / "runs" / "search.sweep" / "base.yaml").unlink()
    shown(tmp_path / "runs", "--best", str(tmp_path / "whole.yaml"))
    shown(runs_dir, "--best", str(tmp_path / "short.yaml"))
    whole, short = tmp_path / "whole.yaml", tmp_path / "short.yaml"
    assert "extends" not in whole.read_text()
    assert load_config(whole).document == load_config(short).document


def test_table_marks_the_best(runs_dir: Path) -> None:
    """The terminal's table has a row for each trial."""
    done = CliRunner().invoke(app, ["sweep", "show", "search", "--runs-dir", str(runs_dir)], env={"COLUMNS": "200"})
    rows = [line.split()[:2] for line in done.stdout.splitlines()]
    marked = [int(row[1]) for row in rows if row[:1] == ["*"] and row[1].isdigit()]
    assert marked == [each["number"] for each in shown(runs_dir)["best"]]
    assert "Importance of the keys (PED-ANOVA)" in done.stdout


def test_export_adds_to_no_file(runs_dir: Path, tmp_path: Path) -> None:
    """A file that is there stays."""
    (tmp_path / "journal.log").write_text("mine")
    done = CliRunner().invoke(
        app, ["sweep", "show", "search", "--runs-dir", str(runs_dir), "--export-optuna", str(tmp_path / "journal.log")]
    )
    assert done.exit_code == 1
    assert (tmp_path / "journal.log").read_text() == "mine"


def test_dry_run_writes_nothing(script: Callable[[str], ModuleType], tmp_path: Path) -> None:
    """The proposals that need no result, as the sweep makes them."""
    file = script("faults/sweep_campaign.py").write(tmp_path, 20)
    done = CliRunner().invoke(app, ["sweep", str(file), "--dry-run", "--json", "--runs-dir", str(tmp_path / "runs")])
    proposals = json.loads(done.stdout)["proposals"]
    assert sum(each["refused"] is None for each in proposals) == 4
    assert not (tmp_path / "runs").exists()


def test_sweep_without_optuna_says_how_to_get_it(
    script: Callable[[str], ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is written then; a grid needs none."""
    monkeypatch.setattr("cnncli.sweeps.packages.find_spec", lambda name: None)
    file = script("faults/sweep_campaign.py").write(tmp_path, 20)
    done = CliRunner().invoke(app, ["sweep", str(file), "--runs-dir", str(tmp_path / "runs")])
    assert "optuna, cmaes are not installed" in str(done.exception)
    assert getattr(done.exception, "hint", "") == "pip install 'cnncli[sweep]'"
    assert not (tmp_path / "runs").exists()


def test_unknown_sweep(runs_dir: Path) -> None:
    """The nearest name is told."""
    done = CliRunner().invoke(app, ["sweep", "show", "serch", "--runs-dir", str(runs_dir)])
    assert 'Did you mean "search"?' in getattr(done.exception, "hint", "")


def test_runs_names_the_sweeps(runs_dir: Path) -> None:
    """The list of runs leaves the trials out, says so, and shows them where it is asked to."""
    done = CliRunner().invoke(app, ["runs", "--runs-dir", str(runs_dir)])
    assert done.stdout == ""
    assert "Sweeps: search. Their trials: cnn sweep show search" in done.stderr
    listed = CliRunner().invoke(app, ["runs", "--runs-dir", str(runs_dir / "search.sweep"), "--json"])
    runs = {run for trial in shown(runs_dir)["trials"] for run in trial["runs"]}
    assert {row["run"] for row in json.loads(listed.stdout)["rows"]} == runs


def test_page_and_figures_are_written(runs_dir: Path, tmp_path: Path) -> None:
    """Where they were asked for, folders and all; JSON names the files."""
    page, folder = tmp_path / "new" / "sweep.html", tmp_path / "figures"
    found = shown(runs_dir, "--html", str(page), "--png", str(folder))
    assert "Sweep search" in page.read_text()
    names = ("history", "pareto", "slice", "parallel", "importance")
    assert found["files"] == [str(page), *(str(folder / f"{name}.png") for name in names)]
    assert all(Path(file).read_bytes().startswith(b"\x89PNG") for file in found["files"][1:])
    assert shown(runs_dir)["files"] == []


def test_fanova_is_named(runs_dir: Path) -> None:
    """Which method it was, and which keys it could not judge."""
    found = shown(runs_dir, "--importance", "fanova")
    assert found["importance_method"] == "fanova"
    assert found["not_judged"] == ["train.optimizer.Adam.learning_rate"]
    assert "train.optimizer.Adam.learning_rate" not in found["importance"]["accuracy"]
    assert shown(runs_dir)["not_judged"] == []


def test_show_imports_no_engine(runs_dir: Path, tmp_path: Path) -> None:
    """With the page and the figures: plots need neither TensorFlow nor Keras."""
    arguments = ["cnn", "sweep", "show", "search", "--runs-dir", str(runs_dir), "--html", str(tmp_path / "sweep.html")]
    code = f"""
import sys
from cnncli.__main__ import main
sys.argv = {[*arguments, "--png", str(tmp_path)]!r}
try:
    main()
finally:
    sys.stderr.write(f"found {{sorted({{'tensorflow', 'keras'}} & sys.modules.keys())}}")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.endswith("found []")
    assert (tmp_path / "slice.png").is_file()
