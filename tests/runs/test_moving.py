"""Runs renamed, deleted and brought back: whole at every moment, and by one process at a time."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import Any

import pytest
import yaml

from cnncli.config.dump import dump
from cnncli.config.load import load
from cnncli.errors import RunError, WriteError
from cnncli.files import durable
from cnncli.runs.find import find
from cnncli.runs.listing import rows
from cnncli.runs.renaming import rename
from cnncli.runs.run import Run
from cnncli.runs.trash import delete, deleted_runs, empty, find_deleted, restore, size_of, trash_of

PRIMITIVES = ("create", "write", "fsync", "fsync_directory", "mkdir", "rename", "replace", "unlink", "rmdir")
"""What `durable` is made of: whoever is killed is killed before or after one of these."""


class Killed(BaseException):
    """Stands for a signal that no program hears."""


def make(runs_dir: Path, name: str = "net") -> Run:
    """Make a finished run with a checkpoint."""
    run = Run.create(runs_dir, name, f"name: {name}\nseed: 1\n", {"seed": 1})
    folder = run.checkpoints_dir / "step-00000001"
    folder.mkdir(parents=True)
    (folder / "arrays.bin").write_bytes(bytes(range(256)))
    run.update(status="done")
    return run


def contents(folder: Path) -> dict[str, str]:
    """Return a digest of every file but the locks, and of no name: these are told apart by what they hold."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "lock" not in path.name
    }


def test_a_run_gets_another_name(tmp_path: Path) -> None:
    """Its folder, its config and its record; nothing else changes, and the folder that is empty goes."""
    run = make(tmp_path)
    before, started, record = contents(run.path), run.started, run.record
    renamed = rename(run, "1e3", tmp_path)
    assert renamed.path == tmp_path / "1e3" / run.id
    after = contents(renamed.path)
    assert {name for name in before if before[name] != after[name]} == {"config.yaml", "run.json"}
    assert before.keys() == after.keys()
    assert yaml.safe_load(renamed.config_file.read_text(encoding="utf-8")) == {"name": "1e3", "seed": 1}
    assert renamed.config_file.read_text(encoding="utf-8") == 'name: "1e3"\nseed: 1\n'
    assert renamed.record == {**record, "name": "1e3"}
    assert renamed.started == started
    assert find("1e3", tmp_path).path == renamed.path
    assert [path.name for path in tmp_path.iterdir()] == ["1e3"]


def test_a_renamed_run_trains_on_as_the_same_experiment(tmp_path: Path) -> None:
    """Its config differs from the one that it was trained with in nothing but the name."""
    config = load("digits_lenet")
    run = Run.create(tmp_path, config.name, dump(config))
    run.write_json(run.origins_file, {"name": "digits_lenet.yaml:1", "seed": "default"})
    renamed = rename(run, "first", tmp_path)
    again = renamed.config()
    assert again.name == "first"
    assert {**again.document, "name": config.name} == config.document
    for part in ("task", "seed", "data", "nodes", "outputs", "train"):
        assert getattr(again, part) == getattr(config, part)
    assert renamed.origins() == {"name": "cnn runs rename", "seed": "default"}


def test_other_runs_of_the_new_name_are_no_hindrance(tmp_path: Path) -> None:
    """They stay; only a run of the same start is in the way."""
    first, second = make(tmp_path, "a"), make(tmp_path, "b")
    renamed = rename(first, "c", tmp_path)
    in_the_way = tmp_path / "b" / renamed.id
    if not in_the_way.exists():
        in_the_way.mkdir()
    with pytest.raises(RunError, match="is there already"):
        rename(renamed, "b", tmp_path)
    assert renamed.record["name"] == "c"
    assert rename(second, "c-2", tmp_path).name == "c-2"


@pytest.mark.parametrize("name", ["../out", "a/b", "", ".trash", "a b", "-x", "x" * 101])
def test_names_that_no_run_can_have(tmp_path: Path, name: str) -> None:
    """Nothing is changed."""
    run = make(tmp_path)
    before = contents(tmp_path)
    with pytest.raises(RunError, match="invalid run name"):
        rename(run, name, tmp_path)
    with pytest.raises(RunError, match="has the name 'net' already"):
        rename(run, "net", tmp_path)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("text", ["a: [", "? name\n: net\n"])
def test_a_config_whose_name_cannot_be_changed(tmp_path: Path, text: str) -> None:
    """An error before anything is changed; without a config, or a name in it, there is nothing to change there."""
    run = make(tmp_path)
    run.config_file.write_text(text, encoding="utf-8")
    before = contents(tmp_path)
    with pytest.raises(Exception, match=r"config\.yaml"):
        rename(run, "other", tmp_path)
    assert contents(tmp_path) == before
    run.config_file.write_text("seed: 1\n", encoding="utf-8")
    renamed = rename(run, "other", tmp_path)
    assert renamed.config_file.read_text(encoding="utf-8") == "seed: 1\n"
    renamed.config_file.unlink()
    assert rename(renamed, "net", tmp_path).record["name"] == "net"


