"""`cnn runs`, `cnn compare` and `cnn tensorboard` as a user runs them."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cnncli.runs.run import Run

ROOT = Path(__file__).parent.parent.parent
IMPORTS = """
import sys
from cnncli.__main__ import main
sys.argv = ["cnn", *{arguments!r}]
try:
    main()
except SystemExit:
    pass
heavy = [name for name in ("tensorflow", "keras", "numpy", "matplotlib") if name in sys.modules]
sys.stderr.write("HEAVY " + ",".join(heavy))
"""


@dataclass(frozen=True)
class Done:
    """What a command printed."""

    stdout: str
    stderr: str


Cnn = Callable[..., Done]


@pytest.fixture
def cnn(monkeypatch: pytest.MonkeyPatch, invoke: Callable[..., tuple[str, str]]) -> Cnn:
    """Return a function that runs a command in the project's folder and checks its exit code."""
    monkeypatch.chdir(ROOT)
    return lambda *arguments, expect=0: Done(*invoke(*arguments, expect=expect))


def make(runs_dir: Path, name: str, seed: int = 0) -> Run:
    """Make a finished run of three epochs."""
    run = Run.create(runs_dir, name, f"name: {name}\nseed: {seed}\n", {"total_params": 61_706})
    for epoch in (1, 2, 3):
        accuracy = 0.5 + epoch / 10
        run.append_metrics({"epoch": epoch, "seconds": 1.0, "validation": {"loss": 1.0, "accuracy": accuracy}})
    run.update(status="done")
    return run


def test_runs_are_listed(cnn: Cnn, tmp_path: Path) -> None:
    """As a table, and as rows of one JSON document."""
    run = make(tmp_path, "net")
    lines = cnn("runs", "--runs-dir", str(tmp_path)).stdout.splitlines()
    assert lines[0].split() == ["run", "status", "epochs", "best", "val.", "acc.", "parameters", "seconds"]
    assert lines[2].split() == [f"net/{run.id}", "done", "3", "0.8000", "61,706", "3"]
    (row,) = json.loads(cnn("runs", "--json", "--runs-dir", str(tmp_path)).stdout)["rows"]
    assert row["run"] == str(run.path)
    assert (row["status"], row["epochs"], row["best_validation_accuracy"]) == ("done", 3, 0.8)


def test_no_runs_are_no_error(cnn: Cnn, tmp_path: Path) -> None:
    """What to do is said on stderr; the JSON is empty."""
    done = cnn("runs", "--runs-dir", str(tmp_path / "none"))
    assert done.stdout == ""
    assert "cnn train CONFIG" in done.stderr
    make(tmp_path / "some", "lenet")
    assert 'Did you mean "lenet"?' in cnn("runs", "lenett", "--runs-dir", str(tmp_path / "some")).stderr
    assert json.loads(cnn("runs", "--json", "--runs-dir", str(tmp_path)).stdout) == {"rows": []}


