"""`cnn train --seeds` and `--folds`: every run by a process of its own, kept, gone on with, and summed up.

The processes are those of `fake_cnn.py`; tests/engine/training/test_repeated_runs.py has real ones.
"""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from cnncli.runs.find import all_runs
from cnncli.runs.run import Run

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="refused on Windows")

FAKE = Path(__file__).parent / "fake_cnn.py"
CNN = f"""
import sys
from cnncli.runs import process
process.PROGRAM = (sys.executable, {str(FAKE)!r})
from cnncli.__main__ import main
sys.argv[0] = "cnn"
try:
    main()
finally:
    sys.stderr.write("engine: " + " ".join({{"tensorflow", "keras"}} & set(sys.modules)) + "\\n")
"""
CONFIG = """name: net
seed: 3
data: {source: digits, image_size: [8, 8], channels: 1}
model: {layers: [Flatten, {Dense: {units: 10}}]}
train: {epochs: 1}
"""
TRAIN = ("train", "net.yaml")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a config."""
    (tmp_path / "net.yaml").write_text(CONFIG, encoding="utf-8")
    return tmp_path


def options(folder: Path) -> dict[str, Any]:
    """Return how a process is started in the folder."""
    python_path = os.pathsep.join(map(str, filter(None, (Path(__file__).parents[2], os.environ.get("PYTHONPATH")))))
    # NumPy would start threads in each of a hundred processes that compute nothing.
    return {"cwd": folder, "env": {**os.environ, "PYTHONPATH": python_path, "OPENBLAS_NUM_THREADS": "1"}}


def cnn(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `cnn` whose children are fakes."""
    command = [sys.executable, "-c", CNN, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, **options(folder))


