"""What a user may type for a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from cnncli.errors import RunError
from cnncli.runs.find import find, find_all, of_slurm_step
from cnncli.runs.run import Run


def make(runs_dir: Path, name: str, start: str) -> Run:
    """Make a run that began on a day of 2026, "MMDD"."""
    path = runs_dir / name / f"2026{start}-120000"
    path.mkdir(parents=True)
    run = Run(path)
    run.write_json(run.record_file, {"name": name, "started": f"2026-{start[:2]}-{start[2:]}T12:00:00+00:00"})
    return run


@pytest.fixture
def runs_dir(tmp_path: Path) -> Path:
    """Return a folder of three runs."""
    for name, start in (("lenet", "0101"), ("lenet", "0301"), ("alexnet", "0201")):
        make(tmp_path, name, start)
    return tmp_path


@pytest.mark.parametrize(
    ("reference", "found"),
    [
        ("latest", "lenet/20260301-120000"),
        ("lenet", "lenet/20260301-120000"),
        ("alexnet", "alexnet/20260201-120000"),
        ("lenet/20260101-120000", "lenet/20260101-120000"),
        ("20260201-120000", "alexnet/20260201-120000"),
    ],
)
def test_names(runs_dir: Path, reference: str, found: str) -> None:
    """A name means its latest run."""
    assert find(reference, runs_dir).path == runs_dir / found


def test_paths(runs_dir: Path, tmp_path: Path) -> None:
    """A run's own directory, wherever it is, or the folder of a name's runs, as a shell completes it."""
    path = runs_dir / "lenet" / "20260101-120000"
    assert find(str(path), tmp_path / "elsewhere").path == path
    assert find(f"{runs_dir}/lenet/", runs_dir).path == runs_dir / "lenet" / "20260301-120000"


def test_file_is_no_run(runs_dir: Path, tmp_path: Path) -> None:
    """A config or a sweep's file, whether or not there are runs."""
    file = tmp_path / "search.yaml"
    file.write_text("sweep: {}\n")
    for folder in (runs_dir, tmp_path / "empty"):
        with pytest.raises(RunError, match=r"search\.yaml is a file, not a run") as caught:
            find(str(file), folder)
        assert "`cnn sweep FILE`" in (caught.value.hint or "")


def test_near_names_are_offered(runs_dir: Path) -> None:
    """For a misspelt one."""
    with pytest.raises(RunError, match="no run 'lennet'") as caught:
        find("lennet", runs_dir)
    assert caught.value.hint == 'Did you mean "lenet"?'
    with pytest.raises(RunError) as caught:
        find("latset", runs_dir)
    assert caught.value.hint == 'Did you mean "latest"?'
    with pytest.raises(RunError) as caught:
        find("something else", runs_dir)
    assert caught.value.hint == "`cnn runs` lists them."


def test_no_runs_at_all(tmp_path: Path) -> None:
    """The way to make one is reported."""
    with pytest.raises(RunError, match="no runs in") as caught:
        find("latest", tmp_path / "runs")
    assert "cnn train" in str(caught.value.hint)


def test_a_damaged_record_does_not_hide_the_others(runs_dir: Path) -> None:
    """Its run counts by the time of its directory."""
    (runs_dir / "lenet" / "20260101-120000" / "run.json").write_text("{", encoding="utf-8")
    assert find("alexnet", runs_dir).name == "alexnet"
    assert find("latest", runs_dir).path.exists()


def test_a_name_means_all_its_runs_where_several_are_asked_for(runs_dir: Path) -> None:
    """Oldest first; the folder of a name does so too, `latest` and a start mean one."""
    both = ["20260101-120000", "20260301-120000"]
    assert [run.id for run in find_all("lenet", runs_dir)] == both
    assert [run.id for run in find_all(str(runs_dir / "lenet"), runs_dir)] == both
    assert [run.id for run in find_all("latest", runs_dir)] == both[1:]
    assert [run.id for run in find_all("lenet/20260101-120000", runs_dir)] == both[:1]


def test_the_run_of_a_step_of_a_slurm_job(runs_dir: Path) -> None:
    """The latest of those that it began, whatever their names, done or not; None where it began none."""
    step = "hpc/4711.0"
    assert of_slurm_step(step, runs_dir) is None
    assert of_slurm_step(step, runs_dir / "none") is None
    for name, start in (("lenet", "0301"), ("alexnet", "0201")):
        Run(runs_dir / name / f"2026{start}-120000").update(slurm_step=step, status="done")
    Run(runs_dir / "lenet" / "20260101-120000").update(slurm_step="hpc/4711.1")
    found = of_slurm_step(step, runs_dir)
    assert found is not None
    assert found.path == runs_dir / "lenet" / "20260301-120000"


def test_a_damaged_record_does_not_hide_the_run_of_a_step(runs_dir: Path) -> None:
    """It cannot be the one, because its record is written with the folder."""
    Run(runs_dir / "alexnet" / "20260201-120000").update(slurm_step="4711.0")
    (runs_dir / "lenet" / "20260301-120000" / "run.json").write_text("{")
    found = of_slurm_step("4711.0", runs_dir)
    assert found is not None
    assert found.name == "alexnet"
