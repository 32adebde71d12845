"""What `cnn predict` prints for folders of more files than one table holds."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image

from cnncli.cli import console
from cnncli.cli import predict as command
from cnncli.tasks.classification.task import ClassificationTask
from tests.serving.test_predict import Darkness, Echo


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with five grey images and a damaged one, to be shown two by two."""
    for number in range(5):
        Image.fromarray(np.full((6, 5), 100 + number, np.uint8)).save(tmp_path / f"{number}.png")
    (tmp_path / "3x.png").write_bytes(b"damaged")
    monkeypatch.setattr(command, "MOST_TOGETHER", 2)
    monkeypatch.setattr(command, "_network", lambda *_: Echo(detector=Darkness(2.0)))
    return tmp_path


def ask(folder: Path, **options: object) -> int:
    """Predict for a folder and return the exit code."""
    try:
        command.predict_cli("latest", [str(folder)], **{"csv": None, "draw": None, **options})
    except typer.Exit as end:
        return end.exit_code
    return 0


def test_tables_follow_each_other(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every readable file has its row, in order; damaged ones and the first warnings are told once each."""
    assert ask(folder) == 1
    printed = capsys.readouterr()
    rows = [line.split()[0] for line in printed.out.splitlines() if ".png" in line]
    assert [Path(row).name for row in rows] == ["0.png", "1.png", "2.png", "3.png", "4.png"]
    assert printed.out.count("Class") == 3
    assert printed.err.count("error:") == 1
    assert printed.err.count("warning:") == 5


def test_json_is_one_list(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The entries that are printed one by one make the text that the standard library makes of the list."""
    monkeypatch.setattr(command, "MOST_NOTED", 2)
    assert ask(folder, as_json=True) == 1
    printed = capsys.readouterr()
    document = json.loads(printed.out)
    assert [Path(entry["file"]).name for entry in document] == ["0.png", "1.png", "2.png", "3.png", "3x.png", "4.png"]
    assert printed.out == json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    assert printed.err.count("warning:") == 2
    assert "… and 3 more files look unlike the training images" in printed.err


def test_what_cannot_be_told_is_said_once(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network without a detector, and one whose task has none, has no warnings; only for the first is that a gap."""
    missing = "no warnings about images unlike the training images"
    assert ask(folder) == 1
    assert missing not in capsys.readouterr().err
    network = Echo()
    monkeypatch.setattr(command, "_network", lambda *_: network)
    assert ask(folder) == 1
    heard = capsys.readouterr().err
    assert (heard.count(missing), heard.count("warning:")) == (1, 0)
    monkeypatch.setattr(ClassificationTask, "detects_ood", False)
    assert ask(folder) == 1
    assert missing not in capsys.readouterr().err


def test_an_empty_list_is_one_too(capsys: pytest.CaptureFixture[str]) -> None:
    """Without entries, a list is still a list."""
    console.print_json_list([])
    assert json.loads(capsys.readouterr().out) == []


def test_lines_tell_the_progress(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where there is no terminal, a line says now and then how far it is."""
    count = console.Count("predicting", "predicted", every=0)
    count(1500, 2000)
    assert capsys.readouterr().err == "predicted 1,500 of 2,000 images\n"


def test_csv_of_a_folder(folder: Path, tmp_path: Path) -> None:
    """The file has a line for each file: with a warning for one unlike the training images, why for a damaged one."""
    assert ask(folder, csv=tmp_path / "out" / "p.csv") == 1
    with (tmp_path / "out" / "p.csv").open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert ",".join(header) == "file,class_1,probability_1,class_2,probability_2,class_3,probability_3,warning,error"
    found = [(Path(row[0]).name, bool(row[1]), row[-2][:5], row[-1][:12]) for row in rows]
    right = [(f"{number}.png", True, "only ", "") for number in range(5)]
    assert found == [*right[:4], ("3x.png", False, "", "not an image"), right[4]]


def test_csv_of_damaged_files_has_a_header(folder: Path, tmp_path: Path) -> None:
    """Where no file can be read, what is written is a table all the same: it is finished when the last is done."""
    assert ask(folder / "3x.png", csv=tmp_path / "p.csv") == 1
    assert (tmp_path / "p.csv").read_text(encoding="utf-8").startswith("file,warning,error\n")
