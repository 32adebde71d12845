"""A report's material made up from nothing but a config, with names that try to break out of the page."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cnncli.analysis.explain import explain
from cnncli.analysis.summary import summarize
from cnncli.config.load import load
from cnncli.report.figures_pixels import encoded
from cnncli.report.html_material import Frame, Heat, Image, Material, Pictures, Replay
from cnncli.tasks.classification.evaluation import Evaluation
from cnncli.tasks.classification.evaluator import evaluate_logits
from cnncli.tasks.classification.html import Cell, ExamplePictures
from cnncli.tasks.classification.pages import ClassificationPages
from cnncli.tasks.invariance import invariance

HOSTILE = "</script><img src=x onerror=alert(1)>\"'&"
"""A class's name that must appear as it is, and do nothing."""

CLASSES = ("zero", HOSTILE, "two")


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker of the tests known that open a browser."""
    config.addinivalue_line("markers", "browser: opens a page in headless Chromium")


def picture(seed: int, caption: str, size: int = 16) -> Image:
    """Return a picture of noise."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size, size, 1)).astype(np.uint8)
    return Image(encoded(pixels), caption)


def make_evaluation() -> Evaluation:
    """Return 60 answers of which some are wrong."""
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 3, 60)
    logits = generator.normal(size=(60, 3)).astype(np.float32)
    logits[np.arange(60), labels] += 1.5
    return evaluate_logits("test", CLASSES, labels, logits, [str(i) for i in range(60)])


def make_pictures(evaluation: Evaluation) -> Pictures:
    """Return pictures of everything that a report can show."""
    cells: dict[tuple[str, str], Cell] = {}
    for i, (true, guess) in enumerate(zip(evaluation.labels.tolist(), evaluation.predicted.tolist(), strict=True)):
        key = CLASSES[true], CLASSES[guess]
        old = cells.get(key, Cell((), 0))
        kept = (
            old.images
            if len(old.images) == 3
            else (*old.images, picture(i, f"no. {i}: true {key[0]}, predicted {key[1]}"))
        )
        cells[key] = Cell(kept, old.count + 1)
    frames = tuple(
        Frame(
            epoch,
            (picture(epoch, "Filters of c1"), picture(epoch + 50, "What c1 makes of the first image")),
            tuple((f"{CLASSES[(epoch + i) % 3]} ({50 + 10 * epoch:.1f} %)", epoch % 3 == 0) for i in range(3)),
        )
        for epoch in range(4)
    )
    return Pictures(
        kernels=picture(1, "c1: 6 filters of 5×5×1"),
        example=picture(2, f"no. 1, true {HOSTILE}"),
        maps=(picture(3, "c1 Conv2D, 28×28×6: all channels"),),
        examples=ExamplePictures(
            cells,
            mistakes=(picture(4, f"no. 3: true zero, predicted {HOSTILE} (90.0 %)"),),
            hits=(picture(5, "no. 4: true two, predicted two (99.0 %)"),),
        ),
        heats=(Heat(picture(6, "Image"), picture(7, "Grad-CAM for two"), picture(8, "Saliency for two"), "no. 4"),),
        replay=Replay(tuple(picture(i + 20, f"no. {i}") for i in range(3)), CLASSES, frames),
    )


def make_passport() -> dict[str, Any]:
    """Return a passport with everything in it that is shown."""
    return {
        "source": "folder",
        "path": HOSTILE,
        "classes": list(CLASSES),
        "num_examples": {"train": 30, "test": 60},
        "counts": {"train": dict.fromkeys(CLASSES, 10), "test": dict.fromkeys(CLASSES, 20)},
        "sizes": {"num_distinct": 2, "smallest": [8, 8], "largest": [16, 9], "most_common": []},
        "formats": {"PNG": 90},
        "modes": {"L": 90},
        "mean": [0.5],
        "deviation": [0.2],
        "duplicates": {"within": {}, "across": {}},
        "near_duplicates": {},
        "contradictions": {"num_images": 0, "examples": []},
        "constant": {"num_images": 0, "examples": []},
        "content_hash": "0" * 64,
        "split_hash": "1" * 64,
        "bad_files": [],
        "ignored_files": 0,
    }


@pytest.fixture
def material() -> Material:
    """Return material for a whole report."""
    config = load("digits_lenet")
    evaluation = make_evaluation()
    images = np.random.default_rng(1).integers(0, 256, (12, 8, 8, 1)).astype(np.uint8)
    labels = np.arange(12) % 3
    profile = invariance("test", images, labels, lambda pixels: (pixels.sum(axis=(1, 2, 3)) % 3).astype(np.int64))
    lines = [
        {
            "epoch": epoch,
            "step": 10 * epoch,
            "learning_rate": 0.002 / epoch,
            "seconds": 1.5,
            "images_per_second": 100.0,
            "train": {"loss": 2 / epoch, "accuracy": 1 - 0.5 / epoch},
            "validation": {"loss": None if epoch == 2 else 2.2 / epoch, "accuracy": 1 - 0.6 / epoch},
        }
        for epoch in range(1, 5)
    ]
    document = {**evaluation.to_json(), "checkpoint": "step-00000040"}
    return Material(
        name="digits_lenet",
        identity="20260101-120000",
        path="runs/digits_lenet/20260101-120000",
        record={
            "command": f"cnn train digits_lenet --name {HOSTILE}",
            "best": {"epoch": 4, "step": 40, "monitor": "validation_accuracy", "value": 0.85},
            "device": "CPU",
            "versions": {"cnncli": "0.1.0", "numpy": None},
            "test_uses": 2,
        },
        status="done",
        config_text=f"name: digits_lenet  # {HOSTILE}\n",
        task=config.task_spec,
        summary=summarize(config),
        explanation=explain(config),
        metrics=lines,
        passport=make_passport(),
        evaluation=document,
        tiles=tuple(ClassificationPages().tiles(document)),
        invariance={**profile.to_json(), "checkpoint": "step-00000040"},
        pictures=make_pictures(evaluation),
    )


@pytest.fixture
def bare_material(material: Material) -> Material:
    """Return material of a run that has just begun: no epoch, no checkpoint, no passport."""
    pictures = Pictures(missing=("No predictions are shown: there is no checkpoint yet.",))
    return replace(
        material,
        record={},
        status="running",
        metrics=[],
        passport={},
        evaluation=None,
        tiles=(),
        invariance=None,
        pictures=pictures,
    )
