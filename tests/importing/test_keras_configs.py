"""What a `.keras` file's config.json may say, and what it means; no Keras is needed for it."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from cnncli.importing.graph import GraphImportError, ImportedGraph
from cnncli.importing.keras.config import read_config
from cnncli.importing.nesting import nest
from cnncli.importing.read import read

sys.path.insert(0, str(Path(__file__).parent))
import test_hostile_keras as hostile

sys.path.pop(0)

layer, model, FLAT = hostile.layer, hostile.model, hostile.FLAT
END = layer("Dense", "dense", "flat", units=2)


def joined(kind: str, name: str, *before: str, **config: Any) -> dict[str, Any]:
    """Return a layer that reads several."""
    made = layer(kind, name, before[0], **config)
    histories = [{"class_name": "__keras_tensor__", "config": {"keras_history": [n, 0, 0]}} for n in before]
    made["inbound_nodes"] = [{"args": [histories], "kwargs": {}}]
    return made


def graph(*layers: dict[str, Any], ours: bool = False, shape: Any = (None, 4, 4, 1)) -> ImportedGraph:
    """Read a config of an input and some layers."""
    return read_config(model(*layers, shape=shape), "net", ours)


def kinds(found: ImportedGraph) -> list[str]:
    """Return the types of the layers."""
    return [operation.layer.type_name() for operation in found.operations]


def test_functional_and_sequential_are_alike() -> None:
    """A Sequential says the order by its list, a Functional by its inputs; both give the same network."""
    functional = model(FLAT, END)
    sequential = {"class_name": "Sequential", "config": {"layers": functional["config"]["layers"]}}
    assert read_config(functional, "n", False) == read_config(sequential, "n", False)


@pytest.mark.parametrize(
    ("scale", "offset", "expected"),
    [
        (1 / 255, 0.0, None),
        (1 / 255 + 1e-12, 0.0, None),
        (1 / 127.5, -1.0, (2.0, -1.0)),
        (1 / 255, 0.5, (1.0, 0.5)),
        (1.0, 0.0, (255.0, 0.0)),
    ],
)
def test_scaling_in_front(scale: float, offset: float, expected: tuple[float, float] | None) -> None:
    """A config's network reads 0 to 1: a scaling from 0 to 255 is 255 times as large there, or nothing at all."""
    first = layer("Rescaling", "r", "in", scale=scale, offset=offset)
    found = graph(first, layer("Flatten", "flat", "r"), END)
    assert found.notes == ()
    if expected is None:
        assert kinds(found) == ["Flatten", "Dense"]
        assert found.operations[0].inputs == ("",)
    else:
        arguments = found.operations[0].layer.keras_arguments()
        assert (arguments["scale"], arguments["offset"]) == pytest.approx(expected)


def test_scaling_elsewhere_stays() -> None:
    """Without a scaling in front a note tells what values the network is taken to read; one further back stays."""
    assert "values from 0 to 1" in graph(FLAT, END).notes[0]
    found = graph(layer("ReLU", "a", "in"), layer("Rescaling", "r", "a", scale=2.0), layer("Flatten", "flat", "r"), END)
    assert kinds(found) == ["ReLU", "Rescaling", "Flatten", "Dense"]
    assert found.operations[1].layer.keras_arguments()["scale"] == 2.0
    assert len(found.notes) == 1
    assert graph(FLAT, END, ours=True).notes == ()


def test_scaled_input_with_two_readers() -> None:
    """Where a scaling that means nothing here feeds two layers, both read the input instead."""
    first = layer("Rescaling", "r", "in", scale=1 / 255, offset=0.0)
    found = graph(first, layer("ReLU", "a", "r"), joined("Add", "sum", "a", "r"), layer("Flatten", "flat", "sum"), END)
    assert [operation.inputs for operation in found.operations] == [("",), ("a", ""), ("sum",), ("flat",)]


