"""Which of Keras Applications' networks a config begins with, and what files of their weights are refused."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from cnncli.config.load import load, loads
from cnncli.importing.graph import GraphImportError
from cnncli.importing.keras.applications import APPLICATIONS, Application, backbone, in_keras_order, weights_of
from cnncli.importing.keras.pretrained import backbone_of, read_pretrained

DETECTOR = """
extends: mobilenet_v2
task: detection
data: {source: digit_boxes, path: null, image_size: [128, 128], validation: 0.2, resize: {fit: stretch}, channels: 3}
model:
  layers: [backbone, {UpSampling2D: {size: 2}}, {UpSampling2D: {size: 2}}]
  heads:
    heatmap: [{Conv2D: {filters: 10, kernel_size: 1, name: heatmap}}]
    box: [{Conv2D: {filters: 4, kernel_size: 1, name: box}}]
"""


@pytest.mark.parametrize("application", APPLICATIONS, ids=lambda each: each.network)
def test_a_network_is_known_with_and_without_its_classes(application: Application) -> None:
    """All its layers are found; with other classes, all but the last."""
    whole, other = backbone(load(application.network)), backbone(load(application.network, ["values.classes=3"]))
    assert whole is not None
    assert other is not None
    assert whole.application == other.application == application
    assert (whole.has_top, other.has_top) == (True, False)
    assert len(whole.layers) == len(other.layers) + 1 == len(weights_of(load(application.network)))
    assert (whole.file, other.file) == (application.whole, application.without_top)


def test_a_detector_begins_with_a_backbone() -> None:
    """What comes after the block `backbone` is its own."""
    found = backbone_of(loads(DETECTOR))
    assert found.application.name == "MobileNetV2"
    assert len(found.layers) == 104


@pytest.mark.parametrize("network", ["lenet5", "resnet50"])
def test_another_network_is_refused(network: str) -> None:
    """Torchvision's ResNet-50 is not Keras's."""
    with pytest.raises(GraphImportError, match="does not begin as one of those that Keras publishes"):
        backbone_of(load(network))


def write(path: Path, spoil: str = "") -> None:
    """Write a file in the layout of the published ones, MobileNetV2's without its classes, with something wrong."""
    config = load("mobilenet_v2")
    needed = {node.name: weights_of(config).get(node.name, ()) for node in in_keras_order(config)}
    del needed["dense"]
    with h5py.File(path, "w") as file:
        names = [name for name in needed if name != spoil]
        file.attrs["layer_names"] = [name.encode() for name in names]
        for name in names:
            group = file.create_group(name)
            group.attrs["weight_names"] = [f"{name}/{weight.name}:0".encode() for weight in needed[name]]
            for weight in needed[name]:
                value = np.nan if spoil == "nan" and name == "conv2d" else 1.0
                shape = (7, *weight.shape[1:]) if spoil == "shape" and name == "conv2d" else weight.shape
                if spoil == "link" and name == "conv2d":
                    group[f"{name}/{weight.name}:0"] = h5py.ExternalLink("/etc/hostname", "x")
                else:
                    group[f"{name}/{weight.name}:0"] = np.full(shape, value, np.float32)


def test_a_whole_file_is_read(tmp_path: Path) -> None:
    """Every array but those of the classes, under the names of the config."""
    write(tmp_path / "weights.h5")
    found = read_pretrained(tmp_path / "weights.h5", backbone_of(load("mobilenet_v2")))
    expected = {f"{name}/{w.name}" for name, weights in weights_of(load("mobilenet_v2")).items() for w in weights}
    assert found.arrays.keys() == {name for name in expected if not name.startswith("dense/")}
    assert all((array == 1).all() for array in found.arrays.values())


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        ("conv2d", "it has 103 layers with weights, expected 104"),
        ("shape", "conv2d has 7×3×3×32, expected 3×3×3×32 for conv2d"),
        ("nan", "not finite"),
        ("link", "is a link to another place"),
    ],
)
def test_another_file_is_refused(spoil: str, message: str, tmp_path: Path) -> None:
    """A missing layer, another shape, values that are not finite, a link out of the file."""
    write(tmp_path / "weights.h5", spoil)
    with pytest.raises(GraphImportError, match=message):
        read_pretrained(tmp_path / "weights.h5", backbone_of(load("mobilenet_v2")))


@pytest.mark.parametrize("content", [b"", b"text", b"\x89HDF\r\n\x1a\n" + bytes(200)])
def test_no_file_of_weights_is_refused(content: bytes, tmp_path: Path) -> None:
    """Empty, text, a header alone."""
    (tmp_path / "weights.h5").write_bytes(content)
    with pytest.raises(GraphImportError, match="not a file of weights as Keras writes them"):
        read_pretrained(tmp_path / "weights.h5", backbone_of(load("mobilenet_v2")))


def test_every_cut_is_one_error(tmp_path: Path) -> None:
    """A file that ends too early, at forty places."""
    write(tmp_path / "weights.h5")
    content = (tmp_path / "weights.h5").read_bytes()
    found = backbone_of(load("mobilenet_v2"))
    for end in np.linspace(0, len(content) - 1, 40).astype(int):
        (tmp_path / "cut.h5").write_bytes(content[:end])
        with pytest.raises(GraphImportError):
            read_pretrained(tmp_path / "cut.h5", found)
