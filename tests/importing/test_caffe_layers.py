"""Caffe's layers one by one: what each argument means, by Caffe's own formulas."""

from __future__ import annotations

import sys
from itertools import product
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnncli.importing.graph import GraphImportError
from cnncli.importing.read import Imported, read

sys.path.insert(0, str(Path(__file__).parent))
from imported_layers import rows, shape_before_end

sys.path.pop(0)


def imported(folder: Path, layers: str, size: tuple[int, int] = (12, 10), channels: int = 3) -> Imported:
    """Import layers that read "data" and end in "out", and behind them a classifier of three classes."""
    dims = " ".join(f"input_dim: {n}" for n in (1, channels, *size))
    end = 'layer { name: "end" type: "InnerProduct" bottom: "out" top: "end" inner_product_param { num_output: 3 } }'
    path = folder / "net.prototxt"
    path.write_text(f'name: "net" input: "data" {dims} {layers} {end}', encoding="utf-8")
    return read(path)


def one(kind: str, parameters: str) -> str:
    """Return one layer between "data" and "out"."""
    return f'layer {{ name: "own" type: "{kind}" bottom: "data" top: "out" {parameters} }}'


CONVOLUTIONS = [
    ("num_output: 9", (1, 1), (1, 1), (0, 0), (1, 1), 1, True),
    ("num_output: 9 kernel_size: 3", (3, 3), (1, 1), (0, 0), (1, 1), 1, True),
    ("num_output: 9 kernel_size: 3 pad: 1 bias_term: false", (3, 3), (1, 1), (1, 1), (1, 1), 1, False),
    ("num_output: 9 kernel_size: 3 pad: 1 stride: 2", (3, 3), (2, 2), (1, 1), (1, 1), 1, True),
    ("num_output: 9 kernel_size: 3 pad: 2 group: 3", (3, 3), (1, 1), (2, 2), (1, 1), 3, True),
    ("num_output: 9 kernel_size: 3 pad: 2 dilation: 2", (3, 3), (1, 1), (2, 2), (2, 2), 1, True),
    ("num_output: 9 kernel_size: 3 dilation: 2 group: 3", (3, 3), (1, 1), (0, 0), (2, 2), 3, True),
    ("num_output: 9 kernel_h: 5 kernel_w: 3 pad_h: 2 pad_w: 1", (5, 3), (1, 1), (2, 1), (1, 1), 1, True),
    ("num_output: 9 kernel_h: 5 kernel_w: 3 stride_h: 3 stride_w: 2", (5, 3), (3, 2), (0, 0), (1, 1), 1, True),
    ("num_output: 9 kernel_size: 5 kernel_size: 3 stride: 3 stride: 2", (5, 3), (3, 2), (0, 0), (1, 1), 1, True),
    ("num_output: 9 kernel_size: [5, 3] pad: 2 pad: 0", (5, 3), (1, 1), (2, 0), (1, 1), 1, True),
    ("num_output: 9 kernel_size: 4 pad: 2", (4, 4), (1, 1), (2, 2), (1, 1), 1, True),
]


