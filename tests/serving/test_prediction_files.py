"""Masks, overlays and labels that `cnn predict` writes: their content, their names, and what is refused."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import typer
from PIL import Image

from cnncli.cli import predict as command
from cnncli.datasets.pictures import Picture
from cnncli.errors import CnnError
from cnncli.serving.predict import ReadFile, read_by_pillow
from cnncli.serving.prediction_files import file_names
from tests.serving.test_predict import Echo


class Bands:
    """A network that finds an image's left third to be of class 2, the middle of class 0, the right of class 1."""

    task, channels, image_size, fit, detector, batch_size = "segmentation", 3, (6, 9), "stretch", None, 4
    classes = ("road", "=sky", "tree, old")

    def read(self, pictures: Iterable[Picture], *, thumbnails: bool) -> Iterator[ReadFile]:
        """Read every image, and keep nothing."""
        return read_by_pillow(pictures, 3, lambda pixels: pixels[:1], 4, thumbnails=thumbnails)

    def outputs(self, prepared: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        """Return the same for all."""
        mask = np.repeat([[2, 0, 1]], 3, axis=1).repeat(6, axis=0)
        probabilities = np.where(np.arange(3) == mask[..., None], 0.8, 0.1)
        return {"probabilities": np.stack([probabilities] * len(prepared))}

    def is_blank(self, prepared: np.ndarray) -> bool:
        """Call no image blank."""
        return False


@pytest.fixture
def bands(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have `cnn predict` use a network of bands."""
    monkeypatch.setattr(command, "_network", lambda *_: Bands())


def predict(*files: Path, **options: object) -> int:
    """Predict, and return the exit code."""
    try:
        command.predict_cli("latest", [str(file) for file in files], **{"csv": None, "draw": None, **options})
    except typer.Exit as end:
        return end.exit_code
    return 0


def photo(path: Path, width: int = 9, height: int = 6) -> Path:
    """Write an image of noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(width).integers(0, 256, (height, width, 3), np.uint8)
    Image.fromarray(noise).save(path)
    return path


@pytest.mark.usefixtures("bands")
def test_a_mask_is_an_index_png_in_the_images_size(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Numbers, palette, the classes' names in the file, the legend beside it, and the paths in the JSON."""
    image = photo(tmp_path / "in" / "a.png", 18, 12)
    assert predict(image, masks=tmp_path / "m", overlays=tmp_path / "o", as_json=True) == 0
    (entry,) = json.loads(capsys.readouterr().out)
    assert (entry["mask"], entry["overlay"]) == (str(tmp_path / "m/a.png"), str(tmp_path / "o/a.png"))
    with Image.open(entry["mask"]) as mask:
        assert (mask.mode, mask.size) == ("P", (18, 12))
        assert json.loads(mask.text["Classes"]) == ["road", "=sky", "tree, old"]
        numbers, colours = np.asarray(mask), np.asarray(mask.convert("RGB"))
    # Between the bands, the probabilities of two classes are equal: only there the interpolation decides.
    assert (numbers[:, [0, 1, 2, 3, 4]] == 2).all()
    assert (numbers[:, [7, 8, 9, 10]] == 0).all()
    assert (numbers[:, [13, 14, 15, 16, 17]] == 1).all()
    with (tmp_path / "m" / "classes.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert [row[:2] for row in rows[1:]] == [["0", "road"], ["1", "'=sky"], ["2", "tree, old"]]
    table = np.array([row[2:] for row in rows[1:]], int)
    assert (colours == table[numbers]).all()
    grey = np.asarray(Image.open(image)).mean(axis=-1, keepdims=True)
    laid = np.asarray(Image.open(entry["overlay"])).astype(float)
    assert np.abs(laid - (0.45 * grey + 0.55 * table[numbers])).max() <= 0.5


@pytest.mark.usefixtures("bands")
def test_files_that_cannot_be_read_have_no_mask(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The others do, and what is told of them stays."""
    folder = photo(tmp_path / "in" / "a.png").parent
    (folder / "b.png").write_bytes(b"damaged")
    photo(folder / "c.png")
    assert predict(folder, masks=tmp_path / "m", as_json=True) == 1
    assert sorted(path.name for path in (tmp_path / "m").iterdir()) == ["a.png", "c.png", "classes.csv"]
    assert ["mask" in entry for entry in json.loads(capsys.readouterr().out)] == [True, False, True]


@pytest.mark.usefixtures("bands")
@pytest.mark.parametrize("target", ["in", "in/../in", "link", "."])
def test_no_image_is_written_over(tmp_path: Path, target: str) -> None:
    """Where a mask's folder holds images that are read, nothing is written, however the folder is named."""
    image = photo(tmp_path / "in" / "a.png")
    other = photo(tmp_path / "other" / "b.png")
    (tmp_path / "link").symlink_to(tmp_path / "in")
    before = image.read_bytes()
    files = (image, other) if target == "." else (image,)
    with pytest.raises(CnnError, match=r"holds images that are to be predicted"):
        predict(*files, masks=tmp_path / target)
    assert image.read_bytes() == before
    assert sorted(path.name for path in image.parent.iterdir()) == ["a.png"]


def test_only_some_tasks_have_masks_and_overlays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One error, which names the option and the task, before anything is computed."""
    monkeypatch.setattr(command, "_network", lambda *_: Echo())
    image = photo(tmp_path / "a.png")
    for option, tasks in (("masks", "segmentation"), ("overlays", "segmentation and detection")):
        with pytest.raises(CnnError, match=f"--{option} is for {tasks}; .* for classification"):
            predict(image, **{option: tmp_path / "m"})
    assert not (tmp_path / "m").exists()


def test_tiles_are_of_a_run_for_segmentation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exported network reads one size, and a class of a whole image has no place in a tile."""
    image = photo(tmp_path / "a.png")
    artifact = tmp_path / "network.onnx"
    artifact.write_bytes(b"")
    with pytest.raises(CnnError, match=r"--tiles requires a run"):
        command.predict_cli(str(artifact), [str(image)], tiles=True)
    classifier = SimpleNamespace(config=lambda: SimpleNamespace(task="classification"))
    monkeypatch.setattr("cnncli.runs.find.find", lambda *_: classifier)
    with pytest.raises(CnnError, match=r"--tiles is for segmentation; .* for classification"):
        predict(image, tiles=True)


def names(*paths: str) -> list[str]:
    """Return the PNG files' names for images below /x."""
    found = file_names([Path("/x") / path if path != "stdin" else Path(path) for path in paths], ".png")
    return [name.as_posix() for name in found.values()]


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        (["a.jpg"], ["a.png"]),
        (["p/a.jpg", "p/b.tif"], ["a.png", "b.png"]),
        (["p/a.jpg", "q/a.jpg"], ["p/a.png", "q/a.png"]),
        (["p/a.jpg", "p/q/a.jpg"], ["a.png", "q/a.png"]),
        (["a.jpg", "a.png"], ["a.jpg.png", "a.png.png"]),
        (["a.png", "A.jpg"], ["a.png.png", "A.jpg.png"]),
        (["a.jpg", "a.png", "a.jpg.tif"], ["a.jpg.png", "a.png.png", "a.jpg.tif.png"]),
        (["a.jpg", "a.jpg"], ["a.png"]),
        (["stdin", "p/a.jpg"], ["stdin.png", "a.png"]),
        (["stdin", "stdin.jpg"], ["stdin.png", "stdin.jpg.png"]),
        (["a.b.c.jpg", "no suffix"], ["a.b.c.png", "no suffix.png"]),
    ],
)
def test_names_never_collide(images: list[str], expected: list[str]) -> None:
    """Equal names from different folders, or with different suffixes, lead to different files."""
    assert names(*images) == expected


@pytest.mark.usefixtures("bands")
def test_the_small_picture_shows_the_mask(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a terminal with colours, the classes' colours are laid over the image, and a legend names them."""
    from cnncli.cli.console import out

    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLORTERM", "truecolor")
    monkeypatch.delenv("NO_COLOR", raising=False)
    out.cache_clear()
    black = tmp_path / "a.png"
    Image.fromarray(np.zeros((6, 9, 3), np.uint8)).save(black)
    assert predict(black, draw=True) == 0
    printed = capsys.readouterr().out
    out.cache_clear()
    # 55 % of the colours of classes 2, 0 and 1 over black.
    assert all(f"38;2;{colour};48" in printed for colour in ("0;87;63", "0;63;98", "127;87;0"))
    assert all(f"■ {name}" in printed for name in ("road", "=sky", "tree, old"))
