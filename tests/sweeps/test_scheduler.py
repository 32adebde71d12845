"""A sweep's trials are trained once each, whatever happens. `fake_trainer.py` stands in for training."""

from __future__ import annotations

import json
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import fmean, stdev
from types import ModuleType
from typing import Any

import pytest

pytest.importorskip("optuna")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the stand-in for training needs Linux")


@pytest.fixture
def campaign(script: Callable[[str], ModuleType]) -> ModuleType:
    """Return the campaign's functions."""
    return script("faults/sweep_campaign.py")


@pytest.fixture
def calm(campaign: ModuleType, tmp_path: Path) -> list[dict[str, Any]]:
    """Return the table of a sweep of twelve trials that nobody disturbs."""
    return campaign.undisturbed(campaign.write(tmp_path, 12), tmp_path / "calm", 4)


def records(runs_dir: Path) -> Iterator[dict[str, Any]]:
    """Yield run.json of every run of a sweep."""
    for path in runs_dir.glob("search.sweep/trial-*/*/run.json"):
        yield json.loads(path.read_text())


def test_number_of_processes_changes_nothing(campaign: ModuleType, calm: list[dict[str, Any]], tmp_path: Path) -> None:
    """One, two and four give the same table; a trial has one run, a refused one none."""
    assert {row["state"] for row in calm} >= {"done", "refused"}
    assert sum(row["state"] != "refused" for row in calm) == 12
    assert all(row["runs"] == (row["state"] != "refused") for row in calm)
    for processes in (1, 2):
        assert campaign.undisturbed(tmp_path / "search.yaml", tmp_path / str(processes), processes) == calm


def test_killed_sweeps_and_trainings_change_nothing(
    campaign: ModuleType, calm: list[dict[str, Any]], tmp_path: Path
) -> None:
    """The campaign, in short."""
    found, hit = campaign.disturbed(tmp_path / "search.yaml", tmp_path / "wild", 6, random.Random(1))
    assert sum(hit.values()) >= 1
    assert found == calm


