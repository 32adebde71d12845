"""Which mask belongs to which image: every layout that is known by name, patterns of a config, endings of names."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest

from cnncli.datasets.masks.layout import PATTERNS, pairs
from cnncli.errors import DataError


def paired(names, images=None, masks=None):
    """Return split, image and mask of each pair in sorted lists of names, and what is left over."""
    names = sorted(names)
    found = pairs(names, "data", images, masks)
    return sorted((pair.split, names[pair.image], names[pair.mask]) for pair in found.found), found.unpaired


@pytest.mark.parametrize("prefix", ["", "camvid/", "a/b/"])
@pytest.mark.parametrize(("images", "masks"), PATTERNS)
def test_every_known_layout(images, masks, prefix):
    """At the top, and below folders around everything; a file beside them changes nothing."""
    splits = {"train": "train", "val": "validation", "test": "test"} if "{split}" in images else {"": "train"}
    expected, names = [], [f"{prefix}README.md"]
    for folder, split in splits.items():
        for number in range(2):
            image = f"{prefix}{images.format(split=folder)}/{number}.jpg"
            mask = f"{prefix}{masks.format(split=folder)}/{number}.png"
            expected.append((split, image, mask))
            names += [image, mask]
    assert paired(names) == (sorted(expected), [])


@pytest.mark.parametrize(
    ("images", "masks", "image", "mask"),
    [
        ("{split}/photos", "{split}/classes", "train/photos/1.jpg", "train/classes/1.png"),
        ("cells/{split}/x", "cells/{split}/y", "cells/train/x/1.jpg", "cells/train/y/1.png"),
        ("cells/{split}/x", "cells/{split}/y", "all/cells/train/x/1.jpg", "all/cells/train/y/1.png"),
        ("a/b", "a/c", "a/b/1.jpg", "a/c/1.png"),
        ("/a/b/", "a/c/", "a/b/1.jpg", "a/c/1.png"),
        ("{split}/{split}_in", "{split}/{split}_out", "train/train_in/1.jpg", "train/train_out/1.png"),
        ("in (1)+", "out.[2]", "in (1)+/1.jpg", "out.[2]/1.png"),
        ("Images", "Masks", "images/1.jpg", "masks/1.png"),
    ],
)
def test_patterns_of_a_config(images, masks, image, mask):
    """As they are written, from the top or below what is around everything; only {split} stands for something."""
    assert paired([image, mask], images, masks) == ([("train", image, mask)], [])


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("1.jpg", "1.png"),
        ("1.jpg", "1_mask.png"),
        ("0001TP_006690.png", "0001TP_006690_L.png"),
        ("1.jpg", "1-seg.png"),
        ("a/b/1.jpg", "a/b/1.png"),
        ("aachen/aachen_0_leftImg8bit.png", "aachen/aachen_0_gtFine_labelIds.png"),
        ("aachen/aachen_0_leftImg8bit.png", "aachen/aachen_0_gtFine_labelTrainIds.png"),
        ("x_mask.jpg", "x_mask.png"),
        ("x.1.jpg", "x.1.png"),
        ("noextension", "noextension"),
    ],
)
def test_endings_of_names(image, mask):
    """What programs add to a mask's name, and Cityscapes to an image's, is not part of what they share."""
    expected = ("train", f"images/{image}", f"masks/{mask}")
    assert paired([f"images/{image}", f"masks/{mask}"]) == ([expected], [])


@pytest.mark.parametrize("other", ["1_mask.png", "1-mask.png", "1_L.png"])
def test_a_name_as_it_stands_comes_first(other):
    """Whatever is sorted before the other: the mask of the very name is taken, the other left over."""
    found, unpaired = paired(["images/1.jpg", "masks/1.png", f"masks/{other}"])
    assert found == [("train", "images/1.jpg", "masks/1.png")]
    assert unpaired == [(f"masks/{other}", "train", "no image for this mask")]


def test_what_cityscapes_keeps_beside_a_mask_is_none():
    """Polygons, colours, instances, and the second numbering where there are two."""
    kinds = ("color.png", "instanceIds.png", "labelTrainIds.png", "polygons.json", "labelIds.png")
    names = [f"gtFine/val/ulm/ulm_1_gtFine_{kind}" for kind in kinds]
    image = "leftImg8bit/val/ulm/ulm_1_leftImg8bit.png"
    assert paired([image, *names]) == ([("validation", image, names[-1])], [])


def test_files_that_are_no_images_are_left_out_and_counted():
    """Texts and tables among images or masks, and whatever is in other folders."""
    names = sorted(["images/1.jpg", "images/classes.txt", "masks/1.png", "masks/1.json", "notes/a.png", "b.csv"])
    found = pairs(names, "data", None, None)
    assert (len(found.found), list(found.unpaired), found.ignored) == (1, [], 4)


def test_what_has_no_partner_is_named():
    """With its split, and for an image with the folder in which a mask was looked for."""
    names = ["d/train/images/1.jpg", "d/train/images/2.jpg", "d/train/masks/1.png", "d/test/masks/3.png"]
    found, unpaired = paired(names)
    assert found == [("train", "d/train/images/1.jpg", "d/train/masks/1.png")]
    assert unpaired == [
        ("d/train/images/2.jpg", "train", "no mask for this image in d/train/masks/"),
        ("d/test/masks/3.png", "test", "no image for this mask"),
    ]


@pytest.mark.parametrize(
    ("names", "patterns", "words"),
    [
        (
            ["a/1.jpg", "b/1.png"],
            (None, None),
            "data has no folders of images and masks that are known by name; it has a, b",
        ),
        (["1.jpg"], (None, None), "known by name; it has no folders"),
        (["a/1.jpg", "b/1.png"], ("x", "y"), 'that match "x" and "y"; it has a, b'),
        (
            ["images/1.jpg", "masks/1.png", "masks/1.bmp"],
            (None, None),
            "masks/1.bmp and masks/1.png are masks of the same",
        ),
    ],
)
def test_layouts_that_are_none(names, patterns, words):
    """They are refused, with the folders that there are."""
    with pytest.raises(DataError, match=words):
        paired(names, *patterns)


def arrays(split):
    """Return the images and masks of a split."""
    rows = range(len(split))
    return [split.images.decode(row) for row in rows], [split.targets.read(row) for row in rows]


def test_a_zip_holds_what_its_folder_holds(make_masks, load_masks, tmp_path):
    """The same examples, in the same order, with the same hashes."""
    folder = make_masks({"train": 3, "val": 2, "test": 1})
    with zipfile.ZipFile(tmp_path / "scenes.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for file in folder.rglob("*.png"):
            archive.write(file, file.relative_to(folder.parent))
    first, second = (
        load_masks(folder, validation="validation"),
        load_masks(tmp_path / "scenes.zip", validation="validation"),
    )
    assert first.passport["num_examples"] == {"train": 3, "validation": 2, "test": 1}
    for ours, theirs in zip(first.present(), second.present(), strict=True):
        for kind, other in zip(arrays(ours), arrays(theirs), strict=True):
            assert all(np.array_equal(a, b) for a, b in zip(kind, other, strict=True))
    for key in ("content_hash", "split_hash", "counts", "targets"):
        assert first.passport[key] == second.passport[key], key


def test_files_of_one_person_stay_together(make_masks, load_masks):
    """data.group goes by the images' names."""
    folder = make_masks({"train": 12})
    splits = load_masks(folder, group=r"^(\d)", validation=0.3)
    of = [{name.rsplit("/", 1)[-1][0] for name in split.images.names} for split in splits.present()]
    assert of[0].isdisjoint(of[1])
    assert sum(map(len, of)) == 2
