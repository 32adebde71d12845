"""What the check says of networks just inside and just beyond each limit, and every formula of a network: whole texts.

`CNN_REGENERATE=1 pytest tests/analysis` writes them anew; read the difference before it is committed.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cnncli.analysis.check import check
from cnncli.analysis.explain import explain
from cnncli.analysis.rules import size as size_rules
from cnncli.config.load import loads

Golden = Callable[[str, str], None]

LOGITS = "Flatten, Dense: {units: 10}"
POOLED = "GlobalAveragePooling2D, Dense: {units: 10}"


def conv(size: object, filters: int = 4, **arguments: object) -> str:
    """Return a convolution as a config writes it."""
    values = {"filters": filters, "kernel_size": size, "activation": "relu", **arguments}
    return "Conv2D: {" + ", ".join(f"{key}: {value}" for key, value in values.items()) + "}"


def norm(momentum: float) -> str:
    """Return a batch normalization after a convolution without bias, before an activation."""
    plain = conv(3, use_bias="false", activation="linear", padding="same")
    return f"{plain}, BatchNormalization: {{momentum: {momentum}}}, ReLU, {LOGITS}"


def scenes(size: object, *more: str) -> list[str]:
    """Return settings that make a network one of segmentation, of images of a size."""
    return ["task=segmentation", "data.source=digit_scenes", f"data.image_size={size}", *more]


def masks(*more: str) -> list[str]:
    """Return settings for masks that are not there to be read."""
    return scenes([8, 8], "data.source=masks", "data.path=x", *more)


def named(name: str, filters: int, **arguments: object) -> str:
    """Return a 1×1 convolution without activation that others can read."""
    return conv(1, filters, activation="linear", name=name, **arguments)


def strided(*strides: int) -> str:
    """Return 5×5 convolutions with these strides."""
    return ", ".join(conv(5, strides=each, padding="same") for each in strides)


PIXELS = conv(1, 11, activation="linear")
GATE = "GlobalAveragePooling2D: {keepdims: true, name: b}, Multiply: {inputs: [a, b]}"
TWO = "model.outputs={mask: fine, side: coarse}"
WIDE = "Dense: {units: 2000, activation: relu}"
LINEAR = conv(3, activation="linear", padding="same", use_bias="false")
NETWORKS: dict[str, list[tuple[str, list[str]]]] = {
    "outputs": [
        ("Flatten, Dense: {units: 9}", []),
        (LOGITS, []),
        ("Dense: {units: 10}", []),
        ("Flatten, Dense: {units: 1}", ["data.source=folder", "data.path=x"]),
        ("Flatten, Dense: {units: 2}", ["data.source=folder", "data.path=x"]),
        ("Flatten, Dense: {units: 10, activation: softmax}", []),
        ("Flatten, Dense: {units: 10, activation: sigmoid}", []),
        (f"{LOGITS}, Softmax, Softmax", []),
        (f"Flatten, Dense: {{units: 4, activation: log_softmax}}, {LOGITS}", []),
        (f"{conv(1, activation='softmax')}, Softmax, {LOGITS}", []),
    ],
    "windows": [
        (f"MaxPooling2D: {{pool_size: 4}}, {conv(2, padding='same')}, {LOGITS}", []),
        (f"MaxPooling2D: {{pool_size: 4}}, {conv(3, padding='same')}, {LOGITS}", []),
        (f"MaxPooling2D: {{pool_size: 4}}, {conv([1, 3], padding='same')}, {LOGITS}", []),
        (f"{conv(2, strides=2)}, {LOGITS}", ["data.image_size=[9, 8]"]),
        (f"{conv(2, strides=2)}, {LOGITS}", ["data.image_size=[8, 9]"]),
        (f"{conv(2, strides=[3, 4])}, {LOGITS}", ["data.image_size=[10, 9]"]),
        (f"{conv(3, strides=2, padding='same')}, {LOGITS}", ["data.image_size=[9, 9]"]),
        (f"ZeroPadding2D, {conv(2, strides=2)}, {LOGITS}", ["data.image_size=[9, 9]"]),
        (f"Reshape: {{target_shape: [64, 1]}}, Conv1D: {{filters: 2, kernel_size: 3, strides: 4}}, {LOGITS}", []),
        (f"{conv(2, strides=[2, 3])}, {LOGITS}", []),
        (f"{conv([3, 2], strides=[3, 2])}, {LOGITS}", ["data.image_size=[9, 8]"]),
        (
            f"Parallel: [[{conv(1, strides=2)}], [{conv(2, strides=2, padding='same')}]], {LOGITS}",
            ["data.image_size=[9, 9]"],
        ),
        (f"Residual: {{layers: [ReLU], shortcut: [{conv(1, 1)}]}}, {conv(3, strides=2)}, {LOGITS}", []),
    ],
    "fields": [
        (f"{conv(7)}, {POOLED}", []),
        (f"{conv(8)}, {POOLED}", []),
        (f"{conv([8, 7])}, {POOLED}", []),
        (f"{conv(1)}, {POOLED}", []),
        (POOLED, []),
        (f"{conv(2)}, {LOGITS}", ["data.image_size=[8, 8]"]),
        (f"{conv(2)}, {LOGITS}", ["data.image_size=[9, 9]"]),
        (f"{conv(2)}, {LOGITS}", ["data.image_size=[9, 8]"]),
        (f"{conv(1)}, {LOGITS}", []),
        (f"{conv(41, padding='same')}, {LOGITS}", []),
        (f"{conv(40, padding='same')}, {LOGITS}", []),
        (f"{conv([41, 40], padding='same')}, {LOGITS}", []),
        (f"Reshape: {{target_shape: [64, 1]}}, Conv1D: {{filters: 2, kernel_size: 4}}, {LOGITS}", []),
        (f"Reshape: {{target_shape: [32, 2]}}, Conv1D: {{filters: 2, kernel_size: 4}}, {LOGITS}", []),
    ],
    "parts": [
        (f"{conv(3, padding='same')}, {POOLED}", ["data.augmentation=[RandomScale: {size: [5, 7]}]"]),
        (f"{conv(3, padding='same')}, {POOLED}", ["data.augmentation=[RandomScale: {size: [8, 8]}]"]),
        (f"{conv(3, padding='same')}, {LOGITS}", ["data.augmentation=[RandomScale: {size: [5, 7]}]"]),
        (f"Resizing: {{height: 4, width: 4}}, {POOLED}", ["data.augmentation=[RandomScale: {size: [5, 7]}]"]),
        (f"{conv(6)}, {POOLED}", ["data.augmentation=[RandomScale: {size: [5, 7]}]"]),
    ],
    "sums": [
        (f"{LINEAR}, {conv(3)}, {LOGITS}", []),
        (f"{conv(3)}, {conv(3)}, {LOGITS}", []),
        (f"{LINEAR}, SpatialDropout2D: {{rate: 0.5}}, Activation: {{activation: linear}}, {conv(3)}, {LOGITS}", []),
        (f"{LINEAR}, Activation: {{activation: relu}}, {conv(3)}, {LOGITS}", []),
        (f"{LINEAR}, LeakyReLU, {conv(3)}, {LOGITS}", []),
        (f"{LINEAR}, Reshape: {{target_shape: [4, 64]}}, Flatten, Dense: {{units: 10}}", []),
        (f"{LINEAR}, UpSampling2D, Cropping2D, ZeroPadding2D, AveragePooling2D, {conv(3)}, {LOGITS}", []),
        (f"{LINEAR}, LayerNormalization, {conv(3)}, {LOGITS}", []),
        (f"Residual: {{layers: [{LINEAR}], shortcut: [{LINEAR}]}}, {conv(3)}, {LOGITS}", []),
        (f"Parallel: [[{LINEAR}], [ReLU]], {conv(3)}, {LOGITS}", []),
        (f"{conv(3, 8)}, {conv(1, 7, activation='linear')}, {conv(1, 8)}, {LOGITS}", []),
        (f"{conv(3, 8)}, {conv(1, 7, activation='linear')}, {conv(1, 7)}, {LOGITS}", []),
        (f"{conv(3, 8)}, {conv(1, 8, activation='linear')}, {conv(1, 9)}, {LOGITS}", []),
        (f"SeparableConv2D: {{filters: 8, kernel_size: 3}}, {LOGITS}", []),
        (f"DepthwiseConv2D: {{kernel_size: 3}}, {LOGITS}", []),
        (f"{LINEAR}, MaxPooling2D, {LOGITS}", []),
        (f"{conv(3, activation='linear')}, BatchNormalization, ReLU, {LOGITS}", []),
        (f"{conv(3)}, BatchNormalization, ReLU, {LOGITS}", []),
        (f"{LINEAR}, BatchNormalization, ReLU, {LOGITS}", []),
        (f"{conv(3, activation='linear')}, Parallel: [[BatchNormalization, ReLU], [BatchNormalization]], {LOGITS}", []),
        (f"{conv(3, activation='linear')}, Parallel: [[BatchNormalization, ReLU], [ReLU]], {LOGITS}", []),
    ],
    "sizes": [
        ("Flatten, Dense: {units: 1538, activation: relu}, Dense: {units: 10}", []),
        ("Flatten, Dense: {units: 1539, activation: relu}, Dense: {units: 10}", []),
        (f"Flatten, Dropout: {{rate: 0.1}}, Dropout: {{rate: 0.2}}, {WIDE}, Dense: {{units: 10}}", []),
        (f"Flatten, ReLU, {WIDE}, Dense: {{units: 10}}", []),
        ("Dense: {units: 100000, activation: relu}, GlobalAveragePooling2D, Dense: {units: 10}", []),
        (f"Flatten, {WIDE}, Dense: {{units: 64, activation: relu}}, Dense: {{units: 10}}", []),
        (f"Flatten, {WIDE}, Dense: {{units: 65, activation: relu}}, Dense: {{units: 10}}", []),
    ],
    "planes": [
        (f"{strided(4, 4)}, {PIXELS}", scenes([64, 64])),
        (f"{strided(4, 4, 2)}, {PIXELS}", scenes([64, 64])),
        (f"{strided(4, 4, 2)}, {PIXELS}, Resizing: {{like: input}}", scenes([64, 70])),
        (f"{strided(4, 4, 2)}, Resizing: {{like: input}}, {PIXELS}", scenes([64, 64])),
        (f"{strided(4, 4)}, {conv(5, strides=[2, 1], padding='same')}, {PIXELS}", scenes([64, 64])),
        (f"{conv(3, padding='same')}, {PIXELS}", scenes([12, 13])),
        (f"{conv(3, padding='same')}, {PIXELS}", scenes([13, 13])),
        (PIXELS, scenes([13, 13])),
        (f"{conv(3, name='a')}, {GATE}, {PIXELS}", scenes([64, 64])),
    ],
    "classes": [
        (conv(1, 12, activation="linear"), scenes([8, 8])),
        (conv(1, 3, activation="linear"), masks("data.classes={road: 0, car: 1}", "data.ignore=255")),
        (conv(1, 3, activation="linear"), masks("data.classes=[road, car, void]", "data.ignore=2")),
        (conv(1, 3, activation="linear"), masks("data.classes=[road, car, sky]", "data.ignore=255")),
        (conv(1, 1, activation="linear"), masks()),
        (conv(1, 3, activation="linear"), masks()),
        (f"{named('coarse', 4)}, {named('fine', 3, inputs='input')}", masks(TWO)),
        (f"{named('coarse', 3)}, {named('fine', 3, inputs='input')}", masks(TWO)),
        (f"{named('coarse', 10)}, {named('fine', 11, inputs='input')}", scenes([8, 8], TWO)),
        (f"{conv(1, 3, activation='softmax', name='coarse')}, {named('fine', 3, inputs='input')}", masks(TWO)),
        (
            f"{named('coarse', 3)}, UpSampling2D: {{name: large}}, {named('fine', 3, inputs='input')}",
            masks(TWO.replace("coarse", "large")),
        ),
    ],
    "training": [
        (LOGITS, ["train.batch_size=1298"]),
        (LOGITS, ["train.batch_size=1299"]),
        (LOGITS, ["train.batch_size=1300", "data.validation=0.0"]),
        (LOGITS, ["train.batch_size=1443", "data.validation=test"]),
        (LOGITS, ["train.batch_size=100000", "data.source=folder", "data.path=x"]),
        (norm(0.99), ["train.batch_size=5", "train.epochs=1"]),
        (norm(0.99), ["train.batch_size=4", "train.epochs=1"]),
        (norm(0.99), ["train.batch_size=8", "train.epochs=2"]),
        (norm(0.999), ["train.batch_size=8", "train.epochs=100", "train.early_stopping={patience: 3}"]),
        (norm(0.999), ["train.batch_size=8", "train.epochs=2", "train.early_stopping={patience: 90}"]),
        (norm(0.9), ["train.epochs=1"]),
        (LOGITS, ["train.early_stopping={monitor: validation_loss}", "data.validation=0.0"]),
        (LOGITS, ["train.early_stopping={monitor: loss}", "data.validation=0.0"]),
        (LOGITS, ["train.schedule=ReduceLROnPlateau", "data.validation=0.0"]),
        (LOGITS, ["train.schedule=ReduceLROnPlateau", "data.validation=0.0", "data.folds=5"]),
        (LOGITS, ["train.batch_size=1154", "data.folds=5"]),
        (LOGITS, ["train.batch_size=1155", "data.folds=5"]),
    ],
}
"""Layers and settings, by what they are about."""


@pytest.mark.parametrize("subject", NETWORKS)
def test_findings(subject: str, golden: Golden, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every finding with its place, message and hint; none on the other side of the limit."""
    monkeypatch.setattr(size_rules, "machine_memory", lambda: None)
    lines = []
    for layers, changes in NETWORKS[subject]:
        text = f"name: n\ndata: {{source: digits, image_size: [8, 8]}}\nmodel: {{layers: [{layers}]}}\n"
        lines.append(f"{layers}  {' '.join(changes)}".rstrip())
        for problem in check(loads(text, overrides=changes)):
            lines.append(f"    {problem.code} {problem.severity} {problem.path}: {problem.message}")
            lines.append(f"        {problem.hint}")
    golden(f"findings_of_{subject}", "\n".join(lines))


