"""Passports, findings and statistics, whole: beside their golden texts, or at the limits of what is reported.

`CNN_REGENERATE=1 pytest tests/datasets` writes the texts anew; read the difference before it is committed.
"""

from __future__ import annotations

import copy
import dataclasses
import json

import numpy as np
import pytest
from matplotlib.figure import Figure

from cnncli import datasets
from cnncli.config.load import loads
from cnncli.datasets.image_statistics import differences
from cnncli.datasets.problems import findings
from cnncli.datasets.samples import draw
from cnncli.errors import DataError


@pytest.fixture
def repeated(make_config, tmp_path):
    """A set with images that are repeated, contradict each other, look alike, or have one colour."""
    generator = np.random.default_rng(4)
    images = generator.integers(0, 256, (60, 12, 10, 3), np.uint8)
    labels = np.arange(60) % 3
    images[30], images[31], images[33], images[36] = images[0], images[0], images[3], images[3]
    images[40] = 7
    images[41] = images[41][..., :1]
    images[52], images[57], images[58] = images[1], images[1], images[1]
    images[54] = np.clip(images[2].astype(int) + generator.integers(-9, 10, (12, 10, 3)), 0, 255)
    images[55] = np.clip(images[2].astype(int) + generator.integers(-9, 10, (12, 10, 3)), 0, 255)
    path = tmp_path / "set.npz"
    np.savez(
        path,
        x_train=images[:50],
        y_train=labels[:50],
        x_test=images[50:],
        y_test=labels[50:] % 2,
        classes=np.array(["a", "b", "c"]),
    )
    return make_config(source="npz", path=str(path), channels=3, validation=0.2, seed=3)


def test_a_passport(repeated, golden):
    """Counts, sizes, statistics, hashes, repetitions: everything that is kept of a set."""
    found = datasets.inspect(repeated).passport
    golden("passport", json.dumps({**found, "path": None}, indent=1))


def clean():
    """Return a passport without anything to find."""
    look = {
        "num_images": 100,
        "mean": [0.5],
        "deviation": [0.2],
        "brightness": {"mean": 0.5, "deviation": 0.05},
        "grey_share": 1.0,
    }
    nothing = {"num_images": 0, "examples": []}
    return {
        "classes": ["a", "b", "c"],
        "bad_files": [],
        "ignored_folders": [],
        "constant": nothing,
        "missing_classes": {"train": [], "validation": [], "test": []},
        "counts": {"train": {"a": 10, "b": 100, "c": 0}, "test": {"a": 1, "b": 1, "c": 1}},
        "duplicates": {"within": {"train": nothing, "test": nothing}, "across": {"train/test": nothing}},
        "near_duplicates": {"train/test": nothing},
        "contradictions": nothing,
        "looks": {"train": look, "test": copy.deepcopy(look)},
    }


def found_everything():
    """Return a passport with everything in it that can be found, more of it than is named."""
    passport = clean()
    named = [f"file {i}" for i in range(12)]
    passport["bad_files"] = [{"file": name, "reason": "no image"} for name in named]
    passport["ignored_folders"] = named
    passport["constant"] = {"num_images": 30, "examples": [{"split": "train", "id": name} for name in named]}
    passport["missing_classes"] = {"train": ["c"], "validation": [], "test": named}
    passport["counts"]["train"] = {"a": 10, "b": 1001, "c": 500}
    groups = {"num_images": 1234, "examples": [[name, "x", "y", "z"] for name in named]}
    passport["duplicates"] = {"within": {"train": groups, "test": groups}, "across": {"train/test": groups}}
    passport["near_duplicates"] = {"train/test": groups}
    contradiction = [{"split": "train", "id": name, "class": "a"} for name in named]
    passport["contradictions"] = {"num_images": 24, "examples": [contradiction, contradiction]}
    passport["looks"]["test"]["brightness"]["mean"] = 0.9
    return passport


def found_one():
    """Return a passport with one of everything."""
    passport = clean()
    one = {"num_images": 1, "examples": [["i", "j"]]}
    passport["bad_files"] = [{"file": "f", "reason": "no image"}]
    passport["ignored_folders"] = ["extra"]
    passport["constant"] = {"num_images": 1, "examples": [{"split": "train", "id": "i"}]}
    passport["missing_classes"]["test"] = ["c"]
    passport["duplicates"]["across"]["train/test"] = passport["near_duplicates"]["train/test"] = one
    passport["contradictions"] = {"num_images": 2, "examples": [[{"split": "train", "id": "i", "class": "a"}] * 2]}
    return passport


NET = "name: n\ndata: {{source: digits, image_size: [8, 8]{}}}\nmodel: {{layers: [Flatten, Dense: {{units: {}}}]}}\n"


def test_findings(golden):
    """Each finding with its number, its place, its words and what to do; nothing where there is nothing."""
    lines = []
    for passport in (clean(), found_everything(), found_one()):
        for settings, units in (("", 3), (", on_bad_image: skip", 4)):
            lines.append(f"== {settings} {units}")
            for finding in findings(loads(NET.format(settings, units)), passport):
                lines += [f"{finding.code} {finding.path}: {finding.message}", f"    {finding.hint}"]
    golden("findings", "\n".join(lines))


@pytest.mark.parametrize(("rare", "is_reported"), [(10, False), (9, True)])
def test_classes_far_from_even(rare, is_reported):
    """More than ten times as many of one class as of another; classes without an image do not count."""
    passport = clean()
    passport["counts"]["train"]["a"] = rare
    codes = [finding.code for finding in findings(loads(NET.format("", 3)), passport)]
    assert codes == (["W405"] if is_reported else [])