def test_two_sweeps_on_one_directory_share_the_trials(
    campaign: ModuleType, calm: list[dict[str, Any]], tmp_path: Path
) -> None:
    """No trial is trained twice, and both end when all are done."""
    both = [campaign.start(tmp_path / "search.yaml", tmp_path / "shared", 2, 0.02) for _ in range(2)]
    said = [process.communicate(timeout=120)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert campaign.table(tmp_path / "shared") == calm
    assert len(list(records(tmp_path / "shared"))) == 12


def test_trainings_end_with_their_sweep(campaign: ModuleType, tmp_path: Path) -> None:
    """A sweep that is killed leaves no process behind."""
    process = campaign.start(campaign.write(tmp_path, 12), tmp_path / "runs", 4, 30)
    trainings = awaited(lambda: campaign.children(process.pid))
    process.kill()
    process.communicate()
    awaited(lambda: not any(is_running(each) for each in trainings))


def test_signal_goes_on_to_the_trainings(campaign: ModuleType, tmp_path: Path) -> None:
    """SIGTERM to the sweep alone ends it with 143, and its trainings; the same command goes on."""
    process = campaign.start(campaign.write(tmp_path, 5), tmp_path / "runs", 4, 0.5)
    awaited(lambda: campaign.children(process.pid))
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 143
    rows = campaign.undisturbed(tmp_path / "search.yaml", tmp_path / "runs", 4)
    assert {row["state"] for row in rows} <= {"done", "failed", "refused"}


def test_values_over_seeds_are_means(campaign: ModuleType, tmp_path: Path) -> None:
    """With the standard deviation of the sample, each from the best epoch of three runs."""
    rows = campaign.undisturbed(campaign.write(tmp_path, 4, more="seeds: [5, 6, 7]"), tmp_path / "runs", 2)
    row = next(row for row in rows if row["state"] == "done")
    folder = tmp_path / "runs" / "search.sweep" / f"trial-{row['number']:04d}"
    lines = [path.read_text().splitlines() for path in folder.glob("*/metrics.jsonl")]
    best = [max(json.loads(line)["validation"]["accuracy"] for line in each) for each in lines]
    assert len(best) == 3
    assert row["values"]["accuracy"] == pytest.approx(fmean(best))
    assert row["deviations"]["accuracy"] == pytest.approx(stdev(best))
    assert {record["seed"] for record in records(tmp_path / "runs")} == {5, 6, 7}


def test_folds_are_trained_one_by_one(campaign: ModuleType, tmp_path: Path) -> None:
    """A trial has a run for each fold."""
    rows = campaign.undisturbed(campaign.write(tmp_path, 2, more="folds: 3"), tmp_path / "runs", 2)
    done = [row for row in rows if row["state"] == "done"]
    assert [row["runs"] for row in done] == [3] * len(done)
    assert {record["fold"] for record in records(tmp_path / "runs")} >= {1, 2, 3}


def test_latency_is_measured_once_after_the_trainings(campaign: ModuleType, tmp_path: Path) -> None:
    """By a process of its own; a file that is there is not written again, and one that is gone is."""
    file = campaign.write(tmp_path, 4, more="seeds: [5, 6]", objectives="latency: min, accuracy: max")
    rows = campaign.undisturbed(file, tmp_path / "runs", 2)
    done = [row for row in rows if row["state"] == "done"]
    files = {int(path.parent.name[6:]): path for path in tmp_path.glob("runs/search.sweep/trial-*/latency.json")}
    assert {row["number"]: row["values"]["latency"] for row in done} == {
        number: json.loads(path.read_text())["latency_ms"] for number, path in files.items()
    }
    assert [row["deviations"]["latency"] for row in done] == [0.0] * len(done)
    kept, lost, *_ = files.values()
    before = kept.stat().st_ino
    lost.unlink()
    assert campaign.table(tmp_path / "runs")[int(lost.parent.name[6:])]["state"] == "interrupted"
    assert campaign.undisturbed(file, tmp_path / "runs", 1) == rows
    assert kept.stat().st_ino == before


def test_more_trials_go_on_from_those_that_are_there(campaign: ModuleType, tmp_path: Path) -> None:
    """Twelve at once, and eight and then four more, are the same."""
    short = campaign.undisturbed(campaign.write(tmp_path, 8), tmp_path / "grown", 4)
    long = campaign.undisturbed(campaign.write(tmp_path, 12), tmp_path / "grown", 4)
    assert long[: len(short)] == short
    assert long == campaign.undisturbed(tmp_path / "search.yaml", tmp_path / "once", 2)


def test_another_sweep_of_the_name_is_refused(campaign: ModuleType, tmp_path: Path) -> None:
    """What has changed is named."""
    campaign.undisturbed(campaign.write(tmp_path, 2), tmp_path / "runs", 4)
    process = campaign.start(campaign.write(tmp_path, 2, "random"), tmp_path / "runs", 4)
    said, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "begun with another sweep: sweep.sampler changed" in said


def test_training_that_fails_stops_the_sweep(
    campaign: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error that is none of the values' is told with the end of the log; the trial is still open then."""
    broken = tmp_path / "broken.py"
    broken.write_text("import sys; print('error: the disk is full'); sys.exit(1)")
    monkeypatch.setattr(campaign, "TRAINER", broken)
    process = campaign.start(campaign.write(tmp_path, 3), tmp_path / "runs", 1)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "the training of trial 0 failed with exit code 1:\nerror: the disk is full" in said
    assert campaign.table(tmp_path / "runs")[0]["state"] == "waiting"


def awaited(what: Callable[[], Any]) -> Any:
    """Return something as soon as it is true."""
    deadline = time.monotonic() + 30
    while not (found := what()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


def is_running(pid: int) -> bool:
    """Say whether there is a process that is not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] != "Z"
    except OSError:
        return False
