"""Networks whose layers name what they read, in summary, memory, diff, explanation and check."""

from __future__ import annotations

import pytest

from cnncli.analysis.check import check
from cnncli.analysis.diff import diff
from cnncli.analysis.explain import explain
from cnncli.analysis.memory import most_alive
from cnncli.analysis.summary import summarize
from cnncli.analysis.walk import walk
from cnncli.config.load import load, loads
from cnncli.config.schema.schema import Config
from cnncli.report.explanation import explanation_markdown, explanation_page
from cnncli.report.network_diff import diff_table
from cnncli.report.tables import summary_text

NET = """
name: net
data: {source: digits, image_size: [8, 8]}
model:
  layers:
    - Conv2D: {filters: 4, kernel_size: 3, padding: same, activation: relu, name: a}
    - MaxPooling2D: {name: half}
    - Conv2D: {filters: 6, kernel_size: 3, padding: same, activation: relu}
    - UpSampling2D: {interpolation: bilinear, name: up}
    - Concatenate: {inputs: [up, a], name: both}
    - Conv2D: {filters: 3, kernel_size: 1, inputs: both, name: mask}
    - GlobalAveragePooling2D: {inputs: both}
    - Dense: {units: 10, name: logits}
  outputs: {mask: mask, classes: logits}
"""


def net(*changes: tuple[str, str]) -> Config:
    """Return the network with texts replaced."""
    text = NET
    for before, after in changes:
        assert text.count(before) == 1
        text = text.replace(before, after)
    return loads(text, "net.yaml")


def test_the_table_says_what_is_read() -> None:
    """Where it is not the layer above: names behind an arrow; outputs by name behind another."""
    names = [line.split("  ")[0] for line in summary_text(summarize(net())).splitlines()[4:12]]
    assert names == [
        "a Conv2D",
        "half MaxPooling2D",
        "conv2d",
        "up UpSampling2D",
        "both Concatenate ← up, a",
        "mask Conv2D → mask",
        "global_average_pooling2d ← both",
        "logits Dense → classes",
    ]
    document = summarize(net()).to_json()
    assert document["outputs"] == {"mask": "mask", "classes": "logits"}
    assert document["layers"][4]["inputs"] == ["up", "a"]
    assert summarize(load("googlenet")).to_json()["outputs"] == {}


def test_a_receptive_field_is_that_of_the_longest_way() -> None:
    """Through the pooling and the interpolation far more is seen than through the first convolution alone."""
    rows = {row.name: row for row in summarize(net()).rows}
    assert rows["a"].receptive_field == (3, 3)
    assert rows["both"].receptive_field == rows["up"].receptive_field == rows["mask"].receptive_field
    assert rows["both"].receptive_field[0] > rows["conv2d"].receptive_field[0] == 8


def alive(config: Config) -> int:
    """Return the most values needed at once, by asking at each step which outputs are read now or later."""
    steps = walk(config.nodes, config.input_shape)
    sizes = {-1: 64, **{i: len(step.output_shape) and _size(step.output_shape) for i, step in enumerate(steps)}}
    most = 0
    for now in range(len(steps)):
        readers = {i for step in steps[now:] for i in step.node.inputs}
        needed = {i for i in sizes if i < now and (i in readers or i in config.output_nodes)} | {now}
        most = max(most, sum(sizes[i] for i in needed))
    return most


def _size(shape: tuple[int, ...]) -> int:
    size = 1
    for length in shape:
        size *= length
    return size


@pytest.mark.parametrize("change", [("inputs: both, name: mask", "name: mask"), ("{inputs: both}", "{inputs: mask}")])
def test_peak_of_activations(change: tuple[str, str]) -> None:
    """What is alive at once is what a walk with a list of later readers finds, and less than all activations."""
    config = net(change)
    steps = walk(config.nodes, config.input_shape)
    assert most_alive(steps, config.input_shape, config.output_nodes) == alive(config)
    memory = summarize(config).memory
    assert memory.peak == 4 * alive(config) < memory.activations


