"""Darknet's sections one by one: what each option means, by Darknet's own formulas."""

from __future__ import annotations

import sys
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnncli.importing.graph import GraphImportError
from cnncli.importing.read import Imported, read
from cnncli.layers.graph import shapes

sys.path.insert(0, str(Path(__file__).parent))
from imported_layers import rows, shape_before_end

sys.path.pop(0)


def imported(folder: Path, sections: str, size: tuple[int, int] = (12, 10), channels: int = 3) -> Imported:
    """Import sections, and behind them a classifier of four classes."""
    head = f"[net]\nheight={size[0]}\nwidth={size[1]}\nchannels={channels}\n"
    path = folder / "net.cfg"
    path.write_text(f"{head}{sections}\n[connected]\noutput=4\nactivation=linear\n", encoding="utf-8")
    return read(path)


def pooled(images: np.ndarray, size: int, stride: int, padding: int) -> np.ndarray:
    """Return what maxpool_layer.c computes of (height, width, channels)."""
    height, width, channels = images.shape
    number = [(length + padding - size) // stride + 1 for length in (height, width)]
    answer = np.full((*number, channels), -np.inf)
    for row, column, n, m in product(*map(range, number), range(size), range(size)):
        y, x = row * stride + n - padding // 2, column * stride + m - padding // 2
        if 0 <= y < height and 0 <= x < width:
            answer[row, column] = np.maximum(answer[row, column], images[y, x])
    return answer


POOLS = [
    (size, stride, padding)
    for size, stride, padding in product((1, 2, 3, 5), (1, 2, 3), (None, 0, 1, 2))
    if stride <= size and (padding or 0) < size
]


@pytest.mark.engine
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("length", [8, 9])
def test_pooling(tmp_path: Path, length: int) -> None:
    """Keras computes of the imported layers what Darknet's loop computes of what follows a ReLU."""
    import keras

    images = np.random.default_rng(0).random((1, length, 7, 3), np.float32)
    for size, stride, padding in POOLS:
        options = f"size={size}\nstride={stride}\n" + ("" if padding is None else f"padding={padding}\n")
        found = imported(tmp_path, f"[maxpool]\n{options}", (length, 7))
        answer: Any = images
        for kind, arguments in rows(found):
            answer = getattr(keras.layers, kind)(**arguments)(answer)
        expected = pooled(images[0], size, stride, size - 1 if padding is None else padding)
        np.testing.assert_allclose(np.asarray(answer)[0], expected, err_msg=f"{size} {stride} {padding}")
        zeros = [kind for kind, _ in rows(found)].count("ZeroPadding2D")
        assert zeros == len([note for note in found.notes if "a max-pooling's padding counts as 0" in note])


@pytest.mark.parametrize(
    ("options", "size", "stride", "padding"),
    [
        ("", 1, 1, 0),
        ("stride=2", 2, 2, 1),
        ("size=3", 3, 1, 2),
        ("size=3\nstride=2", 3, 2, 2),
        ("size=3\nstride=2\npadding=0", 3, 2, 0),
        ("size=3\nstride=2\npadding=1", 3, 2, 1),
        ("size=2\nstride=2\npadding=0", 2, 2, 0),
    ],
)
def test_options_of_pooling(tmp_path: Path, options: str, size: int, stride: int, padding: int) -> None:
    """The size is the stride where it is not said, the stride 1, the margin one less than the size."""
    found = imported(tmp_path, f"[maxpool]\n{options}", (13, 10))
    # parser.c: stride 1; size = stride; padding = size - 1; maxpool_layer.c: (length + padding - size) / stride + 1
    assert shape_before_end(found) == (*((n + padding - size) // stride + 1 for n in (13, 10)), 3)
    pool = rows(found)[-1][1]
    assert (pool["pool_size"], pool["strides"] or pool["pool_size"]) == ((size, size), (stride, stride))


@pytest.mark.parametrize(
    ("options", "size"),
    [("size=2\nstride=1", (12, 10)), ("stride=2", (13, 9)), ("size=3\nstride=1", (4, 7))],
)
def test_margins_as_tensorflow_lays_them(tmp_path: Path, options: str, size: tuple[int, int]) -> None:
    """Where TensorFlow's own margins are Darknet's, odd ones with more behind among them, the layer itself has them."""
    found = imported(tmp_path, f"[maxpool]\n{options}\n", size)
    ((kind, arguments),) = rows(found)
    assert (kind, arguments["padding"]) == ("MaxPooling2D", "same")
    assert found.notes == ()


@pytest.mark.parametrize(
    ("options", "kernel", "stride", "pad", "groups"),
    [
        ("", 1, 1, 0, 1),
        ("size=3", 3, 1, 0, 1),
        ("size=3\npad=1", 3, 1, 1, 1),
        ("size=5\npad=1\nstride=2", 5, 2, 2, 1),
        ("size=3\npad=1\nstride=2\ngroups=3", 3, 2, 1, 3),
        ("size=3\npadding=2", 3, 1, 2, 1),
        ("size=5\npadding=2", 5, 1, 2, 1),
        ("size=3\npad=1\npadding=2", 3, 1, 1, 1),
        ("size=4\npad=1", 4, 1, 2, 1),
        ("size=3\npad=0\npadding=0\nstride=3", 3, 3, 0, 1),
    ],
)
@pytest.mark.parametrize("normalized", [False, True])
def test_convolution(
    tmp_path: Path, options: str, kernel: int, stride: int, pad: int, groups: int, normalized: bool
) -> None:
    """`pad` is half the kernel, `padding` a number; a normalized convolution has no bias."""
    text = f"[convolutional]\nfilters=6\nactivation=linear\n{options}\nbatch_normalize={int(normalized)}\n"
    found = imported(tmp_path, text)
    # convolutional_layer.c: (length + 2 * pad - size) / stride + 1
    assert shape_before_end(found) == (*((n + 2 * pad - kernel) // stride + 1 for n in (12, 10)), 6)
    kinds = [kind for kind, _ in rows(found)]
    assert kinds[-1] == ("BatchNormalization" if normalized else "Conv2D")
    if normalized:
        assert rows(found)[-1][1]["epsilon"] == 1e-5
    conv = dict(rows(found))["Conv2D"]
    assert (conv["kernel_size"], conv["strides"], conv["groups"]) == ((kernel, kernel), (stride, stride), groups)
    assert conv["use_bias"] == (not normalized)
    margins = [arguments["padding"] for kind, arguments in rows(found) if kind == "ZeroPadding2D"]
    same = stride == 1 and kernel == 2 * pad + 1 and pad > 0
    assert margins == ([((pad, pad), (pad, pad))] if pad and not same else [])
    assert conv["padding"] == ("same" if same else "valid")


def test_one_filter_and_logistic_are_the_defaults(tmp_path: Path) -> None:
    """A convolution says neither filters nor activation: one filter, a sigmoid; a connected layer likewise."""
    (_, conv), (kind, activation) = rows(imported(tmp_path, "[convolutional]\nsize=3\n"))
    assert (conv["filters"], kind, activation["activation"]) == (1, "Activation", "sigmoid")
    (_, dense), (kind, activation) = rows(imported(tmp_path, "[connected]\n"))
    assert (dense["units"], kind, activation["activation"]) == (1, "Activation", "sigmoid")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("relu", ("ReLU", {})),
        ("leaky", ("LeakyReLU", {"negative_slope": 0.1})),
        *((name, ("Activation", {"activation": name})) for name in ("tanh", "elu", "swish", "mish", "selu", "gelu")),
        ("logistic", ("Activation", {"activation": "sigmoid"})),
        ("linear", None),
    ],
)
def test_activations(tmp_path: Path, name: str, expected: tuple[str, dict[str, Any]] | None) -> None:
    """Every activation of Darknet is the one of the same function, behind a normalization too."""
    for normalized in (0, 1):
        text = f"[convolutional]\nfilters=2\nbatch_normalize={normalized}\nactivation={name}\n"
        found = rows(imported(tmp_path, text))[1 + normalized :]
        assert len(found) == (expected is not None)
        if expected is not None:
            assert found[0][0] == expected[0]
            assert {key: found[0][1][key] for key in expected[1]} == expected[1]


def test_normalized_connected_layer(tmp_path: Path) -> None:
    """A normalized connected layer has no bias, and a Flatten stands before the first one only."""
    text = "[connected]\noutput=5\nbatch_normalize=1\nactivation=relu\n[softmax]\n"
    nodes = imported(tmp_path, text).config.nodes
    kinds = [node.layer.type_name() for node in nodes]
    assert kinds == ["Flatten", "Dense", "BatchNormalization", "ReLU", "Softmax", "Dense"]
    assert nodes[1].layer.keras_arguments()["use_bias"] is False
    assert nodes[5].layer.keras_arguments()["use_bias"] is True
    assert nodes[2].layer.keras_arguments()["epsilon"] == 1e-5


def test_softmax_of_an_image(tmp_path: Path) -> None:
    """A softmax reads one number a class: an image is flattened first."""
    kinds = [node.layer.type_name() for node in imported(tmp_path, "[softmax]\n").config.nodes]
    assert kinds == ["Flatten", "Softmax", "Dense"]


@pytest.mark.parametrize(("text", "rate"), [("", 0.5), ("probability=.25", 0.25)])
def test_dropout(tmp_path: Path, text: str, rate: float) -> None:
    """The probability is that of being dropped; a half where it is not said."""
    ((kind, arguments),) = rows(imported(tmp_path, f"[dropout]\n{text}\n"))
    assert (kind, arguments["rate"]) == ("Dropout", rate)


FOUR = "".join(f"[convolutional]\nfilters={n}\nactivation=linear\n" for n in (4, 5, 6, 7))


@pytest.mark.parametrize(
    ("layers", "channels"),
    [("-1", 7), ("-2", 6), ("-4", 4), ("0", 4), ("1", 5), ("3", 7), ("-1,-3", 12), ("0,-1", 11), ("1, 2", 11)],
)
def test_routes(tmp_path: Path, layers: str, channels: int) -> None:
    """A number below 0 counts back from the section, another from the first one; several are put together."""
    found = imported(tmp_path, f"{FOUR}[route]\nlayers={layers}\n[softmax]\n")
    nodes = found.config.nodes
    before = next(i for i, node in enumerate(nodes) if node.layer.type_name() == "Flatten")
    given = nodes[before].inputs
    shape = shapes(nodes, found.config.input_shape)[given[0]] if given else ()
    assert shape == (12, 10, channels)


@pytest.mark.parametrize(("number", "filters"), [("-2", 5), ("-3", 4), ("0", 4), ("1", 5)])
def test_shortcuts(tmp_path: Path, number: str, filters: int) -> None:
    """A shortcut adds the layer that its number names to the one before it, and its activation follows the sum."""
    text = "".join(f"[convolutional]\nfilters={n}\nactivation=linear\n" for n in (4, 5, filters))
    found = imported(tmp_path, f"{text}[shortcut]\nfrom={number}\n")
    assert [kind for kind, _ in rows(found)].count("Add") == 1
    assert rows(found)[-1][0] == "Add"
    with_relu = rows(imported(tmp_path, f"{text}[shortcut]\nfrom={number}\nactivation=relu\n"))
    assert [kind for kind, _ in with_relu[-2:]] == ["Add", "ReLU"]


def added(mine: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return what shortcut_cpu of blas.c leaves in `mine`, (height, width, channels), of a larger or equal `other`."""
    total = mine.copy()
    stride = other.shape[0] // mine.shape[0]
    for row, column, k in product(*map(range, mine.shape[:2]), range(min(mine.shape[2], other.shape[2]))):
        total[row, column, k] += other[row * stride, column * stride, k]
    return total


@pytest.mark.engine
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("stride", "filters"), [(1, 7), (1, 3), (2, 4), (2, 6), (2, 2), (4, 5)])
def test_shortcuts_between_unlike_shapes(tmp_path: Path, stride: int, filters: int) -> None:
    """The channels that both have are added, of a larger plane at every second or fourth place."""
    import keras

    from cnncli.engine.network.model import build_network

    first = "[convolutional]\nfilters=4\nactivation=linear\n"
    second = f"[convolutional]\nfilters={filters}\nstride={stride}\nactivation=linear\n"
    found = imported(tmp_path, f"{first}{second}[shortcut]\nfrom=-2\n", (12, 8))
    assert "Residual" in found.text
    model = build_network(found.config.nodes, found.config.input_shape, seed=0)
    names = ["conv2d", "conv2d_1", next(n.name for n in found.config.nodes if n.layer.type_name() == "Add")]
    images = np.random.default_rng(0).random((1, 12, 8, 3), np.float32)
    other, mine, total = keras.Model(model.inputs, [model.get_layer(name).output for name in names])(images)
    np.testing.assert_allclose(total[0], added(np.asarray(mine[0]), np.asarray(other[0])), rtol=1e-5)


def moved(image: np.ndarray, stride: int) -> np.ndarray:
    """Return what reorg_cpu of blas.c makes of (height, width, channels)."""
    height, width, channels = image.shape
    values = image.transpose(2, 0, 1).ravel()
    answer = np.empty_like(values)
    fewer = channels // stride**2
    for k, j, i in product(range(channels), range(height), range(width)):
        w2 = i * stride + (k // fewer) % stride
        h2 = j * stride + (k // fewer) // stride
        from_place = w2 + width * stride * (h2 + height * stride * (k % fewer))
        answer[i + width * (j + height * k)] = values[from_place]
    shape = (channels * stride**2, height // stride, width // stride)
    return answer.reshape(shape).transpose(1, 2, 0)


@pytest.mark.engine
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("options", "stride"), [("stride=2\n", 2), ("", 1), ("stride=3\n", 3)])
def test_reorg(tmp_path: Path, options: str, stride: int) -> None:
    """Values move from places into channels as Darknet's own loop moves them."""
    from cnncli.engine.network.model import build_network

    route = "[convolutional]\nfilters=36\nactivation=linear\n"
    found = imported(tmp_path, f"{route}[reorg]\n{options}", (12, 6))
    convolution, end = found.config.nodes[:1], len(found.config.nodes) - 2
    before = build_network(convolution, found.config.input_shape, seed=0)
    model = build_network(found.config.nodes[:end], found.config.input_shape, seed=0)
    images = np.random.default_rng(0).random((2, 12, 6, 3), np.float32)
    planes = np.asarray(before(images))
    expected = np.stack([moved(plane, stride) for plane in planes])
    assert shape_before_end(found) == expected.shape[1:]
    np.testing.assert_array_equal(np.asarray(model(images)), expected)


@pytest.mark.engine
@pytest.mark.filterwarnings("ignore")
def test_reorg_with_extra_values(tmp_path: Path) -> None:
    """Zeros stand behind the values, channels first: the pass among the moves of Go."""
    from cnncli.engine.network.model import build_network

    path = tmp_path / "go.cfg"
    path.write_text("[net]\nheight=4\nwidth=3\nchannels=3\n[reorg]\nextra=2\n[softmax]\n", encoding="utf-8")
    config = read(path).config
    images = np.random.default_rng(0).random((2, 4, 3, 3), np.float32)
    found = np.asarray(build_network(config.nodes[:-1], config.input_shape, seed=0)(images))
    np.testing.assert_array_equal(found[:, :36], images.transpose(0, 3, 1, 2).reshape(2, 36))
    assert not found[:, 36:].any()
    assert found.shape == (2, 38)


@pytest.mark.engine
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ramp", lambda x: x * (x > 0) + 0.1 * x),
        ("relie", lambda x: np.where(x > 0, x, 0.01 * x)),
        ("hardtan", lambda x: np.clip(x, -1, 1)),
        ("relu6", lambda x: np.clip(x, 0, 6)),
        ("leaky", lambda x: np.where(x > 0, x, 0.1 * x)),
        ("logistic", lambda x: 1 / (1 + np.exp(-x))),
    ],
)
def test_values_of_activations(tmp_path: Path, name: str, expected: Any) -> None:
    """Each computes what activations.h says."""
    import keras

    found = imported(tmp_path, f"[convolutional]\nfilters=4\nactivation={name}\n")
    answer: Any = np.linspace(-9, 9, 50, dtype=np.float32).reshape(1, 5, 5, 2)
    values = answer
    for kind, arguments in rows(found)[1:]:
        answer = getattr(keras.layers, kind)(**arguments)(answer)
    np.testing.assert_allclose(np.asarray(answer), expected(values), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("after", "keepdims"),
    [
        ("[convolutional]\nfilters=2\nactivation=linear\n", True),
        ("[dropout]\n[convolutional]\nfilters=2\nactivation=linear\n", True),
        ("", False),
        ("[dropout]\n", False),
        ("[softmax]\n", False),
    ],
)
def test_a_mean_is_an_image_where_a_convolution_follows(tmp_path: Path, after: str, keepdims: bool) -> None:
    """The mean of an image keeps its axes for a convolution only, and what is one pixel at the end is a row."""
    found = imported(tmp_path, f"[avgpool]\n{after}")
    assert rows(found)[0] == ("GlobalAveragePooling2D", {"keepdims": keepdims})
    (tmp_path / "n.cfg").write_text(f"[net]\nheight=9\nwidth=9\nchannels=3\n[avgpool]\n{after}", encoding="utf-8")
    alone = read(tmp_path / "n.cfg").config
    assert (alone.task, len(alone.output_shape)) == ("classification", 1)


YOLO = """
[convolutional]
filters=8
size=3
stride=2
pad=1
batch_normalize=1
activation=leaky
[convolutional]
filters=6
size=3
stride=2
pad=1
batch_normalize=1
activation=leaky
[convolutional]
filters=24
activation=linear
[yolo]
classes=3
[route]
layers=-3
[upsample]
stride=2
[route]
layers=-1,0
[convolutional]
filters=24
activation=linear
[yolo]
classes=3
"""


def test_detector(tmp_path: Path) -> None:
    """The convolution before each [yolo] makes way for heads of the same features, which a note says."""
    path = tmp_path / "yolo.cfg"
    path.write_text(f"[net]\nheight=16\nwidth=24\nchannels=3\n{YOLO}", encoding="utf-8")
    found = read(path)
    assert found.config.task == "detection"
    assert found.config.output_shape == {
        "heatmap_4": (4, 6, 3),
        "box_4": (4, 6, 4),
        "heatmap_2": (8, 12, 3),
        "box_2": (8, 12, 4),
    }
    assert found.classes == ("0", "1", "2")
    convolutions = [node.layer for node in found.config.nodes if node.layer.type_name() == "Conv2D"]
    assert [layer.filters for layer in convolutions] == [8, 6, 3, 4, 3, 4]
    assert any("heads that have to be trained" in note for note in found.notes)
    assert any("dropped" in note and "conv2d_2" in note for note in found.notes)


def test_detector_of_one_plane(tmp_path: Path) -> None:
    """A single [region] has the heads heatmap and box."""
    path = tmp_path / "tiny.cfg"
    sections = YOLO[: YOLO.index("[yolo]")]
    path.write_text(f"[net]\nheight=16\nwidth=24\nchannels=3\n{sections}[region]\nclasses=5\n", encoding="utf-8")
    assert read(path).config.output_shape == {"heatmap": (4, 6, 5), "box": (4, 6, 4)}


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        (f"{FOUR}[route]\nlayers=4\n", "section 5 reads layer 4, which does not exist"),
        (f"{FOUR}[route]\nlayers=9\n", "section 5 reads layer 9, which does not exist"),
        (f"{FOUR}[route]\nlayers=-6\n", "section 5 reads layer -6, which does not exist"),
        (f"{FOUR}[route]\n", "'': expected the number of a layer"),
        (f"{FOUR}[route]\nlayers=-1,x\n", "'x': expected the number of a layer"),
        (f"{FOUR}[route]\nlayers=-1\ngroups=2\n", "[route] with groups"),
        ("[maxpool]\nstride=2\n[upsample]\nstride=3\n[shortcut]\nfrom=-2\n", "[shortcut] adds 6×5×3 values to 18×15×3"),
        ("[reorg]\nstride=2\n", "[reorg] with stride=2 of 12×10×3 values"),
        ("[reorg]\nreverse=1\n", "[reorg] with reverse or flatten is not supported"),
        ("[connected]\noutput=3\n[reorg]\n", "section 2 needs an image; it reads 3 values"),
        ("[maxpool]\n[yolo]\n", "section 2: [yolo] does not follow [convolutional]"),
        ("[rnn]\n", "section 1: [rnn] passes a state on"),
        ("[local]\n", "section 1: [local] has kernels of its own for every place"),
        ("[detection]\n", "section 1: [detection] finds the boxes of a grid with dense layers"),
        (f"{FOUR}[shortcut]\n", "'': expected the number of a layer"),
        ("[maxpool]\nstride=0\n", "stride=0: expected an integer of at least 1"),
        ("[maxpool]\nsize=0\n", "size=0: expected an integer of at least 1"),
        ("[convolutional]\nstride=0\n", "stride=0: expected an integer of at least 1"),
        ("[convolutional]\nsize=0\n", "size=0: expected an integer of at least 1"),
        ("[convolutional]\npadding=-1\n", "padding=-1: expected an integer of at least 0"),
        ("[convolutional]\nfilters=0\n", "section 1: Conv2D.filters"),
        ("[convolutional]\nactivation=plse\n", "activation=plse is not supported"),
        ("[dropout]\nprobability=x\n", "probability=x: expected a number"),
        ("[dropout]\nprobability=2\n", "section 1: Dropout.rate"),
        ("[cost]\n[avgpool]\n", "section 2, [avgpool], does not follow a layer that outputs an image"),
    ],
)
def test_what_is_wrong_is_reported(tmp_path: Path, sections: str, message: str) -> None:
    """Numbers that are none or name no layer are one error that says which."""
    with pytest.raises(GraphImportError) as raised:
        imported(tmp_path, sections)
    assert message in raised.value.message


