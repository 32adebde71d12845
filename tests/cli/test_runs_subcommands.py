"""`cnn runs tag`, `rename`, `delete` and `restore` as a user runs them, and `cnn runs` beside them."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cnncli.cli.app import ALL, SUBCOMMANDS, app
from cnncli.errors import CnnError
from cnncli.runs.run import Run


class Terminal(io.StringIO):
    """stdin with somebody in front of it."""

    def isatty(self) -> bool:
        """Say so."""
        return True


class Cnn:
    """Runs commands in 80 columns without colours, on one folder of runs.

    Args:
        runs_dir: The folder.
        invoke: Runs a command.
    """

    def __init__(self, runs_dir: Path, invoke: Callable[..., tuple[str, str]]) -> None:
        self.runs_dir, self._invoke = runs_dir, invoke

    def __call__(self, *arguments: str, expect: int = 0) -> tuple[str, str]:
        """Return what a command prints on stdout and stderr; it ends with that exit code."""
        return self._invoke(*arguments, expect=expect)

    def json(self, *arguments: str) -> Any:
        """Return the document that a command prints."""
        return json.loads(self(*arguments, "--json")[0])

    def make(self, name: str = "net", seed: int = 0) -> Run:
        """Make a finished run."""
        config = f"name: {name}\nseed: {seed}\ntrain: {{batch_size: {2**seed}}}\n"
        run = Run.create(self.runs_dir, name, config, {"total_params": 61_706})
        run.append_metrics({"epoch": 1, "seconds": 1.0, "validation": {"loss": 1.0, "accuracy": 0.5 + seed / 10}})
        run.update(status="done")
        return run


@pytest.fixture
def cnn(monkeypatch: pytest.MonkeyPatch, invoke: Callable[..., tuple[str, str]], tmp_path: Path) -> Cnn:
    """Return what runs commands."""
    monkeypatch.setenv("CNN_RUNS_DIR", str(tmp_path / "runs"))
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    return Cnn(tmp_path / "runs", invoke)


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that sets what is typed at a terminal."""
    return lambda text: monkeypatch.setattr(sys, "stdin", Terminal(text))


def test_runs_are_chosen_and_sorted(cnn: Cnn) -> None:
    """The column and the values of what was compared are there only where it was asked for."""
    first, second, third = (cnn.make(seed=seed) for seed in (1, 2, 0))
    document = cnn.json(
        "runs", "--where", "train.batch_size>=2", "--where", "seed>0", "--sort", "accuracy", "--reverse"
    )
    assert [row["run"] for row in document["rows"]] == [str(second.path), str(first.path)]
    assert document["rows"][0]["values"] == {"accuracy": 0.7, "train.batch_size": 4, "seed": 2}
    lines = cnn("runs", "net", "--sort", "train.batch_size")[0].splitlines()
    assert lines[0].split()[-1] == "batch_size"
    assert [line.split()[0].split("/")[1] for line in lines[2:]] == [third.id, first.id, second.id]
    plain = cnn.json("runs")["rows"]
    assert [row["id"] for row in plain] == [first.id, second.id, third.id]
    assert all("values" not in row and "tags" not in row for row in plain)


def test_nothing_is_left(cnn: Cnn) -> None:
    """It is said on stderr; a mistake is an error that names what is near."""
    cnn.make()
    assert cnn("runs", "--where", "seed>5") == ("", "No run meets the conditions.\n")
    assert cnn.json("runs", "--where", "seed>5") == {"rows": []}
    assert (
        'no run has "batch_size"\n  Did you mean "train.batch_size"?'
        in cnn("runs", "--sort", "batch_size", expect=1)[1]
    )
    assert '--where "seed" cannot be read' in cnn("runs", "--where", "seed", expect=1)[1]
    (cnn.make().path / "config.yaml").unlink()
    assert "damaged: " in cnn("runs", "--where", "seed=5")[1]
    assert "damaged: " in cnn("runs", "--sort", "seed")[1]


@pytest.mark.parametrize("name", SUBCOMMANDS["runs"])
def test_a_run_may_have_the_name_of_a_subcommand(cnn: Cnn, name: str) -> None:
    """After --, or behind an option, it is a name."""
    run = cnn.make(name)
    cnn.make("net")
    for arguments in (("runs", "--", name), ("runs", "--json", "--", name), ("runs", "--reverse", name)):
        printed = cnn(*arguments)[0]
        assert f"{name}/{run.id}" in printed or json.loads(printed)["rows"][0]["name"] == name
    assert cnn.json("runs", "tag", name, "x")["run"] == str(run.path)


def test_subcommands_are_explained(cnn: Cnn) -> None:
    """By --help, by `cnn help`, and in the list of commands; `cnn --help` shows one line for all."""
    assert "runs rename" in ALL
    assert "Usage: cnn runs rename [OPTIONS]" in cnn("runs", "rename", "--help")[0]
    assert "cnn runs rename RUN NEW_NAME" in cnn("help", "runs", "rename")[0]
    assert "cnn runs restore" in cnn("help", "commands")[0]
    listed = CliRunner().invoke(app, ["--help"]).stdout
    assert "rename" not in listed
    assert "runs -- tag" in " ".join(cnn("runs", "--help")[0].replace("│", " ").split())


