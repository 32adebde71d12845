"""Folds of images with masks: each is held out once, and those that belong together in one fold."""

from __future__ import annotations


def test_no_group_is_in_two_folds(make_masks, load_masks):
    """Every image of a place is held out with the others of it, with its own mask."""
    root = make_masks({"train": 20})
    held = {}
    for fold in (1, 2, 3):
        splits = load_masks(root / "train", folds=3, fold=fold, group=r"(\d)\.png$")
        for name, part in (("train", splits.train), ("validation", splits.validation)):
            for row, example in enumerate(part.ids):
                held.setdefault(example, {})[fold] = (name, part.targets.read(row).tobytes())
    assert len(held) == 20
    for example, parts in held.items():
        assert sorted(name for name, _ in parts.values()) == ["train", "train", "validation"]
        assert len({mask for _, mask in parts.values()}) == 1
        other = example.replace("/0", "/1") if "/0" in example else example.replace("/1", "/0")
        assert {fold: name for fold, (name, _) in held[other].items()} == {
            fold: name for fold, (name, _) in parts.items()
        }
