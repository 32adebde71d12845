"""The summary: rows, totals, bytes, and what a dense layer would need."""

from __future__ import annotations

import json

import pytest

from cnncli.analysis.memory import optimizer_slots
from cnncli.analysis.summary import Summary, summarize
from cnncli.config.load import load, loads

SMALL = """
name: small
data: {source: digits, image_size: [8, 8], channels: 3}
model:
  layers:
    - Conv2D: {filters: 16, kernel_size: 5, name: first}
    - BatchNormalization
    - Flatten
    - Dense: {units: 10, trainable: false}
train: {batch_size: 4, optimizer: SGD}
"""


def small(*sets: str) -> Summary:
    """Summarize the small network."""
    return summarize(loads(SMALL, "small.yaml", sets))


def test_json_is_the_contract() -> None:
    """The document has every promised field, and is plain JSON."""
    document = json.loads(json.dumps(small().to_json()))
    assert document["input_shape"] == [8, 8, 3]
    assert document["layers"][0] == {
        "name": "first",
        "type": "Conv2D",
        "path": "model.layers[0].Conv2D",
        "inputs": ["input"],
        "output_shape": [4, 4, 16],
        "params": 1216,
        "trainable_params": 1216,
        "non_trainable_params": 0,
        "macs": 19_200,
        "flops": 38_400,
        "receptive_field": [5, 5],
        "receptive_field_stride": [1, 1],
        "dense_params": 8 * 8 * 3 * 256 + 256,
    }
    totals = ("total_params", "trainable_params", "non_trainable_params", "macs", "flops")
    assert [document[name] for name in totals] == [1216 + 64 + 2570, 1216 + 32, 32 + 2570, 21_760, 43_520]
    assert document["weight_bytes"] == 4 * 3850
    assert document["activation_bytes"] == 4 * (256 + 256 + 256 + 10)


def test_totals_are_sums_of_rows() -> None:
    """Every total of a branched network is the sum over its layers."""
    found = summarize(load("googlenet"))
    assert found.total_params == sum(row.params for row in found.rows)
    assert found.macs == sum(row.macs for row in found.rows)


def test_rows_name_their_inputs() -> None:
    """The branches of an inception module begin at one layer and end in one."""
    rows = {row.name: row for row in summarize(load("googlenet")).rows}
    assert rows["concatenate"].inputs == ("conv2d_3", "conv2d_5", "conv2d_7", "conv2d_8")
    assert rows["conv2d_3"].inputs == rows["conv2d_4"].inputs == ("max_pooling2d_1",)


def test_receptive_fields_of_known_networks() -> None:
    """AlexNet 195, VGG-16 212 (Araujo et al., Distill 2019); ResNet-18 435, ResNet-50 with late strides 427."""
    last = {"alexnet": 195, "vgg16": 212, "resnet18": 435, "resnet50": 427}
    for name, size in last.items():
        row = [row for row in summarize(load(name)).rows if not row.sees_all][-1]
        assert row.receptive_field == (size, size)
        assert row.receptive_field_stride == (32, 32)


def test_dense_layers_see_all() -> None:
    """After Flatten the field is the image, and neighbours see the same."""
    row = small().rows[-1]
    assert row.sees_all
    assert row.receptive_field == (8, 8)
    assert row.receptive_field_stride == (0, 0)


def test_only_convolutions_have_a_dense_equivalent() -> None:
    """Pooling, dense and normalization layers have none; without biases there are none to count."""
    assert [row.dense_params is None for row in small().rows] == [False, True, True, True]
    bare = small("model.layers[0].Conv2D.use_bias=false")
    assert bare.rows[0].dense_params == 8 * 8 * 3 * 256


def test_mixed_precision_halves_activations_not_weights() -> None:
    """Variables stay float32; what flows between layers takes two bytes."""
    full, half = small().memory, small("train.precision=mixed_bfloat16").memory
    assert half.weights == full.weights
    assert 2 * half.activations == full.activations


@pytest.mark.parametrize(
    ("optimizer", "slots"),
    [
        ("SGD", 0),
        ("{SGD: {momentum: 0.9}}", 1),
        ("RMSprop", 1),
        ("{RMSprop: {momentum: 0.9, centered: true}}", 3),
        ("Adam", 2),
        ("{Adam: {amsgrad: true}}", 3),
        ("AdamW", 2),
    ],
)
def test_optimizers_keep_values(optimizer: str, slots: int) -> None:
    """What an optimizer keeps for each weight is part of the memory for training."""
    config = loads(SMALL, "small.yaml", [f"train.optimizer={optimizer}"])
    assert optimizer_slots(config.train) == slots


def test_training_bytes_add_up() -> None:
    """Weights, a gradient for each that is trained, and twice the activations and the images of a batch."""
    memory = small().memory
    image = 4 * 8 * 8 * 3
    assert memory.training == memory.weights + 4 * 1248 + 4 * (2 * memory.activations + image)
    assert small("train.ema=0.99").memory.training == memory.training + 4 * 1248


def test_a_batch_is_at_most_the_training_split() -> None:
    """Memory is that of what will run: with 1,298 digits that train, a larger batch size changes nothing."""
    whole, huge, held_back = (
        small(*sets).memory
        for sets in (
            ("train.batch_size=1298",),
            ("train.batch_size=100000000",),
            ("train.batch_size=100000000", "data.validation=0.5"),
        )
    )
    assert (huge.training, huge.batch_size) == (whole.training, 1298)
    assert held_back.batch_size == 721
    other = small("train.batch_size=100000000", "data.source=folder", "data.path=images").memory
    assert other.batch_size == 100_000_000  # how many there are is not known without reading them