def looked(mean=0.5, spread=0.05, deviation=0.2, grey=0.5, number=100):
    """Return what a set looks like."""
    brightness = {"mean": mean, "deviation": spread}
    return {"num_images": number, "brightness": brightness, "deviation": [deviation], "grey_share": grey}


@pytest.mark.parametrize(
    ("incoming", "trained", "words"),
    [
        (looked(), looked(), None),
        (looked(mean=1 / 255), looked(mean=4.1 / 255), "0 to 1"),
        (looked(mean=1.01 / 255), looked(mean=4.1 / 255), None),
        (looked(mean=1 / 255), looked(mean=4 / 255), None),
        (looked(mean=0.5 + 0.109), looked(), None),
        (looked(mean=0.5 + 0.111), looked(), "much brighter: 0.61, 0.50"),
        (looked(mean=0.5 - 0.109), looked(), None),
        (looked(mean=0.5 - 0.111), looked(), "much darker: 0.39, 0.50"),
        (looked(mean=0.5 + 0.199, number=1), looked(), None),
        (looked(mean=0.5 + 0.201, number=1), looked(), "brighter"),
        (looked(mean=0.75), looked(mean=0.1), "much brighter: 0.75, 0.10"),
        (looked(mean=0.7), looked(mean=0.3), "inverted: mean brightness 0.70, 0.30"),
        (looked(mean=0.8), looked(mean=0.3), "inverted"),
        (looked(deviation=0.0401), looked(), None),
        (looked(deviation=0.0399), looked(), "deviation 0.040, 0.200"),
        (looked(deviation=0.0), looked(deviation=0.0), None),
        (looked(grey=1), looked(grey=0.01), "the images are grey; the training images had colour"),
        (looked(grey=1), looked(grey=0.011), None),
        (looked(grey=0.99), looked(grey=0), None),
        (looked(grey=0), looked(grey=0.99), "the images have colour; the training images were grey"),
        (looked(grey=0), looked(grey=0.989), None),
        (looked(grey=0.01), looked(grey=1), None),
        (looked(mean=0.9, number=0), looked(), None),
        (looked(mean=0.9), looked(number=0), None),
    ],
)
def test_looks_at_their_limits(incoming, trained, words):
    """One sentence beyond a limit, none at it: the spread allows two deviations, and two more for a single image."""
    found = differences(incoming, trained)
    assert len(found) == (words is not None)
    assert words is None or words in found[0]


def test_several_findings_are_reported_together():
    """Brightness, contrast and colour, in this order."""
    found = differences(looked(mean=0.9, deviation=0.01, grey=0), looked(mean=0.5, grey=1.0))
    assert [sentence.split()[2] for sentence in found] == ["are", "have", "have"]


@pytest.mark.parametrize(("channels", "classes"), [(1, 2), (3, 21)])
def test_samples_are_the_first_images_of_each_class(channels, classes, make_config, tmp_path, monkeypatch):
    """A row for each of at most twenty classes with its name and count, ten images at most, as they are stored."""
    images = np.random.default_rng(0).integers(0, 256, (150, 5, 4, channels), np.uint8)
    labels = np.append(np.arange(6 * classes) % classes, np.zeros(150 - 6 * classes, np.int64))
    np.savez(tmp_path / "set.npz", x=images, y=labels)
    splits = datasets.load(make_config(source="npz", path=str(tmp_path / "set.npz"), channels=channels, validation=0.0))
    drawn = []
    monkeypatch.setattr(
        Figure, "savefig", lambda self, file, dpi, **_: drawn.append(self) or file.write(f"dpi {dpi}".encode())
    )
    assert draw(splits, tmp_path / "new" / "samples.png").read_text() == "dpi 100"
    (figure,) = drawn
    rows = min(classes, 20)
    assert figure.get_size_inches() == pytest.approx((11.5, 1.05 * rows + 0.5))
    assert len(figure.axes) == rows * 10
    for label in (0, rows - 1):
        row = figure.axes[10 * label : 10 * label + 10]
        members = np.flatnonzero(labels == label)
        assert row[0].get_ylabel() == f"{label}\n{len(members)}"
        assert [len(axes.images) for axes in row] == [int(place < len(members)) for place in range(10)]
        for axes, member in zip(row, members, strict=False):
            assert np.array_equal(axes.images[0].get_array(), images[member].squeeze())
            assert axes.images[0].get_clim() == (0, 255)
            assert not axes.get_frame_on()


def test_samples_that_cannot_be_written(make_config, tmp_path):
    """They are reported with their path."""
    splits = datasets.load(make_config(source="digits"))
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"samples\.png cannot be written: "):
        draw(dataclasses.replace(splits, classes=splits.classes[:1]), tmp_path / "file" / "samples.png")


@pytest.mark.parametrize(("number", "last"), [(1, "b00.png: "), (20, "b19.png: "), (21, "… and 1 more")])
def test_bad_files_are_listed(number, last, make_folder, make_config):
    """Twenty by name, the others counted."""
    folder = make_folder({"a": 2, "b": 2})
    for i in range(number):
        (folder / "a" / f"b{i:02}.png").write_bytes(b"no image")
    with pytest.raises(DataError) as caught:
        datasets.load(make_config(source="folder", path=str(folder), channels=3))
    first, *lines = caught.value.message.splitlines()
    assert first == f"{number} {'file' if number == 1 else 'files'} cannot be read:"
    assert len(lines) == number
    assert last in lines[-1]
    assert caught.value.code == "E401"