@pytest.mark.parametrize(
    ("dtypes", "precision"),
    [
        ([None, None], "float32"),
        (["float32", "mixed_float16"], "mixed_float16"),
        ([{"class_name": "DTypePolicy", "config": {"name": "mixed_bfloat16"}}, None], "mixed_bfloat16"),
        ([{"class_name": "DTypePolicy", "config": {"name": "float32"}}, None], "float32"),
        ([["float32"], {"class_name": "DTypePolicy", "config": {"name": {}}}], "float32"),
    ],
)
def test_precision(dtypes: list[Any], precision: str) -> None:
    """A network computes in halves where one of its layers says so, as a word or as a policy."""
    flat, end = (
        layer(kind, name, before, dtype=dtype, **more)
        for (kind, name, before, more), dtype in zip(
            [("Flatten", "flat", "in", {}), ("Dense", "dense", "flat", {"units": 2})], dtypes, strict=True
        )
    )
    assert graph(flat, end).precision == precision


@pytest.mark.parametrize(
    ("key", "value", "fits"),
    [
        ("data_format", "channels_last", True),
        ("data_format", None, True),
        ("data_format", "channels_first", False),
        ("kernel_constraint", None, True),
        ("kernel_constraint", {"class_name": "MaxNorm", "config": {}}, False),
        ("activity_regularizer", None, True),
        ("activity_regularizer", {"class_name": "L2", "config": {"l2": 1.0}}, False),
        ("lora_rank", None, True),
        ("lora_rank", 4, False),
        ("autocast", True, True),
        ("seed", 7, True),
        ("use_something", False, True),
        ("use_something", True, False),
        ("axis", -1, True),
        ("axis", [-1], True),
        ("axis", 1, False),
        ("batch_input_shape", None, True),
        ("batch_input_shape", [1], False),
    ],
)
def test_arguments_of_keras_alone(key: str, value: Any, fits: bool) -> None:
    """An argument that our layer lacks must have the value that means what ours does."""
    conv = layer("Conv2D", "c", "in", filters=2, kernel_size=3, **{key: value})
    layers = (conv, layer("Flatten", "flat", "c"), END)
    if fits:
        assert kinds(graph(*layers)) == ["Conv2D", "Flatten", "Dense"]
    else:
        with pytest.raises(GraphImportError, match=f"c: Conv2D with {key}="):
            graph(*layers)


@pytest.mark.parametrize(
    ("kind", "axis", "fits"),
    [
        *(("BatchNormalization", axis, True) for axis in (-1, [-1], 3, [3])),
        *(("LayerNormalization", axis, True) for axis in (-1, [-1], 3, [3])),
        *(("BatchNormalization", axis, False) for axis in (1, [1], [1, 2, 3])),
    ],
)
def test_axis_of_a_normalization(kind: str, axis: Any, fits: bool) -> None:
    """A normalization goes along the last axis, however that is written."""
    layers = (layer(kind, "n", "in", axis=axis), layer("Flatten", "flat", "n"), END)
    if fits:
        assert kinds(graph(*layers))[0] == kind
    else:
        with pytest.raises(GraphImportError, match="n: BatchNormalization with axis="):
            graph(*layers)


def test_initializers_and_regularizers() -> None:
    """They are said by class and arguments, without seeds and without what is not set."""
    conv = layer(
        "Conv2D", "c", "in", filters=2, kernel_size=3,
        kernel_initializer={"class_name": "HeNormal", "config": {"seed": 3}},
        kernel_regularizer={"class_name": "L1L2", "config": {"l1": 0.25, "l2": 0.5}},
        bias_initializer={"class_name": "Constant", "config": {"value": 2.0, "seed": None}},
    )  # fmt: skip
    (part, *_) = nest(graph(conv, layer("Flatten", "flat", "c"), END).operations)
    assert part["Conv2D"]["kernel_regularizer"] == {"L1L2": {"l1": 0.25, "l2": 0.5}}
    assert "HeNormal" in json.dumps(part["Conv2D"]["kernel_initializer"]) or (
        part["Conv2D"]["kernel_initializer"] == "he_normal"
    )
    assert "2.0" in json.dumps(part["Conv2D"]["bias_initializer"])


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([layer("InputLayer", "in2", "", batch_shape=[None, 4, 4, 1]), FLAT, END], "the network has 2 inputs"),
        ([FLAT, layer("Dense", "a", "flat", units=2), END, layer("ReLU", "x", "a")], None),
        ([joined("Add", "s", "in", "gone"), END], 's: no earlier layer outputs its input "gone"'),
        ([{**FLAT, "inbound_nodes": []}, END], 'flat: no earlier layer outputs its input "?"'),
        ([{**FLAT, "inbound_nodes": [["in", 0, 0, {}]]}, END], "written by Keras 2"),
        ([{**FLAT, "inbound_nodes": [FLAT["inbound_nodes"][0]] * 2}, END], "flat is used 2 times"),
        ([{**FLAT, "inbound_nodes": 3}, END], "inbound_nodes is missing"),
    ],
)
def test_networks_that_are_refused(layers: list[dict[str, Any]], message: str | None) -> None:
    """Several inputs, layers without an input, shared layers and Keras 2's form are refused by name."""
    if message is None:
        assert kinds(graph(*layers)) == ["Flatten", "Dense", "Dense", "ReLU"]
        return
    with pytest.raises(GraphImportError) as raised:
        graph(*layers)
    assert message in raised.value.message


