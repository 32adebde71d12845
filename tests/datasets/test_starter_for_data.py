"""`cnn init --data` writes a config that suits the images, without a problem in it."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnncli.analysis.check import check
from cnncli.config.load import load
from cnncli.config.schema.schema import Config
from cnncli.datasets import load as load_splits
from cnncli.datasets.starter import image_size, write_for_data
from cnncli.datasets.survey import Survey, survey
from cnncli.errors import CnnError, DataError


@pytest.fixture
def photos(tmp_path, encode):
    """Return a function that writes a folder of JPEG files: {"cat": 3, …}, (height, width), grey or not."""

    def make(counts: dict[str, int], size: tuple[int, int] = (48, 60), grey: bool = False) -> Path:
        generator = np.random.default_rng(0)
        for folder, count in counts.items():
            (tmp_path / "photos" / folder).mkdir(parents=True)
            for number in range(count):
                pixels = generator.integers(0, 256, size if grey else (*size, 3), np.uint8)
                (tmp_path / "photos" / folder / f"{number}.jpg").write_bytes(encode(pixels, "JPEG"))
        return tmp_path / "photos"

    return make


def written(data: Path) -> Config:
    """Write a config for data beside it, and read it."""
    file = data.parent / "mine.yaml"
    file.unlink(missing_ok=True)
    write_for_data(file, data)
    return load(file)


def text(data: Path) -> str:
    """Return the config that is written for data."""
    written(data)
    return (data.parent / "mine.yaml").read_text(encoding="utf-8")


def found(number: int = 100, size: tuple[int, int] = (64, 64), classes: tuple[str, ...] = ("cat", "dog")) -> Survey:
    """Return what is found where all images have one size."""
    counts = dict.fromkeys(classes, number // len(classes))
    return Survey(Path("photos"), "folder", counts, np.tile(np.int32(size), (number, 1)), 0, ("train",), 0)


def test_a_folder_of_colour_photos(photos) -> None:
    """Classes become outputs, colour stays, the size is the photos' own, and the examples load as the config says."""
    config = written(photos({"cat": 12, "dog": 9, "eel": 10}))
    assert check(config) == ()
    assert config.name == "mine"
    assert config.output_shape == (3,)
    assert (config.data.source, config.data.channels, config.data.image_size) == ("folder", 3, (48, 64))
    assert [change.type_name() for change in config.data.augmentation] == ["RandomFlip", "RandomTranslation"]
    assert config.data.augmentation[0].mode == "horizontal"
    assert config.train.loss.class_weights == "none"
    assert config.data.on_bad_image == "error"
    splits = load_splits(config)
    assert splits.classes == ("cat", "dog", "eel")
    assert (splits.test, len(splits.train) + len(splits.validation)) == (None, 31)


def test_a_share_is_kept_for_the_test(photos) -> None:
    """From ten images of each class on; validation and test then have some of each class."""
    folder = photos({"cat": 10, "dog": 12})
    config = written(folder)
    assert (config.data.validation, config.data.test) == (0.2, 0.15)
    splits = load_splits(config)
    assert len(splits.train) + len(splits.validation) + len(splits.test) == 22
    for split in (splits.validation, splits.test):
        assert set(np.asarray(split.targets.labels).tolist()) == {0, 1}
    (folder / "cat" / "0.jpg").unlink()
    assert written(folder).data.test is None
    assert "--split validation" in text(folder)


def test_many_images_need_smaller_shares(tmp_path) -> None:
    """A tenth of 2,000 images is as many as a fifth of 1,000."""
    from cnncli.config.load import loads
    from cnncli.datasets.starter import starter_for

    few, many = (loads(starter_for(found(number), tmp_path / "x.yaml")).data for number in (1_998, 2_000))
    assert (few.validation, few.test, many.validation, many.test) == (0.2, 0.15, 0.1, 0.1)


def test_the_path_is_written_as_it_was_given(photos, monkeypatch) -> None:
    """A relative path stays relative to the folder in which cnn runs, whatever characters it has."""
    folder = photos({"cat": 3, "dog": 3})
    folder.rename(folder.parent / "my photos: ${a} #1")
    monkeypatch.chdir(folder.parent)
    config = written(Path("my photos: ${a} #1"))
    assert config.data.path == "my photos: ${a} #1"
    assert len(load_splits(config).train) == 4


def test_grey_images_have_one_channel(photos) -> None:
    """Also where the files are stored in colour; one coloured image is enough for three."""
    folder = photos({"cat": 4, "dog": 4}, grey=True)
    Image.open(folder / "cat/0.jpg").convert("RGB").save(folder / "cat/0.png")
    assert written(folder).data.channels == 1
    Image.new("RGB", (60, 48), (200, 30, 30)).save(folder / "cat/red.png")
    assert written(folder).data.channels == 3
    assert "9 of the images are grey" in text(folder)


@pytest.mark.parametrize(
    ("number", "size", "expected"),
    [
        (100, (8, 8), (32, 32)),
        (100, (28, 28), (32, 32)),
        (100, (100, 100), (96, 96)),
        (2_000, (400, 500), (96, 128)),
        (2_000, (500, 400), (128, 96)),
        (20_000, (400, 400), (96, 96)),
        (60_000, (400, 400), (64, 64)),
        (100, (20, 400), (64, 128)),
    ],
)
def test_the_size_follows_from_the_images(number, size, expected) -> None:
    """Their own up to a limit that falls with their number, from 32 to 224, at most twice as long as wide."""
    assert image_size(found(number, size)) == expected


