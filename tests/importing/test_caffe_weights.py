"""Caffe's weights: files written by the published format, networks computed by loops over positions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnncli.importing.graph import GraphImportError
from cnncli.importing.read import Imported, read
from tests.importing import caffe_files
from tests.importing.computed import outputs

NETWORKS: dict[str, tuple[str, Any, Any]] = {
    "lenet": (caffe_files.LENET, caffe_files.lenet_blobs, caffe_files.lenet),
    "alexnet": (caffe_files.ALEXNET, caffe_files.alexnet_blobs, caffe_files.alexnet),
    "resnet": (caffe_files.RESNET, caffe_files.resnet_blobs, caffe_files.resnet),
}


def imported(folder: Path, text: str, content: bytes) -> Imported:
    """Import a network with its weights."""
    (folder / "n.prototxt").write_text(text, encoding="utf-8")
    (folder / "n.caffemodel").write_bytes(content)
    return read(folder / "n.prototxt", weights=folder / "n.caffemodel")


@pytest.mark.engine
@pytest.mark.parametrize("name", NETWORKS)
def test_computes_what_caffe_computes(name: str, tmp_path: Path) -> None:
    """Groups, normalizations in two layers, sums of running statistics, and the order of flattened images."""
    text, draw, compute = NETWORKS[name]
    generator = np.random.default_rng(0)
    blobs = draw(generator)
    found = imported(tmp_path, text, caffe_files.caffemodel(blobs))
    images = generator.random((2, *found.config.input_shape)).astype(np.float32)
    expected = np.stack([compute(image.transpose(2, 0, 1).astype(np.float64), blobs) for image in images])
    np.testing.assert_allclose(outputs(found, images), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("write", [caffe_files.old_blob, caffe_files.unpacked_blob, caffe_files.double_blob])
@pytest.mark.parametrize("name", NETWORKS)
def test_every_form_of_a_blob(name: str, write: Any, tmp_path: Path) -> None:
    """Layers and lengths of old files, values that are not packed, and doubles hold the same weights."""
    text, draw, _ = NETWORKS[name]
    blobs = draw(np.random.default_rng(0))
    expected = imported(tmp_path, text, caffe_files.caffemodel(blobs)).weights
    found = imported(tmp_path, text, caffe_files.caffemodel(blobs, write)).weights
    assert found.keys() == expected.keys()
    for key, array in expected.items():
        np.testing.assert_array_equal(found[key], array, err_msg=key)


def test_statistics_that_were_never_counted(tmp_path: Path) -> None:
    """A factor of 0 stands for statistics of 0, as in Caffe."""
    blobs = caffe_files.resnet_blobs(np.random.default_rng(0))
    blobs["bn_stem"][2][:] = 0
    found = imported(tmp_path, caffe_files.RESNET, caffe_files.caffemodel(blobs))
    assert not found.weights["bn_stem/moving_mean"].any()


def test_notes(tmp_path: Path) -> None:
    """Layers of the file that the network lacks are named, and what Caffe's networks read."""
    blobs = caffe_files.resnet_blobs(np.random.default_rng(0))
    notes = imported(tmp_path, caffe_files.RESNET, caffe_files.caffemodel(blobs)).notes
    assert "not used: unused" in notes
    assert any("BGR from 0 to 255" in note for note in notes)


def test_everything_that_does_not_fit_is_listed(tmp_path: Path) -> None:
    """A layer of another name, of another shape, without its bias, and a factor that is none."""
    blobs = caffe_files.resnet_blobs(np.random.default_rng(0))
    blobs["renamed"] = blobs.pop("stem")
    blobs["a"][0] = blobs["a"][0][:, :3]
    blobs["bn_a"][2] = np.ones(2, np.float32)
    del blobs["fc"][1]
    with pytest.raises(GraphImportError) as raised:
        imported(tmp_path, caffe_files.RESNET, caffe_files.caffemodel(blobs))
    assert raised.value.message.splitlines() == [
        "n.caffemodel: 4 of its weights do not fit:",
        '  stem: the file has no weights of a layer "stem"',
        "  a/kernel: got a blob of shape (6, 3, 3, 3) with 162 values, expected (6, 4, 3, 3)",
        "  bn_a: got a factor of shape (2,), expected (1,)",
        "  fc: got 1 blobs, expected 2: kernel, bias",
    ]


def layer(*blobs: bytes) -> bytes:
    """Return a file with one layer, ip2."""
    return caffe_files.field(100, caffe_files.field(1, b"ip2") + b"".join(caffe_files.field(7, b) for b in blobs))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it has no layer with blobs"),
        (b"\xff" * 20, "a number does not end"),
        (b"\x0b", "there is no wire type 3"),
        (caffe_files.field(100, b"x" * 300)[:90], "a field of 300 bytes begins where 86 are left"),
        (layer(caffe_files.field(5, b"abc")), "a blob's values have 3 bytes"),
        (layer(caffe_files.field(7, caffe_files.field(1, bytes(2**20)))), "more than 32 axes"),
        (layer(caffe_files.field(7, caffe_files.field(1, 10**9)) + caffe_files.field(5, b"1234")), "do not fit"),
    ],
    ids=["empty", "endless number", "group", "cut", "half a value", "axes", "a count of 10^9"],
)
def test_damaged_and_hostile_files(content: bytes, message: str, tmp_path: Path) -> None:
    """Each is one error, and nothing larger than the file is made."""
    with pytest.raises(GraphImportError, match=message.replace("^", r"\^")):
        imported(tmp_path, caffe_files.LENET, content)


def test_values_that_are_not_finite(tmp_path: Path) -> None:
    """NaN and infinity are refused, with the name of their array."""
    for value in (np.nan, np.inf):
        blobs = caffe_files.lenet_blobs(np.random.default_rng(0))
        blobs["conv2"][1][3] = value
        with pytest.raises(GraphImportError, match="conv2/bias contains values that are not finite"):
            imported(tmp_path, caffe_files.LENET, caffe_files.caffemodel(blobs))


def test_many_fields(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fields take time each: there is a limit to their number."""
    monkeypatch.setattr("cnncli.importing.wire_format.MOST_FIELDS", 1000)
    with pytest.raises(GraphImportError, match="more than 1,000 fields"):
        imported(tmp_path, caffe_files.LENET, layer(b"\x08\x01" * 1000))