def test_output_that_is_not_last() -> None:
    """The output must be the last layer, one layer, and one of those in the file."""
    whole = model(FLAT, END, layer("ReLU", "x", "dense"))
    for outputs, message in (
        (["dense", 0, 0], "the network's output is not its last layer"),
        ([["x", 0, 0], ["dense", 0, 0]], "the network has 2 outputs"),
        (["gone", 0, 0], "the network has 1 outputs"),
        ([], "the network has 0 outputs"),
    ):
        whole["config"]["output_layers"] = outputs
        with pytest.raises(GraphImportError) as raised:
            read_config(whole, "n", False)
        assert message in raised.value.message
    whole["config"]["output_layers"] = [["x", 0, 0]]
    assert kinds(read_config(whole, "n", False)) == ["Flatten", "Dense", "ReLU"]


@pytest.mark.parametrize(
    ("shape", "fits"),
    [
        ([None, 1, 1, 1], True),
        ([None, 2**16, 1, 3], True),
        ([None, 2**16 + 1, 1, 3], False),
        ([None, 0, 4, 1], False),
        ([None, 4, 4, None], False),
        ([None, 4, True, 1], False),
        ([None, None, 4, 1], False),
        ([None, 4, 4, 1, 1], False),
        ("x", False),
    ],
)
def test_shapes_of_the_input(shape: Any, fits: bool) -> None:
    """Height, width and channels must be stated, each at least 1 and at most 65,536."""
    layers = (layer("GlobalAveragePooling2D", "g", "in"), layer("Dense", "d", "g", units=2))
    whole = model(*layers)
    whole["config"]["layers"][0]["config"]["batch_shape"] = shape
    if fits:
        assert read_config(whole, "n", False).input_shape == tuple(shape[1:])
    else:
        with pytest.raises(GraphImportError, match="the input has shape"):
            read_config(whole, "n", False)


def stored(**groups: tuple[Any, ...]) -> bytes:
    """Return a weights file: group's name → its arrays; a name before them goes into the file as Keras 3.6 does."""
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        for group, arrays in groups.items():
            holder = file.create_group(f"layers/{group}/vars")
            if arrays and isinstance(arrays[0], str):
                holder.attrs["name"], arrays = arrays[0], arrays[1:]
            for number, array in enumerate(arrays):
                holder[str(number)] = array
    return stream.getvalue()


A, B = np.full((16, 2), 1.0, np.float32), np.full((2, 2), 2.0, np.float32)
ONE, TWO = np.full(2, 3.0, np.float32), np.full(2, 4.0, np.float32)


@pytest.mark.parametrize(
    "content",
    [
        stored(dense=(A, ONE), dense_1=(B, TWO), flatten=()),
        stored(dense_1=("first", A, ONE), dense=("second", B, TWO), flatten=("flat",)),
        stored(x=("first", A.astype("f8"), ONE.astype("f2")), y=("second", B.astype("i4"), TWO.astype("u1"))),
    ],
    ids=["by order", "by name", "other numbers"],
)
def test_groups_of_weights(tmp_path: Path, content: bytes) -> None:
    """Weights lie in groups named by type and order, or by what the group itself says; as any kind of number."""
    config = model(FLAT, layer("Dense", "first", "flat", units=2), layer("Dense", "second", "first", units=2))
    found = read(hostile.archive(tmp_path / "m.keras", config, content)).weights
    assert list(found) == ["first/kernel", "first/bias", "second/kernel", "second/bias"]
    for array, expected in zip(found.values(), (A, ONE, B, TWO), strict=True):
        np.testing.assert_array_equal(array, expected)
        assert array.dtype == np.float32


