"""One pass over a folder of everything that people's folders hold."""

from __future__ import annotations

import os
import zlib

import numpy as np
import pytest
from PIL import Image

from cnncli import datasets
from cnncli.errors import DataError

# Pillow warns of damaged metadata; the package ignores that, the test run would make it an error.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL.*")


def png_of_nothing(width, height):
    """Return a PNG that says it has that many pixels, in a few bytes."""

    def chunk(name, body):
        return len(body).to_bytes(4, "big") + name + body + zlib.crc32(name + body).to_bytes(4, "big")

    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([1, 0, 0, 0, 0])
    data = chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + data + chunk(b"IEND", b"")


def good_files(encode):
    """Return the content of files that show the same picture, or one of their own, by name."""
    picture = np.random.default_rng(0).integers(0, 256, (24, 16, 3), np.uint8)
    image = Image.fromarray(picture)
    files = {
        "tiff named.png": encode(image, "TIFF"),
        "webp named.jpg": encode(image, "WEBP", lossless=True),
        "bmp named.gif": encode(image, "BMP"),
        "no extension": encode(image),
        "UPPER.JPEG": encode(image, "JPEG"),
        "photo.jfif": encode(image, "JPEG", quality=60),
        "cmyk.jpg": encode(image.convert("CMYK"), "JPEG"),
        "ycbcr.tif": encode(image.convert("YCbCr"), "TIFF"),
        "16 bit.png": encode(picture[..., 0].astype(np.uint16) * 257),
        "1 bit.png": encode(image.convert("1")),
        "grey.jpg": encode(image.convert("L"), "JPEG"),
        "grey alpha.png": encode(image.convert("LA")),
        "alpha.png": encode(image.convert("RGBA")),
        "palette.png": encode(image.quantize(16)),
        "palette alpha.png": encode(image.quantize(16), transparency=3),
        "animated.gif": encode(image, "GIF", save_all=True, append_images=[image.transpose(0)]),
        "1x1.png": encode(picture[:1, :1]),
        "1x500.png": encode(np.tile(picture[:1, :1], (500, 1, 1))),
        "progressive.jpg": encode(image, "JPEG", progressive=True),
        "new\nline.png": encode(picture[1:]),
        " space .png": encode(picture[2:]),
        "漢字é😀.png": encode(picture[3:]),
        "-rf.png": encode(picture[4:]),
        "percent%20&amp;$HOME.png": encode(picture[5:]),
        "a" * 240 + ".png": encode(picture[6:]),
    }
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[274] = orientation
        undo = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[orientation]
        stored = image if undo is None else image.transpose(Image.Transpose(undo))
        files[f"exif {orientation}.png"] = encode(stored, exif=exif)
    return files