def calls(folder: Path) -> list[list[str]]:
    """Return the arguments of every child."""
    file = folder / "calls.txt"
    return [line.split() for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []


def trained(folder: Path) -> list[str]:
    """Return what each child but the evaluations did: "train" with its seed, or "resume"."""
    found = []
    for command, _, *rest in calls(folder):
        seeds = [text for text in rest if text.startswith("seed=")]
        found += [" ".join((command, *seeds))] if command != "eval" else []
    return found


def behave(folder: Path, **told: str) -> None:
    """Tell the children of some seeds what to do."""
    document = {name.replace("_", " "): what for name, what in told.items()}
    (folder / "behaviour.json").write_text(json.dumps(document), encoding="utf-8")


def runs(folder: Path) -> dict[int, Run]:
    """Return the runs by their seeds."""
    return {run.record["seed"]: run for run in all_runs(folder / "runs")}


def test_each_seed_is_trained_evaluated_and_summed_up(folder: Path) -> None:
    """By children of its own; the numbers are those of NumPy and SciPy; the parent imports no TensorFlow."""
    done = cnn(folder, *TRAIN, "--seeds", "5", "--set", "train.batch_size=32", "--workers", "1", "--json")
    assert done.returncode == 0, done.stderr
    assert done.stderr.endswith("engine: \n")
    assert [line for line in done.stderr.splitlines() if line.startswith("run ")] == [
        f"run {number} of 5: seed {seed}" for number, seed in enumerate(range(3, 8), start=1)
    ]
    assert done.stderr.count("a child's progress") == 10
    assert [line[0] for line in calls(folder)] == 5 * ["train", "eval"]
    sets = ["--set", "train.batch_size=32", "--set", "seed=4"]
    rest = ["--runs-dir", "runs", "--device", "auto", "--workers", "1"]
    assert calls(folder)[2] == [*TRAIN, *sets, *rest]
    assert calls(folder)[3][-4:] == ["--split", "test", "--runs-dir", "runs"]
    document = json.loads(done.stdout)
    assert {run.record["group"] for run in runs(folder).values()} == {document["group"]}
    assert [run["seed"] for run in document["runs"]] == [3, 4, 5, 6, 7]
    assert [run["run"] for run in document["runs"]] == [f"runs/net/{runs(folder)[seed].id}" for seed in range(3, 8)]
    assert {run["best_epoch"] for run in document["runs"]} == {1}
    assert document["runs"][0]["validation"] == {"accuracy": 0.25, "loss": 0.5}
    values = [run["test"]["accuracy"] for run in document["runs"]]
    assert len(set(values)) > 1
    found = document["metrics"]["test_accuracy"]
    assert (found["mean"], found["sd"], found["n"]) == pytest.approx((np.mean(values), np.std(values, ddof=1), 5))
    expected = stats.bootstrap(
        (values,), np.mean, n_resamples=10_000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    assert found["interval"] == pytest.approx(list(expected), abs=0.1 * found["sd"])
    assert document["folds"] is None


def test_a_stopped_group_goes_on(folder: Path) -> None:
    """What is done stays, what was interrupted is resumed, what is missing is trained; nothing is measured twice."""
    behave(folder, seed_4="hang")
    started = subprocess.Popen(
        [sys.executable, "-c", CNN, *TRAIN, "--seeds", "3,4,9"], stderr=subprocess.PIPE, text=True, **options(folder)
    )
    wait_for(lambda: (folder / "hanging.txt").exists())
    started.send_signal(signal.SIGTERM)
    _, told = started.communicate(timeout=60)
    assert started.returncode == 143
    assert (folder / "signals.txt").read_text(encoding="utf-8") == f"{int(signal.SIGTERM)}\n"
    group = runs(folder)[3].record["group"]
    go_on = f"cnn train net.yaml --seeds 3,4,9 --group {group}"
    assert f"Go on with all runs of the group: {go_on}\n" in told
    assert runs(folder)[4].status == "interrupted"
    before = {seed: run.path for seed, run in runs(folder).items()}
    behave(folder)
    (folder / "calls.txt").unlink()
    done = cnn(folder, *go_on.split()[1:], "--json")
    assert done.returncode == 0, done.stderr
    assert f"run 1 of 3: seed 3 is done: {Path('runs/net') / before[3].name}" in done.stderr
    assert trained(folder) == ["resume", "train seed=9"]
    assert [line[0] for line in calls(folder)] == ["resume", "eval", "train", "eval"]
    assert calls(folder)[0] == ["resume", f"runs/net/{before[4].name}", "--runs-dir", "runs", "--device", "auto"]
    assert before.items() <= {seed: run.path for seed, run in runs(folder).items()}.items()
    assert json.loads(done.stdout)["metrics"]["test_loss"]["n"] == 3


def test_ctrl_c_is_heard_once(folder: Path) -> None:
    """A terminal tells every process: the child, told twice, would end without its checkpoint."""
    behave(folder, seed_3="hang")
    started = subprocess.Popen(
        [sys.executable, "-c", CNN, *TRAIN, "--seeds", "2"],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **options(folder),
    )
    wait_for(lambda: (folder / "hanging.txt").exists())
    os.killpg(started.pid, signal.SIGINT)
    _, told = started.communicate(timeout=60)
    assert started.returncode == 130
    assert (folder / "signals.txt").read_text(encoding="utf-8") == f"{int(signal.SIGINT)}\n"
    assert trained(folder) == ["train seed=3"]
    assert "Traceback" not in told


def test_children_end_with_a_killed_parent(folder: Path) -> None:
    """SIGKILL leaves it no time to end them."""
    behave(folder, seed_3="hang")
    started = subprocess.Popen([sys.executable, "-c", CNN, *TRAIN, "--seeds", "2"], **options(folder))
    wait_for(lambda: (folder / "hanging.txt").exists() and (folder / "hanging.txt").read_text(encoding="utf-8") != "")
    child = int((folder / "hanging.txt").read_text(encoding="utf-8"))
    assert is_alive(child)
    started.kill()
    started.wait()
    wait_for(lambda: not is_alive(child))
    # Its first thread is gone before the others, and its files are closed with the last one.
    wait_for(lambda: runs(folder)[3].status == "interrupted")


@pytest.mark.parametrize("how", ["fail", "die"])
def test_a_failure_is_told_and_the_others_go_on(folder: Path, how: str) -> None:
    """With exit code 1 at the end, the table of those that are done, and the command to try again."""
    behave(folder, seed_4=how)
    done = cnn(folder, *TRAIN, "--seeds", "3")
    assert done.returncode == 1
    assert trained(folder) == ["train seed=3", "train seed=4", "train seed=5"]
    assert "run 2 of 3: seed 4 failed\n" in done.stderr
    group = runs(folder)[3].record["group"]
    assert f"Failed: seed 4. Try again with: cnn train net.yaml --seeds 3 --group {group}\n" in done.stderr
    row = next(line for line in done.stdout.splitlines() if runs(folder)[4].id in line and " 4 " in line)
    assert row.split()[1] == {"fail": "failed", "die": "interrupted"}[how]
    assert "There is no interval of the mean: it takes at least 3 runs." in done.stdout
    behave(folder)
    done = cnn(folder, *TRAIN, "--seeds", "3", "--group", group)
    assert done.returncode == 0, done.stderr
    assert trained(folder)[3:] == ["resume"]


def test_another_config_in_a_group_is_refused(folder: Path) -> None:
    """With what differs, before anything starts; so is a group that there is not."""
    assert cnn(folder, *TRAIN, "--seeds", "1").returncode == 0
    group, number = runs(folder)[3].record["group"], len(calls(folder))
    for changed, told in {
        ("--seeds", "2", "--set", "train.epochs=2"): "another config: train.epochs was 1 and is 2",
        ("--folds", "2"): "has a run of seed 3, which this command leaves out",
        ("--seeds", "4,5"): "has a run of seed 3, which this command leaves out",
    }.items():
        done = cnn(folder, *TRAIN, *changed, "--group", group)
        assert done.returncode == 1
        assert told in " ".join(done.stderr.split())
    done = cnn(folder, *TRAIN, "--seeds", "2", "--group", "20200101-000000")
    assert done.returncode == 1
    assert f"Groups of net: {group}." in done.stderr
    assert len(calls(folder)) == number


def test_a_config_that_is_edited_meanwhile_ends_the_group(folder: Path) -> None:
    """Else its runs would be of two experiments."""
    behave(folder, seed_3="edit")
    done = cnn(folder, *TRAIN, "--seeds", "2")
    assert done.returncode == 1
    assert "net.yaml has changed since the first run of the group was trained" in done.stderr
    assert trained(folder) == ["train seed=3"]


def test_a_group_is_trained_once_at_a_time(folder: Path) -> None:
    """A second process with the same group hears who trains it."""
    behave(folder, seed_4="hang")
    started = subprocess.Popen(
        [sys.executable, "-c", CNN, *TRAIN, "--seeds", "2"], stderr=subprocess.DEVNULL, **options(folder)
    )
    wait_for(lambda: (folder / "hanging.txt").exists())
    done = cnn(folder, *TRAIN, "--seeds", "2", "--group", runs(folder)[3].record["group"])
    started.terminate()
    assert started.wait(60) == 143
    assert done.returncode == 1
    assert f"is in use by process {started.pid} on " in " ".join(done.stderr.split())


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["--seeds", "3,3"], 2, "which has a seed twice"),
        (["--seeds", "0"], 2, "--seeds is 0"),
        (["--seeds", "1.5"], 2, "it takes a number of seeds, 5, or a list, 3,7,11"),
        (["--seeds", "3,2147483648"], 1, "below 2147483648"),
        (["--seeds", "2", "--set", "train.epohcs=1"], 1, "epochs"),
        (["--seeds", "2", "--dry-run"], 2, "--dry-run is for one run"),
        (["--seeds", "2", "--overfit-batch"], 2, "--overfit-batch is for one run"),
        (["--folds", "2", "--cluster", "slurm"], 2, "--cluster is for one run"),
        (["--folds", "2", "--fold", "1"], 2, "--fold is for one run"),
        (["--folds", "2", "--set", "data.folds=3"], 2, "--folds is 2, but data.folds of the config is 3"),
        (["--seeds", "2", "--set", "data.folds=3"], 2, "add --folds 3, or --fold 1"),
        (["--seeds", "2", "--workers", "2"], 1, "train.shards"),
        (["--group", "20260101-000000"], 2, "--group needs --seeds or --folds"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_mistakes_are_told_before_anything_starts(folder: Path, arguments: list[str], code: int, told: str) -> None:
    """Also those of the second run only."""
    done = cnn(folder, *TRAIN, *arguments)
    assert done.returncode == code
    assert told in " ".join(done.stderr.replace("│", " ").split())
    assert done.stdout == ""
    assert calls(folder) == []
    assert not (folder / "runs").exists()


def test_folds_are_evaluated_as_one(folder: Path) -> None:
    """With the accuracy that scikit-learn counts over the held-out examples; once for each seed."""
    sys.path.insert(0, str(FAKE.parent))
    try:
        from fake_cnn import CLASSES, NUM_EXAMPLES, answers
    finally:
        sys.path.remove(str(FAKE.parent))
    done = cnn(folder, *TRAIN, "--folds", "3", "--seeds", "8,1", "--set", "data.validation=0.0", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    pairs = [(run["seed"], run["fold"]) for run in document["runs"]]
    assert pairs == [(seed, fold) for seed in (8, 1) for fold in (1, 2, 3)]
    assert {run["test"] is None for run in document["runs"]} == {True}
    assert document["folds"]["number"] == 3
    assert document["folds"]["notes"] == []
    for found, seed in zip(document["folds"]["out_of_fold"], (8, 1), strict=True):
        labels, logits = answers(seed)
        assert found["seed"] == seed
        assert found["num_examples"] == NUM_EXAMPLES
        assert found["accuracy"] == pytest.approx(metrics.accuracy_score(labels, logits.argmax(axis=1)))
        assert found["loss"] == pytest.approx(metrics.log_loss(labels, softmax(logits)))
        with (folder / found["predictions"]).open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        assert sorted(int(row["example"]) for row in rows) == list(range(NUM_EXAMPLES))
        assert all(int(row["example"]) % 3 == int(row["fold"]) - 1 for row in rows)
        assert all(row["true"] == CLASSES[labels[int(row["example"])]] for row in rows)
        kept = json.loads((folder / found["evaluation"]).read_text(encoding="utf-8"))
        assert kept["confusion_matrix"] == metrics.confusion_matrix(labels, logits.argmax(axis=1)).tolist()
        assert len(kept["runs"]) == 3
    folds = folder / "runs" / "net" / f"folds-{document['group']}"
    assert len(list(folds.iterdir())) == 4
    assert folds not in [run.path for run in all_runs(folder / "runs")]


def test_all_runs_have_the_name_that_is_asked_for(folder: Path) -> None:
    """Also one that YAML would take for a number; one that leads elsewhere, or none, is refused."""
    done = cnn(folder, *TRAIN, "--seeds", "2", "--name", "1e3", "--json")
    assert done.returncode == 0, done.stderr
    found = list(all_runs(folder / "runs"))
    assert {run.path.parent for run in found} == {folder / "runs" / "1e3"}
    assert [run.config().name for run in found] == ["1e3", "1e3"]
    for wrong in ("", "../elsewhere"):
        done = cnn(folder, *TRAIN, "--seeds", "2", "--name", wrong)
        assert done.returncode == 1
        assert f'got the string "{wrong}"' in " ".join(done.stderr.split())
    assert len(list(all_runs(folder / "runs"))) == 2


def test_a_missing_fold_leaves_no_evaluation_of_all(folder: Path) -> None:
    """And the output says why; the runs that are done are in the table."""
    (folder / "behaviour.json").write_text('{"seed 3, fold 2 of 2": "fail"}', encoding="utf-8")
    done = cnn(folder, *TRAIN, "--folds", "2", "--set", "data.validation=0.0")
    assert done.returncode == 1
    assert "There are no out-of-fold predictions for seed 3: " in done.stdout
    assert not list((folder / "runs" / "net").glob("folds-*"))
    assert done.stdout.count("1/2") == 1


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return probabilities, by SciPy."""
    from scipy.special import softmax

    return np.asarray(softmax(logits, axis=1))


def wait_for(is_there: Callable[[], bool]) -> None:
    """Wait for something that other processes do."""
    deadline = time.monotonic() + 120
    while not is_there():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_alive(pid: int) -> bool:
    """Return whether a process runs that is not ours to wait for."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_an_evaluation_ends_with_its_parent(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It watches the process that started it, as training does, before anything else."""
    from cnncli.cli.eval import eval_cli
    from cnncli.errors import RunError
    from cnncli.workers import parent

    watched: list[bool] = []
    monkeypatch.setattr(parent, "watch", lambda: watched.append(True))
    with pytest.raises(RunError, match="no runs in"):
        eval_cli("net", runs_dir=folder)
    assert watched == [True]


@pytest.mark.parametrize("is_launched", [True, False])
def test_a_child_does_not_repeat_the_warnings(monkeypatch: pytest.MonkeyPatch, is_launched: bool) -> None:
    """Its parent has shown them for all; and it starts the workers that the parent was told."""
    from cnncli.cli.workers import Crew
    from cnncli.workers import parent

    monkeypatch.setattr(parent, "watch", lambda: is_launched)
    crew = Crew.of(4, 2, None, None, True)
    assert crew.is_launched == is_launched
    assert crew.options == ["--workers", "4", "--restarts", "2", "--inexact"]
    assert Crew.of(None, 0, None, None, False).options == []
