"""What one pass over masks finds, and what of it is believed later."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from PIL import Image

from cnncli.datasets import cache
from cnncli.datasets.masks import scan
from cnncli.datasets.rehash import rehashing
from cnncli.datasets.store import Folder
from cnncli.errors import DataError


@pytest.fixture
def decoded(monkeypatch):
    """Return the names of the masks that are decoded from here on."""
    names = []
    read = scan.read_values
    monkeypatch.setattr(
        scan, "read_values", lambda content, name, kind: (names.append(name), read(content, name, kind))[1]
    )
    return names


def masks_of(folder, split="train"):
    """Return the masks of a split by a decoder of our own choice."""
    return np.stack([np.asarray(Image.open(file)) for file in sorted((folder / split / "masks").iterdir())])


def test_pixels_of_each_class_are_counted(make_masks, load_masks):
    """By NumPy's own count; those of no class last; images in which a class is; the shares as a name."""
    folder = make_masks({"train": 5, "test": 2})
    splits = load_masks(folder, classes={"sky": 0, "car": 2}, ignore=1)
    for split, name in ((splits.train, "train"), (splits.test, "test")):
        masks = masks_of(folder, name)
        expected = [[(mask == value).sum() for value in (0, 2, 1)] for mask in masks]
        assert split.targets.pixels.tolist() == expected
        assert split.targets.counts(splits.classes) == {
            "sky": int((masks == 0).any(axis=(1, 2)).sum()),
            "car": int((masks == 2).any(axis=(1, 2)).sum()),
        }
        told = splits.passport["targets"][name]
        assert told["pixels"] == {"sky": int((masks == 0).sum()), "car": int((masks == 2).sum())}
        assert told["ignored_pixels"] == int((masks == 1).sum())


def test_the_name_of_a_mask(make_masks, load_masks):
    """Its largest classes with their shares of all pixels, ignored ones among these."""
    mask = np.array([[0, 0, 0, 1], [1, 2, 3, 9]], np.uint8)
    targets = load_masks(
        make_masks({"train": 1}, size=mask.shape, masks=mask),
        classes={"a": 0, "b": 1, "c": 2, "d": 3, "e": 4},
        ignore=9,
        image_size=mask.shape,
    ).train.targets
    assert targets.name(0, ("a", "b", "c", "d", "e")) == "a 38 %, b 25 %, c 12 %"


def test_digests_tell_masks_apart(make_masks, load_masks, encode):
    """Equal for equal class numbers, however they are stored; another for another shape of the same bytes."""
    folder = make_masks({"train": 3})
    before = masks_of(folder)
    first = load_masks(folder).train.targets.digests()
    for file, mask in zip(sorted((folder / "train/masks").iterdir()), before, strict=True):
        file.write_bytes(encode(np.array([50, 60, 70], np.uint8)[mask]))
    second = load_masks(folder, classes={"sky": 50, "road": 60, "car": 70}).train.targets.digests()
    assert np.array_equal(first, second)
    assert len(np.unique(first, axis=0)) == 3
    assert scan.mask_hash(before[0]) != scan.mask_hash(before[0].reshape(8, 6))


@pytest.mark.usefixtures("settled")
def test_the_second_time_no_mask_is_decoded(make_masks, load_masks, decoded, encode):
    """Those known by path and stamp are not even opened; one with another content is decoded, a copy of one is not."""
    folder = make_masks({"train": 4})
    before = load_masks(folder)
    assert len(decoded) == 4
    decoded.clear()
    again = load_masks(folder)
    assert (decoded, again.passport) == ([], before.passport)
    assert np.array_equal(again.train.targets.pixels, before.train.targets.pixels)
    place = folder / "train/masks/02.png"
    shutil.copy(place, folder / "copy")
    (folder / "copy").rename(place)
    assert load_masks(folder).passport["content_hash"] == before.passport["content_hash"]
    assert decoded == []
    place.write_bytes(encode(np.full((6, 8), 2, np.uint8)))
    changed = load_masks(folder)
    assert decoded == ["train/masks/02.png"]
    assert changed.train.targets.pixels[2].tolist() == [0, 0, 48, 0]
    assert changed.passport["content_hash"] != before.passport["content_hash"]


@pytest.mark.usefixtures("settled")
def test_other_classes_are_another_reading(make_masks, load_masks, decoded):
    """What was found by other values says nothing."""
    folder = make_masks({"train": 2})
    load_masks(folder)
    decoded.clear()
    splits = load_masks(folder, classes={"sky": 1, "road": 0, "car": 2})
    assert len(decoded) == 2
    masks = masks_of(folder)
    assert splits.train.targets.pixels[:, 0].tolist() == (masks == 1).sum(axis=(1, 2)).tolist()


@pytest.mark.usefixtures("settled")
def test_a_damaged_cache_is_ignored(make_masks, load_masks, decoded, cache_folder):
    """One changed byte in any of its files, and everything is decoded again, with the same result."""
    folder = make_masks({"train": 2})
    before = load_masks(folder).passport
    files = list(cache.folder().glob("arrays-*.sealed"))
    assert len(files) == 1
    for file in files:
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
    decoded.clear()
    assert load_masks(folder).passport == before
    assert len(decoded) == 2


@pytest.mark.usefixtures("settled")
def test_a_bad_mask_is_bad_again(make_masks, load_masks, decoded):
    """Its reason is not kept: it is read each time, and good as soon as it is mended."""
    folder = make_masks({"train": 3})
    place = folder / "train/masks/01.png"
    good = place.read_bytes()
    place.write_bytes(good[:40])
    for _ in range(2):
        decoded.clear()
        assert [bad["file"] for bad in load_masks(folder, inspect=True).passport["bad_files"]] == ["train/masks/01.png"]
    assert decoded == ["train/masks/01.png"]
    place.write_bytes(good)
    assert load_masks(folder).passport["bad_files"] == []


@pytest.mark.usefixtures("settled")
def test_masks_are_read_again_when_asked(make_masks, load_masks, decoded, monkeypatch, encode):
    """`cnn data --rehash` believes nothing, and names the mask of which the cache was wrong."""
    folder = make_masks({"train": 3})
    load_masks(folder)
    decoded.clear()
    with rehashing() as found:
        load_masks(folder)
    assert (len(decoded), found.different) == (3, [])
    listing = Folder(folder).listing()
    monkeypatch.setattr(Folder, "listing", lambda self: listing)
    (folder / "train/masks/01.png").write_bytes(encode(np.zeros((6, 8), np.uint8)))
    before = load_masks(folder).train.targets.pixels
    with rehashing() as found:
        after = load_masks(folder).train.targets.pixels
    assert found.different == ["train/masks/01.png"]
    assert (before[1] != after[1]).any()


def test_a_mask_replaced_after_the_scan_is_noticed(make_masks, load_masks, encode):
    """Wherever it is used: read alone, fitted with the others, taken into another split."""
    folder = make_masks({"train": 3})
    targets = load_masks(folder).train.targets
    (folder / "train/masks/01.png").write_bytes(encode(np.zeros((6, 8), np.uint8)))
    words = "train/masks/01.png has changed since the examples were read"
    with pytest.raises(DataError, match=words):
        targets.read(1)
    with pytest.raises(DataError, match=words):
        targets.take(np.array([2, 1])).read(1)
    targets.read(0)
