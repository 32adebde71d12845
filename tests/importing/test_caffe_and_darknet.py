"""Caffe's prototxt and Darknet's cfg: the classic networks with the counts of their papers."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from cnncli.analysis.summary import summarize
from cnncli.importing.graph import GraphImportError
from cnncli.importing.read import Imported, read

sys.path.insert(0, str(Path(__file__).parent))
import classic_nets

sys.path.pop(0)


def imported(folder: Path, name: str, text: str, **arguments: object) -> Imported:
    """Write a text into a file and import it."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return read(path, **arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "text", "trainable"),
    [
        ("lenet.prototxt", classic_nets.LENET, 431_080),
        ("quick.prototxt", classic_nets.QUICK, 145_578),
        ("alexnet.prototxt", classic_nets.alexnet(), 60_965_224),
        ("googlenet.prototxt", classic_nets.googlenet(), 6_998_552),
    ],
)
def test_published_counts(tmp_path: Path, name: str, text: str, trainable: int) -> None:
    """The imported network has as many parameters as its source publishes."""
    assert summarize(imported(tmp_path, name, text).config).trainable_params == trainable


@pytest.mark.parametrize("name", ["alexnet", "googlenet"])
def test_same_network_as_the_zoo(tmp_path: Path, name: str) -> None:
    """The imported network computes layer by layer what the zoo's config of the same paper computes."""
    from cnncli.config.load import load

    found = summarize(imported(tmp_path, f"{name}.prototxt", getattr(classic_nets, name)()).config)
    expected = summarize(load(name))
    assert found.macs == expected.macs
    shapes = [[tuple(row.output_shape) for row in summary.rows if row.params] for summary in (found, expected)]
    assert shapes[0] == shapes[1]


def test_auxiliary_heads_are_left_out(tmp_path: Path) -> None:
    """What the output does not need is dropped with a note."""
    notes = imported(tmp_path, "g.prototxt", classic_nets.googlenet()).notes
    assert any("aux_conv" in note and "dropped" in note for note in notes)


def test_darknet19(tmp_path: Path) -> None:
    """Darknet-19 has the 20,856,776 values, 83 MB, that follow from its table of layers."""
    config = imported(tmp_path, "darknet19.cfg", classic_nets.darknet19()).config
    convolutions = [node for node in config.nodes if node.layer.type_name() == "Conv2D"]
    assert len(convolutions) == 19
    sizes = [(32, 3, 3), (64, 3, 32), (128, 3, 64), (64, 1, 128), (128, 3, 64), (256, 3, 128), (128, 1, 256)]
    sizes += [(256, 3, 128), (512, 3, 256), (256, 1, 512), (512, 3, 256), (256, 1, 512), (512, 3, 256)]
    sizes += [(1024, 3, 512), (512, 1, 1024), (1024, 3, 512), (512, 1, 1024), (1024, 3, 512)]
    weights = sum(f * k * k * c + 4 * f for f, k, c in sizes) + 1000 * 1024 + 1000
    assert summarize(config).total_params == weights == 20_856_776


def test_darknet_shortcuts(tmp_path: Path) -> None:
    """Shortcuts become Residuals, with Darknet's zeros on both sides before a stride of 2."""
    config = imported(tmp_path, "resnet18.cfg", classic_nets.darknet_resnet18()).config
    kinds = [node.layer.type_name() for node in config.nodes]
    assert kinds.count("Add") == 5
    assert kinds.count("ZeroPadding2D") == 4
    assert kinds[-1] == "Softmax"