def test_deleted_runs_come_back(tmp_path: Path) -> None:
    """To the last bit, and are not listed in between."""
    run, other = make(tmp_path), make(tmp_path)
    before = contents(run.path)
    deleted = delete(run, tmp_path)
    assert deleted.path == tmp_path / ".trash" / "net" / run.id
    assert [row.id for row in rows(tmp_path)] == [other.id]
    assert [row.id for row in rows(trash_of(tmp_path))] == [run.id]
    assert contents(deleted.path) == before
    for reference in (f"net/{run.id}", run.id, "net", "latest", str(run.path), str(deleted.path)):
        assert find_deleted(reference, tmp_path).path == deleted.path
    assert restore(find_deleted("net", tmp_path), tmp_path).path == run.path
    assert contents(run.path) == before
    assert list(trash_of(tmp_path).iterdir()) == []


def test_the_last_run_of_a_name_takes_its_folder_with_it(tmp_path: Path) -> None:
    """And a new run makes it again."""
    delete(make(tmp_path), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".trash"]
    assert make(tmp_path).path.is_dir()


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """A second run of the same place gets a number in the trash; where another one is, none comes back."""
    run = make(tmp_path)
    first = delete(run, tmp_path)
    run.path.mkdir(parents=True)
    run.write_json(run.record_file, {"name": "net"})
    with pytest.raises(RunError, match="is there already"):
        restore(first, tmp_path)
    second = delete(run, tmp_path)
    assert (first.id, second.id) == (run.id, f"{run.id}-2")
    assert len(first.record) > len(second.record) == 1
    with pytest.raises(RunError, match="'net' can mean 2 runs") as caught:
        find_deleted("net", tmp_path)
    assert caught.value.hint == f"Say which: net/{first.id} or net/{second.id}"


def test_what_is_not_in_the_trash(tmp_path: Path) -> None:
    """With the nearest name."""
    with pytest.raises(RunError, match="nothing is in the trash"):
        find_deleted("net", tmp_path)
    delete(make(tmp_path), tmp_path)
    with pytest.raises(RunError, match="no run 'nett'") as caught:
        find_deleted("nett", tmp_path)
    assert caught.value.hint == 'Did you mean "net"?'


def test_the_trash_is_emptied(tmp_path: Path) -> None:
    """Of the runs that were asked for; what others do not see any more is gone."""
    runs = [make(tmp_path, name) for name in ("a", "b", "c")]
    sizes = [sum(path.stat().st_size for path in run.path.rglob("*") if path.is_file()) for run in runs]
    assert [size_of(run) for run in runs] == sizes
    for run in runs[:2]:
        delete(run, tmp_path)
    asked = deleted_runs(tmp_path)
    delete(runs[2], tmp_path)
    assert [run.name for run in empty(asked, tmp_path)] == ["a", "b"]
    assert [run.name for run in deleted_runs(tmp_path)] == ["c"]
    assert list(empty(asked, tmp_path)) == []
    assert [run.name for run in empty(deleted_runs(tmp_path), tmp_path)] == ["c"]
    assert list(tmp_path.iterdir()) == []


def test_a_run_in_use_is_left_alone(tmp_path: Path) -> None:
    """Who holds it is told; also in the trash."""
    run = make(tmp_path)
    before = contents(tmp_path)
    with run.lock():
        for attempt in (lambda: rename(run, "other", tmp_path), lambda: delete(run, tmp_path)):
            with pytest.raises(RunError, match="is in use by process"):
                attempt()
    assert contents(tmp_path) == before
    deleted = delete(run, tmp_path)
    with deleted.lock():
        for attempt in (lambda: restore(deleted, tmp_path), lambda: list(empty([deleted], tmp_path))):
            with pytest.raises(RunError, match="is in use by process"):
                attempt()
    assert deleted.path.is_dir()


def test_a_run_elsewhere_is_not_moved(tmp_path: Path) -> None:
    """It would be found by nobody there; nor is a link, whose run is elsewhere."""
    run = make(tmp_path / "there")
    for act in (lambda run, folder: rename(run, "x", folder), delete):
        with pytest.raises(RunError, match="is not a run of"):
            act(run, tmp_path / "here")
    link = tmp_path / "here" / "net" / run.id
    link.parent.mkdir(parents=True)
    link.symlink_to(run.path)
    for act in (lambda run, folder: rename(run, "x", folder), delete):
        with pytest.raises(RunError, match="is a link"):
            act(Run(link), tmp_path / "here")
    assert run.path.is_dir()


def test_a_run_may_be_named_by_where_one_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From inside of it: the working folder moves with the run."""
    run = make(tmp_path)
    monkeypatch.chdir(run.path)
    delete(Run(Path()), Path("../.."))
    assert (tmp_path / ".trash" / "net" / run.id / "run.json").is_file()


def test_a_damaged_run_can_be_deleted(tmp_path: Path) -> None:
    """That is what one wants to do with it."""
    run = make(tmp_path)
    run.record_file.write_text("{", encoding="utf-8")
    assert restore(delete(run, tmp_path), tmp_path).record_file.read_text(encoding="utf-8") == "{"


def test_a_disk_that_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One error, and the run is where it was."""
    run = make(tmp_path)

    def refuse(source: Path, target: Path) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(durable, "rename", refuse)
    with pytest.raises(WriteError, match=r"cannot be moved to .*: Invalid cross-device link"):
        delete(run, tmp_path)
    assert find("net", tmp_path).path == run.path