@pytest.mark.parametrize("case", CONVOLUTIONS, ids=[case[0] for case in CONVOLUTIONS])
def test_convolution(tmp_path: Path, case: tuple[Any, ...]) -> None:
    """Size, padding, arguments and number of weights are those of Caffe's convolution."""
    text, kernel, stride, pad, dilation, groups, bias = case
    found = imported(tmp_path, one("Convolution", f"convolution_param {{ {text} }}"))
    # base_conv_layer.cpp: (input + 2 * pad - (dilation * (kernel - 1) + 1)) / stride + 1
    extent = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    sizes = [(n + 2 * p - e) // s + 1 for n, p, e, s in zip((12, 10), pad, extent, stride, strict=True)]
    assert shape_before_end(found) == (*sizes, 9)
    *margins, (kind, arguments) = rows(found)
    assert kind == "Conv2D"
    assert (arguments["kernel_size"], arguments["strides"], arguments["dilation_rate"]) == (kernel, stride, dilation)
    assert (arguments["groups"], arguments["use_bias"]) == (groups, bias)
    if margins:
        assert [kind for kind, _ in margins] == ["ZeroPadding2D"]
        assert margins[0][1]["padding"] == ((pad[0], pad[0]), (pad[1], pad[1]))
        assert arguments["padding"] == "valid"
    else:
        # "same" puts as much before as behind only where the kernel is odd and the stride 1.
        assert arguments["padding"] == ("same" if any(pad) else "valid")


def pooled(images: np.ndarray, size: int, stride: int, pad: int, average: bool) -> np.ndarray:
    """Return what pooling_layer.cpp computes of (height, width, channels)."""
    number = []
    for length in images.shape[:2]:
        count = ceil((length + 2 * pad - size) / stride) + 1
        if pad and (count - 1) * stride >= length + pad:
            count -= 1
        number.append(count)
    height, width = images.shape[:2]
    answer = np.empty((*number, images.shape[2]))
    for row, column in product(*map(range, number)):
        top, left = row * stride - pad, column * stride - pad
        bottom, right = min(top + size, height + pad), min(left + size, width + pad)
        area = (bottom - top) * (right - left)
        window = images[max(top, 0) : min(bottom, height), max(left, 0) : min(right, width)]
        answer[row, column] = window.sum((0, 1)) / area if average else window.max((0, 1), initial=-np.inf)
    return answer


POOLS = [
    (size, stride, pad, length)
    for size, stride, pad, length in product((2, 3, 5), (1, 2, 3), (0, 1), (7, 8, 9, 10))
    if pad < size
]


def test_pooling_shapes(tmp_path: Path) -> None:
    """The windows are as many as Caffe's for every length, size, stride and margin: it rounds up."""
    for size, stride, pad, length in POOLS:
        text = f"pooling_param {{ kernel_size: {size} stride: {stride} pad: {pad} }}"
        found = imported(tmp_path, one("Pooling", text), (length, 11), 1)
        expected = pooled(np.zeros((length, 11, 1)), size, stride, pad, False).shape
        assert shape_before_end(found) == expected, (size, stride, pad, length)


@pytest.mark.engine
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("method", ["MAX", "AVE"])
def test_pooling_numbers(tmp_path: Path, method: str) -> None:
    """Keras computes of the imported layers what Caffe computes, or a note says that it does not."""
    import keras

    images = np.random.default_rng(0).random((1, 9, 8, 3), np.float32)
    equal = 0
    for size, stride, pad in sorted({case[:3] for case in POOLS if case[1] <= case[0]}):
        text = f"pooling_param {{ pool: {method} kernel_size: {size} stride: {stride} pad: {pad} }}"
        found = imported(tmp_path, one("Pooling", text), (9, 8), 3)
        answer: Any = images
        for kind, arguments in rows(found):
            answer = getattr(keras.layers, kind)(**arguments)(answer)
        expected = pooled(images[0].astype(float), size, stride, pad, method == "AVE")
        if np.allclose(np.asarray(answer)[0], expected, atol=1e-6):
            equal += 1
        else:
            assert any(note.startswith("own:") and "in Caffe" in note for note in found.notes), (size, stride, pad)
    assert equal >= 7, equal


@pytest.mark.parametrize(
    ("parameters", "kind"),
    [
        ("global_pooling: true", "GlobalMaxPooling2D"),
        ("pool: AVE global_pooling: true", "GlobalAveragePooling2D"),
        ("pool: 1 global_pooling: true", "GlobalAveragePooling2D"),
        ("pool: MAX kernel_size: 2 stride: 2 global_pooling: false", "MaxPooling2D"),
        ("pool: AVE kernel_size: 2 stride: 2", "AveragePooling2D"),
    ],
)
def test_kinds_of_pooling(tmp_path: Path, parameters: str, kind: str) -> None:
    """The method is a word or its number, and a pooling over all has no size."""
    assert [row[0] for row in rows(imported(tmp_path, one("Pooling", f"pooling_param {{ {parameters} }}")))] == [kind]


def test_margin_of_a_maximum_is_reported(tmp_path: Path) -> None:
    """Zeros around a maximum are not Caffe's margin, and a note says so; without zeros there is none."""
    padded = imported(tmp_path, one("Pooling", "pooling_param { kernel_size: 3 stride: 2 pad: 1 }"))
    assert any("own: its padding counts as 0" in note for note in padded.notes) == (
        "ZeroPadding2D" in dict(rows(padded))
    )
    plain = imported(tmp_path, one("Pooling", "pooling_param { kernel_size: 2 stride: 2 }"))
    assert plain.notes == ()


@pytest.mark.parametrize(
    ("parameters", "arguments"),
    [
        ("", {"depth_radius": 2, "alpha": 0.2, "beta": 0.75, "bias": 1.0}),
        ("local_size: 3 alpha: 0.6 beta: 0.5 k: 2", {"depth_radius": 1, "alpha": 0.2, "beta": 0.5, "bias": 2.0}),
        ("local_size: 7 alpha: 1.4", {"depth_radius": 3, "alpha": 0.2, "beta": 0.75, "bias": 1.0}),
    ],
)
def test_local_responses(tmp_path: Path, parameters: str, arguments: dict[str, float]) -> None:
    """Caffe divides alpha by the number of channels in the sum: x / (k + alpha / n · Σ x²) ^ beta."""
    ((_, found),) = rows(imported(tmp_path, one("LRN", f"lrn_param {{ {parameters} }}")))
    assert {key: found[key] for key in arguments} == pytest.approx(arguments)


def test_responses_within_a_channel_are_reported(tmp_path: Path) -> None:
    """The vocabulary sums across channels only, and a note says so where the file does not."""
    for region in ("WITHIN_CHANNEL", "1"):
        notes = imported(tmp_path, one("LRN", f"lrn_param {{ norm_region: {region} }}")).notes
        assert notes == ("own: normalizes within a channel in Caffe, across 5 channels here",)
    assert imported(tmp_path, one("LRN", "lrn_param { norm_region: ACROSS_CHANNELS }")).notes == ()


@pytest.mark.parametrize(
    ("kind", "parameters", "expected"),
    [
        ("ReLU", "", ("ReLU", {})),
        ("ReLU", "relu_param { negative_slope: 0.1 }", ("LeakyReLU", {"negative_slope": 0.1})),
        ("TanH", "", ("Activation", {"activation": "tanh"})),
        ("SIGMOID", "", ("Activation", {"activation": "sigmoid"})),
        ("ELU", "", ("Activation", {"activation": "elu"})),
        ("Dropout", "", ("Dropout", {"rate": 0.5})),
        ("Dropout", "dropout_param { dropout_ratio: 0.2 }", ("Dropout", {"rate": 0.2})),
        ("BatchNorm", "", ("BatchNormalization", {"epsilon": 1e-5, "center": False, "scale": False})),
        ("BatchNorm", "batch_norm_param { eps: 0.1 }", ("BatchNormalization", {"epsilon": 0.1, "scale": False})),
    ],
)
def test_simple_layers(tmp_path: Path, kind: str, parameters: str, expected: tuple[str, dict[str, Any]]) -> None:
    """Each layer is the one of the same name, with Caffe's own defaults."""
    ((name, arguments),) = rows(imported(tmp_path, one(kind, parameters)))
    assert name == expected[0]
    assert {key: arguments[key] for key in expected[1]} == expected[1]


@pytest.mark.parametrize("bias", [True, False])
def test_scale_completes_a_batch_normalization(tmp_path: Path, bias: bool) -> None:
    """BatchNorm and Scale are one layer, with the epsilon of the first and a bias where the second has one."""
    layers = (
        'layer { name: "b" type: "BatchNorm" bottom: "data" top: "b" batch_norm_param { eps: 0.2 } }'
        f'layer {{ name: "s" type: "Scale" bottom: "b" top: "out" scale_param {{ bias_term: {str(bias).lower()} }} }}'
    )
    ((kind, arguments),) = rows(imported(tmp_path, layers))
    assert kind == "BatchNormalization"
    assert (arguments["epsilon"], arguments["scale"], arguments["center"]) == (0.2, True, bias)
    assert arguments["momentum"] == 0.99


@pytest.mark.parametrize("in_place", [True, False])
def test_activations_go_into_the_layer_before(tmp_path: Path, in_place: bool) -> None:
    """An activation that alone reads a convolution becomes its argument, whatever the value is called."""
    top = "out" if in_place else "c"
    layers = (
        f'layer {{ name: "c" type: "Convolution" bottom: "data" top: "{top}" convolution_param {{ num_output: 4 }} }}'
        f'layer {{ name: "r" type: "ReLU" bottom: "{top}" top: "out" }}'
    )
    ((kind, arguments),) = rows(imported(tmp_path, layers))
    assert (kind, arguments["activation"]) == ("Conv2D", "relu")


def test_a_value_with_two_readers_stays_as_it_is(tmp_path: Path) -> None:
    """Where another layer reads a convolution before its activation, the activation is a layer: x + relu(x)."""
    layers = (
        'layer { name: "c" type: "Convolution" bottom: "data" top: "c" convolution_param { num_output: 4 } }'
        'layer { name: "r" type: "ReLU" bottom: "c" top: "r" }'
        'layer { name: "a" type: "Eltwise" bottom: "r" bottom: "c" top: "out" }'
    )
    found = imported(tmp_path, layers)
    (conv, arguments), (relu, _), (add, _) = rows(found)
    assert (conv, arguments["activation"] or "linear", relu, add) == ("Conv2D", "linear", "ReLU", "Add")
    assert [node.inputs for node in found.config.nodes[1:3]] == [(0,), (1, 0)]


def test_a_merge_takes_no_activation(tmp_path: Path) -> None:
    """Two convolutions, each read by a sum and by nothing else: the sum's activation stays behind the sum."""
    conv = 'layer {{ name: "{0}" type: "Convolution" bottom: "data" top: "{0}" convolution_param {{ num_output: 4 }} }}'
    layers = (
        conv.format("c")
        + conv.format("d")
        + 'layer { name: "a" type: "Eltwise" bottom: "c" bottom: "d" top: "a" eltwise_param { operation: SUM } }'
        + 'layer { name: "r" type: "ReLU" bottom: "a" top: "out" }'
    )
    found = rows(imported(tmp_path, layers))
    assert [kind for kind, _ in found] == ["Conv2D", "Conv2D", "Add", "ReLU"]
    assert {arguments["activation"] or "linear" for kind, arguments in found if kind == "Conv2D"} == {"linear"}


@pytest.mark.parametrize(
    ("operation", "kind"), [("PROD", "Multiply"), ("0", "Multiply"), ("1", "Add"), ("MAX", "Maximum"), ("2", "Maximum")]
)
def test_products_and_maxima(tmp_path: Path, operation: str, kind: str) -> None:
    """Eltwise multiplies or takes the largest: by name, or by number."""
    layers = 'layer { name: "r" type: "ReLU" bottom: "data" top: "r" }' + one(
        "Eltwise", f'bottom: "r" eltwise_param {{ operation: {operation} }}'
    )
    found = imported(tmp_path, layers)
    assert [row[0] for row in rows(found)] == ["ReLU", kind]
    assert set(found.config.nodes[1].inputs) == {-1, 0}


@pytest.mark.parametrize("kind", ["Pooling", "LRN"])
def test_only_layers_with_an_activation_take_one(tmp_path: Path, kind: str) -> None:
    """A ReLU behind a layer without such an argument stays a layer, and so does a second one behind a convolution."""
    parameters = "pooling_param { kernel_size: 2 stride: 2 }" if kind == "Pooling" else ""
    text = one(kind, parameters) + 'layer { name: "r" type: "ReLU" bottom: "out" top: "out" }'
    assert [row[0] for row in rows(imported(tmp_path, text))][1:] == ["ReLU"]
    twice = one("Convolution", "convolution_param { num_output: 4 }") + "".join(
        f'layer {{ name: "{name}" type: "{name}" bottom: "out" top: "out" }}' for name in ("TanH", "ReLU")
    )
    (_, arguments), (second, _) = rows(imported(tmp_path, twice))
    assert (arguments["activation"], second) == ("tanh", "ReLU")


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (one("Scale", ""), "own: Scale is supported only after BatchNorm"),
        (one("Eltwise", 'bottom: "data" eltwise_param { operation: MEAN }'), "own: only plain sums"),
        (one("Eltwise", 'bottom: "data" eltwise_param { coeff: 1 coeff: -1 }'), "own: only plain sums"),
        (one("Concat", 'bottom: "data" concat_param { axis: 2 }'), "own: branches can be concatenated along the"),
        (one("Pooling", "pooling_param { kernel_size: 2 stride: 0 }"), "own: stride: got '0', expected an integer"),
        (one("Pooling", "pooling_param { kernel_size: 0 }"), "own: kernel_size: got '0'"),
        (one("Pooling", "pooling_param { kernel_size: 2 pad: -1 }"), "own: pad: got '-1'"),
        (one("Convolution", "convolution_param { num_output: x }"), "own: num_output: got 'x'"),
        (one("Convolution", "convolution_param { num_output: 2 kernel_h: 0 }"), "own: kernel_h: got '0'"),
        (one("LRN", "lrn_param { local_size: 0 }"), "own: local_size: got '0'"),
        (one("LRN", "lrn_param { alpha: x }"), "own: alpha: got 'x', expected a number"),
        (one("LRN", "lrn_param { alpha: 1e999 }"), "own: alpha: got 'inf'"),
        (one("ReLU", "relu_param { negative_slope: true }"), "own: negative_slope: got 'True'"),
        (one("Dropout", "dropout_param { dropout_ratio: 1.5 }"), "own: Dropout.rate"),
        ('layer { name: "own" type: "ReLU" bottom: "nothing" top: "out" }', "own: no earlier layer outputs its input"),
    ],
)
def test_arguments_without_a_meaning(tmp_path: Path, layers: str, message: str) -> None:
    """What the vocabulary cannot say, and numbers that are none, are errors with the layer and the argument."""
    with pytest.raises(GraphImportError) as raised:
        imported(tmp_path, layers)
    assert message in raised.value.message


