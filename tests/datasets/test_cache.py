"""What is believed of the cache, and what is looked at again."""

from __future__ import annotations

import os
import shutil
import zipfile
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from cnncli import datasets
from cnncli.datasets import cache, scan
from cnncli.datasets.rehash import rehashing
from cnncli.datasets.store import Folder
from cnncli.errors import DataError

OLD = (10**18, 10**18)


def load(make_config, path, **data):
    """Return the splits of a folder or file."""
    source = "npz" if str(path).endswith(".npz") else "folder"
    return datasets.load(make_config(**{"source": source, "path": str(path), "channels": 3, "validation": 0.0, **data}))


def passport(make_config, path, **data):
    """Return a folder's or a file's passport."""
    return load(make_config, path, **data).passport


@pytest.fixture
def decoded(monkeypatch):
    """Return the names of the files that are decoded from here on."""
    names = []
    examine = scan.examine
    monkeypatch.setattr(scan, "examine", lambda content, *rest: (names.append(rest[1]), examine(content, *rest))[1])
    return names


@pytest.fixture
def read(monkeypatch):
    """Return the names of the files that are read from here on."""
    names = []
    whole = Folder.read
    monkeypatch.setattr(Folder, "read", lambda store, name: (names.append(name), whole(store, name))[1])
    return names


@pytest.fixture
def equal_sized(make_folder):
    """A folder of files of equal size and time of change."""
    folder = make_folder({"a": 4, "b": 4})
    sizes = [file.stat().st_size for file in folder.rglob("*.png")]
    for file in folder.rglob("*.png"):
        file.write_bytes(file.read_bytes().ljust(max(sizes), b"\0"))
        os.utime(file, ns=OLD)
    return folder


@pytest.mark.usefixtures("settled")
def test_files_that_change_places_are_noticed(equal_sized, make_config):
    """Files of equal size and time moved to each other's path are other files there: `mv` keeps both."""
    before = passport(make_config, equal_sized)
    for number in range(2):
        first, second = equal_sized / f"a/{number:03}.png", equal_sized / f"b/{number:03}.png"
        first.rename(equal_sized / "moving")
        second.rename(first)
        (equal_sized / "moving").rename(second)
    after = passport(make_config, equal_sized)
    assert after["counts"] == before["counts"]
    assert after["content_hash"] != before["content_hash"]


@pytest.mark.usefixtures("settled")
def test_a_content_written_in_place_is_noticed(equal_sized, make_config):
    """The same inode and size, and the time of change set back: the time of the inode tells."""
    before = passport(make_config, equal_sized)
    file = equal_sized / "a/000.png"
    file.write_bytes((equal_sized / "a/001.png").read_bytes())
    os.utime(file, ns=OLD)
    assert passport(make_config, equal_sized)["content_hash"] != before["content_hash"]


@pytest.mark.usefixtures("settled")
def test_in_doubt_a_file_is_hashed_not_decoded(equal_sized, make_config, decoded, read):
    """Another inode or time with the same content costs a reading, once; a new file is decoded."""
    before = passport(make_config, equal_sized)
    read.clear()
    decoded.clear()
    copy = equal_sized / "a/copy"
    shutil.copy(equal_sized / "a/001.png", copy)
    copy.rename(equal_sized / "a/001.png")
    (equal_sized / "b/000.png").chmod(0o600)
    assert passport(make_config, equal_sized) == before
    assert (sorted(read), decoded) == (["a/001.png", "b/000.png"], [])
    assert passport(make_config, equal_sized) == before
    assert len(read) == 2
    shutil.copy(equal_sized / "a/001.png", equal_sized / "a/new.png")
    assert passport(make_config, equal_sized)["num_examples"] == {"train": 9}
    assert decoded == ["a/new.png"]


def test_a_fresh_file_is_in_doubt(equal_sized, make_config, decoded, read, monkeypatch):
    """What changed within two seconds before it was scanned is hashed the next time, and believed from then on."""
    before = passport(make_config, equal_sized)
    read.clear()
    decoded.clear()
    assert passport(make_config, equal_sized) == before
    assert (len(read), decoded) == (8, [])
    monkeypatch.setattr("time.time_ns", lambda: int(9e18))
    for _ in range(2):
        assert passport(make_config, equal_sized) == before
        assert len(read) == 16


@pytest.mark.usefixtures("settled")
def test_a_disk_with_another_number_is_read_not_decoded(equal_sized, make_config, decoded, read, monkeypatch):
    """A network disk has another device number after a mount: nothing is decoded, and the next time nothing is read."""
    before = passport(make_config, equal_sized)
    read.clear()
    decoded.clear()
    monkeypatch.setattr(
        "cnncli.datasets.store.stamp_of", lambda s: (s.st_size, 77, s.st_ino, s.st_mtime_ns, s.st_ctime_ns)
    )
    for _ in range(2):
        assert passport(make_config, equal_sized) == before
        assert (len(read), decoded) == (8, [])


