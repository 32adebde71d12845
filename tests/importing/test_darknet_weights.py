"""Darknet's weights: a file written by the published format, and the network computed by loops over positions."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from cnncli.importing.graph import GraphImportError
from cnncli.importing.read import Imported, read
from tests.importing import numpy_layers as by_hand
from tests.importing.computed import outputs
from tests.importing.numpy_layers import Array, drawn

CONV = "\n[convolutional]\nbatch_normalize={}\nfilters={}\nsize={}\nstride=1\npad=1\ngroups={}\nactivation={}\n"
CFG = "".join(
    [
        "[net]\nheight=8\nwidth=8\nchannels=3\n",
        CONV.format(1, 4, 3, 1, "leaky"),
        "\n[maxpool]\nsize=2\nstride=2\n",
        CONV.format(1, 6, 1, 2, "leaky"),
        CONV.format(0, 4, 3, 1, "linear"),
        "\n[shortcut]\nfrom=-3\nactivation=linear\n",
        CONV.format(1, 2, 3, 1, "relu"),  # Nothing reads it: the next section goes back.
        "\n[route]\nlayers=-2,2\n",
        "\n[connected]\noutput=7\nbatch_normalize=1\nactivation=leaky\n",
        "\n[connected]\noutput=5\nactivation=linear\n\n[softmax]\n",
    ]
)
"""A network of all that has weights: sections 1, 3, 4, 6, 8 and 9."""

Weights = dict[str, np.ndarray]


def drawn_weights() -> list[Weights]:
    """Return the arrays of the sections with weights."""
    g = np.random.default_rng(0)
    kernels = [(4, 3, 3, 3), (6, 2, 1, 1), (4, 6, 3, 3), (2, 4, 3, 3), (7, 160), (5, 7)]
    found: list[Weights] = []
    for number, shape in enumerate(kernels):
        section = {"kernel": drawn(g, *shape), "bias": drawn(g, shape[0])}
        if number in (0, 1, 3, 4):
            section |= {"gamma": drawn(g, shape[0]), "mean": drawn(g, shape[0])}
            section["variance"] = g.uniform(0.5, 2, shape[0]).astype(np.float32)
        found.append(section)
    return found


def file(sections: list[Weights], version: tuple[int, int] = (0, 2), *, transposed: bool = False) -> bytes:
    """Return a .weights file: the statistics stand before a convolution's kernel and behind a dense layer's."""
    content = struct.pack("<3i", *version, 0)
    content += struct.pack("<q" if 2 <= version[0] * 10 + version[1] < 1000 else "<i", 64_000)
    for section in sections:
        kernel = section["kernel"]
        arrays = [section["bias"], *(section[name] for name in ("gamma", "mean", "variance") if name in section)]
        if kernel.ndim == 2:
            arrays.insert(1, kernel.T if transposed else kernel)
        else:
            arrays.append(kernel)
        content += b"".join(np.ascontiguousarray(array, "<f4").tobytes() for array in arrays)
    return content


def imported(folder: Path, content: bytes, text: str = CFG) -> Imported:
    """Import a network with its weights."""
    (folder / "n.cfg").write_text(text, encoding="utf-8")
    (folder / "n.weights").write_bytes(content)
    return read(folder / "n.cfg", weights=folder / "n.weights")


def computed(x: Array, sections: list[Weights]) -> Array:
    """Return what Darknet makes of an image."""
    first, second, third, _, dense, last = sections

    def normalized(x: Array, w: Weights) -> Array:
        return by_hand.normalization(x, w["mean"], w["variance"], w["gamma"], w["bias"])

    x = by_hand.relu(normalized(by_hand.convolution(x, first["kernel"], None, pad=1), first), 0.1)
    pooled = by_hand.max_pooling(x, 2, 2)
    two = by_hand.relu(normalized(by_hand.convolution(pooled, second["kernel"], None, groups=2), second), 0.1)
    added = by_hand.convolution(two, third["kernel"], third["bias"], pad=1) + pooled
    x = np.concatenate([added, two])
    x = by_hand.relu(normalized(dense["kernel"] @ x.ravel(), dense), 0.1)
    return by_hand.softmax(by_hand.dense(x, last["kernel"], last["bias"]))


@pytest.mark.engine
def test_computes_what_darknet_computes(tmp_path: Path) -> None:
    """Groups, batch normalization, shortcut, route, dense layers behind an image, and a layer that nothing reads."""
    sections = drawn_weights()
    found = imported(tmp_path, file(sections))
    images = np.random.default_rng(1).random((2, 8, 8, 3)).astype(np.float32)
    expected = np.stack([computed(image.transpose(2, 0, 1).astype(np.float64), sections) for image in images])
    np.testing.assert_allclose(outputs(found, images), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("version", [(0, 1), (0, 2), (0, 5), (1, 0)])
def test_versions(version: tuple[int, int], tmp_path: Path) -> None:
    """The number of images seen has four bytes in old files and eight in others."""
    expected = imported(tmp_path, file(drawn_weights())).weights
    found = imported(tmp_path, file(drawn_weights(), version)).weights
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)


def test_transposed_kernels(tmp_path: Path) -> None:
    """Odd versions have dense kernels as inputs × outputs; `flipped=1` says so of a convolution."""
    expected = imported(tmp_path, file(drawn_weights())).weights
    sections = drawn_weights()
    sections[2]["kernel"] = sections[2]["kernel"].reshape(4, -1).T.reshape(6, 4, 3, 3)
    text = CFG.replace("filters=4\nsize=3\nstride=1\npad=1\ngroups=1\nactivation=linear", "filters=4\nsize=3\npad=1\n")
    text = text.replace("filters=4\nsize=3\npad=1\n", "filters=4\nsize=3\npad=1\nflipped=1\nactivation=linear\n")
    found = imported(tmp_path, file(sections, (1001, 0), transposed=True), text).weights
    assert text.count("flipped") == 1
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda whole: whole[:10], "ends in its header, after 10 bytes"),
        (lambda whole: whole[:18], "ends in the beta of section 1, [convolutional], which needs 36"),
        (lambda whole: whole[:-4], "ends in the kernel of section 9, [connected]"),
        (lambda whole: whole + b"1234", "4 stand behind the last layer"),
        (lambda whole: whole[:-4] + struct.pack("<f", np.nan), "dense_1/kernel contains values that are not finite"),
        (lambda _: b"", "ends in its header, after 0 bytes"),
    ],
    ids=["header", "seen", "short", "long", "nan", "empty"],
)
def test_files_that_do_not_fit(change: object, message: str, tmp_path: Path) -> None:
    """A file that is too short or too long is one error, which says where it ends."""
    with pytest.raises(GraphImportError) as raised:
        imported(tmp_path, change(file(drawn_weights())))  # type: ignore[operator]
    assert message in raised.value.message


def test_layer_that_nothing_reads(tmp_path: Path) -> None:
    """Its weights are in the file and in no array."""
    found = imported(tmp_path, file(drawn_weights()))
    assert any("dropped" in note for note in found.notes)
    sizes = sum(array.size for section in drawn_weights() for array in section.values())
    assert sum(array.size for array in found.weights.values()) == sizes - (2 * 4 * 9 + 4 * 2)


DETECTOR = "".join(
    [
        "[net]\nheight=8\nwidth=8\nchannels=3\n",
        CONV.format(1, 4, 3, 1, "leaky"),
        "\n[convolutional]\nfilters=16\nactivation=linear\n\n[yolo]\nclasses=3\n",
    ]
)


def test_detector(tmp_path: Path) -> None:
    """The convolution before [yolo] is in the file and not in the network, whose heads begin with the same for all."""
    g = np.random.default_rng(0)
    first, last = ({"kernel": drawn(g, *shape), "bias": drawn(g, shape[0])} for shape in ((4, 3, 3, 3), (16, 4, 1, 1)))
    first |= {"gamma": drawn(g, 4), "mean": drawn(g, 4), "variance": g.uniform(0.5, 2, 4).astype(np.float32)}
    (tmp_path / "n.cfg").write_text(DETECTOR, encoding="utf-8")
    (tmp_path / "n.weights").write_bytes(file([first, last]))
    found = read(tmp_path / "n.cfg", weights=tmp_path / "n.weights")
    np.testing.assert_array_equal(found.weights["conv2d/kernel"], first["kernel"].transpose(2, 3, 1, 0))
    assert found.weights["heatmap/kernel"].shape == (1, 1, 4, 3)
    assert not found.weights["heatmap/kernel"].any()
    assert found.weights["heatmap/bias"].tolist() == pytest.approx([-4.6] * 3)
    assert found.weights["box/bias"].tolist() == [0] * 4
    assert found.classes == ("0", "1", "2")
    (tmp_path / "n.weights").write_bytes(file([first]))
    with pytest.raises(GraphImportError, match=r"ends in the bias of section 2, \[convolutional\]"):
        read(tmp_path / "n.cfg", weights=tmp_path / "n.weights")
