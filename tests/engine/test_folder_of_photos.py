"""The six lines of the README take a new folder of photos from nothing to a checked export."""

from __future__ import annotations

import csv
import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw
from typer.testing import CliRunner, Result

from cnncli.cli.app import app

pytestmark = pytest.mark.engine

README = Path(__file__).parents[2] / "README.md"
SESSION = re.search(r"```sh\n(cnn init \S+ --data.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
CLASSES = {"apple": (200, 40, 40), "leaf": (40, 160, 60), "sky": (70, 110, 220)}


def photo(colour: tuple[int, int, int], generator: np.random.Generator) -> Image.Image:
    """Return a photo of a disc of about that colour, somewhere on a noisy ground."""
    image = Image.fromarray(generator.integers(60, 180, (30, 36, 3), np.uint8))
    x, y = generator.integers(1, 17), generator.integers(1, 11)
    shade = tuple(int(value + generator.integers(-30, 31)) for value in colour)
    ImageDraw.Draw(image).ellipse((x, y, x + 18, y + 18), fill=shade)
    return image


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with `photos`: 16 JPEG files of each of three classes."""
    generator = np.random.default_rng(0)
    root = tmp_path_factory.mktemp("new")
    for name, colour in CLASSES.items():
        (root / "photos" / name).mkdir(parents=True)
        for number in range(16):
            photo(colour, generator).save(root / "photos" / name / f"{number}.jpg", quality=90)
    return root


@pytest.fixture(scope="module")
def session(folder: Path) -> dict[str, Result]:
    """Run the README's lines as they are written, in that folder, and return each command's result."""
    assert SESSION is not None
    lines = [shlex.split(line, comments=True) for line in SESSION[1].splitlines()]
    results = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        patch.delenv("CNN_RUNS_DIR", raising=False)
        for _, command, *arguments in lines:
            results[command] = CliRunner().invoke(app, [command, *arguments])
            assert results[command].exit_code == 0, (command, results[command].output, results[command].exception)
    return results


def test_six_lines_are_enough(session: dict[str, Result]) -> None:
    """These commands and no others, each with exit code 0."""
    assert list(session) == ["init", "data", "train", "eval", "predict", "export"]


def test_the_run_has_learned_the_photos(session: dict[str, Result], folder: Path) -> None:
    """Colour is kept: classes that differ in nothing else are told apart in files that were never trained on."""
    run = folder / session["train"].stdout.splitlines()[-1]
    found = json.loads((run / "evaluation-test.json").read_text(encoding="utf-8"))
    assert found["num_examples"] == 6
    assert found["accuracy"] >= 5 / 6


def test_predictions_name_the_folders(session: dict[str, Result], folder: Path) -> None:
    """The CSV has a row for each photo, and most are of the class of their folder."""
    with (folder / "predictions.csv").open(encoding="utf-8", newline="") as table:
        rows = list(csv.reader(table))[1:]
    assert len(rows) == 48
    right = sum(Path(row[0]).parent.name == row[1] for row in rows)
    assert right >= 40


def test_the_export_is_the_network(session: dict[str, Result], folder: Path) -> None:
    """Keras alone opens it and classifies a new photo of each class."""
    import keras

    model = keras.saving.load_model(next(folder.glob("runs/photos/*/export/*.keras")))
    generator = np.random.default_rng(1)
    images = np.stack([np.asarray(photo(colour, generator)) for colour in CLASSES.values() for _ in range(10)])
    if model.input_shape[1] is not None:
        height, width = model.input_shape[1:3]
        images = np.stack([np.asarray(Image.fromarray(image).resize((width, height))) for image in images])
    predicted = model.predict(images, verbose=0).argmax(axis=1)
    assert (predicted == np.repeat(np.arange(3), 10)).mean() >= 0.8
