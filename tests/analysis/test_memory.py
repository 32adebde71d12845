"""Bytes and sizes, counted by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from cnncli import datasets
from cnncli.analysis.memory import optimizer_slots
from cnncli.analysis.rules.known_sets import KNOWN_SETS
from cnncli.analysis.summary import summarize
from cnncli.analysis.zoo import Exhibit
from cnncli.config.load import load, loads
from cnncli.config.schema.schema import Train
from cnncli.config.zoo import Entry

NET = """
name: net
data: {source: digits, image_size: [8, 8], channels: 3}
model:
  layers:
    - Conv2D: {filters: 4, kernel_size: 3}
    - BatchNormalization
    - Flatten
    - Dense: {units: 10, trainable: false}
train: {batch_size: 16, optimizer: {SGD: {}}}
"""
CONV, NORM, DENSE = 3 * 3 * 3 * 4 + 4, 16, 144 * 10 + 10
OUTPUTS = 144 + 144 + 144 + 10
IMAGE = 8 * 8 * 3


@pytest.mark.parametrize(
    ("changes", "copies", "bytes_a_value"),
    [
        ([], 1, 4),
        (["train.optimizer={SGD: {momentum: 0.9}}"], 2, 4),
        (["train.optimizer=Adam"], 3, 4),
        (["train.optimizer={Adam: {amsgrad: true}}"], 4, 4),
        (["train.optimizer=RMSprop"], 2, 4),
        (["train.optimizer={RMSprop: {centered: true, momentum: 0.5}}"], 4, 4),
        (["train.ema=0.9"], 2, 4),
        (["train.shards=4"], 4, 4),
        (["train.precision=mixed_bfloat16"], 1, 2),
        (["train.precision=mixed_float16"], 1, 2),
    ],
)
def test_memory_by_hand(changes: list[str], copies: int, bytes_a_value: int) -> None:
    """Weights; gradients and what the optimizer keeps of the trainable ones; twice the activations, and the images."""
    memory = summarize(loads(NET, overrides=changes)).memory
    trainable = CONV + NORM // 2
    assert memory.weights == 4 * (CONV + NORM + DENSE)
    assert memory.activations == bytes_a_value * OUTPUTS
    assert memory.training == memory.weights + 4 * copies * trainable + 16 * (2 * memory.activations + 4 * IMAGE)
    assert memory.batch_size == 16


@pytest.mark.parametrize(
    ("name", "slots"),
    [("Adam", 2), ("AdamW", 2), ("Adagrad", 1), ("Adadelta", 2), ("Lion", 1), ("Muon", 1), ("SGD", 0)],
)
def test_values_that_optimizers_keep(name: str, slots: int) -> None:
    """For each trainable weight."""
    assert optimizer_slots(load("lenet5", [f"train.optimizer={name}"]).train) == slots
    assert optimizer_slots(Train()) == 2


def test_known_sets() -> None:
    """The published sizes of the built-in sets; of the embedded digits, what is there."""
    assert {name: tuple(found) for name, found in KNOWN_SETS.items()} == {
        "digits": (10, 1442),
        "digit_scenes": (11, 1500),
        "digit_boxes": (10, 1500),
        "mnist": (10, 60_000),
        "fashion_mnist": (10, 60_000),
        "cifar10": (10, 50_000),
        "cifar100": (100, 50_000),
    }
    text = NET.replace("batch_size", "accumulate: 1, batch_size")
    splits = datasets.load(loads(text, overrides=["data.validation=0.0"]))
    assert (len(splits.classes), len(splits.train)) == KNOWN_SETS["digits"]
    scenes = datasets.load(load("shapes_unet", ["data.validation=0.0"]))
    assert (len(scenes.classes), len(scenes.train)) == KNOWN_SETS["digit_scenes"]


@pytest.mark.parametrize(
    ("facts", "accuracy"),
    [
        ({"measured": "98.12 % ± 0.1 % over 5", "expected": "99 %"}, "98.12 %"),
        ({"expected": "about 99 % on test"}, "99 %"),
        ({"measured": "not yet", "expected": "7 %"}, "7 %"),
        ({"measured": "98"}, ""),
        ({}, ""),
    ],
)
def test_the_accuracy_of_an_exhibit(facts: dict[str, str], accuracy: str) -> None:
    """The measured one, or else the expected one."""
    exhibit = Exhibit(Entry("net", Path("net.yaml"), "A net", facts), summarize(loads(NET)), "accuracy")
    assert exhibit.result == accuracy
    assert exhibit.to_json() == {
        "name": "net",
        "title": "A net",
        "path": "net.yaml",
        "input_shape": [8, 8, 3],
        "num_layers": 4,
        "total_params": CONV + NORM + DENSE,
        "trainable_params": CONV + NORM // 2,
        "macs": 36 * 27 * 4 + 1440,
        "accuracy": accuracy,
        "expected": facts.get("expected"),
        "measured": facts.get("measured"),
        "source": exhibit.entry.source,
        "command": None,
    }