def test_two_branches_put_together(tmp_path: Path) -> None:
    """Concat joins channels, on the first axis or where the file leaves it out."""
    for parameters in ("", "concat_param { axis: 1 }"):
        layers = 'layer { name: "r" type: "ReLU" bottom: "data" top: "r" }' + one("Concat", f'bottom: "r" {parameters}')
        assert shape_before_end(imported(tmp_path, layers)) == (12, 10, 6)


def test_dense_without_bias_and_softmax(tmp_path: Path) -> None:
    """A Flatten stands before the first dense layer and before a Softmax of one pixel, and nowhere else."""
    dense = one("InnerProduct", "inner_product_param { num_output: 7 bias_term: false }")
    found = imported(tmp_path, dense)
    assert [node.layer.type_name() for node in found.config.nodes] == ["Flatten", "Dense", "Dense"]
    assert found.config.nodes[1].layer.keras_arguments()["use_bias"] is False
    assert found.config.nodes[2].layer.keras_arguments()["use_bias"] is True
    kinds = [node.layer.type_name() for node in imported(tmp_path, one("Softmax", "")).config.nodes]
    assert kinds == ["Softmax", "Flatten", "Dense"]
    kinds = [node.layer.type_name() for node in imported(tmp_path, one("Flatten", "")).config.nodes]
    assert kinds == ["Flatten", "Dense"]


