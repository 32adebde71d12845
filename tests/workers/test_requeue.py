"""A job that Slurm starts again goes on with its own run."""

from __future__ import annotations

from pathlib import Path

import pytest

from cnncli.cli.requeue import requeued_run
from cnncli.config.dump import dump
from cnncli.config.load import load
from cnncli.runs.run import Run
from cnncli.workers.slurm import step_name

STEP = {"SLURM_CLUSTER_NAME": "hpc", "SLURM_JOB_ID": "4711", "SLURM_STEP_ID": "0"}
AGAIN = STEP | {"SLURM_RESTART_COUNT": "2"}


def begin(runs_dir: Path, environment: dict[str, str]) -> Run:
    """Begin a run as the training of a step does."""
    return Run.create(runs_dir, "lenet", dump(load("lenet5", ["name=lenet"])), {"slurm_step": step_name(environment)})


def test_a_requeued_step_goes_on_with_its_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Not with a later run of the same name that another step or job began."""
    own = begin(tmp_path, STEP)
    begin(tmp_path, STEP | {"SLURM_STEP_ID": "1"})
    begin(tmp_path, STEP | {"SLURM_JOB_ID": "4712"})
    begin(tmp_path, STEP | {"SLURM_CLUSTER_NAME": "other"})
    found = requeued_run(AGAIN, tmp_path)
    assert found is not None
    assert found.path == own.path
    assert capsys.readouterr().err == f"The Slurm step hpc/4711.0 was started again: {own.path} goes on.\n"


def test_the_first_start_is_a_new_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Also where an older cluster has had a job of that number; and outside of Slurm."""
    begin(tmp_path, STEP)
    assert requeued_run(STEP, tmp_path) is None
    assert requeued_run({}, tmp_path) is None
    assert capsys.readouterr().err == ""


def test_a_requeued_step_without_a_run_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It may have ended before its run was made, or its runs are on another node's disk."""
    assert requeued_run(AGAIN, tmp_path) is None
    assert "has no run in" in capsys.readouterr().err
