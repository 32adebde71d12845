"""Runs of another user and on a disk that cannot be written: each command answers with what it may, or says why not."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from cnncli.runs.run import Run

pytestmark = [pytest.mark.engine, pytest.mark.skipif(sys.platform != "linux", reason="owners, rights and mounts")]

OTHERS = 65534
"""Number of a user that nobody is."""

CONFIG = """
name: net
data: {source: digits, image_size: [8, 8], channels: 1, validation: 0.5, test: 0.2}
model:
  layers: [{Conv2D: {filters: 2, kernel_size: 3}}, {Dropout: {rate: 0.2}}, Flatten, {Dense: {units: 10}}]
train: {epochs: 1, batch_size: 64}
"""

COMMANDS = """
import json, sys
from cnncli.__main__ import main
from cnncli.cli.console import err, out
for arguments in json.loads(sys.argv[1]):
    out.cache_clear()
    err.cache_clear()
    sys.argv = ["cnn", *arguments]
    code = 0
    try:
        main()
    except SystemExit as end:
        code = end.code
    print(flush=True)
    print("END", code or 0, flush=True)
"""
"""Several commands in one process, so that TensorFlow is loaded once; after the texts of each its exit code."""

NO_RIGHTS = ("setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner,-chown")
"""Takes from root what lets it read and write the files of all users."""


class Answer(NamedTuple):
    """What a command answers: its exit code, and both streams."""

    code: int
    text: str

    def fails(self, error: str) -> bool:
        """Whether it ends with one error and nothing else of the kind."""
        return self.code == 1 and self.text.count("error:") == 1 and error in self.text


def answers(before: tuple[str, ...], folder: Path, *commands: str) -> list[Answer]:
    """Run commands in a process that another program starts, for it has other rights."""
    given = json.dumps([command.split() for command in commands])
    process = subprocess.run(
        [*before, sys.executable, "-c", COMMANDS, given],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert "Traceback" not in process.stdout, process.stdout
    *parts, rest = process.stdout.split("\nEND ")
    texts = [parts[0], *(part.partition("\n")[2] for part in parts[1:])]
    codes = [int(part.partition("\n")[0]) for part in [*parts[1:], rest]]
    return [Answer(code, text) for code, text in zip(codes, texts, strict=True)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a config, an image and a run."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "net.yaml").write_text(CONFIG, encoding="utf-8")
    (folder / "x.pgm").write_bytes(b"P5\n8 8\n255\n" + bytes(range(64)))
    # In a process of its own, as all that follows: the threads of this one may be set for another test.
    (done,) = answers((), folder, "train net.yaml")
    assert done.code == 0, done.text
    return folder


@pytest.fixture
def project(trained: Path, tmp_path: Path) -> Iterator[Path]:
    """Return a copy of it, of which the rights may be changed."""
    yield Path(shutil.copytree(trained, tmp_path / "project"))
    for folder, _, files in os.walk(tmp_path):
        Path(folder).chmod(0o755)
        for file in files:
            (Path(folder) / file).chmod(0o644)


def files_of(folder: Path) -> dict[Path, bytes]:
    """Return what all files below a folder hold."""
    return {file: file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


def take_rights(top: Path, folders: int, files: int) -> None:
    """Give all below a folder, and itself, to another user where this one may, with these rights for its owner too."""
    for path in [*sorted(top.rglob("*"), reverse=True), top]:
        path.chmod(folders if path.is_dir() else files)
        if os.geteuid() == 0:
            os.chown(path, OTHERS, OTHERS)


def another_user() -> tuple[str, ...]:
    """Return what starts a process that may not more than the rights of files say."""
    if os.geteuid() != 0:
        return ()
    if shutil.which("setpriv") is None:
        pytest.skip("root reads and writes everything, and there is no setpriv to keep it from that")
    return NO_RIGHTS


def without_mounts(script: str) -> tuple[str, ...]:
    """Return what starts a process that sees other mounts, which a script makes."""
    start = ("unshare", "--map-root-user", "--mount")
    if shutil.which("unshare") is None or subprocess.run([*start, "true"], check=False, capture_output=True).returncode:
        pytest.skip("mounts of one's own are not allowed here")
    return (*start, "sh", "-ec", f'{script}\nexec "$@"', "sh")


def test_the_run_of_another_user(project: Path) -> None:
    """One that may be read: what is measured is shown, and said not to be kept; the rest says what is refused."""
    take_rights(project / "runs", 0o555, 0o444)
    before = files_of(project / "runs")
    listed, measured, resumed, report, elsewhere, exported, predicted, train = answers(
        another_user(),
        project,
        "runs",
        "eval latest",
        "resume latest --set train.epochs=2",
        "report latest",
        "report latest -o report.html",
        "export latest",
        "predict latest x.pgm",
        "train net.yaml",
    )
    assert listed.code == measured.code == elsewhere.code == predicted.code == 0
    assert "done" in listed.text
    assert "accuracy" in measured.text
    assert measured.text.count("is not kept: ") == 2
    assert "test split is not kept: " in measured.text
    assert resumed.fails("cannot be locked: Permission denied")
    assert report.fails("report.html cannot be written: Permission denied")
    assert "Write it elsewhere: cnn report RUN -o FILE." in report.text
    assert (project / "report.html").read_text(encoding="utf-8").endswith("</html>\n")
    assert exported.fails("export cannot be made: Permission denied")
    assert "x.pgm" in predicted.text
    assert train.fails("cannot create a run in runs/net: Permission denied")
    assert files_of(project / "runs") == before


def test_runs_that_may_not_be_read(project: Path) -> None:
    """It is told which file or folder may not be read: it is never said that there is no run."""
    hidden = {"files": ".", "checkpoints": "checkpoints", "folder": ".", "name": ".."}
    for place, part in hidden.items():
        (run,) = (Path(shutil.copytree(project / "runs", project / place)) / "net").iterdir()
        take_rights((run / part).resolve(), *((0o555, 0) if place == "files" else (0, 0o444)))
    commands = ["runs", "predict latest x.pgm", "resume latest --set train.epochs=2", "eval latest", "export latest"]
    asked = [(place, command) for place in hidden for command in commands[: 5 if place in ("files", "name") else 3]]
    given = [f"{command} --runs-dir {place}" for place, command in asked]
    for (place, command), answer in zip(asked, answers(another_user(), project, *given), strict=True):
        refused = "Permission denied" in answer.text
        if command != "runs":
            assert (answer.code, answer.text.count("error:"), refused) == (1, 1, True), (place, answer)
        elif place == "checkpoints":
            assert "done" in answer.text
        else:
            assert (refused, "damaged" in answer.text) == (True, place != "name"), answer


def test_a_disk_that_cannot_be_written_and_no_shared_memory(project: Path) -> None:
    """A run mounted for reading is answered as another user's; a training without /dev/shm ends with the same bits."""
    script = "mount --bind runs runs\nmount -o remount,ro,bind runs\n"
    script += "mount -t tmpfs -o ro none /dev/shm\ntest ! -w /dev/shm"
    before = files_of(project / "runs")
    measured, resumed, report, train, again, more = answers(
        without_mounts(script),
        project,
        "eval latest",
        "resume latest --set train.epochs=2",
        "report latest",
        "train net.yaml",
        "train net.yaml --runs-dir others",
        "resume latest --runs-dir others --set train.epochs=2",
    )
    assert measured.code == again.code == more.code == 0
    assert "accuracy" in measured.text
    assert measured.text.count("is not kept: ") == 2
    assert resumed.fails("cannot be locked: Read-only file system")
    assert report.fails("report.html cannot be written: Read-only file system")
    assert train.fails("cannot create a run in runs/net: Read-only file system")
    assert files_of(project / "runs") == before
    (first,), (second,) = ((project / place / "net").iterdir() for place in ("runs", "others"))
    assert (Run.open(second).status, len(Run.open(second).metrics())) == ("done", 2)
    expected, found = (Run.open(run).metrics()[0] for run in (first, second))
    assert {**found, "seconds": 0, "images_per_second": 0} == {**expected, "seconds": 0, "images_per_second": 0}