@pytest.mark.parametrize("source", ["Data", "ImageData", "HDF5Data", "MemoryData", "Input", "DummyData", "WindowData"])
def test_layers_that_read_files_name_the_input(tmp_path: Path, source: str) -> None:
    """Whatever kind of layer makes the batches, its first value is the network's input; layers that measure go."""
    measuring = "".join(
        f'layer {{ name: "m{i}" type: "{kind}" bottom: "r" bottom: "label" top: "m{i}" }}'
        for i, kind in enumerate(("Accuracy", "SoftmaxWithLoss", "SoftmaxLoss", "Silence", "ArgMax", "HingeLoss"))
    )
    text = (
        f'layer {{ name: "d" type: "{source}" top: "images" top: "label" transform_param {{ crop_size: 6 }} }}'
        'layer { name: "t" type: "Nonsense" bottom: "images" top: "images" include { phase: TEST } }'
        'layer { name: "r" type: "InnerProduct" bottom: "images" top: "r" inner_product_param { num_output: 2 } '
        "include { phase: TRAIN } }"
    )
    (tmp_path / "t.prototxt").write_text(text + measuring, encoding="utf-8")
    found = read(tmp_path / "t.prototxt")
    assert found.config.input_shape == (6, 6, 3)
    assert found.notes == ("the file does not give the number of channels; 3 assumed",)
    assert found.config.name == "t"
    assert found.classes == ("0", "1")
    assert found.weights == {}


