"""What the passport says, and that it is kept between runs."""

from __future__ import annotations

import json
import os
import shutil
import time
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from cnncli import datasets
from cnncli.datasets import cache, scan
from cnncli.datasets.problems import findings
from cnncli.errors import DataError


def passport(make_config, path, **data):
    """Return a folder's passport."""
    options = {"source": "folder", "path": str(path), "channels": 3, "validation": 0.0, **data}
    return datasets.load(make_config(**options)).passport


def test_counts_sizes_and_pixels(make_folder, make_config):
    """Counts by class, sizes, modes, mean and deviation are those of the files."""
    folder = make_folder({"train/a": 3, "train/b": 2, "test/a": 1})
    found = passport(make_config, folder)
    assert found["counts"] == {"train": {"a": 3, "b": 2}, "test": {"a": 1, "b": 0}}
    assert found["num_examples"] == {"train": 5, "test": 1}
    assert found["sizes"]["most_common"] == [{"size": [9, 7], "num_images": 6}]
    assert (found["modes"], found["formats"]) == ({"RGB": 6}, {"PNG": 6})
    train = np.stack([np.asarray(Image.open(f)) for f in sorted((folder / "train").rglob("*.png"))]) / 255
    np.testing.assert_allclose(found["mean"], train.mean((0, 1, 2)), atol=1e-5)
    np.testing.assert_allclose(found["deviation"], train.std((0, 1, 2)), atol=1e-5)
    json.dumps(found, allow_nan=False)


def test_arrays_are_measured_as_files_are(make_config, make_folder, tmp_path):
    """An .npz file of the same images has the same hashes and numbers."""
    folder = make_folder({"0": 3, "1": 4})
    files = sorted(folder.rglob("*.png"))
    images = np.stack([np.asarray(Image.open(f)) for f in files])
    np.savez(tmp_path / "set.npz", x=images, y=np.array([int(f.parent.name) for f in files]))
    ours, theirs = passport(make_config, folder), passport(make_config, tmp_path / "set.npz", source="npz")
    for key in ("content_hash", "split_hash", "mean", "deviation", "counts", "sizes", "looks"):
        assert ours[key] == theirs[key], key


def test_the_content_hash_ignores_names_and_order(make_folder, make_config):
    """Renamed files are the same content; another split is another split hash; a changed pixel is another content."""
    folder = make_folder({"train/a": 4, "train/b": 4})
    before = passport(make_config, folder)
    (folder / "train/a/000.png").rename(folder / "train/a/zzz.png")
    renamed = passport(make_config, folder)
    assert (before["content_hash"], before["split_hash"]) == (renamed["content_hash"], renamed["split_hash"])
    (folder / "test/a").mkdir(parents=True)
    (folder / "train/a/zzz.png").rename(folder / "test/a/zzz.png")
    moved = passport(make_config, folder)
    assert moved["content_hash"] == before["content_hash"]
    assert moved["split_hash"] != before["split_hash"]
    pixels = np.asarray(Image.open(folder / "test/a/zzz.png")).copy()
    pixels[0, 0, 0] ^= 1
    Image.fromarray(pixels).save(folder / "test/a/zzz.png")
    assert passport(make_config, folder)["content_hash"] != before["content_hash"]


def photo_like(size):
    """Return an image with the spectrum of photographs: much contrast in large things, little in small ones."""
    rows, columns = np.fft.fftfreq(size)[:, None], np.fft.fftfreq(size)[None]
    strength = 1 / np.maximum(np.hypot(rows, columns), 1 / size)
    noise = np.random.default_rng(9).normal(size=(3, size, size))
    planes = np.fft.ifft2(np.fft.fft2(noise) * strength).real
    planes = (planes - planes.min()) / (planes.max() - planes.min())
    return Image.fromarray((planes.transpose(1, 2, 0) * 255).astype(np.uint8))


@pytest.fixture
def repeated(make_folder):
    """A folder with every kind of repetition, and one image of one colour."""
    folder = make_folder({"train/a": 3, "train/b": 3, "test/a": 1, "test/b": 1})
    shutil.copy(folder / "train/a/000.png", folder / "train/a/same.png")
    shutil.copy(folder / "train/a/001.png", folder / "train/b/contradiction.png")
    Image.open(folder / "train/b/000.png").save(folder / "test/b/leak.bmp")
    Image.new("RGB", (5, 5), (9, 9, 9)).save(folder / "train/b/flat.png")
    photo = photo_like(96)
    photo.save(folder / "train/a/photo.png")
    photo.resize((48, 48)).save(folder / "test/a/photo.jpg", quality=60)
    return folder


def test_repetitions_are_found(repeated, make_config):
    """Equal images within and across splits, contradicting labels, near-duplicates and constant images are listed."""
    found = passport(make_config, repeated)
    within, across = found["duplicates"]["within"], found["duplicates"]["across"]
    assert within["train"]["num_images"] == 2
    assert ["train/a/000.png", "train/a/same.png"] in within["train"]["examples"]
    assert across["train/test"] == {"num_images": 1, "examples": [["train/b/000.png", "test/b/leak.bmp"]]}
    assert found["contradictions"]["num_images"] == 2
    named = [{(item["id"], item["class"]) for item in group} for group in found["contradictions"]["examples"]]
    assert {("train/a/001.png", "a"), ("train/b/contradiction.png", "b")} in named
    assert found["near_duplicates"]["train/test"]["examples"] == [["train/a/photo.png", "test/a/photo.jpg"]]
    assert found["constant"]["examples"] == [{"split": "train", "id": "train/b/flat.png"}]


def test_what_was_found_is_reported(repeated, make_config):
    """Each of these findings is a problem with its own number."""
    config = make_config(source="folder", path=str(repeated), channels=3, validation=0.0)
    codes = {finding.code for finding in findings(config, passport(make_config, repeated))}
    assert {"W403", "W406", "W407", "W408", "W409"} <= codes


