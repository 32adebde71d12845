"""`cnn slurm`: the script asks Slurm for what was said, and the job comes back after its time limit, then alone."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cnncli.cli import console
from cnncli.cli.app import app
from cnncli.errors import CnnError, ConfigError
from cnncli.workers.batch_script import Request, require_possible, script

COMMAND = ("cnn", "train", "my nets/o'neill.yaml", "--set", 'data.path="a $HOME b"', "--cluster", "slurm")
EVERYTHING = Request(8, 2, 4, 16, 1, "1-12:00:00", "gpu,long", "lab_7")


def cnn(*arguments: str) -> Result:
    """Run a command in this process."""
    for made in (console.out, console.err):
        made.cache_clear()
    return CliRunner().invoke(app, arguments)


def cnn_slurm(*arguments: str) -> Result:
    """Run `cnn slurm`."""
    return cnn("slurm", *arguments)


def cnn_sweep(*arguments: str) -> Result:
    """Run `cnn sweep`."""
    return cnn("sweep", *arguments)


def error(*arguments: str) -> CnnError:
    """Return the known error with which `cnn slurm` ends."""
    raised = cnn_slurm(*arguments).exception
    assert isinstance(raised, CnnError)
    return raised


def test_the_script(golden: Callable[[str, str], None]) -> None:
    """All that can be asked for, as `sbatch` reads it."""
    golden("script", script("lenet-5", COMMAND, EVERYTHING))


def test_the_script_of_a_sweep(golden: Callable[[str, str], None], tmp_path: Path) -> None:
    """An array: its jobs share the directory of the sweep, which says how many threads a training has."""
    file = tmp_path / "search.yaml"
    space = "sweep: {space: {train.batch_size: [16, 32]}, sampler: grid, parallel: 6"
    file.write_text(f"config: digits_lenet\n{space}}}\n")
    overrides = ["--set", "train.epochs=3", "--runs-dir", "my runs", "--device", "cpu"]
    done = cnn_sweep(str(file), "--slurm", "--processes", "4", *overrides)
    golden("sweep_script", done.stdout.replace(str(file), "search.yaml"))
    assert "sbatch --time=04:00:00 job.sh" in done.stderr
    assert not (tmp_path / "my runs").exists()
    file.write_text(f"config: digits_lenet\n{space}, threads: 8}}\n")
    said = cnn_sweep(str(file), "--slurm").stdout
    assert "#SBATCH --array=0-5\n" in said
    assert "#SBATCH --cpus-per-task=8\n" in said
    assert "sweep.threads" not in said
    assert cnn_sweep(str(file), "--slurm", "--dry-run").exit_code == 2


def test_sbatch_reads_every_line_of_requests() -> None:
    """They stand before the first command, where sbatch(1) stops reading them, and what is not asked for is missing."""
    lines = script("lenet", COMMAND, Request(workers=2)).splitlines()
    assert lines[0] == "#!/bin/bash"
    requests = [line for line in lines[1:] if line.startswith("#SBATCH ")]
    assert lines[1 : len(requests) + 1] == requests
    assert requests == [
        "#SBATCH --job-name=lenet",
        "#SBATCH --ntasks=2",
        "#SBATCH --output=lenet-%j.out",
        "#SBATCH --open-mode=append",
        "#SBATCH --signal=TERM@120",
        "#SBATCH --requeue",
    ]


def commands(folder: Path, status: int, end: str) -> dict[str, str]:
    """Write the commands of Slurm that the script uses, and return an environment in which they are found.

    Args:
        folder: Where they write what they were called with.
        status: Exit code of srun.
        end: What `date` takes for the time at which Slurm will end the job, or something else.
    """
    texts = {
        "srun": f'printf "%s\\n" "$@" > srun.txt; exit {status}',
        "squeue": f'date --date="{end}" +%Y-%m-%dT%H:%M:%S 2>/dev/null || echo N/A',
        "scontrol": 'echo "$@" > scontrol.txt',
    }
    for name, text in texts.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    array = {"SLURM_ARRAY_JOB_ID": "4700", "SLURM_ARRAY_TASK_ID": "3"}
    return {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "SLURM_JOB_ID": "4711", **array}


@pytest.mark.skipif(sys.platform != "linux" or shutil.which("bash") is None, reason="Slurm is for Linux")
@pytest.mark.parametrize(
    ("status", "end", "is_requeued"),
    [
        (143, "2 minutes", True),
        (143, "2 hours", False),  # scancel --signal=TERM, or a worker that failed and srun that ended the others
        (143, "no limit", False),
        (0, "2 minutes", False),
        (1, "2 minutes", False),
        (75, "2 minutes", False),
    ],
)
def test_the_job_goes_back_into_the_queue_at_its_time_limit_alone(
    tmp_path: Path, status: int, end: str, is_requeued: bool
) -> None:
    """Anywhere else it would fail again and again; the exit code is always that of srun, and every word arrives."""
    environment = commands(tmp_path, status, end)
    text = script("lenet", COMMAND, Request(workers=4, cpus_per_task=3))
    done = subprocess.run(
        ["bash", "-s"], input=text, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (status, "")
    words = (tmp_path / "srun.txt").read_text().splitlines()
    assert words == ["--kill-on-bad-exit=1", "--cpus-per-task=3", *COMMAND]
    requeued = tmp_path / "scontrol.txt"
    assert requeued.exists() is is_requeued
    assert not is_requeued or requeued.read_text() == "requeue 4711\n"


@pytest.mark.skipif(sys.platform != "linux" or shutil.which("bash") is None, reason="Slurm is for Linux")
def test_one_job_of_an_array_goes_back_into_the_queue(tmp_path: Path) -> None:
    """By its place in the array: its number may be that of the whole array."""
    text = script("lenet", COMMAND, Request(workers=1, array=4))
    environment = commands(tmp_path, 143, "2 minutes")
    done = subprocess.run(["bash", "-s"], input=text, cwd=tmp_path, env=environment, text=True, check=False)
    assert done.returncode == 143
    assert (tmp_path / "scontrol.txt").read_text() == "requeue 4700_3\n"


@pytest.mark.parametrize(
    ("request_", "workers"),
    [
        (Request(), 1),
        (Request(workers=4), 4),
        (Request(nodes=2), 2),
        (Request(tasks_per_node=4), 4),
        (Request(nodes=2, tasks_per_node=4), 8),
        (Request(workers=8, nodes=2, tasks_per_node=4), 8),
        (Request(workers=8, nodes=2), 8),
        (Request(workers=8, tasks_per_node=2), 8),
    ],
)
def test_the_number_of_workers(request_: Request, workers: int) -> None:
    """Any two of the three numbers give the third."""
    require_possible(request_, shards=8)
    assert request_.num_workers == workers
    assert f"#SBATCH --ntasks={workers}\n" in script("lenet", COMMAND, request_)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (Request(workers=3), "The job: 3 workers; their number must be a power of two"),
        (Request(nodes=3, tasks_per_node=2), "The job: 6 workers; their number must be a power of two"),
        (Request(workers=16), "16 workers cannot share batches of 8 shards: each takes one or more"),
        (Request(workers=2, nodes=4), "2 workers cannot fill 4 nodes"),
        (Request(workers=8, tasks_per_node=3), "8 workers cannot be placed 3 to a node"),
        (Request(workers=8, nodes=2, tasks_per_node=2), "8 workers cannot be placed 2 to a node on 2 nodes"),
        (Request(partition="a b"), "--partition 'a b' is not a name that Slurm takes"),
        (Request(account="x\n#SBATCH --nodes=9"), "--account 'x\\n#SBATCH --nodes=9' is not a name that Slurm takes"),
    ],
)
def test_what_cannot_be_is_refused(request_: Request, message: str) -> None:
    """Before a job waits in the queue for hours."""
    with pytest.raises(CnnError, match=f"^{re.escape(message)}$") as raised:
        require_possible(request_, shards=8)
    assert raised.value.hint


@pytest.mark.parametrize(
    "time", ["4", "90", "5:30", "01:30:00", "0:04:00", "2-0", "1-0:1", "1-12", "1-12:30", "1-12:30:00", "0"]
)
def test_time_limits_in_every_form_of_sbatch(time: str) -> None:
    """Minutes, minutes:seconds, hours:minutes:seconds and days with hours; 0 is no limit."""
    require_possible(Request(time=time), shards=1)


@pytest.mark.parametrize("time", ["", "1h", "01:30:00:00", "-5", "1-", "tomorrow", "1 2", "²"])
def test_what_is_no_time_limit_is_refused(time: str) -> None:
    """The error says how one is written."""
    with pytest.raises(CnnError, match="is not a time limit that Slurm takes"):
        require_possible(Request(time=time), shards=1)


@pytest.mark.parametrize("time", ["3", "1", "3:59", "0:03:59", "0-0:3"])
def test_a_time_limit_that_leaves_no_time_is_refused(time: str) -> None:
    """The job would be told to stop as soon as it begins, again and again."""
    with pytest.raises(CnnError, match="leaves no time to train"):
        require_possible(Request(time=time), shards=1)


def test_the_command_trains_what_was_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The config, its changes, its name and the folder of runs are those of the command line."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CNN_RUNS_DIR", raising=False)
    result = cnn_slurm("lenet5", "--set", "train.epochs=3", "--name", "mine", "--runs-dir", "all runs", "--time", "30")
    assert result.exit_code == 0
    command = "cnn train lenet5 --set train.epochs=3 --name mine --runs-dir 'all runs' --cluster slurm\n"
    assert f"\nsrun --kill-on-bad-exit=1 {command}" in result.stdout
    assert "#SBATCH --job-name=mine\n" in result.stdout
    assert " --runs-dir" not in cnn_slurm("lenet5").stdout


def test_a_file_is_written_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has what is printed without -o, and one that may have been changed by hand stays."""
    monkeypatch.chdir(tmp_path)
    result = cnn_slurm("lenet5", "-o", "jobs/lenet.sh")
    assert result.stdout == "jobs/lenet.sh\n"
    assert "sbatch jobs/lenet.sh" in result.stderr
    assert Path("jobs/lenet.sh").read_text() == cnn_slurm("lenet5").stdout
    assert error("lenet5", "-o", "jobs/lenet.sh").message == f"{Path('jobs/lenet.sh')} already exists"


def test_a_config_with_errors_is_refused() -> None:
    """With the errors that `cnn train` would end with on the node."""
    assert isinstance(error("lenet5", "--set", "train.epochs=many"), ConfigError)
    assert isinstance(error("lenet5", "--set", "model.layers[7].Dense.units=9"), ConfigError)


def test_more_workers_than_shards_are_refused() -> None:
    """The error says with which change they work."""
    found = error("lenet5", "--nodes", "2")
    assert found.message == "2 workers cannot share batches of 1 shard: each takes one or more"
    assert found.hint is not None
    assert "--set train.shards=2" in found.hint


def test_as_many_workers_as_shards() -> None:
    """What the error advises works."""
    result = cnn_slurm("lenet5", "--nodes", "2", "--set", "train.shards=2")
    assert result.exit_code == 0
    assert "--set train.shards=2" in result.stdout