def test_losses_are_noted(tmp_path: Path) -> None:
    """What an autoencoder is trained with is left out with a note; its last layer is the output."""
    text = (
        'name: "a" input: "data" input_dim: 1 input_dim: 1 input_dim: 4 input_dim: 4'
        'layer { name: "flat" type: "Flatten" bottom: "data" top: "flat" }'
        'layer { name: "code" type: "InnerProduct" bottom: "data" top: "code" inner_product_param { num_output: 16 } }'
        'layer { name: "l" type: "SigmoidCrossEntropyLoss" bottom: "code" bottom: "flat" top: "l" loss_weight: 1 }'
        'layer { name: "out" type: "Sigmoid" bottom: "code" top: "out" }'
        'layer { name: "e" type: "EuclideanLoss" bottom: "out" bottom: "flat" top: "e" loss_weight: 0 }'
    )
    (tmp_path / "a.prototxt").write_text(text, encoding="utf-8")
    found = read(tmp_path / "a.prototxt")
    assert found.config.nodes[-1].layer.final_activation == "sigmoid"
    losses = [note for note in found.notes if "was not imported" in note]
    assert len(losses) == 2
    assert "SigmoidCrossEntropyLoss" in losses[0]


def test_softmax_of_a_plane(tmp_path: Path) -> None:
    """A network of convolutions that ends in a softmax has the probabilities of the channels at each place."""
    layers = one("Softmax", "")
    (tmp_path / "p.prototxt").write_text(
        f'input: "data" input_dim: 1 input_dim: 3 input_dim: 6 input_dim: 5 {layers}', encoding="utf-8"
    )
    found = read(tmp_path / "p.prototxt")
    assert [node.layer.type_name() for node in found.config.nodes] == ["Softmax"]
    assert (found.config.task, found.config.output_shape) == ("segmentation", (6, 5, 3))
    with pytest.raises(GraphImportError, match="along the channels"):
        imported(tmp_path, one("Softmax", "softmax_param { axis: 2 }"))


@pytest.mark.parametrize(
    ("kind", "reason"),
    [("Python", "nothing in a file is run"), ("Slice", "pairs of images"), ("LSTM", "recurrent networks")],
)
def test_refusals_say_why(tmp_path: Path, kind: str, reason: str) -> None:
    """A layer that no config can say is refused by its name, with the reason."""
    with pytest.raises(GraphImportError, match=f"own: {kind} .*{reason}"):
        imported(tmp_path, one(kind, ""))
