"""eval, predict, show and report as a user types them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from cnncli.cli.app import app
from cnncli.cli.console import err, out, print_error
from cnncli.errors import CnnError
from cnncli.files.seal import unsealed

pytestmark = pytest.mark.engine

ROOT = Path(__file__).parent.parent.parent
KINDS = [
    *("kernels", "activations", "gradcam", "saliency", "confusion", "mistakes", "hits", "invariance"),
    *("augmentation", "schedule", "receptive_field"),
]


@dataclass(frozen=True)
class Done:
    """What a command printed."""

    stdout: str
    stderr: str


Cnn = Callable[..., Done]


def run_command(arguments: tuple[str, ...]) -> int:
    """Run a command in this process, known errors printed as `cnn` prints them; return its exit code."""
    try:
        app(list(arguments), prog_name="cnn")
    except CnnError as error:
        print_error(error)
        return error.exit_code
    except SystemExit as end:
        return int(end.code or 0)
    return 0


@pytest.fixture(scope="module")
def runs_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train the digits for two epochs."""
    folder = tmp_path_factory.mktemp("runs")
    assert run_command(("train", "digits_lenet", "--set", "train.epochs=2", "--runs-dir", str(folder))) == 0
    return folder


@pytest.fixture
def cnn(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cnn:
    """Return a function that runs a command in 60 columns without colours and checks its exit code."""
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.chdir(ROOT)

    def run(*arguments: str, runs_dir: Path, expect: int = 0, piped: bytes = b"") -> Done:
        out.cache_clear()
        err.cache_clear()
        monkeypatch.setenv("CNN_RUNS_DIR", str(runs_dir))
        monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(piped)))
        capsys.readouterr()
        code = run_command(arguments)
        done = Done(*capsys.readouterr())
        assert code == expect, done.stderr
        return done

    return run


def rows_of(path: Path) -> list[dict[str, str]]:
    """Read a CSV file."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a digit, a blank image, and half a file."""
    folder = tmp_path_factory.mktemp("photos")
    digit = np.zeros((40, 40), np.uint8)
    digit[4:36, 13:27] = 230
    Image.fromarray(digit).save(folder / "one.png")
    Image.fromarray(np.full_like(digit, 200)).save(folder / "two.png")
    (folder / "three.png").write_bytes((folder / "one.png").read_bytes()[:60])
    return folder


def test_eval_prints_and_keeps(cnn: Cnn, runs_dir: Path, tmp_path: Path) -> None:
    """The document on stdout is the run's; the predictions are in the run and in the file asked for."""
    done = cnn("eval", "latest", "--split", "validation", "--csv", str(tmp_path / "p.csv"), "--json", runs_dir=runs_dir)
    document = json.loads(done.stdout)
    run = Path(document["run"])
    kept = unsealed(json.loads((run / "evaluation-validation.json").read_text(encoding="utf-8")))
    assert kept.pop("predictions_sha256") == sha256((tmp_path / "p.csv").read_bytes()).hexdigest()
    assert kept == document
    assert (tmp_path / "p.csv").read_bytes() == (run / "predictions-validation.csv").read_bytes()
    rows = rows_of(tmp_path / "p.csv")
    assert len(rows) == document["num_examples"] == 143
    assert np.mean([row["true"] == row["predicted"] for row in rows]) == pytest.approx(document["accuracy"])


def test_eval_fits_60_columns(cnn: Cnn, runs_dir: Path) -> None:
    """Every line of the table fits, and there is no colour in a pipe."""
    lines = cnn("eval", "latest", "--split", "validation", runs_dir=runs_dir).stdout.splitlines()
    assert max(map(len, lines)) <= 60
    assert "\x1b" not in "".join(lines)
    assert lines[0].startswith("accuracy 0.")


def test_eval_of_nothing_is_reported(cnn: Cnn, runs_dir: Path, tmp_path: Path) -> None:
    """A run, a split and a folder that are not there: a line each, exit code 1."""
    assert "no run" in cnn("eval", "nobody", runs_dir=runs_dir, expect=1).stderr
    assert "the data has no split" in cnn("eval", "latest", "--split", "x", runs_dir=runs_dir, expect=1).stderr
    assert "does not exist" in cnn("eval", "latest", "--data", str(tmp_path / "x"), runs_dir=runs_dir, expect=1).stderr


