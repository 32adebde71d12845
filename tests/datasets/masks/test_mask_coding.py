"""What the values of mask files mean, for every way in which they are stored."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from cnncli.datasets.masks.coding import Coding
from cnncli.datasets.masks.values import suggested_classes, values_of
from cnncli.errors import DataError

NUMBERS = np.random.default_rng(3).integers(0, 3, (5, 7), np.uint8)
COLOURS = {"sky": (128, 128, 128), "road": (128, 64, 128), "car": (64, 0, 128)}
TABLE = np.array([*COLOURS.values()], np.uint8)


def paletted(numbers):
    """Return an image whose palette has the classes' colours."""
    image = Image.fromarray(numbers)
    image.putpalette(TABLE.tobytes())
    return image


def coding(values, *ignored):
    """Return a coding."""
    return Coding.of(values, ignored)


INDICES = coding({"sky": 0, "road": 1, "car": 2})


@pytest.mark.parametrize("file_format", ["PNG", "BMP", "GIF", "TIFF", "PPM"])
def test_indices(encode, file_format):
    """A grey image of any format that keeps values holds class numbers."""
    assert np.array_equal(INDICES.decode(encode(NUMBERS, file_format), "m"), NUMBERS)


def test_a_palette_is_read_by_index_or_by_colour(encode):
    """As the classes' values say: numbers mean places in the palette, colours what it shows there."""
    content = encode(paletted(NUMBERS))
    assert Image.open(io.BytesIO(content)).mode == "P"
    assert np.array_equal(INDICES.decode(content, "m"), NUMBERS)
    assert np.array_equal(coding(COLOURS).decode(content, "m"), NUMBERS)


def test_colours(encode):
    """A class for each colour; where colours share channels, all three count."""
    assert np.array_equal(coding(COLOURS).decode(encode(TABLE[NUMBERS]), "m"), NUMBERS)


def test_values_in_any_order_and_of_sixteen_bits(encode):
    """The class number is the place in data.classes, whatever the value is."""
    stored = np.array([7000, 40, 65535], np.uint16)[NUMBERS]
    found = coding({"sky": 7000, "road": 40, "car": 65535}).decode(encode(Image.fromarray(stored)), "m")
    assert np.array_equal(found, NUMBERS)


@pytest.mark.parametrize(
    ("values", "ignored", "expected"),
    [
        ({"background": 0, "cell": 255}, (), [0, 1]),
        ({"background": 0, "cell": 1}, (), [0, 1]),
        ({"cell": 255, "background": 0}, (), [1, 0]),
        ({"background": 0, "cell": 1}, (255,), [0, 1]),
        ({"background": 0, "cell": 7}, (255,), [0, 255]),
    ],
)
def test_one_bit(encode, values, ignored, expected):
    """A set bit is the value 1, or 255 where 1 has no meaning and 255 has."""
    bits = np.array([[0, 1, 1], [1, 0, 0]], bool)
    assert np.array_equal(
        coding(values, *ignored).decode(encode(Image.fromarray(bits)), "m"), np.array(expected)[bits + 0]
    )


def test_zero_and_255(encode):
    """Masks as painting programs save them."""
    mask = (NUMBERS > 0).astype(np.uint8)
    assert np.array_equal(coding({"background": 0, "cell": 255}).decode(encode(mask * 255), "m"), mask)


@pytest.mark.parametrize(("ignored", "expected"), [((2,), [0, 1, 255]), ((2, 1), [0, 255, 255])])
def test_ignored_values(encode, ignored, expected):
    """One or several: their pixels have the number of no class."""
    values = {"sky": 0, "road": 1, "other": 9}
    kept = coding({name: value for name, value in values.items() if value not in ignored}, *ignored)
    found = kept.decode(encode(NUMBERS), "m")
    assert np.array_equal(found, np.array(expected)[NUMBERS])


def test_an_ignored_colour(encode):
    """Void of colour-coded masks."""
    found = coding(dict(list(COLOURS.items())[:2]), COLOURS["car"]).decode(encode(TABLE[NUMBERS]), "m")
    assert np.array_equal(found, np.array([0, 1, 255])[NUMBERS])


@pytest.mark.parametrize(
    ("image", "orientation"),
    [
        *((Image.fromarray(NUMBERS), orientation) for orientation in range(1, 9)),
        (paletted(NUMBERS), 6),
        (Image.fromarray(NUMBERS.astype(np.uint16)), 5),
        (Image.fromarray(NUMBERS > 0), 7),
        (Image.fromarray(TABLE[NUMBERS]), 8),
    ],
)
def test_the_orientation_of_a_mask_is_honoured(encode, image, orientation):
    """As that of an image: the array that EXIF means, by NumPy's own turns."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    numbers = (NUMBERS > 0).astype(np.uint8) if image.mode == "1" else NUMBERS
    upright = [
        numbers,
        numbers[:, ::-1],
        numbers[::-1, ::-1],
        numbers[::-1],
        numbers.T,
        np.rot90(numbers, -1),
        numbers[::-1, ::-1].T,
        np.rot90(numbers),
    ][orientation - 1]
    kind = coding(COLOURS) if image.mode == "RGB" else INDICES
    assert np.array_equal(kind.decode(encode(image, exif=exif), "m"), upright)


def test_255_classes(encode):
    """All values of a byte but one, and 255 for what is ignored."""
    kept = coding({str(value): value for value in range(255)}, 255)
    stored = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert np.array_equal(kept.decode(encode(stored), "m"), stored)


@pytest.mark.parametrize(
    ("values", "ignored", "words"),
    [
        ({"a": 0, "b": 0}, (), "b and a have the same value in masks, 0"),
        ({"a": (1, 2, 3), "b": (1, 2, 3)}, (), r"the same value in masks, \[1, 2, 3\]"),
        ({"a": 0, "b": 1}, (1,), "data.ignore and b have the same value in masks, 1"),
        ({"a": 0, "b": (0, 0, 0)}, (), "mix numbers and colours"),
        ({"a": 0, "b": 1}, ((0, 0, 0),), "mix numbers and colours"),
        ({}, (), "data.classes has 0 classes; masks can have 2 to 255"),
        ({"a": 0}, (), "data.classes has 1 class; masks can have 2 to 255"),
        ({str(value): value for value in range(256)}, (), "data.classes has 256 classes"),
    ],
)
def test_codings_that_mean_nothing(values, ignored, words):
    """They are refused, each with what is wrong."""
    with pytest.raises(DataError, match=words):
        Coding.of(values, ignored)


@pytest.mark.parametrize(
    ("masks", "line"),
    [
        ([[0, 1, 1]], "data.classes: {background: 0, object: 1}"),
        ([[0], [255]], "data.classes: {background: 0, object: 255}"),
        ([[0, 3], [3, 255]], "data.classes: {class_0: 0, class_1: 3}  and  data.ignore: 255"),
        ([[[9, 8, 7]], [[0, 0, 0]]], "data.classes: {class_0: [0, 0, 0], class_1: [9, 8, 7]}"),
        ([[0, 1], [[0, 0, 0]]], None),
        ([list(range(100))], None),
        ([], None),
    ],
)
def test_classes_are_suggested_by_the_values_of_masks(encode, masks, line):
    """A line that can be copied; none where there are too many values, none, or of both kinds."""
    contents = [(str(number), encode(np.array([mask], np.uint8))) for number, mask in enumerate(masks)]
    suggested = suggested_classes(values_of([*contents, ("broken", b"no image")]))
    assert (suggested and suggested.to_text()) == line
