"""What is predicted for images that nobody labelled: masks in their own pixels, areas, JSON, CSV, drawings."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cnncli.tasks.colours import class_colours
from cnncli.tasks.predictions import PredictedFile, PredictionOptions, predictions_csv, predictions_table
from cnncli.tasks.segmentation.predictions import SegmentedImage
from cnncli.tasks.segmentation.task import SegmentationTask

CLASSES = ("road", "=sky", "tree")


def options(size: tuple[int, int], fit: str = "stretch", top: int = 3) -> PredictionOptions:
    """Return what a network of three classes says of itself."""
    return PredictionOptions(CLASSES, size, fit, top)


def random_probabilities(*shape: int) -> np.ndarray:
    """Return probabilities of three classes."""
    logits = np.random.default_rng(0).normal(size=(*shape, 3))
    return (np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)).astype(np.float32)


def test_areas_are_counted_pixels() -> None:
    """Pixels and shares of each class that is found, the largest first, as JSON, CSV and in the table."""
    probabilities = random_probabilities(6, 10)
    expected = probabilities.argmax(axis=-1)
    (found,) = SegmentationTask().predictions(
        {"probabilities": probabilities[None]}, [(6, 10)], options((6, 10), top=2)
    )
    assert (found.mask == expected).all()
    assert found.confidence == pytest.approx(probabilities.max(axis=-1).mean(), abs=1e-6)
    pixels = {name: int((expected == label).sum()) for label, name in enumerate(CLASSES)}
    order = sorted(CLASSES, key=lambda name: -pixels[name])
    assert found.to_json() == [{"class": n, "pixels": pixels[n], "share": pixels[n] / 60} for n in order]
    file = PredictedFile("a.png", found)
    rows = list(csv.DictReader(io.StringIO(predictions_csv([file]))))
    assert [(row["file"], int(row["pixels"]), float(row["share"])) for row in rows] == [
        ("a.png", pixels[name], pixels[name] / 60) for name in order
    ]
    assert "'=sky" in [row["class"] for row in rows]
    largest, confidence = found.cells()
    assert largest == ", ".join(f"{name} {100 * pixels[name] / 60:.1f} %" for name in order[:2])
    assert confidence == f"{100 * found.confidence:.1f} %"
    assert [column.title for column in predictions_table([file]).columns] == ["File", "Largest classes", "Confidence"]


def test_a_class_that_is_not_found_has_no_area() -> None:
    """One class over all is one row, in more pixels than are counted at a time."""
    found = SegmentedImage(np.full((600, 3), 2, np.uint8), CLASSES, 0.9, 3)
    assert found.areas() == [("tree", 1800, 1.0)]
    assert found.legend() == [("tree", tuple(class_colours(3)[2].tolist()))]


@pytest.mark.parametrize("size", [(8, 12), (16, 24), (33, 17), (4, 6)])
def test_masks_are_in_the_images_own_pixels(size: tuple[int, int]) -> None:
    """Probabilities are interpolated as TensorFlow's bilinear resize does it, between pixel centres."""
    probabilities = random_probabilities(8, 12)
    planes = [
        np.asarray(Image.fromarray(plane).resize(size[::-1], Image.Resampling.BILINEAR, reducing_gap=None))
        for plane in probabilities.transpose(2, 0, 1)
    ]
    found = SegmentedImage.of(probabilities, size, options((8, 12)))
    assert found.mask.shape == size
    if size[0] >= 8 and size[1] >= 12:  # Pillow averages where it shrinks.
        ordered = np.sort(planes, axis=0)
        clear = ordered[-1] - ordered[-2] > 1e-4
        assert clear.mean() > 0.99
        assert (found.mask == np.argmax(planes, axis=0))[clear].all()


def test_padding_is_cut_off() -> None:
    """Of a wide image that was padded above and below, only its own rows are brought back."""
    probabilities = np.zeros((12, 12, 3), np.float32)
    probabilities[..., 0] = 1
    probabilities[3:9] = [0, 0, 1]  # The image, 24 by 12 pixels, takes the middle six rows.
    found = SegmentedImage.of(probabilities, (12, 24), options((12, 12), "pad"))
    assert found.areas() == [("tree", 288, 1.0)]


def test_masks_of_tiles_are_taken_as_they_are() -> None:
    """What was put together of tiles is in the image's pixels already."""
    mask = np.array([[0, 1], [2, 2]], np.uint8)
    outputs = {"mask": mask[None], "confidence": np.array([0.75])}
    (found,) = SegmentationTask().predictions(outputs, [(2, 2)], options((48, 48)))
    assert (found.mask == mask).all()
    assert found.confidence == 0.75


def test_drawings_agree(tmp_path: Any) -> None:
    """Over an array of any size, over an image in place, and as a file with a palette: the same classes' colours."""
    mask = np.random.default_rng(2).integers(0, 3, (300, 40)).astype(np.uint8)
    found = SegmentedImage(mask, CLASSES, 0.9, 3)
    grey = np.random.default_rng(3).integers(0, 256, (300, 40, 1)).astype(np.uint8)
    expected = 0.45 * grey + 0.55 * class_colours(3)[mask]
    assert np.abs(found.over(grey) - expected).max() <= 0.5
    image = Image.fromarray(grey[..., 0]).convert("RGB")
    found.lay_over(image)
    assert (np.asarray(image) == found.over(grey)).all()
    half = found.over(grey[::2, ::2])
    assert np.abs(half - (0.45 * grey[::2, ::2] + 0.55 * class_colours(3)[mask[1::2, 1::2]])).max() <= 0.5
    with (tmp_path / "m.png").open("wb") as file:
        found.write_png(file)
    with Image.open(tmp_path / "m.png") as opened:
        assert (np.asarray(opened) == mask).all()
        assert (np.asarray(opened.convert("RGB")) == class_colours(3)[mask]).all()
        assert json.loads(opened.text["Classes"]) == list(CLASSES)


def test_255_classes_fit_into_a_file(tmp_path: Any) -> None:
    """As many as a mask can have, each with its number."""
    mask = np.arange(255, dtype=np.uint8).reshape(15, 17)
    found = SegmentedImage(mask, [f"class {i}" for i in range(255)], 0.5, 3)
    with (tmp_path / "m.png").open("wb") as file:
        found.write_png(file)
    with Image.open(tmp_path / "m.png") as opened:
        assert (np.asarray(opened) == mask).all()
    assert len(found.classes_csv().splitlines()) == 256