@pytest.mark.usefixtures("settled")
def test_the_second_time_nothing_is_decoded(make_folder, make_config, monkeypatch):
    """Files known by path and stamp are not opened again; a changed one is."""
    folder = make_folder({"a": 5, "b": 5})
    first = passport(make_config, folder)
    decoded = []
    measure = scan._measure
    monkeypatch.setattr(
        scan, "_measure", lambda files, rows, *rest: (decoded.extend(rows), measure(files, rows, *rest))
    )
    assert passport(make_config, folder) == first
    assert decoded == []
    Image.new("RGB", (4, 4)).save(folder / "a/000.png")
    assert passport(make_config, folder) != first
    assert decoded == [0]


def test_another_size_is_another_file(make_folder, make_config):
    """A file of another size is looked at again even if its time of change was set back."""
    folder = make_folder({"a": 2, "b": 2})
    for size in (3, 40):
        Image.new("RGB", (size, size)).save(folder / "a/000.png", compress_level=0)
        os.utime(folder / "a/000.png", ns=(10**18, 10**18))
        found = passport(make_config, folder)
    assert found["sizes"]["largest"] == [40, 40]


def test_files_changed_just_now_are_looked_at_again(make_folder, make_config, monkeypatch):
    """A file may change twice within one tick of the clock, so fresh ones are not trusted."""
    folder = make_folder({"a": 2, "b": 2})
    passport(make_config, folder)
    decoded = []
    measure = scan._measure
    monkeypatch.setattr(
        scan, "_measure", lambda files, rows, *rest: (decoded.extend(rows), measure(files, rows, *rest))
    )
    passport(make_config, folder)
    assert len(decoded) == 4


@pytest.mark.usefixtures("settled")
def test_bad_files_are_remembered_too(make_folder, make_config):
    """The second pass names the same bad files without opening them."""
    folder = make_folder({"a": 2, "b": 2})
    (folder / "a" / "bad.png").write_bytes(b"no image")
    first, second = (passport(make_config, folder, on_bad_image="skip") for _ in range(2))
    assert first["bad_files"] == second["bad_files"] != []


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04garbage", b"\x93NUMPY"])
def test_a_damaged_cache_is_no_trouble(content, make_folder, make_config, cache_folder):
    """A cache that cannot be read is made anew."""
    folder = make_folder({"a": 2, "b": 2})
    first = passport(make_config, folder)
    for file in cache_folder.rglob("*.*"):
        file.write_bytes(content)
    assert passport(make_config, folder) == first


def test_a_cache_that_cannot_be_written_is_no_trouble(make_folder, make_config, monkeypatch, tmp_path):
    """Without a place for the cache, everything works, only slower."""
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert passport(make_config, make_folder({"a": 2, "b": 2}))["num_examples"] == {"train": 4}


def test_channels_are_remembered_apart(make_folder, make_config):
    """Grey and colour readings of one folder do not share facts."""
    folder = make_folder({"a": 2, "b": 2})
    assert len(passport(make_config, folder)["mean"]) == 3
    assert len(passport(make_config, folder, channels=1)["mean"]) == 1


def test_the_benchmark_takes_a_passport_twice(make_folder, tmp_path, monkeypatch):
    """`tests/benchmarks/passport.py` in small: whole processes of `cnn data`, which say the same both times."""
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "benchmarks")
    measure = import_module("passport").measure
    folder = make_folder(
        {f"{split}/{digit}": number for split, number in (("train", 2), ("test", 1)) for digit in range(10)}
    )
    (_, first), (_, second) = (measure(folder, tmp_path) for _ in range(2))
    assert first == second
    assert first["counts"]["test"] == dict.fromkeys("0123456789", 1)
    assert sum(first["num_examples"].values()) == 30


@pytest.mark.parametrize(
    ("platform", "environment", "expected"),
    [
        ("linux", {"XDG_CACHE_HOME": "/x"}, "/x/cnncli"),
        ("linux", {}, "/home/.cache/cnncli"),
        ("darwin", {}, "/home/Library/Caches/cnncli"),
        ("darwin", {"XDG_CACHE_HOME": "/x"}, "/x/cnncli"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/cnncli/Cache"),
        ("win32", {}, "/home/AppData/Local/cnncli/Cache"),
    ],
)
def test_the_cache_is_where_each_system_keeps_caches(platform, environment, expected, monkeypatch):
    """Below XDG_CACHE_HOME if that is set, else where the system's programs keep theirs."""
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.platform", platform)
    monkeypatch.setattr(Path, "home", lambda: Path("/home"))
    assert cache.folder() == Path(expected)


def test_who_stops_listening_stops_the_pass():
    """After Ctrl-C the files that no one has begun are left alone; before, each part is reported as it is done."""
    examined, progress = [], []

    def read(row):
        time.sleep(0.0005)
        examined.append(row)
        raise DataError("x: bad")

    def nothing(rows):
        return cache.Known(["x"] * len(rows), None, None, None, [""] * len(rows))

    def watch(done, total):
        progress.append((done, total))
        raise KeyboardInterrupt

    rows = range(64 * 200)
    files = SimpleNamespace(read=read, names=["x"] * len(rows))
    with pytest.raises(KeyboardInterrupt):
        scan._measure(files, rows, nothing(rows), None, watch)
    assert progress == [(64, len(rows))]
    assert len(examined) < len(rows)
    found = nothing(range(130))
    scan._measure(files, range(130), found, None, lambda *numbers: progress.append(numbers))
    assert found.reasons == ["bad"] * 130
    assert progress[-1] == (130, 130)
    assert len(progress) == 1 + 3