def test_room_for_the_weights() -> None:
    """A member may be twice as large as the weights and 16 MiB; a network of more than 4 GiB is not read."""
    from cnncli.importing.keras.weights import most_bytes_of

    assert most_bytes_of(1000) == 8000 + 2**24
    assert most_bytes_of(2**30) == 2**33 + 2**24
    with pytest.raises(GraphImportError, match="4,294,967,300 bytes of weights"):
        most_bytes_of(2**30 + 1)


def test_sums_of_three() -> None:
    """A sum of three values is two Residuals within each other, a plain path first."""
    layers = [layer("ReLU", "a", "in"), layer("LeakyReLU", "b", "in"), joined("Add", "s", "a", "b", "in")]
    (part, *_) = nest(graph(*layers, layer("Flatten", "flat", "s"), END).operations)
    inner = {"Residual": {"layers": [{"ReLU": {"name": "a"}}], "shortcut": [{"LeakyReLU": {"name": "b"}}]}}
    assert part == {"Residual": {"layers": [inner]}}


def test_value_added_to_itself() -> None:
    """A sum of one value with itself is no Residual: it names what it adds."""
    (part, *_) = nest(graph(joined("Add", "s", "in", "in"), layer("Flatten", "flat", "s"), END).operations)
    assert part == {"Add": {"name": "s", "inputs": ["input", "input"]}}


def test_the_name_of_the_image() -> None:
    """A layer called as the config calls the image is refused where one has to name the image, and only there."""
    twice = [layer("ReLU", "input", "in"), joined("Multiply", "s", "input", "in"), layer("Flatten", "flat", "s"), END]
    with pytest.raises(GraphImportError, match='a layer is named "input"'):
        nest(graph(*twice).operations)
    alone = [layer("ReLU", "input", "in"), joined("Multiply", "s", "input", "input"), *twice[2:]]
    assert nest(graph(*alone).operations)[1] == {"Multiply": {"name": "s", "inputs": ["input", "input"]}}


@pytest.mark.parametrize("depth", [40, 41])
def test_depth_of_branches(depth: int) -> None:
    """Branches lie at most 40 deep within each other; where they are deeper, layers name what they read."""
    layers = [layer("ReLU", "a0", "in")]
    for number in range(1, depth + 1):
        before = f"s{number - 1}" if number > 1 else "a0"
        layers += [layer("ReLU", f"a{number}", before), joined("Add", f"s{number}", f"a{number}", "in")]
    layers += [layer("Flatten", "flat", f"s{depth}"), END]
    if depth <= 40:
        assert json.dumps(nest(graph(*layers).operations)).count("Residual") == depth
    else:
        found = nest(graph(*layers).operations)
        assert len(found) == len(layers) - 1 + 1
        assert found[2] == {"Add": {"name": "s1", "inputs": ["a1", "input"]}}


@pytest.mark.parametrize(
    ("padding", "written"),
    [
        ([[3, 3], [3, 3]], 3),
        ([[0, 1], [0, 1]], [[0, 1], [0, 1]]),
        ([[1, 1], [2, 2]], [[1, 1], [2, 2]]),
        ([[1, 0], [1, 0]], [[1, 0], [1, 0]]),
        ([2, 2], 2),
    ],
)
def test_margins_keep_their_meaning(padding: Any, written: Any) -> None:
    """A margin becomes one number only where all four sides have it: one pair alone is a height and a width."""
    found = graph(layer("ZeroPadding2D", "z", "in", padding=padding), layer("Flatten", "flat", "z"), END)
    assert nest(found.operations)[0]["ZeroPadding2D"]["padding"] == written