def test_memory_at_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """As much as there is fits; a byte less does not."""
    config = loads(f"name: n\ndata: {{source: digits, image_size: [8, 8]}}\nmodel: {{layers: [{LOGITS}]}}\n")
    need = explain(config).summary.memory.training
    for available, codes in ((need, []), (need - 1, ["W314"])):
        monkeypatch.setattr(size_rules, "machine_memory", lambda found=available: found)
        assert [problem.code for problem in check(config)] == codes


MOST = """
name: most
data: {source: digits, image_size: [13, 10], channels: 1}
model:
  layers:
    - ZeroPadding2D: {padding: [[1, 2], [0, 3]]}
    - Conv2D: {filters: 8, kernel_size: [3, 2], dilation_rate: 2, padding: valid}
    - Conv2D: {filters: 8, kernel_size: [3, 2], strides: [1, 2], padding: same, use_bias: false}
    - Conv2DTranspose: {filters: 4, kernel_size: 3, strides: 2}
    - Conv2DTranspose: {filters: 4, kernel_size: 3, strides: 2, padding: same}
    - Conv2DTranspose: {filters: 4, kernel_size: 1, strides: 3, output_padding: 1}
    - Cropping2D: {cropping: [[2, 1], [3, 0]]}
    - UpSampling2D: {size: [1, 2]}
    - DepthwiseConv2D: {kernel_size: 3, depth_multiplier: 2}
    - SeparableConv2D: {filters: 6, kernel_size: 3, strides: 2, padding: same}
    - Parallel: [[{Conv2D: {filters: 3, kernel_size: 1}}], [{MaxPooling2D: {pool_size: 3, strides: 1, padding: same}}]]
    - Residual: {layers: [{Conv2D: {filters: 9, kernel_size: 3, padding: same, groups: 3}}]}
    - AveragePooling2D: {pool_size: [2, 3]}
    - BatchNormalization
    - Resizing: {height: 5, width: 7}
    - GlobalAveragePooling2D
    - Reshape: {target_shape: [9, 1]}
    - Conv1D: {filters: 2, kernel_size: 3, padding: causal}
    - Flatten
    - Dense: {units: 10, use_bias: false}
"""


def test_formulas(golden: Golden) -> None:
    """Every formula of a network with most kinds of layers: its name, its text, its LaTeX, its value, its legend."""
    lines = []
    for layer in explain(loads(MOST)).layers:
        lines.append(f"{layer.row.name} {layer.row.type} {layer.input_shapes} {layer.row}")
        for formula in layer.formulas:
            lines.append(f"    {formula.quantity}: {formula.expression.text()} = {formula.value}  {formula.legend}")
            lines.append(f"        {formula.expression.latex()}")
    golden("formulas", "\n".join(lines))
