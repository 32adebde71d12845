"""Folds of images with boxes: each is held out once, and those that belong together in one fold."""

from __future__ import annotations


def test_no_group_is_in_two_folds(write, encode, pixels, load_boxes):
    """Every image of a place is held out with the others of it, with its own box."""
    files = {f"images/{n:02}.png": encode(pixels()) for n in range(20)}
    files |= {f"labels/{n:02}.txt": f"0 0.5 0.5 0.5 {n / 20 + 0.025}" for n in range(20)}
    root = write({**files, "data.yaml": "names: [cell]\nnc: 1\n"})
    held = {}
    for fold in (1, 2, 3):
        splits = load_boxes(root, source="yolo", folds=3, fold=fold, group=r"(\d)\.png$")
        for example, own in zip(splits.validation.ids, splits.validation.targets.objects, strict=True):
            number = int(example[-6:-4])
            assert number not in held
            held[number] = fold
            assert own.areas.tolist() == [(own.corners[0, 3] - own.corners[0, 1]) * 30]
            assert abs(own.areas[0] / 1200 - (number / 20 + 0.025)) < 0.03
        assert not set(splits.train.ids) & set(splits.validation.ids)
        assert len(splits.train.ids) + len(splits.validation.ids) == 20
    assert sorted(held) == list(range(20))
    assert all(held[number] == held[number + 10] for number in range(10))
    assert len(set(held.values())) == 3