def test_readable_yaml(tmp_path: Path) -> None:
    """The YAML is as short as one written by hand: no defaults, no names that follow by themselves."""
    text = imported(tmp_path, "lenet.prototxt", classic_nets.LENET).text
    assert "- Conv2D: {filters: 20, kernel_size: 5, name: conv1}" in text
    assert "- Dense: {units: 500, activation: relu, name: ip1}" in text
    assert text.startswith("# Imported from lenet.prototxt by `cnn import`.")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.prototxt", 'layer { type: "Convolution" ', "ends where a field's name was expected"),
        ("a.prototxt", "layer { type: ; }", "a.prototxt:1: got ';', expected a value"),
        ("a.prototxt", "\n\n$", "a.prototxt:3"),
        ("a.prototxt", 'name: "n"\nlayer { name: "r" type: "LSTM" bottom: "data" top: "r" }', "--image-size"),
        ("a.prototxt", "a {" * 50, "at most 20 nested braces"),
        ("a.prototxt", classic_nets.LENET.replace('"ReLU"', '"Reduction"'), "Reduction is not a supported layer"),
        ("a.prototxt", classic_nets.LENET.replace('bottom: "conv1"', 'bottom: "conv9"'), 'its input "conv9"'),
        ("a.prototxt", classic_nets.LENET.replace("num_output: 20", "num_output: 0"), "conv1: Conv2D.filters"),
        ("a.cfg", "hello", "a.cfg:1"),
        ("a.cfg", "[convolutional]\nfilters=3", "does not begin with"),
        ("a.cfg", "[net]\nheight=8\nwidth=8\nchannels=3\n[sam]\nmask=1", "[sam] is not a supported layer"),
        ("a.cfg", "[net]\nheight=8\nwidth=8\nchannels=3\n[shortcut]\nfrom=-9", "reads layer -9"),
        ("a.cfg", "[net]\nheight=8\nwidth=x\nchannels=3\n[avgpool]", "width=x"),
        ("a.cfg", "[net]\nheight=8\nwidth=8\nchannels=3\n", "no layers"),
        ("a.txt", "", "unsupported file type"),
    ],
)
def test_what_is_wrong_is_reported(tmp_path: Path, name: str, text: str, message: str) -> None:
    """A damaged file, or a layer that the vocabulary lacks, is one error that says where and what."""
    with pytest.raises(GraphImportError) as raised:
        imported(tmp_path, name, text)
    assert message in f"{raised.value.message} {raised.value.hint}"


def test_image_size_from_the_command(tmp_path: Path) -> None:
    """A file for training without a size is read with the one given."""
    text = classic_nets.LENET.replace("{ shape: { dim: 64 dim: 1 dim: 28 dim: 28 } }", "{ }")
    found = imported(tmp_path, "l.prototxt", text, image_size=(28, 28), channels=1)
    assert found.config.input_shape == (28, 28, 1)


def test_the_campaign_counts_and_names_what_is_refused(
    tmp_path: Path,
    script: Callable[[str], ModuleType],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`import_in_the_wild.py` on four files: one does not say its size, one has another count than published."""
    layers = classic_nets.LENET[classic_nets.LENET.index('layer { name: "conv1"') :]
    sources = {
        "caffe/examples/mnist/lenet.prototxt": classic_nets.LENET,
        "caffe/examples/mnist/lenet_train_test.prototxt": 'layer { name: "mnist" type: "Data" top: "data" }' + layers,
        "caffe/examples/cifar10/cifar10_quick.prototxt": classic_nets.LENET,
        "darknet/cfg/rnn.cfg": "[net]\ninputs=256\n[rnn]\noutput=10\n",
    }
    for name, text in sources.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "caffe/models").mkdir()
    monkeypatch.setattr(sys, "argv", ["", str(tmp_path / "caffe"), str(tmp_path / "darknet")])
    assert script("campaigns/import_in_the_wild.py").main() == 1
    first, second, third, refused, total = map(str.strip, capsys.readouterr().out.splitlines())
    assert first == "431,080  examples/cifar10/cifar10_quick.prototxt"
    assert (second, third) == tuple(
        f"431,080  examples/mnist/{name}.prototxt" for name in ("lenet", "lenet_train_test")
    )
    assert refused.startswith("refused  cfg/rnn.cfg: ")
    assert "recurrent networks are not supported" in refused
    assert total == "3 of 4 files imported; 1 counts differ from the published ones"