def test_crop_gives_the_size(tmp_path: Path) -> None:
    """A random crop in front says the size of the network's input, and a note says that it is gone."""
    found = imported(tmp_path, "[crop]\ncrop_height=6\ncrop_width=5\n[convolutional]\nfilters=2\nactivation=linear\n")
    assert found.config.input_shape == (6, 5, 3)
    assert found.notes == ("[crop] augments training images at random; only its size was imported",)
    assert imported(tmp_path, "[crop]\n[avgpool]\n").config.input_shape == (12, 10, 3)
    for key in ("crop_height", "crop_width"):
        with pytest.raises(GraphImportError, match=f"{key}=0: expected an integer of at least 1"):
            imported(tmp_path, f"[crop]\n{key}=0\n[avgpool]\n")


def test_comments_and_spaces(tmp_path: Path) -> None:
    """Both of Darknet's signs begin a comment, spaces mean nothing, and [network] is [net]."""
    text = "# a\n[network]\n height = 6 ; b\nwidth=5# c\nchannels=1\n\n[ connected ]\n output = 2\nactivation = relu\n"
    (tmp_path / "n.cfg").write_text(text, encoding="utf-8")
    found = read(tmp_path / "n.cfg")
    assert found.config.input_shape == (6, 5, 1)
    assert [node.layer.type_name() for node in found.config.nodes] == ["Flatten", "Dense", "ReLU"]
    assert found.classes == ("0", "1")