def test_peak_by_hand() -> None:
    """In a chain, the larger of a layer's input and output together; a kept output counts to the end."""
    convolutions = "{Conv2D: {filters: 2, kernel_size: 1, name: a}}, {Conv2D: {filters: 4, kernel_size: 1}}"
    layers = f"[{convolutions}, Flatten, {{Dense: {{units: 10, name: b}}}}]"
    text = f"name: chain\ndata: {{source: digits, image_size: [8, 8]}}\nmodel: {{layers: {layers}}}\n"
    assert summarize(loads(text)).memory.peak == 4 * (256 + 256)
    kept = text.replace("model: {", "model: {outputs: {one: a, two: b}, ")
    assert summarize(loads(kept)).memory.peak == 4 * (128 + 256 + 256)


def test_unet_keeps_its_encoder() -> None:
    """At the last concatenation both halves and what they become are needed: 128 and 128 channels of 512×512."""
    found = summarize(load("unet"))
    assert found.memory.peak == 4 * 512 * 512 * 256
    assert "268 MB at once" in summary_text(found)
    assert "at once" not in summary_text(summarize(load("resnet18")))


def test_diff_tells_what_is_read() -> None:
    """Another source is a change, another name of the same source is none, and so is a layer put between."""
    rewired = diff(net(), net(("[up, a]", "[a, up]")))
    (changed,) = [pair for pair in rewired.pairs if pair.changes]
    assert changed.status == "changed"
    assert [(c.key, c.before, c.after) for c in changed.changes] == [("inputs", ["up", "a"], ["a", "up"])]
    assert "both: inputs ['up', 'a'] → ['a', 'up']" in diff_table(rewired).text()
    renamed = net(("name: a}", "name: first}"), ("[up, a]", "[up, first]"))
    assert diff(net(), renamed).is_empty
    outputs = diff(net(), net(("mask: mask,", "plane: mask,")))
    assert [(c.key, c.before, c.after) for c in outputs.settings] == [
        ("model.outputs.mask", "mask", None),
        ("model.outputs.plane", None, "mask"),
    ]


def test_explanation_says_what_is_read() -> None:
    """The names stand before the arithmetic, in the terminal and in Markdown."""
    found = explain(net(), "both")
    assert found.to_json()["layers"][0]["inputs"] == ["up", "a"]
    assert "reads" in explanation_page(found).text()
    assert "up, a" in explanation_page(found).text()
    assert "- reads: up, a" in explanation_markdown(found)
    assert "reads" not in explanation_page(explain(net(), "half")).text()


def codes(config: Config) -> set[str]:
    """Return the codes of what the check finds."""
    return {problem.code for problem in check(config)}


def test_a_classifier_has_one_output() -> None:
    """Two outputs are an error; the rules about the end of a classifier are not asked."""
    assert codes(net()) == {"E304"}
    single = loads(NET.replace("mask: mask, ", "").replace("{inputs: both}", "{inputs: mask}"))
    assert codes(single) == set()


def test_a_gate_is_no_head() -> None:
    """The pooling of a squeeze-and-excitation gate forgets nothing: the image goes on beside it."""
    gated = NET.replace(
        "    - MaxPooling2D: {name: half}\n",
        "    - GlobalAveragePooling2D: {keepdims: true}\n"
        "    - Conv2D: {filters: 4, kernel_size: 1, activation: sigmoid, name: gate}\n"
        "    - Multiply: {inputs: [gate, a]}\n"
        "    - MaxPooling2D: {name: half}\n",
    )
    assert codes(loads(gated)) == {"E304"}
    layers = "{Conv2D: {filters: 4, kernel_size: 3, activation: relu}}, GlobalAveragePooling2D, {Dense: {units: 10}}"
    head = f"name: n\ndata: {{source: digits, image_size: [8, 8]}}\nmodel: {{layers: [{layers}]}}\n"
    assert "W307" in codes(loads(head))


def test_an_upsampling_convolution_needs_no_activation() -> None:
    """The transposed convolutions of a U-Net only enlarge."""
    assert codes(load("unet", ["train.batch_size=1"])) == set()
