"""What a file shows: every mode, depth and orientation by a stated rule."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from cnncli.datasets.images import MAX_PIXELS, decode, examine
from cnncli.errors import DataError

# Pillow warns of damaged metadata; the package ignores that, the test run would make it an error.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL.*")

COLOURS = np.random.default_rng(0).integers(0, 256, (6, 5, 3), np.uint8)
GREY = COLOURS[..., 0]


def test_colour_becomes_grey_by_luma(encode):
    """ITU-R 601, in whole numbers, as the docstring states it."""
    weights = np.array([19595, 38470, 7471])
    expected = (COLOURS.astype(np.int64) @ weights + 32768) >> 16
    assert np.array_equal(decode(encode(COLOURS), 1, "x")[..., 0], expected)


def test_grey_becomes_colour_by_repeating(encode):
    """All three channels are the grey value."""
    assert np.array_equal(decode(encode(GREY), 3, "x"), np.repeat(GREY[..., None], 3, axis=-1))


@pytest.mark.parametrize("file_format", ["PNG", "TIFF", "PPM"])
def test_deep_images_keep_their_upper_bits(file_format, encode):
    """16-bit values are shifted, not cut off at 255."""
    deep = np.random.default_rng(1).integers(0, 2**16, (6, 5)).astype(np.uint16)
    assert np.array_equal(decode(encode(deep, file_format), 1, "x")[..., 0], deep >> 8)


def test_one_bit_is_black_and_white(encode):
    """A 1-bit image has the values 0 and 255."""
    bits = Image.fromarray((GREY > 127).astype(np.uint8) * 255).convert("1")
    assert np.array_equal(decode(encode(bits), 1, "x")[..., 0], (GREY > 127) * 255)


def test_transparent_pixels_are_white(encode):
    """Alpha is laid over white, half-transparent pixels in between."""
    rgba = np.dstack([COLOURS, np.full((6, 5), 255, np.uint8)])
    rgba[0, 0, 3] = 0
    rgba[0, 1] = 0, 0, 0, 128
    pixels = decode(encode(rgba), 3, "x")
    assert pixels[0, 0].tolist() == [255, 255, 255]
    assert pixels[0, 1].tolist() == [127, 127, 127]
    assert np.array_equal(pixels[1:], COLOURS[1:])


@pytest.mark.parametrize("most", [1, 7, 12, 29])
@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "RGB", "L"])
def test_a_large_transparent_image_has_the_same_pixels(mode, most, encode, monkeypatch):
    """It is laid over white strip by strip."""
    values = np.random.default_rng(2).integers(0, 256, (6, 5, 4), np.uint8)
    image = Image.fromarray(values).convert(mode) if mode != "LA" else Image.fromarray(values[..., :2])
    options = (
        {} if mode in ("RGBA", "LA") else {"transparency": tuple(values[0, 0, :3].tolist()) if mode == "RGB" else 7}
    )
    content = encode(image, **options)
    whole = decode(content, 3, "x")
    monkeypatch.setattr("cnncli.datasets.images._LARGE", most)
    assert np.array_equal(decode(content, 3, "x"), whole)


def test_a_transparent_palette_is_white(encode):
    """A palette with a transparent colour is laid over white too."""
    image = Image.fromarray(COLOURS).quantize(8)
    index = image.getpixel((2, 2))
    pixels = decode(encode(image, transparency=index), 3, "x")
    assert pixels[2, 2].tolist() == [255, 255, 255]


def test_cmyk_becomes_rgb(encode):
    """A CMYK JPEG of one colour shows that colour, as Pillow converts it."""
    red = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    assert np.abs(decode(encode(red, "JPEG", quality=95), 3, "x").astype(int) - [255, 0, 0]).max() < 6


def test_an_animation_shows_its_first_frame(encode):
    """Of a GIF with two frames the first one counts."""
    frames = [Image.new("L", (4, 4), value) for value in (10, 200)]
    content = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert decode(content, 1, "x").max() == 10


@pytest.mark.parametrize("file_format", ["PNG", "WEBP", "TIFF"])
def test_all_orientations_show_the_same(file_format, encode):
    """The eight EXIF orientations of one picture decode to the very same pixels."""
    for orientation in range(1, 9):
        content = oriented(orientation, encode, file_format)
        assert np.array_equal(decode(content, 3, "x"), COLOURS), orientation


def oriented(orientation, encode, file_format):
    """Store the picture turned, with the orientation that turns it back."""
    undo = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[orientation]
    stored = Image.fromarray(COLOURS)
    if undo is not None:
        stored = stored.transpose(Image.Transpose(undo))
    exif = Image.Exif()
    exif[274] = orientation
    options = {"lossless": True} if file_format == "WEBP" else {}
    return encode(stored, file_format, exif=exif, **options)


def test_damaged_exif_leaves_the_image_as_stored(encode):
    """Metadata that cannot be read do not make an image unreadable."""
    content = encode(Image.fromarray(COLOURS), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert decode(content, 3, "x").shape == (6, 5, 3)


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "empty"), (b"hello", "not an image of a known"), (b"\xff\xd8\xff\xe0", "not an image of a known")],
)
def test_no_image_says_why(content, reason):
    """The error names the file and the reason."""
    with pytest.raises(DataError, match=f"some.jpg: .*{reason}"):
        decode(content, 3, "some.jpg")


def test_half_a_jpeg_is_refused(encode):
    """A file that was cut off is not silently filled up."""
    content = encode(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8), "JPEG")
    with pytest.raises(DataError, match="truncated"):
        decode(content[: len(content) // 2], 3, "x")


def test_float_pixels_have_no_range(encode):
    """A floating-point TIFF is refused rather than guessed at."""
    with pytest.raises(DataError, match="mode F"):
        decode(encode(Image.fromarray(np.ones((4, 4), np.float32)), "TIFF"), 1, "x")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [10_000, 60_000])
def test_too_many_pixels_are_refused_unread(side):
    """A few bytes that stand for billions of pixels cost no memory."""
    image = Image.new("1", (16, 16))
    content = io.BytesIO()
    image.save(content, "BMP")
    header = bytearray(content.getvalue())
    header[18:22] = header[22:26] = side.to_bytes(4, "little")
    assert side * side > MAX_PIXELS
    with pytest.raises(DataError, match="pixels"):
        decode(bytes(header), 1, "x")


def test_facts_about_the_file_come_along(encode):
    """Format, mode and greyness are those of the stored image."""
    decoded = examine(encode(COLOURS, "JPEG"), 1, "x")
    assert (decoded.format, decoded.mode, decoded.is_grey) == ("JPEG", "RGB", False)
    assert examine(encode(np.repeat(GREY[..., None], 3, -1)), 1, "x").is_grey


@pytest.mark.parametrize(
    ("options", "channels", "plain"),
    [
        ({}, 3, True),
        ({"subsampling": 0}, 3, True),
        ({"progressive": True}, 3, True),
        ({}, 1, False),
        ({"exif": "turned"}, 3, False),
    ],
)
def test_only_files_without_a_choice_are_plain(options, channels, plain, encode):
    """Turned images, and grey made of colour, are left to Pillow."""
    if "exif" in options:
        options = {"exif": Image.Exif()}
        options["exif"][274] = 6
    assert examine(encode(COLOURS, "JPEG", **options), channels, "x").is_plain is plain