def test_tags(cnn: Cnn) -> None:
    """They are added and removed, shown, and found again."""
    run, other = cnn.make(), cnn.make()
    assert cnn("runs", "tag", run.id, "baseline", "good")[0] == f"net/{run.id}: baseline, good\n"
    assert [row["id"] for row in cnn.json("runs", "--where", "tag=baseline")["rows"]] == [run.id]
    assert cnn("runs")[0].splitlines()[0].split()[-1] == "tags"
    assert cnn.json("runs", "tag", run.id, "good", "--remove") == {"run": str(run.path), "tags": ["baseline"]}
    assert cnn("runs", "tag", run.id, "baseline", "--remove")[0] == f"net/{run.id}: no tags\n"
    assert "has no tag" in cnn("runs", "tag", other.id, "x", "--remove", expect=1)[1]
    cnn("runs", "tag", run.id, expect=2)


def test_renaming(cnn: Cnn) -> None:
    """Prints the new path, alone on stdout."""
    run = cnn.make()
    path = cnn.runs_dir / "other" / run.id
    assert cnn("runs", "rename", "net", "other") == (f"{path}\n", "")
    assert cnn.json("runs", "rename", "latest", "net") == {
        "run": str(run.path),
        "name": "net",
        "former_run": str(path),
    }
    with run.lock():
        assert "is in use by process" in cnn("runs", "rename", "net", "other", expect=1)[1]
    assert "invalid run name" in cnn("runs", "rename", "net", "a b", expect=1)[1]


def test_deleting_asks(cnn: Cnn, answer: Any) -> None:
    """It shows what and how large; without a terminal it needs --yes."""
    run = cnn.make()
    (run.path / "large").write_bytes(bytes(2_500_000))
    assert "no terminal to ask on\n  --yes deletes without asking" in cnn("runs", "delete", "net", expect=1)[1]
    answer("n\n")
    printed, told = cnn("runs", "delete", "net", expect=1)
    assert printed == ""
    assert f"  net/{run.id}  2.50 MB\n" in told
    assert told.endswith("[y/N] Nothing was changed.\n")
    assert run.path.is_dir()
    answer("y\n")
    printed, told = cnn("runs", "delete", "net")
    assert printed == f"{run.path} is now {cnn.runs_dir}/.trash/net/{run.id}\n"
    assert "1 run, 2.50 MB?" in told
    assert "cnn runs restore" in told
    assert cnn.json("runs") == {"rows": []}


def test_deleting_and_bringing_back(cnn: Cnn) -> None:
    """As documents; without a run, what is in the trash is listed."""
    first, second = cnn.make("a"), cnn.make("b")
    deleted = cnn.json("runs", "delete", "a", str(second.path), "a", "--yes")["deleted"]
    assert [(entry["run"], entry["trash"]) for entry in deleted] == [
        (str(run.path), str(cnn.runs_dir / ".trash" / run.name / run.id)) for run in (first, second)
    ]
    assert all(entry["bytes"] > 100 for entry in deleted)
    assert [row["name"] for row in cnn.json("runs", "restore")["rows"]] == ["a", "b"]
    assert f"a/{first.id}" in cnn("runs", "restore")[0]
    assert cnn.json("runs", "restore", "a") == {"run": str(first.path)}
    assert cnn("runs", "restore", str(second.path))[0] == f"{second.path}\n"
    assert cnn("runs", "restore") == ("", f"Nothing is in the trash of {cnn.runs_dir}.\n")
    assert "nothing is in the trash" in cnn("runs", "restore", "a", expect=1)[1]


def test_only_what_was_meant_is_deleted(cnn: Cnn) -> None:
    """A name of several runs is refused, and so is a run in use, before any other is moved."""
    first, second, third = cnn.make("a"), cnn.make("a"), cnn.make("b")
    told = cnn("runs", "delete", "a", "--yes", expect=1)[1]
    assert "'a' can mean 2 runs" in told
    assert f"a/{first.id} or a/{second.id}" in told
    with third.lock():
        assert "is in use by process" in cnn("runs", "delete", f"a/{first.id}", "b", "--yes", expect=1)[1]
    assert 'Did you mean "b"?' in cnn("runs", "delete", "bb", "--yes", expect=1)[1]
    cnn("runs", "delete", expect=2)
    cnn("runs", "delete", "b", "--empty-trash", expect=2)
    assert all(run.path.is_dir() for run in (first, second, third))


def test_emptying_the_trash(cnn: Cnn, answer: Any) -> None:
    """Asks too; afterwards nothing can be brought back."""
    assert cnn.json("runs", "delete", "--empty-trash") == {"removed": []}
    run = cnn.make()
    cnn("runs", "delete", "net", "--yes")
    assert "no terminal" in cnn("runs", "delete", "--empty-trash", expect=1)[1]
    answer("\n")
    cnn("runs", "delete", "--empty-trash", expect=1)
    answer("y\n")
    printed, told = cnn("runs", "delete", "--empty-trash")
    assert printed == f"net/{run.id} is removed for good\n"
    assert "Remove for good:" in told
    assert not (cnn.runs_dir / ".trash").exists()
    cnn.make()
    cnn("runs", "delete", "net", "--yes")
    (removed,) = cnn.json("runs", "delete", "--empty-trash", "--yes")["removed"]
    assert removed["bytes"] > 100


def test_what_was_done_before_an_error_is_told(cnn: Cnn, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two runs the second cannot be moved: the first is in the trash, and the document says so."""
    from cnncli.runs import trash

    first, second = cnn.make("a"), cnn.make("b")
    move = trash.move

    def refuse_second(run: Run, target: Path) -> Run:
        if run.name == "b":
            raise CnnError("refused")
        return move(run, target)

    monkeypatch.setattr(trash, "move", refuse_second)
    printed, told = cnn("runs", "delete", "a", "b", "--yes", "--json", expect=1)
    assert [entry["run"] for entry in json.loads(printed)["deleted"]] == [str(first.path)]
    assert "refused" in told
    assert second.path.is_dir()
