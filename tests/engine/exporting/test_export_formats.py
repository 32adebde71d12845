"""Every layer of the vocabulary, every resize and every precision in every format that holds them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytestmark = [pytest.mark.engine, pytest.mark.filterwarnings("ignore"), pytest.mark.needs("onnx", "litert")]

EXACT = ("keras", "saved_model", "onnx", "litert", "python")

NETS = {
    "branches, groups and local responses": """
      - Conv2D: {filters: 8, kernel_size: 3, padding: same, activation: gelu}
      - LocalResponseNormalization: {depth_radius: 2, alpha: 0.5, beta: 0.75}
      - Parallel:
        - [{Conv2D: {filters: 4, kernel_size: 3, padding: same, groups: 2, activation: relu}}]
        - [{MaxPooling2D: {pool_size: 3, strides: 1, padding: same}}, {Conv2D: {filters: 3, kernel_size: 1}}]
        - []
      - BatchNormalization
      - Residual: {layers: [{Conv2D: {filters: 15, kernel_size: 3, padding: same, dilation_rate: 2}}]}
      - Activation: {activation: celu}
      - Dropout: {rate: 0.5}
      - GlobalAveragePooling2D
      - Dense: {units: 10, activation: softmax}""",
    "two axes": """
      - Rescaling: {scale: 2.0, offset: -1.0}
      - Normalization: {mean: [0.1], variance: [0.5]}
      - ZeroPadding2D: {padding: [[1, 2], [0, 3]]}
      - Cropping2D: {cropping: [[1, 0], [0, 1]]}
      - DepthwiseConv2D: {kernel_size: 3, depth_multiplier: 3, padding: same}
      - LeakyReLU
      - SeparableConv2D: {filters: 6, kernel_size: 3, padding: same}
      - ReLU: {max_value: 1.0, negative_slope: 0.1, threshold: 0.05}
      - Conv2DTranspose: {filters: 4, kernel_size: 3, strides: 2, padding: same, activation: tanh}
      - GroupNormalization: {groups: 2}
      - LayerNormalization
      - SpatialDropout2D: {rate: 0.2}
      - UpSampling2D: {size: 2, interpolation: bicubic}
      - AveragePooling2D: {pool_size: 3, strides: 2, padding: same}
      - Resizing: {height: 13, width: 7, interpolation: lanczos3, name: small}
      - Cropping2D: {cropping: [[1, 1], [0, 0]]}
      - Resizing: {like: small}       # 11 · (13 / 11) is 12.99… in float32
      - UpSampling2D
      - Conv2D: {kernel: sobel_x, trainable: false, padding: same}
      - Conv2D: {filters: 12, kernel_size: 3, strides: 2}
      - LayerScale: {init_values: 0.5}
      - ChannelPadding: {padding: [2, 1]}
      - ChannelPadding: {padding: [-3, 2]}
      - Permute: {dims: [3, 1, 2]}
      - Permute: {dims: [2, 3, 1]}
      - GlobalMaxPooling2D
      - Softmax
      - Dense: {units: 10}""",
    "a graph": """
      - Conv2D: {filters: 6, kernel_size: 3, padding: same, activation: relu6, name: a}
      - Conv2D: {filters: 6, kernel_size: 3, padding: same, activation: hard_swish, inputs: input, name: b}
      - GlobalAveragePooling2D: {keepdims: true}
      - Conv2D: {filters: 6, kernel_size: 1, activation: hard_sigmoid, name: gate}
      - Multiply: {inputs: [a, gate], name: gated}
      - Conv2D: {filters: 1, kernel_size: 1, activation: sigmoid, name: place}
      - Multiply: {inputs: [place, b, gate]}
      - AveragePooling2D
      - UpSampling2D: {size: [2, 2], interpolation: bilinear, name: smooth}
      - Maximum: {inputs: [smooth, a, gate], name: most}
      - Minimum: {inputs: [a, b], name: least}
      - Subtract: {inputs: [most, gate], name: rest}
      - Average: {inputs: [rest, least, b], name: mean}
      - Add: {inputs: [rest, gate, least], name: sum}
      - Concatenate: {inputs: [sum, mean, input]}
      - Flatten
      - Dense: {units: 10}""",
    "one axis": """
      - Reshape: {target_shape: [16, 4]}
      - Conv1D: {filters: 6, kernel_size: 3, padding: causal, dilation_rate: 2, groups: 2, activation: elu}
      - MaxPooling1D: {pool_size: 3, strides: 1, padding: same}
      - Conv1D: {filters: 8, kernel_size: 3, padding: same, strides: 2}
      - AveragePooling1D
      - Parallel: [[GlobalAveragePooling1D], [GlobalMaxPooling1D], [Flatten]]
      - Dense: {units: 10}""",
    "three axes": """
      - Reshape: {target_shape: [4, 4, 4, 1]}
      - Conv3D: {filters: 4, kernel_size: 3, padding: same, activation: silu}
      - Parallel: [[GlobalAveragePooling3D], [GlobalMaxPooling3D]]
      - Dense: {units: 10}""",
    "pooled volumes": """
      - Reshape: {target_shape: [4, 4, 4, 1]}
      - Conv3D: {filters: 4, kernel_size: 3, padding: same}
      - Conv3D: {filters: 4, kernel_size: 1, groups: 2}
      - MaxPooling3D
      - AveragePooling3D: {pool_size: 2, strides: 1, padding: same}
      - Flatten
      - Dense: {units: 10}""",
}
SMALL = "[Flatten, {Dense: {units: 10}}]"

Make = Callable[..., Any]


@pytest.mark.usefixtures("scripts_in_this_process")
@pytest.mark.parametrize("title", EXACT)
@pytest.mark.parametrize("net", NETS)
def test_every_layer(net: str, title: str, make_source: Make, write: Make) -> None:
    """A network of any layers answers the same from every format, or is refused before anything is written."""
    from cnncli.engine.exporting.formats import FORMATS

    source = make_source(NETS[net])
    kind = next(kind for kind in FORMATS if kind.title == title)
    if (net, title) == ("pooled volumes", "litert"):
        message, _ = kind.obstacle(source)
        assert message.count("(") == 3, message
        return
    assert kind.obstacle(source) is None
    kept = write(title, source)
    assert kept.parity.max_abs_diff <= 1e-5
    assert kept.parity.agreement == 1


def test_nets_hold_the_whole_vocabulary() -> None:
    """No layer is left out above."""
    from cnncli.layers import VOCABULARY

    assert [name for name in VOCABULARY if not any(name in net for net in NETS.values())] == []


@pytest.mark.usefixtures("scripts_in_this_process")
@pytest.mark.parametrize("title", EXACT)
@pytest.mark.parametrize(
    "resize",
    ["bilinear, fit: crop", "nearest, fit: pad", "bicubic, fit: stretch", "area, fit: pad", "bilinear, fit: stretch"],
)
def test_every_resize(resize: str, title: str, make_source: Make, write: Make) -> None:
    """Images of other sizes give the same answers where the artifact resizes, and where its reader does."""
    source = make_source(SMALL, f"data.resize={{method: {resize}}}", "data.image_size=[11, 14]", "data.channels=3")
    kept = write(title, source)
    sizes = [row for row in kept.parity.cases if row["case"] == "other sizes"]
    method, fit = resize.split(", fit: ")
    resizes = {
        "saved_model": True,
        "python": True,
        "onnx": method in ("bilinear", "nearest"),
        "keras": fit == "stretch" and method != "area",
        "litert": False,
    }
    assert bool(sizes) == resizes[title]


CONVOLUTIONS = """
      - Conv2D: {filters: 6, kernel_size: 3, padding: same, activation: relu}
      - MaxPooling2D
      - Conv2D: {filters: 16, kernel_size: 3, activation: relu}
      - Flatten
      - Dense: {units: 32, activation: relu}
      - Dense: {units: 10}"""


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize(
    ("title", "layers"),
    [
        *((title, CONVOLUTIONS) for title in EXACT),
        # The Python script's layers are among those above.
        *((title, SMALL) for title in EXACT if title != "python"),
    ],
    ids=lambda value: value if value in EXACT else "dense" if value == SMALL else "convolutions",
)
def test_mixed_precision(
    precision: str, title: str, layers: str, make_source: Make, write: Make, request: pytest.FixtureRequest
) -> None:
    """A run in mixed precision is exported as it is where the format can, else in float32, and says which."""
    if precision == "mixed_float16":
        # One script in a process of its own is enough.
        request.getfixturevalue("scripts_in_this_process")
    source = make_source(layers, f"train.precision={precision}", "data.image_size=[20, 20]")
    kept = write(title, source)
    assert kept.parity.max_abs_diff <= 1e-5
    from cnncli.engine.exporting.open import open_artifact

    expected = "float32" if title in ("onnx", "litert") else precision
    assert open_artifact(kept.path).description.precision == expected


@pytest.mark.parametrize("title", ["litert float16", "litert int8"])
def test_quantised(title: str, make_source: Make, write: Make) -> None:
    """A quantised network is smaller and says what it costs."""
    layers = "[{Conv2D: {filters: 16, kernel_size: 3}}, Flatten, {Dense: {units: 64}}, {Dense: {units: 10}}]"
    source = make_source(layers)
    whole = write("litert", source)
    from cnncli.engine.exporting import parity

    kept = write(title, source, 2000)
    assert kept.bytes < (0.4 if "int8" in title else 0.6) * whole.bytes
    low, high = kept.parity.score.interval
    assert low < kept.parity.score.drop < high
    assert parity.EXACT.max_abs_diff < kept.parity.max_abs_diff