@pytest.mark.usefixtures("settled")
def test_what_could_not_be_read_is_tried_again(equal_sized, make_config, monkeypatch):
    """A failing disk is not remembered: the file is good the next time."""
    whole = Folder.read

    def failing(store, name):
        if name == "a/002.png":
            raise DataError(f"{name}: input/output error")
        return whole(store, name)

    with monkeypatch.context() as patch:
        patch.setattr(Folder, "read", failing)
        (bad,) = passport(make_config, equal_sized, on_bad_image="skip")["bad_files"]
    assert bad["reason"] == "input/output error"
    assert passport(make_config, equal_sized)["bad_files"] == []


@pytest.mark.usefixtures("settled")
def test_another_archive_of_the_same_sums_is_read(equal_sized, make_config, tmp_path, decoded):
    """An archive that was written anew is in doubt, whatever sums it lists: its entries are read, not decoded."""
    path = tmp_path / "images.zip"
    for turn in range(3):
        with zipfile.ZipFile(path, "w") as packed:
            for file in sorted(equal_sized.rglob("*.png")):
                packed.write(file, file.relative_to(equal_sized))
        assert passport(make_config, path)["num_examples"] == {"train": 8}
        assert len(decoded) == 8, turn
    with zipfile.ZipFile(path) as packed:
        places = {info.filename: info.header_offset for info in packed.infolist()}
    content = bytearray(path.read_bytes())
    content[places["a/002.png"] + 30 + len("a/002.png") + 50] ^= 1  # the list of entries and its sums stay
    path.write_bytes(content)
    (bad,) = passport(make_config, path, on_bad_image="skip")["bad_files"]
    assert bad == {"file": "a/002.png", "split": "train", "reason": "the archive is damaged (wrong size or checksum)"}


@pytest.mark.usefixtures("settled")
def test_other_arrays_of_the_same_size_and_time_are_measured(make_config, tmp_path):
    """An .npz file in another's place, equal in size and time of change."""
    path, hashes = tmp_path / "set.npz", []
    for seed in (1, 2):
        images = np.random.default_rng(seed).integers(0, 256, (12, 5, 5), np.uint8)
        np.savez(path, x=images, y=np.arange(12) % 3)
        os.utime(path, ns=OLD)
        hashes.append(passport(make_config, path, channels=1)["content_hash"])
    assert hashes[0] != hashes[1]


@pytest.mark.usefixtures("settled")
def test_one_file_of_the_cache_in_the_place_of_another(make_folder, make_config, cache_folder, tmp_path):
    """What was found in one folder does not stand for another, nor one passport for another."""
    folders = [make_folder({"a": 3, "b": 3}, tmp_path / str(seed), seed=seed) for seed in (1, 2)]
    found = [passport(make_config, folder) for folder in folders]
    for kind in ("facts-*", "passport-*"):
        first, second = sorted(cache_folder.rglob(kind))
        for source, target in ((first, "kept"), (second, first.name), (first.with_name("kept"), second.name)):
            source.rename(source.with_name(target))
        assert [passport(make_config, folder) for folder in folders] == found


@pytest.mark.usefixtures("settled")
def test_reading_everything_again(equal_sized, make_config, decoded):
    """Every file is decoded whatever the cache says; what it had wrong is named, and right from then on."""
    found = passport(make_config, equal_sized)
    decoded.clear()
    with rehashing() as rehash:
        assert passport(make_config, equal_sized) == found
    assert len(decoded) == 8
    assert rehash.to_json() == {"num_images": 8, "num_known": 8, "num_different": 0, "examples": []}
    identity = Folder(equal_sized).identity
    known = cache.load(identity, 3)
    known.facts.sums[2] += 1
    cache.save(identity, 3, known)
    assert passport(make_config, equal_sized)["mean"] == found["mean"]  # the document of before
    with rehashing() as rehash:
        assert passport(make_config, equal_sized) == found
    assert rehash.different == ["a/002.png"]
    with rehashing() as rehash:
        passport(make_config, equal_sized)
    assert rehash.different == []


@pytest.mark.usefixtures("settled")
def test_reading_arrays_again(make_config, tmp_path):
    """Arrays are measured anew as well."""
    np.savez(tmp_path / "set.npz", x=np.zeros((6, 4, 4), np.uint8), y=np.arange(6) % 2)
    with rehashing() as rehash:
        found = passport(make_config, tmp_path / "set.npz", channels=1)
        assert rehash.to_json() == {"num_images": 6, "num_known": 0, "num_different": 0, "examples": []}
        assert passport(make_config, tmp_path / "set.npz", channels=1) == found
    assert rehash.to_json() == {"num_images": 12, "num_known": 6, "num_different": 0, "examples": []}


@pytest.mark.usefixtures("settled")
def test_damaged_caches_in_small(tmp_path, monkeypatch):
    """`tests/faults/cache_campaign.py` in small: however a file is damaged, it is made anew."""
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "faults")
    kinds, wrong = import_module("cache_campaign").campaign(tmp_path, trials=40, seed=3)
    assert (kinds.total(), wrong) == (40, [])