class Death:
    """Kills an action before or after one of its operations on the disk; who is dead does nothing any more.

    Args:
        steps: How many ends of operations it lives to see: none is before the first one, 1 after it, and so on.
    """

    def __init__(self, steps: int) -> None:
        self._left, self.has_come = steps, False

    def _step(self) -> None:
        if self._left == 0:
            self.has_come = True
            raise Killed
        self._left -= 1

    def threatens(self, primitive: Callable[..., Any]) -> Callable[..., Any]:
        """Return an operation during which it may come."""

        def done(*arguments: Any) -> Any:
            self._step()
            result = primitive(*arguments)
            try:
                self._step()
            except Killed:
                if isinstance(result, FileIO):
                    result.close()
                raise
            return result

        return done


def killed_at(steps: int, monkeypatch: pytest.MonkeyPatch, action: Callable[[], object]) -> bool:
    """Run an action that is killed after so many steps, and say whether it had so many."""
    death = Death(steps)
    with monkeypatch.context() as patched:
        for name in PRIMITIVES:
            patched.setattr(durable, name, death.threatens(getattr(durable, name)))
        with suppress(Killed):
            action()
    return death.has_come


@pytest.mark.parametrize("what", ["rename", "delete", "restore"])
def test_killed_at_any_moment_nothing_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """The run is in one of the two places, whole, and the same command again does it, whatever had been done."""
    count, was_killed = 0, True
    while was_killed:
        runs_dir = tmp_path / str(count)
        run = make(runs_dir)
        places = {"rename": "other", "delete": ".trash/net", "restore": "net"}
        if what == "restore":
            run = delete(run, runs_dir)
        target = runs_dir / places[what] / run.id
        before = contents(run.path)

        def act(run: Run = run, runs_dir: Path = runs_dir) -> Run:
            if what == "rename":
                return rename(run, "other", runs_dir)
            return delete(run, runs_dir) if what == "delete" else restore(run, runs_dir)

        was_killed = killed_at(count, monkeypatch, act)
        assert run.path.exists() != target.exists()
        place = run.path if run.path.exists() else target
        after = {name: digest for name, digest in contents(place).items() if not name.endswith(".tmp")}
        changed = {"config.yaml", "run.json"} if what == "rename" else set()
        assert after.keys() == before.keys()
        assert {name for name in before if after[name] != before[name]} <= changed
        assert yaml.safe_load((place / "config.yaml").read_text(encoding="utf-8"))["seed"] == 1
        assert Run(place).record["status"] == "done"
        if place == run.path:
            act()
        assert target.is_dir()
        if what == "rename":
            assert (Run(target).record["name"], Run(target).config_file.read_text()) == (
                "other",
                "name: other\nseed: 1\n",
            )
        count += 1
    assert count > 4


RACES = """
import sys
from pathlib import Path
from cnncli.errors import CnnError
from cnncli.runs.run import Run
from cnncli.runs.renaming import rename
from cnncli.runs.trash import delete
runs_dir, name = Path(sys.argv[1]), sys.argv[2]
runs = [Run(path) for path in sorted(runs_dir.glob("net/*"))]
print("ready", flush=True)
sys.stdin.read()
won = 0
for run in runs:
    try:
        delete(run, runs_dir) if name == "trash" else rename(run, name, runs_dir)
        won += 1
    except CnnError:
        pass
print(won)
"""


def test_of_several_processes_one_moves_a_run(tmp_path: Path, started: Callable[..., subprocess.Popen[str]]) -> None:
    """Two rename and two delete the same twenty runs at once: each is in one place, and counted once."""
    runs = [make(tmp_path) for _ in range(20)]
    before = {run.id: contents(run.path)["checkpoints/step-00000001/arrays.bin"] for run in runs}
    processes = [
        started([sys.executable, "-c", RACES, tmp_path, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for name in ("trash", "a", "trash", "b")
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    won = [int(process.communicate("")[0]) for process in processes]
    found = [path for folder in (".trash/net", "net", "a", "b") for path in tmp_path.glob(f"{folder}/*")]
    assert sum(won) == 20
    assert sorted(path.name for path in found) == sorted(run.id for run in runs)
    assert {path.name: contents(path)["checkpoints/step-00000001/arrays.bin"] for path in found} == before
    for path in found:
        if path.parent.name in ("a", "b"):
            assert Run(path).record["name"] == path.parent.name


def test_a_new_run_whose_folder_is_taken_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever moves the last run of a name away removes its empty folder: a new run of that name makes it again."""
    make_directories, removed = durable.make_directories, []

    def removed_once(path: Path) -> None:
        make_directories(path)
        if path.name == "net" and not removed:
            removed.append(path)
            path.rmdir()

    monkeypatch.setattr(durable, "make_directories", removed_once)
    assert make(tmp_path).path.is_dir()
    assert removed == [tmp_path / "net"]