@pytest.mark.parametrize("number", [20, 3_000, 60_000])
@pytest.mark.parametrize("size", [(8, 8), (20, 400), (400, 20), (70, 70), (50, 90), (96, 128), (3000, 4000)])
def test_every_network_is_clean(number, size, tmp_path) -> None:
    """`cnn check` finds nothing: sides divide evenly, the last convolution sees the whole image."""
    from cnncli.config.load import loads
    from cnncli.datasets.starter import starter_for

    shown = starter_for(found(number, size), tmp_path / "x.yaml")
    assert check(loads(shown)) == ()
    assert max(map(len, shown.splitlines())) <= 120


@pytest.mark.parametrize(
    ("classes", "mirrored"),
    [
        (("cat", "car"), ()),
        (("0", "1", "10"), ("0", "1", "10")),
        (("a", "b"), ("a", "b")),
        (("class_1", "class_2"), ("class_1", "class_2")),
        (("img7", "img8"), ("img7", "img8")),
        (("One", "two", "cat"), ("One", "two")),
        (("turn_left", "turn_right", "stop"), ("turn_left", "turn_right")),
        (("n01440764", "n02102040"), ()),
        (("n01440764 tench", "n02102040 springer"), ()),
    ],
)
def test_names_that_tell_of_mirrored_meaning(classes, mirrored) -> None:
    """Digits, letters, numbers in words, left and right; not words that begin alike, nor WordNet's codes."""
    assert found(classes=classes).mirrored == mirrored


def test_digits_are_not_mirrored(photos) -> None:
    """The config says why, and how to have it all the same."""
    folder = photos({"3": 4, "8": 4})
    assert [change.type_name() for change in written(folder).data.augmentation] == ["RandomTranslation"]
    assert '# No mirroring: what "3, 8" mean' in text(folder)
    assert "# - RandomFlip: {mode: horizontal}" in text(folder)


@pytest.mark.parametrize(("counts", "weights"), [({"cat": 12, "dog": 4}, "none"), ({"cat": 13, "dog": 4}, "balanced")])
def test_uneven_classes_are_balanced(photos, counts, weights) -> None:
    """From more than three times the smallest class on."""
    assert written(photos(counts)).train.loss.class_weights == weights


def test_own_splits_are_used(make_folder) -> None:
    """A validation split is named, a test split needs no share."""
    folder = make_folder({"train/cat": 4, "train/dog": 4, "validation/cat": 2, "validation/dog": 2, "test/dog": 2})
    assert written(folder).data.validation == "validation"
    assert "test:" not in text(folder)
    shutil.rmtree(folder / "test")
    assert "test: 0.15" in text(folder)


def test_unreadable_files_are_skipped_and_told(photos) -> None:
    """The config trains as it is, and says how many files it leaves out."""
    folder = photos({"cat": 4, "dog": 4})
    (folder / "cat" / "torn.jpg").write_bytes(b"\xff\xd8\xff")
    assert written(folder).data.on_bad_image == "skip"
    assert "1 file cannot be read" in text(folder)


def test_shapes_that_differ_are_told(photos, encode) -> None:
    """Where portraits and landscapes mix, the config says that images are stretched and what else there is."""
    folder = photos({"cat": 4, "dog": 4})
    assert "resize" not in text(folder)
    for number in range(4):
        (folder / "dog" / f"tall{number}.png").write_bytes(encode(np.full((90, 40, 3), number, np.uint8)))
    assert "# resize: {fit: pad}" in text(folder)


def test_archives_arrays_and_tables(photos) -> None:
    """The same images in a .zip, an .npz or a table have the same classes, size and channels."""
    folder = photos({"cat": 4, "dog": 5})
    files = sorted(folder.rglob("*.jpg"))
    with zipfile.ZipFile(folder.parent / "photos.zip", "w") as archive:
        for file in files:
            archive.write(file, file.relative_to(folder.parent))
    rows = [f"{file.relative_to(folder.parent)},{file.parent.name}" for file in files]
    (folder.parent / "photos.csv").write_text("\n".join(["file,label", *rows]), encoding="utf-8")
    pixels = np.stack([np.asarray(Image.open(file)) for file in files])
    np.savez(folder.parent / "photos.npz", x=pixels, y=np.array([file.parent.name for file in files]))
    for name, source in {"photos.zip": "folder", "photos.csv": "csv", "photos.npz": "npz"}.items():
        config = written(folder.parent / name)
        assert check(config) == ()
        assert (config.data.source, config.data.channels, config.data.image_size) == (source, 3, (48, 64))
        assert load_splits(config).classes == ("cat", "dog")


def test_what_cannot_be_learned_is_explained(photos, tmp_path) -> None:
    """No such path, an empty folder, files without folders, one class, a class without images, nothing readable."""
    folder = photos({"cat": 2})
    for name in ("empty", "text/cat", "text/dog"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "text/cat/a.txt").write_text("no image", encoding="utf-8")
    (tmp_path / "a.tar").touch()
    expected = {
        "nowhere": "does not exist",
        "a.tar": "is not a folder, .zip, .npz or .csv file",
        "empty": "is empty",
        "photos/cat": "contains files but no class folders",
        "photos": 'a single class, "cat"',
        "text": "no readable training images",
    }
    for name, message in expected.items():
        with pytest.raises(DataError, match=message) as error:
            survey(tmp_path / name)
        assert error.value.hint, name
    (folder / "dog").mkdir()
    shutil.copytree(folder / "cat", folder / "eel")
    with pytest.raises(DataError, match="without a readable training image: dog"):
        survey(folder)


def test_a_file_that_exists_is_not_touched(photos) -> None:
    """Nor are the images looked at."""
    folder = photos({"cat": 2, "dog": 2})
    file = folder.parent / "mine.yaml"
    file.write_text("mine", encoding="utf-8")
    with pytest.raises(CnnError, match="already exists"):
        write_for_data(file, folder)
    assert file.read_text(encoding="utf-8") == "mine"
