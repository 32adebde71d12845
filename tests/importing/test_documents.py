"""The config that an import writes, and the run that it makes."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from cnncli.config.load import loads
from cnncli.importing import read as importing
from cnncli.importing.document import config_name, meaning, to_config
from cnncli.importing.graph import GraphImportError
from cnncli.importing.keras.config import read_config
from cnncli.importing.read import make_run, read

sys.path.insert(0, str(Path(__file__).parent))
import classic_nets
import test_hostile_keras as hostile

sys.path.pop(0)

layer, model, FLAT = hostile.layer, hostile.model, hostile.FLAT


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("LeNet", "LeNet"),
        ("a b/c", "a_b_c"),
        ("__x__", "x"),
        ("9", "9"),
        ("", "net"),
        ("ä", "net"),
        ("a.b-c_d", "a.b-c_d"),
        ("x" * 200, "x" * 100),
    ],
)
def test_names(text: str, name: str) -> None:
    """A name has letters, digits, dots, dashes and underscores, begins with one of the first two, and ends at 100."""
    assert config_name(text) == name


def test_name_of_a_caffe_net(tmp_path: Path) -> None:
    """A net is called what its file calls it, else what the file is called."""
    (tmp_path / "file.prototxt").write_text(classic_nets.LENET, encoding="utf-8")
    assert read(tmp_path / "file.prototxt").config.name == "LeNet"
    text = classic_nets.LENET.replace('name: "LeNet"', "")
    (tmp_path / "file.prototxt").write_text(text, encoding="utf-8")
    assert read(tmp_path / "file.prototxt").config.name == "file"


@pytest.mark.parametrize("precision", ["float32", "mixed_float16"])
def test_precision_is_written(precision: str) -> None:
    """The config asks for halves where the network computed in them, and says nothing of training otherwise."""
    dense = layer("Dense", "dense", "flat", units=2, dtype=precision)
    config, document, _ = to_config(read_config(model(FLAT, dense), "n", False))
    assert config.train.precision == precision
    assert document.get("train") == (None if precision == "float32" else {"precision": precision})


def test_names_that_a_config_gives_are_left_out() -> None:
    """Names as Keras gives them are written only where the config would number otherwise; one's own always."""

    def names(*given: str) -> list[str | None]:
        before = ["in", *given]
        layers = [layer("ReLU", name, before[i]) for i, name in enumerate(given)]
        flat, dense = layer("Flatten", "flatten", given[-1]), layer("Dense", "dense", "flatten", units=2)
        _, document, _ = to_config(read_config(model(*layers, flat, dense), "n", False))
        written = document["model"]["layers"][: len(given)]
        return [None if item == "ReLU" else item["ReLU"]["name"] for item in written]

    assert names("re_lu", "re_lu_1") == [None, None]
    assert names("re_lu", "mine", "re_lu_2") == ["re_lu", "mine", "re_lu_2"]
    assert names("re_lu", "mine", "re_lu_1") == [None, "mine", None]
    assert names("re_lu_7", "re_lu_3") == ["re_lu_7", "re_lu_3"]


def test_written_text_is_the_config(tmp_path: Path) -> None:
    """The file that is written says where it comes from, what to know, and the very network."""
    found = read(hostile.archive(tmp_path / "m.keras"))
    lines = found.text.splitlines()
    assert lines[0] == "# Imported from m.keras by `cnn import`."
    assert lines[1] == f"# Note: {found.notes[0]}."
    assert meaning(loads(found.text)) == meaning(found.config)
    assert loads(found.text).name == "m"


@pytest.mark.parametrize("last", ["[{Dense: {units: 3}}, Softmax]", "[{Dense: {units: 3, activation: softmax}}]"])
def test_softmax_at_the_end_has_no_meaning(last: str) -> None:
    """Logits and probabilities mean the same network; a softmax further ahead does not."""
    text = "name: n\ndata: {{source: digits, image_size: [8, 8]}}\nmodel:\n  layers: [Flatten, {}]\n"
    plain = meaning(loads(text.format("{Dense: {units: 3}}")))
    assert meaning(loads(text.format(last[1:-1]))) == plain
    assert meaning(loads(text.format("{Dense: {units: 3}}, {Activation: {activation: softmax}}"))) == plain
    assert meaning(loads(text.format("{Dense: {units: 3, activation: softmax}}, {Dense: {units: 3}}"))) != plain
    assert meaning(loads(text.format("{Dense: {units: 4}}"))) != plain


def test_text_files_are_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A prototxt or cfg beyond the limit is not read, nor one that is not there."""
    path = tmp_path / "n.cfg"
    path.write_text(classic_nets.darknet19(), encoding="utf-8")
    monkeypatch.setattr(importing, "MOST_TEXT", path.stat().st_size)
    read(path)
    monkeypatch.setattr(importing, "MOST_TEXT", path.stat().st_size - 1)
    with pytest.raises(GraphImportError, match="is larger than"):
        read(path)
    with pytest.raises(GraphImportError, match=r"gone\.cfg cannot be read: No such file"):
        read(tmp_path / "gone.cfg")


def test_network_that_ends_in_an_image(tmp_path: Path) -> None:
    """A plane is one of classes, a sequence nothing; a network has no more classes than the limit."""
    found = read(hostile.archive(tmp_path / "m.keras", model(layer("ReLU", "r", "in"))))
    assert (found.config.task, found.config.data.source, found.classes) == ("segmentation", "masks", ("0",))
    assert any("ends in a plane of 4×4×1 values" in note for note in found.notes)
    with pytest.raises(GraphImportError, match="ends in 16×1 values; a classifier ends in one number per class"):
        read(hostile.archive(tmp_path / "m.keras", model(layer("Reshape", "r", "in", target_shape=[16, 1]))))
    with pytest.raises(GraphImportError, match="has 1,048,577 classes; the limit is 1,048,576"):
        read(hostile.archive(tmp_path / "m.keras", model(FLAT, layer("Dense", "d", "flat", units=2**20 + 1))))


def test_run_of_an_import(tmp_path: Path) -> None:
    """The run that an import makes holds the weights, a state for each layer that draws, and the class names."""
    layers = (
        layer("Dropout", "drop", "in", rate=0.5),
        layer("SpatialDropout2D", "spatial", "drop", rate=0.5),
        layer("Flatten", "flat", "spatial"),
        layer("Dense", "dense", "flat", units=2),
    )
    found = read(hostile.archive(tmp_path / "m.keras", model(*layers)))
    run = make_run(found, tmp_path / "runs")
    assert run.record["status"] == "done"
    assert run.config().name == "m"
    arrays = run.checkpoints.best().arrays
    assert set(arrays) == {
        "model/dense/kernel",
        "model/dense/bias",
        "model/drop/seed_generator_state",
        "model/spatial/seed_generator_state",
    }
    np.testing.assert_array_equal(arrays["model/dense/kernel"], np.ones((16, 2)))
    states = [arrays[f"model/{name}/seed_generator_state"].tolist() for name in ("drop", "spatial")]
    assert states == [[found.config.seed, 0], [found.config.seed, 1]]
