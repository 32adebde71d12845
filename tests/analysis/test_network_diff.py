"""The semantic diff: layers aligned, what changed, and what that does to the counts."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from cnncli.analysis.alignment import Identity, align
from cnncli.analysis.diff import Difference, Pair, diff
from cnncli.config.load import load
from cnncli.report.network_diff import diff_table, what_if_table

LAYERS = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 2)), max_size=12)


@given(LAYERS, LAYERS)
def test_alignment_keeps_order_and_loses_nothing(before: list[Identity], after: list[Identity]) -> None:
    """Every layer of both stands in one pair, in order, and only layers of a type are paired."""
    pairs = align(before, after)
    assert [i for i, _ in pairs if i is not None] == list(range(len(before)))
    assert [j for _, j in pairs if j is not None] == list(range(len(after)))
    assert all(before[i][0] == after[j][0] for i, j in pairs if i is not None and j is not None)


@given(LAYERS)
def test_a_list_aligns_with_itself(layers: list[Identity]) -> None:
    """Nothing is added or removed where nothing changed."""
    assert align(layers, layers) == [(i, i) for i in range(len(layers))]


@given(LAYERS, st.integers(0, 12), st.integers(0, 2))
def test_one_layer_more_is_one_pair_more(layers: list[Identity], place: int, argument: int) -> None:
    """A layer of a new type put anywhere is the only one that is added."""
    after = [*layers[:place], ("new", argument), *layers[place:]]
    assert sum(i is None for i, _ in align(layers, after)) == 1
    assert all(j is not None for _, j in align(layers, after))


def test_long_lists_are_matched_in_full() -> None:
    """Forty changes scattered over a thousand layers of few kinds leave the others paired with themselves."""
    before = [("abc"[i % 3], i % 7) for i in range(1000)]
    after = [("new", 0) if i % 25 == 0 else layer for i, layer in enumerate(before)]
    kept = [(i, j) for i, j in align(before, after) if i is not None and j is not None]
    assert kept == [(i, i) for i in range(1000) if i % 25]


def longest(before: list[int], after: list[int]) -> int:
    """Return the length of the longest common subsequence, by the textbook's table."""
    table = [[0] * (len(after) + 1) for _ in range(len(before) + 1)]
    for i, a in enumerate(before):
        for j, b in enumerate(after):
            table[i + 1][j + 1] = table[i][j] + 1 if a == b else max(table[i][j + 1], table[i + 1][j])
    return table[-1][-1]


NUMBERS = st.lists(st.integers(0, 2), max_size=10)


@given(NUMBERS, NUMBERS)
def test_as_many_equal_layers_as_there_can_be(before: list[int], after: list[int]) -> None:
    """The number of equal pairs is that of the longest common subsequence."""
    pairs = align([("layer", n) for n in before], [("layer", n) for n in after])
    equal = [(i, j) for i, j in pairs if i is not None and j is not None and before[i] == after[j]]
    assert len(equal) >= longest(before, after)


def test_networks_with_little_in_common() -> None:
    """Beyond the edits that are followed, layers still keep their order."""
    before, after = [("a", i) for i in range(900)], [("a", -i) for i in range(1, 901)]
    assert align(before, after) == [(i, i) for i in range(900)]


def alexnets() -> Difference:
    """Compare AlexNet with and without groups."""
    return diff(load("alexnet"), load("alexnet_ungrouped"))


def test_groups_of_alexnet() -> None:
    """Three layers changed, each by its groups; the sum is the difference of the published counts."""
    difference = alexnets()
    changed = [pair for pair in difference.pairs if pair.status != "same"]
    assert [pair.row.name for pair in changed] == ["conv2", "conv4", "conv5"]
    assert all([(c.key, c.before, c.after) for c in pair.changes] == [("groups", 2, 1)] for pair in changed)
    assert difference.totals()["total_params"]["delta"] == 62_378_344 - 60_965_224
    assert sum(pair.delta_params for pair in difference.pairs) == 62_378_344 - 60_965_224
    assert [change.key for change in difference.settings] == ["name"]


def test_a_config_does_not_differ_from_itself() -> None:
    """Nothing is reported where nothing changed."""
    difference = diff(load("googlenet"), load("googlenet"))
    assert difference.is_empty
    assert diff_table(difference).text().splitlines() == ["googlenet", "", "No difference."]


def test_other_names_are_no_difference() -> None:
    """LeNet-5 drawn twice with other layer names is the same network."""
    names = ["model.layers[0].Conv2D.name=first", "model.layers[2].Conv2D.name=second"]
    assert diff(load("lenet5"), load("lenet5", names)).is_empty


def test_settings_are_compared_with_their_defaults() -> None:
    """A default written out is no difference; another optimizer is one for its name and each of its values."""
    assert diff(load("lenet5"), load("lenet5", ["train.clip_norm=null", "data.resize.fit=stretch"])).is_empty
    difference = diff(load("lenet5"), load("lenet5", ["train.optimizer={SGD: {momentum: 0.9}}", "seed=7"]))
    changes = {change.key: (change.before, change.after) for change in difference.settings}
    assert changes["seed"] == (0, 7)
    assert changes["train.optimizer"] == ("Adam", "SGD")
    assert changes["train.optimizer.SGD.momentum"] == (None, 0.9)
    assert "train.batch_size" not in changes


def test_layers_added_and_removed() -> None:
    """cifar10_full has two normalizations more than cifar10_quick, and a dense layer less."""
    difference = diff(load("cifar10_quick"), load("cifar10_full"))
    found = {status: [p.row.type for p in difference.pairs if p.status == status] for status in ("added", "removed")}
    assert found == {"added": ["LocalResponseNormalization"] * 2, "removed": ["Dense"]}


def test_what_follows_a_change_is_shifted() -> None:
    """More filters change the next layer's count though not its arguments."""
    difference = diff(load("lenet5"), load("lenet5", ["model.layers[0].Conv2D.filters=16"]))
    status = {pair.row.name: pair.status for pair in difference.pairs}
    assert (status["c1"], status["s2"], status["c3"], status["c5"]) == ("changed", "shifted", "shifted", "same")
    assert {pair.row.name: pair.delta_params for pair in difference.pairs if pair.delta_params} == {
        "c1": 260,
        "c3": 4000,
    }


def test_json_is_plain() -> None:
    """The document can be written as JSON, fixed kernels and augmentations included."""
    document = json.loads(json.dumps(diff(load("sobel"), load("cifar10_small_alexnet")).to_json()))
    assert {row["status"] for row in document["rows"]} <= {"same", "changed", "shifted", "added", "removed"}
    assert document["totals"]["macs"]["delta"] > 0


def test_pairs_have_a_layer() -> None:
    """The row of a pair is the second network's where it has one."""
    pair = next(pair for pair in alexnets().pairs if pair.row.name == "conv2")
    assert pair.row is pair.after
    assert Pair(pair.before, None).row is pair.before


def test_unchanged_layers_are_only_counted() -> None:
    """The table shows what differs; what-if shows every layer."""
    text = diff_table(alexnets()).text()
    assert "  3 layers unchanged" in text
    assert "pool1" not in text
    assert "conv2: groups 2 → 1" in text
    whole = what_if_table(alexnets(), ["groups=1"]).text()
    assert "pool1" in whole
    assert "+1,413,120" in whole