def test_predict_answers_and_warns(cnn: Cnn, runs_dir: Path, photos: Path, tmp_path: Path) -> None:
    """Good files are answered, the blank one gets a warning, the broken one is named and ends in exit code 1."""
    table = tmp_path / "answers.csv"
    done = cnn(
        "predict", "latest", str(photos), "--top", "2", "--csv", str(table), "--json", runs_dir=runs_dir, expect=1
    )
    found = one, three, two = json.loads(done.stdout)
    assert one["file"] == str(photos / "one.png")
    assert [len(one["predictions"]), len(three["predictions"])] == [2, 0]
    assert sum(p["probability"] for p in one["predictions"]) <= 1
    assert three["error"]
    assert one["doubts"] == []
    assert two["doubts"][0] == "the image is blank: all its pixels have the same value"
    assert set(one["out_of_distribution"]) == {"score", "value", "threshold", "unlike"}
    assert three["out_of_distribution"] is None
    assert "three.png" in done.stderr
    assert "two.png: the image is blank" in done.stderr
    assert "no warnings about" not in done.stderr
    rows = rows_of(table)
    assert [row["class_1"] for row in rows] == [p["predictions"][0]["class"] if p["predictions"] else "" for p in found]
    notes = [("; ".join(p["doubts"]), p["error"] or "") for p in found]
    assert [(row["warning"], row["error"]) for row in rows] == notes
    assert float(rows[0]["probability_2"]) == one["predictions"][1]["probability"]


def test_predict_from_standard_input(cnn: Cnn, runs_dir: Path, photos: Path) -> None:
    """A path that comes through a pipe is answered as one on the command line."""
    piped = cnn("predict", "latest", "-", "--json", runs_dir=runs_dir, piped=f"{photos / 'one.png'}\n".encode())
    named = cnn("predict", "latest", str(photos / "one.png"), "--json", runs_dir=runs_dir)
    assert piped.stdout == named.stdout


def test_predict_draws_without_colours(cnn: Cnn, runs_dir: Path, photos: Path) -> None:
    """Where colours are not wanted, a picture is drawn in shades: the bright bar stands in the middle."""
    lines = cnn("predict", "latest", str(photos / "one.png"), "--draw", runs_dir=runs_dir).stdout.splitlines()
    picture = lines[: lines.index("")][:-1]
    assert all(line[:8].strip() == "" for line in picture)
    assert picture[8].strip().strip("▒") == "█" * 11


@pytest.mark.parametrize("kind", KINDS)
def test_show_draws(cnn: Cnn, runs_dir: Path, tmp_path: Path, kind: str) -> None:
    """Every picture is a PNG file of some size, whose name is printed."""
    target = tmp_path / "new" / f"{kind}.png"
    done = cnn("show", "latest", kind, "--split", "validation", "-o", str(target), "--json", runs_dir=runs_dir)
    assert json.loads(done.stdout) == {"files": [str(target)]}
    with Image.open(target) as image:
        assert min(image.size) >= 200
        assert len(image.convert("L").getcolors(256) or ()) > 20


def test_show_an_untrained_config(cnn: Cnn, tmp_path: Path) -> None:
    """Fixed kernels can be looked at without training, also on an image of one's own."""
    photo = tmp_path / "photo.png"
    Image.fromarray(np.eye(50, dtype=np.uint8) * 255).save(photo)
    for kind in ("kernels", "activations"):
        target = str(tmp_path / f"{kind}.png")
        cnn("show", "configs/sobel.yaml", kind, "--image", str(photo), "-o", target, runs_dir=tmp_path / "none")
    done = cnn("show", "configs/sobel.yaml", "mistakes", runs_dir=tmp_path / "none", expect=1)
    assert "requires a trained run" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gradcam", "--layer", "c33"], "Did you mean c3?"),
        (["gradcam", "--layer", "c5"], "is not spatial"),
        (["kernels", "--layer", "s2"], "has no filters"),
        (["activations", "--index", "99999"], "no example 99999"),
        (["saliency", "--class", "ten"], 'no class "ten"'),
        (["activations", "--image", "nothing.png"], "nothing.png"),
    ],
)
def test_show_answers_mistakes(cnn: Cnn, runs_dir: Path, arguments: list[str], message: str) -> None:
    """What cannot be drawn is reported with what can."""
    done = cnn("show", "latest", *arguments, "-o", "/nowhere/x.png", runs_dir=runs_dir, expect=1)
    assert message in done.stderr


def test_report_is_written_into_the_run(cnn: Cnn, runs_dir: Path, tmp_path: Path) -> None:
    """Without a word about the test split it shows validation answers; once test was used, those."""
    done = cnn("report", "latest", "--json", runs_dir=runs_dir)
    file = Path(json.loads(done.stdout)["file"])
    page = file.read_text(encoding="utf-8")
    assert file.name == "report.html"
    assert "Accuracy on validation" in page
    assert len(page) < 1_000_000
    cnn("eval", "latest", runs_dir=runs_dir)
    cnn("report", "latest", "-o", str(tmp_path / "r.html"), runs_dir=runs_dir)
    assert "Accuracy on test" in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_report_where_the_disk_refuses(cnn: Cnn, runs_dir: Path, tmp_path: Path) -> None:
    """A file in place of the folder is a line, not a traceback."""
    (tmp_path / "file").write_text("", encoding="utf-8")
    done = cnn("report", "latest", "-o", str(tmp_path / "file" / "r.html"), runs_dir=runs_dir, expect=1)
    assert "cannot be written" in done.stderr
