"""Every shipped network has exactly the counts that its source publishes."""

from __future__ import annotations

import pytest

from cnncli.analysis.check import check
from cnncli.analysis.summary import Summary, summarize
from cnncli.analysis.zoo import exhibits
from cnncli.config import zoo
from cnncli.config.load import load, loads

PARAMETERS = {
    "lenet5": 61_706,
    "mnist_lenet5": 61_706,
    "digits_lenet": 61_706,
    "mnist_mlp": 669_706,
    "caffe_lenet": 431_080,
    "convnetjs_cifar10": 22_466,
    "cifar10_quick": 145_578,
    "cifar10_full": 89_578,
    "cifar10_small_alexnet": 1_756_426,
    "alexnet": 60_965_224,
    "alexnet_ungrouped": 62_378_344,
    "googlenet": 6_998_552,
    "vgg16": 138_357_544,
    "resnet18": 11_689_512,
    "resnet50": 25_557_032,
    "resnet50_keras": 25_583_592,
    "densenet121": 7_978_856,
    "mobilenet_v2": 3_504_872,
    "efficientnet_b0": 5_288_548,
    "dense_128": 201_371_658,
    "sobel": 4_510,
    "conv1d": 9_930,
    "mnist_fast": 139_514,
    "cifar10_fast": 1_971_328,
    "unet": 31_030_658,
    "shapes_unet": 102_651,
    "camvid_fast": 3_662_699,
    "camvid": 6_795_115,
    "digits_boxes": 42_494,
    "bccd_fast": 1_879_463,
    "bccd": 1_879_463,
}
"""Trainable parameters."""
FIXED = {"resnet18": 9_600, "resnet50": 53_120, "sobel": 18, "mnist_fast": 608, "cifar10_fast": 2_599}
FIXED |= {
    "shapes_unet": 480,
    "camvid_fast": 5_440,
    "camvid": 8_512,
    "digits_boxes": 352,
    "bccd_fast": 4_224,
    "bccd": 4_224,
}
FIXED |= {"resnet50_keras": 53_120, "densenet121": 83_648, "mobilenet_v2": 34_112, "efficientnet_b0": 42_023}
"""Parameters that training does not change: two moving statistics a channel, fixed and measured kernels."""
GIGA_MACS = {"vgg16": 15.47, "resnet18": 1.81, "resnet50": 4.09, "mobilenet_v2": 0.300, "efficientnet_b0": 0.385}
GIGA_MACS |= {"resnet50_keras": 3.86, "densenet121": 2.83}


def summary(name: str) -> Summary:
    """Summarize a shipped network."""
    return summarize(load(name))


def test_every_shipped_network_is_pinned() -> None:
    """A network without a pinned count cannot be added."""
    assert set(zoo.names()) == set(PARAMETERS)


@pytest.mark.parametrize("name", sorted(PARAMETERS))
def test_parameters_are_the_published_ones(name: str) -> None:
    """Trainable parameters equal the source's count, the others what the architecture implies."""
    found = summary(name)
    assert (found.trainable_params, found.non_trainable_params) == (PARAMETERS[name], FIXED.get(name, 0))


@pytest.mark.parametrize("name", sorted(PARAMETERS))
def test_the_comment_states_the_count(name: str) -> None:
    """The count in a config's opening comment is the one computed."""
    assert f"{PARAMETERS[name]:,}" in zoo.read(name).facts["counts"]


@pytest.mark.parametrize("name", sorted(GIGA_MACS))
def test_macs_are_the_published_ones(name: str) -> None:
    """MACs are within half a percent of the published number, and FLOPs are twice as many."""
    found = summary(name)
    assert found.macs / 1e9 == pytest.approx(GIGA_MACS[name], rel=0.005)
    assert found.flops == 2 * found.macs


def test_first_convolution_of_convnetjs() -> None:
    """16·5·5·3 + 16 = 1,216, as the demo's page says."""
    assert summary("convnetjs_cifar10").rows[0].params == 1216


def test_dense_network_gives_its_inputs_no_biases() -> None:
    """The lecture's 201,420,810 has 49,152 more: one bias an input value."""
    assert summary("dense_128").total_params + 128 * 128 * 3 == 201_420_810


EDGES = """
name: edges
data: {source: folder, path: images, image_size: [280, 320], channels: 1}
model: {layers: [{Conv2D: {kernel: [[-1, 1]], trainable: false, use_bias: false}}]}
"""


def test_edge_detection_by_convolution_and_by_matrix() -> None:
    """Goodfellow et al. 2016, ch. 9: 267,960 operations against 16 · 10⁹ for the dense matrix.

    The book counts two multiplications and one addition a pixel; a MAC is a multiplication and an
    addition, so that two taps are two MACs, of which one addition (to nothing) is not needed.
    """
    (row,) = summarize(loads(EDGES)).rows
    assert row.output_shape == (280, 319, 1)
    assert row.macs == 319 * 280 * 2
    assert 2 * row.macs - 319 * 280 == 267_960
    assert row.dense_params == 320 * 280 * 319 * 280
    assert 2 * row.dense_params == pytest.approx(16e9, rel=0.005)


@pytest.mark.parametrize("name", sorted(PARAMETERS))
def test_no_shipped_network_has_errors(name: str) -> None:
    """What the check doubts about published networks is known: dense heads, linear layers, mere edges, odd sizes."""
    codes = {problem.code for problem in check(load(name))}
    assert codes <= {"W305", "W307", "W308", "W309", "W310", "W311", "W314"}
    assert ("W311" in codes) == (name == "resnet50_keras")  # Keras's weights have those biases
    assert ("W308" in codes) == (name == "densenet121")  # its longest way sees 2,071 pixels, most of its ways few
    assert ("W305" in codes) == (name == "cifar10_fast")
    assert ("W310" in codes) == (name == "cifar10_quick")
    assert ("W307" in codes) == (name == "sobel")


def test_the_default_network_is_beyond_doubt() -> None:
    """The first thing a newcomer runs prints no warning."""
    assert check(load("digits_lenet")) == ()


def test_every_comment_is_a_recipe_card() -> None:
    """Each config opens with a title, its source, its counts, the accuracy to expect and the command."""
    for exhibit in exhibits():
        facts = exhibit.entry.facts
        assert exhibit.entry.title
        assert exhibit.entry.source
        assert {"counts", "expected", "command"} <= set(facts)
        assert exhibit.entry.name in facts["command"]


def test_card_joins_lines_and_stops_at_the_config() -> None:
    """Labelled lines go on where the next is indented; comments further down are not part of the card."""
    title, facts = zoo.card("# A net.\n#\n# paper:   X:\n#          Y\n# counts:  3\nname: n\n# expected: no\n")
    assert title == "A net."
    assert facts == {"paper": "X: Y", "counts": "3"}


def test_names_are_found_and_misspelt_ones_answered() -> None:
    """A name leads to its file; a wrong one to the nearest."""
    from cnncli.errors import ConfigError

    assert zoo.locate("googlenet") == zoo.find("googlenet")
    with pytest.raises(ConfigError) as caught:
        zoo.locate("googelnet")
    assert 'Did you mean "googlenet"?' in caught.value.problems[0].message


def test_a_file_wins_over_a_name(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file called like a shipped network is the one that is read."""
    from pathlib import Path

    folder = Path(str(tmp_path))
    (folder / "lenet5").write_text("name: mine")
    monkeypatch.chdir(folder)
    assert zoo.locate("lenet5") == Path("lenet5")