def bad_files(encode):
    """Return the content of files that cannot be read and a word of the reason, by name."""
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
    jpeg, png = encode(noise, "JPEG"), encode(noise)
    broken = bytearray(png)
    broken[len(png) // 2] ^= 0xFF
    return {
        "empty.jpg": (b"", "empty"),
        "half.jpg": (jpeg[: len(jpeg) // 2], "truncated"),
        "half.png": (png[: len(png) // 2], "truncated"),
        "head.jpg": (jpeg[:20], "format"),
        "text.png": (b"this is no image\n", "format"),
        "page.jpg": (b"<!DOCTYPE html><html>404</html>", "format"),
        "vector.svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "format"),
        "zeros.bmp": (bytes(5000), "format"),
        "flipped byte.png": (bytes(broken), ""),
        "huge.png": (png_of_nothing(60_000, 60_000), "pixels"),
        "wide.png": (png_of_nothing(2**31 - 1, 1), "pixels"),
        "float.tif": (encode(Image.fromarray(np.ones((4, 4), np.float32)), "TIFF"), "mode F"),
        "lab.tif": (encode(Image.new("LAB", (4, 4)), "TIFF"), "mode LAB"),
        "program.exe": (b"MZ" + bytes(300), "format"),
    }


@pytest.fixture
def folder(tmp_path, encode):
    """Two classes: one of ordinary images, one with everything else."""
    root = tmp_path / "odd"
    for name in ("plain", "odd", "odd/.ipynb_checkpoints", "odd/__MACOSX", ".hidden"):
        (root / name).mkdir(parents=True)
    for number in range(3):
        pixels = np.random.default_rng(10 + number).integers(0, 256, (8, 8, 3), np.uint8)
        (root / "plain" / f"{number}.png").write_bytes(encode(pixels))
    for name, content in good_files(encode).items():
        (root / "odd" / name).write_bytes(content)
    for name, (content, _) in bad_files(encode).items():
        (root / "odd" / name).write_bytes(content)
    for name in ("odd/.ipynb_checkpoints/copy.png", "odd/__MACOSX/._1.png", "odd/.DS_Store", "odd/Thumbs.db"):
        (root / name).write_bytes(b"junk")
    (root / ".hidden" / "x.png").write_bytes(b"junk")
    (root / "readme.txt").write_text("beside the classes", encoding="utf-8")
    (root / "odd" / "loop").symlink_to(root)
    (root / "odd" / "itself.png").symlink_to(root / "odd" / "itself.png")
    (root / "odd" / "nowhere.png").symlink_to(root / "gone.png")
    os.mkfifo(root / "odd" / "pipe.png")
    return root


EXPECTED_LINKS = {
    "odd/loop": "a link to a folder that contains it",
    "odd/itself.png": "too many levels of symbolic links",
    "odd/nowhere.png": "no such file or directory",
    "odd/pipe.png": "not a regular file",
}


@pytest.mark.skipif(os.name != "posix", reason="links and pipes")
def test_one_pass_names_every_bad_file(folder, make_config, encode):
    """All of 47 odd files are read or named with their reason; nothing crashes, nothing is silently left out."""
    good, bad = good_files(encode), bad_files(encode)
    assert len(good) + len(bad) + len(EXPECTED_LINKS) >= 40
    config = make_config(source="folder", path=str(folder), channels=3, validation=0.0, on_bad_image="skip")
    splits = datasets.load(config)
    reasons = {item["file"]: item["reason"] for item in splits.passport["bad_files"]}
    assert reasons.keys() == {f"odd/{name}" for name in bad} | EXPECTED_LINKS.keys()
    for name, (_, word) in bad.items():
        assert word in reasons[f"odd/{name}"], name
    for name, reason in EXPECTED_LINKS.items():
        assert reasons[name] == reason
    names = {name.removeprefix("odd/") for name in splits.train.images.names if name.startswith("odd/")}
    assert names == good.keys()
    assert splits.passport["ignored_files"] == 5 + 1


@pytest.mark.skipif(os.name != "posix", reason="links and pipes")
def test_the_error_lists_the_bad_files(folder, make_config):
    """With on_bad_image error, one error lists them; it fits on a screen."""
    config = make_config(source="folder", path=str(folder), channels=3, validation=0.0)
    with pytest.raises(DataError) as caught:
        datasets.load(config)
    lines = caught.value.message.splitlines()
    assert lines[0] == "18 files cannot be read:"
    assert any("odd/half.jpg: " in line for line in lines)
    assert "on_bad_image: skip" in caught.value.hint


@pytest.mark.skipif(os.name != "posix", reason="links and pipes")
def test_orientations_are_the_same_image(folder, make_config):
    """The eight orientations have one digest: they are found as duplicates of each other."""
    config = make_config(source="folder", path=str(folder), channels=3, validation=0.0, on_bad_image="skip")
    groups = datasets.load(config).passport["duplicates"]["within"]["train"]["examples"]
    oriented = [group for group in groups if "odd/exif 1.png" in group]
    assert len(oriented) == 1
    assert {f"odd/exif {number}.png" for number in range(1, 9)} <= set(oriented[0])


def test_names_that_are_no_text_are_kept_apart(tmp_path, make_config, encode):
    """A name of bytes that are no UTF-8 is read, and shown so that JSON can hold it."""
    folder = tmp_path / "images" / "a"
    folder.mkdir(parents=True)
    try:
        (folder / "\udcff\udcfe.png").write_bytes(encode(np.zeros((3, 3), np.uint8)))
    except OSError:
        pytest.skip("the file system takes no such name")
    config = make_config(source="folder", path=str(tmp_path / "images"), validation=0.0)
    split = datasets.load(config).train
    assert split.ids == ["a/\\udcff\\udcfe.png"]
    assert split.images.decode(0).shape == (3, 3, 1)
