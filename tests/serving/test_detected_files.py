"""Files that `cnn predict` writes of detected objects, as other programs read them: COCO, YOLO, CSV, drawn images."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import typer
from PIL import Image
from pycocotools.coco import COCO

from cnncli.cli import predict as command
from cnncli.datasets import load as load_splits
from cnncli.datasets.data_path import config_of
from cnncli.datasets.pictures import Picture
from cnncli.errors import CnnError
from cnncli.serving.predict import ReadFile, read_by_pillow
from cnncli.tasks.detection.coco_results import image_ids
from cnncli.tasks.detection.task import DetectionTask
from cnncli.tasks.found_thresholds import find_thresholds
from tests.serving.test_predict import Echo

CLASSES = ("=cell", "ring", "rod, \u0130\x1b\U0001f642")
BOXES = np.array([[4, 2, 12, 6], [0, 0, 8, 3.25], [1, 1, 15, 7.5], [2, 8.5, 4, 12]], np.float32)
"""In a network's pixels, (12, 16); the last lies in the lower margin of images twice as wide as high."""
SCORES = np.array([0.9, 0.6, 0.4, 0.35], np.float32)
LABELS = np.array([1, 0, 1, 2], np.int32)


class Finder:
    """A network that finds the same four objects in every image, nothing in black ones."""

    task, channels, image_size, fit, detector, batch_size = "detection", 3, (12, 16), "stretch", None, 4
    classes, thresholds = CLASSES, None

    def read(self, pictures: Iterable[Picture], *, thumbnails: bool) -> Iterator[ReadFile]:
        """Keep the brightest pixel."""
        return read_by_pillow(pictures, 3, lambda pixels: pixels.max(), 4, thumbnails=thumbnails)

    def outputs(self, prepared: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        """Return the same for all that are not black."""
        found = {"boxes": BOXES, "classes": LABELS}
        found = {name: np.stack([values] * len(prepared)) for name, values in found.items()}
        return {**found, "scores": np.stack([SCORES * (value > 0) for value in prepared])}

    def is_blank(self, prepared: np.ndarray) -> bool:
        """Call no image blank."""
        return False


@pytest.fixture
def predict(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Return a function that predicts with such a network, and returns the exit code."""
    network = Finder()
    monkeypatch.setattr(command, "_network", lambda *_: network)

    def run(*files: Path, fit: str = "stretch", **options: object) -> int:
        network.fit = fit
        try:
            command.predict_cli("latest", [str(file) for file in files], **{"csv": None, "draw": None, **options})
        except typer.Exit as end:
            return end.exit_code
        return 0

    return run


def photo(path: Path, width: int = 320, height: int = 240, value: int = 90) -> Path:
    """Write an image of one colour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((height, width, 3), value, np.uint8)).save(path)
    return path


def expected(width: int, height: int, number: int = 4) -> np.ndarray:
    """Return the first boxes in the pixels of a stretched image."""
    return BOXES[:number].astype(np.float64) * [width / 16, height / 12, width / 16, height / 12]


def test_pycocotools_loads_the_results(predict: Callable[..., int], tmp_path: Path) -> None:
    """The numbers beside them are annotations to its reader; the boxes are those of the images."""
    first, second = photo(tmp_path / "in" / "a.png"), photo(tmp_path / "in" / "b.png", 64, 96)
    photo(tmp_path / "in" / "c.png", value=0)
    (tmp_path / "in" / "d.png").write_bytes(b"damaged")
    assert predict(tmp_path / "in", coco=tmp_path / "out" / "r.json", threshold=0.0) == 1
    truth = COCO(str(tmp_path / "out" / "r_images.json"))
    results = truth.loadRes(str(tmp_path / "out" / "r.json"))
    assert [truth.imgs[number]["file_name"] for number in (1, 2, 3)] == [
        str(first),
        str(second),
        str(tmp_path / "in" / "c.png"),
    ]
    assert len(truth.imgs) == 3
    assert [truth.cats[number]["name"] for number in (1, 2, 3)] == list(CLASSES)
    assert results.getAnnIds(3) == []
    for number, size in ((1, (320, 240)), (2, (64, 96))):
        found = results.loadAnns(results.getAnnIds(number))
        assert (truth.imgs[number]["width"], truth.imgs[number]["height"]) == size
        assert [each["category_id"] for each in found] == [2, 1, 2, 3]
        np.testing.assert_allclose([each["score"] for each in found], SCORES, rtol=1e-12)
        corners = np.array([each["bbox"] for each in found])
        corners[:, 2:] += corners[:, :2]
        np.testing.assert_allclose(corners, expected(*size), rtol=1e-6)


@pytest.mark.parametrize(
    ("names", "ids"),
    [
        (["x/000000000139.jpg", "x/000000000285.jpg"], [139, 285]),
        (["x/7.jpg", "y/7.jpg"], [1, 2]),
        (["7.jpg", "frame_8.jpg"], [1, 2]),
        (["x/²³.jpg", "1.jpg"], [1, 2]),
        (["9" * 16 + ".jpg"], [1]),
        (["-"], [1]),
        ([], []),
    ],
)
def test_numbers_of_images(names: list[str], ids: list[int]) -> None:
    """Files that are called by a number have that one, as COCO's; where one is not, or two are equal, they count."""
    assert list(image_ids(names)) == ids


def test_no_results_are_a_list_too(predict: Callable[..., int], tmp_path: Path) -> None:
    """Of an image without objects."""
    assert predict(photo(tmp_path / "in" / "a.png", value=0), coco=tmp_path / "r.json") == 0
    assert json.loads((tmp_path / "r.json").read_text(encoding="utf-8")) == []


def test_labels_are_read_back(predict: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without their scores and with the images beside them, they are a data set with the same boxes and classes."""
    sizes = {"a": (320, 240), "b": (61, 43), "c": (33, 99)}
    for name, size in sizes.items():
        photo(tmp_path / "in" / f"{name}.png", *size, value=0 if name == "b" else 90)
    assert predict(tmp_path / "in", yolo=tmp_path / "set", threshold=0.38, as_json=True) == 0
    labels = tmp_path / "set" / "labels"
    assert [entry["labels"] for entry in json.loads(capsys.readouterr().out)] == [
        str(labels / f"{name}.txt") for name in sizes
    ]
    for file in labels.iterdir():
        lines = [line.split() for line in file.read_text(encoding="utf-8").splitlines()]
        np.testing.assert_allclose([float(line[5]) for line in lines], SCORES[: 3 if lines else 0], rtol=1e-12)
        file.write_text("".join(f"{' '.join(line[:5])}\n" for line in lines), encoding="utf-8")
    (tmp_path / "in").rename(tmp_path / "set" / "images")
    config = config_of(tmp_path / "set")
    assert config.data.source == "yolo"
    splits = load_splits(config)
    assert splits.classes == CLASSES
    for name, own in zip(sizes, splits.train.targets.objects, strict=True):
        if name == "b":
            assert own.labels.tolist() == []
            continue
        assert own.labels.tolist() == [1, 0, 1]
        np.testing.assert_allclose(own.corners, expected(*sizes[name], 3), atol=1e-6)


def test_a_line_for_each_box_and_for_each_image(
    predict: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """CSV of boxes and of numbers; the terminal's table has a column for each class, and the sums below."""
    photo(tmp_path / "in" / "a.png")
    photo(tmp_path / "in" / "b.png", value=0)
    (tmp_path / "in" / "c.png").write_bytes(b"damaged")
    assert predict(tmp_path / "in", csv=tmp_path / "b.csv", counts=tmp_path / "n.csv") == 1
    texts = ((tmp_path / name).read_text(encoding="utf-8") for name in ("b.csv", "n.csv"))
    boxes, counts = ([*csv.DictReader(io.StringIO(text))] for text in texts)
    assert [(Path(row["file"]).name, row["class"]) for row in boxes] == [
        *(("a.png", name) for name in ("ring", "'=cell", "ring", CLASSES[2])),
        ("b.png", ""),
        ("c.png", ""),
    ]
    assert [[row[name] for name in ("'=cell", "ring", CLASSES[2], "objects")] for row in counts] == [
        ["1", "2", "1", "4"],
        ["0", "0", "0", "0"],
        ["", "", "", ""],
    ]
    assert [bool(row["error"]) for row in counts] == [False, False, True]
    printed = capsys.readouterr()
    rows = [line.split() for line in printed.out.splitlines()]
    assert [row[1:] for row in rows if row and row[0].endswith("a.png")] == [["1", "2", "1", "4", "0.90"]]
    assert ["ring", "2", "1.00", "2", "1"] in rows
    assert ["all", "4", "2.00", "4", "1"] in rows
    assert "objects count from a score of 0.3" in printed.err


def test_thresholds(
    predict: Callable[..., int],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Those that the network brings, of each class, are told; the user's own replaces them."""
    monkeypatch.setattr(Finder, "thresholds", (0.7, 0.4, 0.2))
    image = photo(tmp_path / "a.png")
    found = []
    for threshold in (None, 0.5, 0.89, 1.0):
        predict(image, threshold=threshold, as_json=True)
        printed = capsys.readouterr()
        found.append([round(box["score"], 2) for box in json.loads(printed.out)[0]["boxes"]])
        assert ("highest F1" in printed.err) == (threshold is None)
        assert "0.70 =cell, 0.40 ring, 0.20 rod" in printed.err or threshold is not None
    # 0.6 =cell is below 0.7; 0.4 ring, as float32 above 0.4, is not below it.
    assert found == [[0.9, 0.4, 0.35], [0.9, 0.6], [0.9], []]


def test_no_box_in_a_margin(predict: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What lies wholly beside a padded image is no object in it."""
    predict(photo(tmp_path / "a.png", 320, 60), fit="pad", as_json=True)
    boxes = json.loads(capsys.readouterr().out)[0]["boxes"]
    assert all(box["box"][0] < box["box"][2] and box["box"][1] < box["box"][3] for box in boxes)
    assert [box["class"] for box in boxes] == ["ring", "ring"]


def test_a_folder_of_frames_is_a_folder_of_drawn_frames(
    predict: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As many, called alike, in the same order and size; each box has the colour that classes.csv names."""
    for number in range(12):
        photo(tmp_path / "in" / f"frame_{number:04}.jpg", value=0 if number == 5 else 90)
    assert predict(tmp_path / "in", overlays=tmp_path / "drawn", as_json=True) == 0
    drawn = sorted((tmp_path / "drawn").glob("*.png"))
    assert [path.stem for path in drawn] == [path.stem for path in sorted((tmp_path / "in").iterdir())]
    assert [entry["overlay"] for entry in json.loads(capsys.readouterr().out)] == list(map(str, drawn))
    with (tmp_path / "drawn" / "classes.csv").open(encoding="utf-8", newline="") as file:
        colours = {row["class"]: [int(row[name]) for name in ("red", "green", "blue")] for row in csv.DictReader(file)}
    for number, path in enumerate(drawn):
        pixels = np.asarray(Image.open(path))
        assert pixels.shape == (240, 320, 3)
        # The most confident: a ring from (80, 40) to (240, 120), an edge of which no other box crosses here.
        assert (pixels[80, 239].tolist() == colours["ring"]) == (number != 5)
        assert (pixels[119, 150:200] == colours["ring"]).all() == (number != 5)


def test_names_that_are_hostile(predict: Callable[..., int], tmp_path: Path) -> None:
    """Not UTF-8, with quotes and line feeds, equal in two folders: each has its file, every document can be read."""
    folder = tmp_path / "in"
    names = [b"\xff\xfe.png", b'"], [\n.png', b"=1+1.png", b"$(x) %s.png"]
    for part in ("p", "q"):
        for name in names:
            path = Path(os.fsdecode(os.path.join(os.fsencode(folder / part), name)))  # noqa: PTH118 - of bytes
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                Image.new("RGB", (20, 10), (9, 9, 9)).save(file, "PNG")
    out = tmp_path / "out"
    options = {"yolo": out / "y", "overlays": out / "o", "coco": out / "r.json", "counts": out / "n.csv"}
    assert predict(folder, **options) == 0
    labels, images = [
        {path.relative_to(where).with_suffix("") for path in where.rglob("*.*") if path.parent != where}
        for where in (out / "y" / "labels", out / "o")
    ]
    assert labels == images == {path.relative_to(folder).with_suffix("") for path in folder.rglob("*.png")}
    document = json.loads((out / "r_images.json").read_text(encoding="utf-8"))
    assert all(Path(image["file_name"]).is_file() for image in document["images"])
    assert len(json.loads((out / "r.json").read_text(encoding="utf-8"))) == 4 * len(document["images"]) == 32
    with (out / "n.csv").open(encoding="utf-8", newline="") as file:
        assert len(list(csv.reader(file))) == 9


def test_nothing_is_written_over(predict: Callable[..., int], tmp_path: Path) -> None:
    """Neither for labels nor for drawn images may the folder hold images that are read."""
    image = photo(tmp_path / "in" / "labels" / "a.png")
    for options in ({"yolo": tmp_path / "in"}, {"overlays": image.parent}):
        with pytest.raises(CnnError, match=r"holds images that are to be predicted"):
            predict(image, **options)
    assert sorted(path.name for path in tmp_path.rglob("*.*")) == ["a.png"]


def test_only_detection_has_boxes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One error, which names the option and the tasks, before anything is computed."""
    monkeypatch.setattr(command, "_network", lambda *_: Echo())
    image = photo(tmp_path / "a.png")
    every = {"coco": tmp_path / "c", "yolo": tmp_path / "c", "counts": tmp_path / "c", "threshold": 0.0}
    for option, value in every.items():
        with pytest.raises(CnnError, match=f"--{option} is for detection; .* for classification"):
            command.predict_cli("latest", [str(image)], **{"csv": None, "draw": None, option: value})
    monkeypatch.setattr(command, "_network", lambda *_: Finder())
    with pytest.raises(CnnError, match=r"--masks is for segmentation; .* for detection"):
        command.predict_cli("latest", [str(image)], csv=None, draw=None, masks=tmp_path / "c")
    assert not (tmp_path / "c").exists()


def test_thresholds_that_a_run_keeps(tmp_path: Path) -> None:
    """Those of the checkpoint's evaluation on validation; what is of another checkpoint or damaged is left alone."""
    row = {"objects": 3, "images": 2, "detections": 3, "count_error": 0.1, "count_bias": 0.0, "curve": []}
    scores = dict.fromkeys(("ap", "ap50", "ap75", "voc_ap50", "ar100", "precision", "recall", "f1"), 0.5)
    document = {
        "split": "validation",
        "num_examples": 2,
        "num_objects": 6,
        "checkpoint": "step-00000012",
        "loss": 1.0,
        "ap50_interval": [0.1, 0.2],
        "classes": ["a", "b"],
        "per_class": [
            {**row, **scores, "class": name, "threshold": score} for name, score in (("a", 0.45), ("b", None))
        ],
        "confusion_matrix": [[3, 0, 0], [0, 2, 1], [0, 0, 0]],
        **dict.fromkeys(("ap", "ap50", "ap75", "voc_ap50", "ar1", "ar10", "ar100"), 0.5),
        **{f"{kind}_{size}": None for kind in ("ap", "ar") for size in ("small", "medium", "large")},
    }
    file = tmp_path / "evaluation-validation.json"
    run = SimpleNamespace(evaluation_file=lambda *_: file, predictions_file=lambda *_: file)

    def found(checkpoint: str = "step-00000012", classes: Sequence[str] = ("a", "b"), **changes: object) -> object:
        file.write_text(json.dumps(document | changes), encoding="utf-8")
        return find_thresholds(run, checkpoint, DetectionTask(), classes)

    assert found() == (0.45, 0.3)
    assert found("step-00000024") is None
    assert found(classes=("b", "a")) is None
    assert found(per_class=[]) is None
    assert found(split="test") is None
    file.unlink()
    assert find_thresholds(run, "step-00000012", DetectionTask(), ("a", "b")) is None
