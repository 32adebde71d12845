"""How examples leave training for validation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnncli import datasets
from cnncli.datasets.division import held_out
from cnncli.datasets.duplicates import group_numbers
from cnncli.errors import DataError


def digests_of(contents):
    """Return a digest for each content number; equal numbers are equal images."""
    return np.stack([np.random.default_rng(c).integers(0, 256, 16, np.uint8) for c in contents])


examples = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 30)), min_size=1, max_size=80)


@settings(max_examples=150, deadline=None)
@given(examples, st.floats(0.01, 0.9), st.integers(0, 2**31 - 1))
def test_equal_images_never_straddle(pairs, share, seed):
    """Equal images go to the same side, even with different labels."""
    labels = np.array([label for label, _ in pairs])
    digests = digests_of([content for _, content in pairs])
    chosen = held_out(labels, digests, share, seed)
    groups = group_numbers(digests)
    for group in np.unique(groups):
        assert len(set(chosen[groups == group].tolist())) == 1


@settings(max_examples=100, deadline=None)
@given(examples, st.floats(0.01, 0.9), st.randoms(use_true_random=False))
def test_the_choice_does_not_depend_on_order(pairs, share, random):
    """Shuffled examples are divided as before: only content and seed count."""
    labels = np.array([label for label, _ in pairs])
    digests = digests_of([content for _, content in pairs])
    order = list(range(len(pairs)))
    random.shuffle(order)
    assert np.array_equal(held_out(labels, digests, share, 3)[order], held_out(labels[order], digests[order], share, 3))


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5])
def test_every_class_gives_its_share(share):
    """With different images, each class gives exactly its rounded share."""
    labels = np.repeat([0, 1, 2], [100, 50, 10])
    chosen = held_out(labels, digests_of(range(160)), share, 0)
    assert np.bincount(labels[chosen]).tolist() == [round(share * n) for n in (100, 50, 10)]


def test_seeds_choose_differently():
    """Another seed holds back other examples."""
    labels, digests = np.zeros(100, np.int64), digests_of(range(100))
    assert not np.array_equal(held_out(labels, digests, 0.3, 0), held_out(labels, digests, 0.3, 1))


def test_small_classes_keep_and_give_one():
    """Of two different images one is held back, a single one stays in training."""
    labels = np.array([0, 0, 1])
    chosen = held_out(labels, digests_of(range(3)), 0.1, 0)
    assert chosen[:2].sum() == 1
    assert not chosen[2]


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.5, 0.9, 0.999])
def test_every_class_keeps_one_and_gives_one(share):
    """Of different images the rounded share is chosen, but at least one, and at least one stays."""
    counts = [1, 2, 3, 7, 40]
    labels = np.repeat(np.arange(len(counts)), counts)
    chosen = held_out(labels, digests_of(range(sum(counts))), share, 11)
    expected = [min(max(round(share * n), 1), n - 1) for n in counts]
    assert np.bincount(labels[chosen], minlength=len(counts)).tolist() == expected


def test_groups_of_equal_images_are_filled_up_to_the_share():
    """Groups are taken in their order while they fit; one that is too large is passed over for smaller ones."""
    contents = np.repeat(np.arange(30), np.arange(30) % 4 + 1)
    labels, digests = np.zeros(len(contents), np.int64), digests_of(contents)
    chosen = held_out(labels, digests, 0.4, 2)
    target = round(0.4 * len(contents))
    assert 0 <= target - chosen.sum() < 4
    left = contents[~chosen]
    sizes = np.bincount(left)[np.unique(left)]
    assert sorted(sizes)[1] > target - chosen.sum()  # only the last in order may stay though it would fit


def test_an_image_with_two_labels_counts_with_the_first():
    """Equal images whose labels contradict each other go to the same side, by the class with the lowest number."""
    contents, labels = [0, 0, 1, 2, 3], np.array([1, 0, 1, 1, 1])
    for seed in range(20):
        chosen = held_out(labels, digests_of(contents), 0.5, seed)
        assert not chosen[:2].any()  # alone in its class
        assert chosen[2:].sum() == 2 or chosen[2:].sum() == 1


def test_alike_images_cannot_be_divided(make_config, tmp_path):
    """Where no class has two different images, none can be held out, and that is said."""
    np.savez(
        tmp_path / "set.npz",
        x=np.repeat(np.arange(3, dtype=np.uint8), 4).reshape(12, 1, 1).repeat(4, 1),
        y=np.repeat([0, 1, 2], 4),
    )
    config = make_config(source="npz", path=str(tmp_path / "set.npz"), validation=0.3)
    with pytest.raises(DataError, match="no class has two different images") as caught:
        datasets.load(config)
    assert "data.validation: 0" in caught.value.hint


def test_more_examples_leave_the_others_where_they_are():
    """Adding one image moves at most one of the others: the order within a class follows from content."""
    labels, digests = np.zeros(200, np.int64), digests_of(range(200))
    before, after = held_out(labels[:199], digests[:199], 0.2, 5), held_out(labels, digests, 0.2, 5)
    assert (before != after[:199]).sum() <= 1
