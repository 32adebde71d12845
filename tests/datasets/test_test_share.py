"""A share for the test split, folds, and what stays on one side of a split."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from cnncli import datasets
from cnncli.config.load import load
from cnncli.config.schema.schema import Data
from cnncli.datasets.related import _joined, fold_numbers, held_out_groups
from cnncli.errors import DataError

RECORDED = {
    ("seed=0",): "243a22356c46b3db0e0cea7fe18a1d452af9d5a7060f2dd298cac56fa8d6a286",
    ("seed=3", "data.validation=0.2"): "b94fc131ebedb3010c7d660062715cd2e108b1fe1d32abc73e56ad20f2f45d1e",
    ("seed=7", "data.validation=0"): "99117d508b33f7967195b5820cbaed489b8f00bfa54348ec0a2634bd7f0cc33a",
}
"""Hashes of the splits of the digits, from the version before there were `test`, `folds` and `group`."""

examples = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 20)), min_size=1, max_size=80)


def drawn(pairs):
    """Return labels, group numbers without gaps, and a rank for each example that follows from its place."""
    labels = np.array([label for label, _ in pairs])
    groups = np.unique([group for _, group in pairs], return_inverse=True)[1]
    return labels, groups, np.random.default_rng(1).permutation(len(pairs)).astype(np.uint64)


def names_of(splits):
    """Return the file names of each split."""
    return {split.name: set(split.ids) for split in splits.present()}


@pytest.mark.parametrize("overrides", RECORDED, ids=" ".join)
def test_splits_without_the_new_keys_are_what_they_were(overrides):
    """Which image is in which split has not changed by a bit."""
    assert datasets.load(load("digits_lenet", overrides)).passport["split_hash"] == RECORDED[overrides]


@settings(max_examples=100, deadline=None)
@given(examples, st.floats(0.05, 0.9), st.integers(2, 6))
def test_groups_stay_whole(pairs, share, folds):
    """Every group is on one side of a share, and in one fold."""
    labels, groups, ranks = drawn(pairs)
    sides = held_out_groups(labels, groups, ranks, share), fold_numbers(labels, groups, ranks, folds)
    for side in sides:
        assert all(len(set(side[groups == group].tolist())) == 1 for group in set(groups.tolist()))


@settings(max_examples=60, deadline=None)
@given(examples, st.randoms(use_true_random=False))
def test_the_order_of_examples_does_not_matter(pairs, random):
    """The same examples in another order are divided as before."""
    labels, groups, ranks = drawn(pairs)
    order = np.array(random.sample(range(len(pairs)), len(pairs)))
    for divide in (lambda *of: held_out_groups(*of, 0.3), lambda *of: fold_numbers(*of, 3)):
        assert np.array_equal(divide(labels, groups, ranks)[order], divide(labels[order], groups[order], ranks[order]))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 19), st.integers(0, 19)), max_size=30))
def test_groups_join_as_the_components_of_a_graph(pairs):
    """What a chain of pairs connects is one group: SciPy finds the same components."""
    edges = np.array(pairs, np.int64).reshape(-1, 2)
    graph = coo_array((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(20, 20))
    expected = connected_components(graph, directed=False)[1]
    found = _joined(np.arange(20), edges)
    assert len(set(zip(found.tolist(), expected.tolist(), strict=True))) == len(set(expected.tolist()))
    assert len(set(found.tolist())) == len(set(expected.tolist()))


def test_single_images_give_the_rounded_share_of_each_class(make_config, make_folder):
    """Without relatives, test takes its share of each class, and validation its share of the rest."""
    root = make_folder({"cat": 40, "dog": 20})
    config = make_config(source="folder", path=str(root), channels=3, test=0.15, validation=0.1)
    splits = datasets.load(config)
    assert splits.passport["counts"] == {
        "train": {"cat": 31, "dog": 15},
        "validation": {"cat": 3, "dog": 2},
        "test": {"cat": 6, "dog": 3},
    }
    assert names_of(datasets.load(config)) == names_of(splits)
    other = make_config(seed=1, source="folder", path=str(root), channels=3, test=0.15, validation=0.1)
    assert names_of(datasets.load(other)) != names_of(splits)


def test_a_test_split_of_the_source_is_kept(make_config, make_folder):
    """The share is for sources without a test split; one that there is stays as it is."""
    root = make_folder({"train/cat": 10, "train/dog": 10, "test/cat": 3, "test/dog": 3})
    splits = datasets.load(make_config(source="folder", path=str(root), channels=3, test=0.5))
    assert splits.passport["num_examples"] == {"train": 18, "validation": 2, "test": 6}


def test_a_share_of_0_holds_nothing_out(make_config, make_folder):
    """For the test as for validation: 0 is null, to the last example; a test split of the source stays."""
    folder = {"source": "folder", "path": str(make_folder({"cat": 12, "dog": 9})), "channels": 3}
    none, zero = (datasets.load(make_config(**folder, test=share)) for share in (None, 0))
    assert zero.passport["num_examples"] == none.passport["num_examples"]
    assert zero.passport["split_hash"] == none.passport["split_hash"]
    assert datasets.load(make_config(**folder, test=0, validation=0)).passport["num_examples"] == {"train": 21}
    assert datasets.load(make_config(source="digits", test=0)).test is not None


def test_near_duplicates_are_on_one_side(make_config, tmp_path):
    """Five exposures of each scene, all a little different, are in one split, and the passport finds no other."""
    generator = np.random.default_rng(0)
    for scene in range(24):
        folder = tmp_path / "scenes" / ("in", "out")[scene % 2]
        folder.mkdir(parents=True, exist_ok=True)
        small = generator.integers(0, 200, (6, 6, 3), np.uint8)
        image = np.asarray(Image.fromarray(small).resize((48, 48), Image.Resampling.BICUBIC))
        for exposure in range(5):
            Image.fromarray((image + 3 * exposure).clip(0, 255).astype(np.uint8)).save(
                folder / f"{scene}_{exposure}.png"
            )
    config = make_config(source="folder", path=str(tmp_path / "scenes"), channels=3, test=0.25, validation=0.2)
    splits = datasets.load(config)
    scenes = [{name.rpartition("/")[2].partition("_")[0] for name in names} for names in names_of(splits).values()]
    assert sum(map(len, scenes)) == 24
    assert all(pair["num_images"] == 0 for pair in splits.passport["near_duplicates"].values())
    assert len(splits.test) == 30


@pytest.mark.parametrize(
    "keys", [{"test": 0.3, "validation": 0.3}, {"validation": 0.3}, {"folds": 3, "fold": 1}], ids=str
)
def test_files_of_one_person_are_on_one_side(make_config, tmp_path, keys):
    """By a pattern of the file name, and the same by a column of a table."""
    generator = np.random.default_rng(0)
    rows = ["file,label,who"]
    for person in range(12):
        for number in range(4):
            label = "ab"[number % 2]
            file = tmp_path / "faces" / label / f"p{person:02}-{number}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(generator.integers(0, 256, (9, 9, 3), np.uint8)).save(file)
            rows.append(f"{file.relative_to(tmp_path)},{label},person {person}")
    (tmp_path / "table.csv").write_text("\n".join(rows), encoding="utf-8")
    folder = {"source": "folder", "path": str(tmp_path / "faces"), "group": r"^(p\d+)-"}
    table = {"source": "csv", "path": str(tmp_path / "table.csv"), "group": "who"}
    for source in (folder, table):
        found = names_of(datasets.load(make_config(**source, **keys, channels=3)))
        people = Counter(who for names in found.values() for who in {name[-8:-6] for name in names})
        assert len(people) == 12
        assert set(people.values()) == {1}
        assert all(found.values())


def test_folds_are_a_partition_with_equal_classes(make_config, make_folder):
    """Every training example is in validation exactly once; folds and their classes differ by at most one example."""
    root = make_folder({"cat": 23, "dog": 11})
    found = []
    for fold in range(1, 6):
        config = make_config(source="folder", path=str(root), channels=3, test=0.2, folds=5, fold=fold)
        found.append(datasets.load(config))
    held = [name for splits in found for name in splits.validation.ids]
    assert len(held) == len(set(held)) == 34 - 7
    assert len({frozenset(splits.test.ids) for splits in found}) == 1
    assert all(set(splits.train.ids) | set(splits.validation.ids) == set(held) for splits in found)
    for name in ("cat", "dog"):
        counts = [splits.passport["counts"]["validation"][name] for splits in found]
        assert max(counts) - min(counts) <= 1
    sizes = [len(splits.validation) for splits in found]
    assert max(sizes) - min(sizes) <= 1


def test_what_cannot_be_divided_is_said(make_config, make_folder):
    """A fold that is not chosen, a pattern that does not match, a column of no table, a split that is not there."""
    root = str(make_folder({"cat": 6, "dog": 6}))
    own = str(make_folder({"train/cat": 4, "validation/cat": 2}, root=f"{root}-own"))
    said = {
        "data.folds is 3, but no fold is chosen": {"path": root, "folds": 3},
        "validation split of its own": {"path": own, "folds": 3, "fold": 1},
        "does not match in 12 file names: cat/000.png": {"path": root, "group": "(x)"},
        "belong together, so nothing is left": {"path": root, "folds": 2, "fold": 1, "group": "(png)"},
    }
    for message, keys in said.items():
        with pytest.raises(DataError, match=message):
            datasets.load(make_config(source="folder", channels=3, **keys))
    with pytest.raises(DataError, match='no split "test"') as error:
        datasets.load(make_config(source="folder", channels=3, path=root)).named("test")
    assert "--split validation" in error.value.hint
    for keys in ({"fold": 1}, {"folds": 2, "fold": 3}, {"group": "(a)(b)"}, {"group": "("}, {"group": "who"}):
        with pytest.raises(ValidationError):
            Data(source="folder", path=root, image_size=(8, 8), **keys)


def test_no_group_is_in_two_folds(make_config, tmp_path):
    """Every example is held out once, with the other files of its person and with its near-duplicates."""
    generator = np.random.default_rng(0)
    for person in range(14):
        for number in range(5):
            small = generator.integers(0, 200, (6, 6, 3), np.uint8)
            image = np.asarray(Image.fromarray(small).resize((48, 48), Image.Resampling.BICUBIC))
            folder = tmp_path / "faces" / "ab"[number % 2]
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(folder / f"p{person:02}-{number}.png")
            if number == 0:  # A near-duplicate that the next person has, too, ties both together.
                Image.fromarray((image + 3).clip(0, 255).astype(np.uint8)).save(
                    folder / f"p{(person | 1):02}-copy{person}.png"
                )
    held = []
    for fold in (1, 2, 3):
        keys = {"folds": 3, "fold": fold, "group": r"^(p\d+)-"}
        splits = datasets.load(make_config(source="folder", path=str(tmp_path / "faces"), channels=3, **keys))
        assert not set(splits.train.ids) & set(splits.validation.ids)
        held.append(set(splits.validation.ids))
    assert all(held)
    assert sum(map(len, held)) == len(set.union(*held)) == 14 * 6
    pairs = [{int(name.rpartition("/")[2][1:3]) // 2 for name in names} for names in held]
    assert sum(map(len, pairs)) == len(set.union(*pairs)) == 7