def test_a_thousand_runs_are_listed_about_as_fast_as_they_are_read(tmp_path: Path) -> None:
    """Ten epochs each; measured in processor time against a plain loop that parses the same files."""
    resource = pytest.importorskip("resource")

    def processor_time(*arguments: str) -> tuple[float, list[dict[str, Any]]]:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [sys.executable, "-m", "cnncli", "runs", "--json", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
        rows = json.loads(done.stdout)["rows"]
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, rows

    line = {"step": 1, "learning_rate": 1e-3, "seconds": 1.0, "train": {"loss": 1.0}, "validation": {"accuracy": 0.5}}
    metrics = "".join(json.dumps({"epoch": epoch, **line}) + "\n" for epoch in range(1, 11))
    for number in range(1000):
        run = Run(tmp_path / f"net{number % 10}" / f"20260101-{number:06}")
        run.path.mkdir(parents=True)
        record = {"status": "running", "started": "2026-01-01T00:00:00+00:00"}
        run.record_file.write_text(json.dumps(record), encoding="utf-8")
        run.metrics_file.write_text(metrics, encoding="utf-8")
    begun = time.process_time()
    for path in tmp_path.glob("*/*/*.json*"):
        for text in path.read_text(encoding="utf-8").splitlines():
            json.loads(text)
    plain = time.process_time() - begun
    start, none = processor_time("--runs-dir", str(tmp_path / "none"))
    taken, rows = processor_time("--runs-dir", str(tmp_path))
    assert (len(none), len(rows)) == (0, 1000)
    assert {row["status"] for row in rows} == {"interrupted"}
    assert taken - start < 10 * plain


@pytest.mark.parametrize("command", ["runs", "compare"])
def test_neither_command_imports_what_is_slow(tmp_path: Path, command: str) -> None:
    """No TensorFlow, and no NumPy either."""
    references = [str(make(tmp_path, name).path) for name in ("a", "b")] if command == "compare" else []
    code = IMPORTS.format(arguments=[command, *references, "--runs-dir", str(tmp_path)])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stderr.endswith("HEAVY ")


def test_runs_are_compared(cnn: Cnn, tmp_path: Path) -> None:
    """Configs, results, repetitions; the JSON has a row for each."""
    first, second = make(tmp_path, "net", seed=1), make(tmp_path, "net", seed=2)
    for run, answers in ((first, (1, 1, 0)), (second, (1, 0, 0))):
        lines = [f"{i},1,{answer}" for i, answer in enumerate(answers)]
        run.write_text(run.predictions_file("test"), "\n".join(["index,true,predicted", *lines]) + "\n")
    references = (str(first.path), str(second.path))
    text = cnn("compare", *references, "--runs-dir", str(tmp_path)).stdout
    assert "mean over seeds (A, B)" in text
    assert "A vs B" in text
    document = json.loads(cnn("compare", *references, "--json").stdout)
    assert {"kind": "config", "key": "seed", "values": [1, 2]} in document["rows"]
    assert {"kind": "metric", "key": "best_validation_accuracy", "values": [0.8, 0.8]} in document["rows"]
    assert document["groups"][0]["metrics"]["epochs"] == {"mean": 3, "sd": 0.0, "n": 2}
    ids = {"first": first.id, "second": second.id}
    assert document["mcnemar"] == [{**ids, "only_first": 1, "only_second": 0, "p_value": 1.0}]
    by_name = json.loads(cnn("compare", "net", "--runs-dir", str(tmp_path), "--json").stdout)
    assert by_name == document  # A name means all its runs.


def test_mistakes_are_short_errors(cnn: Cnn, tmp_path: Path) -> None:
    """A run that is not there, too few runs, nothing to show."""
    make(tmp_path, "lenet")
    folder = ("--runs-dir", str(tmp_path))
    assert 'Did you mean "lenet"?' in cnn("compare", "lenet", "lenett", *folder, expect=1).stderr
    assert "at least two" in cnn("compare", "lenet", *folder, expect=1).stderr
    cnn("compare", *folder, expect=2)
    assert "no runs in" in cnn("tensorboard", "--runs-dir", str(tmp_path / "none"), expect=1).stderr


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def ask(address: str, seconds: float = 300) -> Any:
    """Return the JSON that a server answers, waiting until it does; the limit only guards against a hang."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(address, timeout=60) as answer:
                document = json.load(answer)
            if document or time.monotonic() > deadline:
                return document
        except OSError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.2)


@pytest.mark.engine
def test_tensorboard_serves_the_curves_to_this_machine(tmp_path: Path) -> None:
    """Through its HTTP API, from files as training writes them, until it is interrupted."""
    import tensorflow as tf

    run = make(tmp_path, "net")
    for split in ("train", "validation"):
        writer = tf.summary.create_file_writer(str(run.tensorboard_dir / split))
        with writer.as_default():
            for step in (10, 20):
                tf.summary.scalar("loss", 1 / step, step=step)
        writer.close()
    port = free_port()
    command = [sys.executable, "-m", "cnncli", "tensorboard", "--runs-dir", str(tmp_path), "--port", str(port)]
    server = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        tags = ask(f"http://127.0.0.1:{port}/data/plugin/scalars/tags")
        name = f"net/{run.id}/tensorboard"
        assert set(tags) == {f"{name}/train", f"{name}/validation"}
        assert set(tags[f"{name}/train"]) == {"loss"}
        points = ask(f"http://127.0.0.1:{port}/data/plugin/scalars/scalars?run={name}/train&tag=loss")
        assert [(step, round(value, 6)) for _, step, value in points] == [(10, 0.1), (20, 0.05)]
        assert listens_only_here(port)
        assert [refuses(port, host) for host in ("localhost", "127.0.0.1:1", "evil.example", "")] == [0, 0, 1, 1]
    finally:
        os.killpg(server.pid, signal.SIGINT)
        _, errors = server.communicate(timeout=300)
    assert f"http://127.0.0.1:{port}" in errors
    assert "Traceback" not in errors
    # Nothing of TensorFlow's own log, whose lines have the severity before the source's name.
    assert not re.search(r"[IWE]0000|[IWE] tensorflow/|oneDNN|absl::InitializeLog", errors), errors


def refuses(port: int, host: str) -> bool:
    """Tell whether a request is refused that a browser sends when a page's name is that host."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", "/data/runs", headers={"Host": host})
    return connection.getresponse().status == 403


def listens_only_here(port: int) -> bool:
    """Tell whether the machine's other addresses refuse a connection."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # Sends nothing; only chooses the outgoing address.
            other = probe.getsockname()[0]
        except OSError:
            return True
    if other.startswith("127."):
        return True
    with socket.socket() as client:
        client.settimeout(2)
        return client.connect_ex((other, port)) != 0
