"""Pictures that a user names: training's pixels, whatever the file; an error for each that cannot be read."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cnncli.config.schema.schema import Data, Resize
from cnncli.datasets.images import decode, examine
from cnncli.datasets.pictures import Picture
from cnncli.errors import DataError
from tests.datasets.icc import ADOBE_RGB, CURVE, GAMMA, SRGB, icc_profile

pytestmark = pytest.mark.engine


def photo(number: int, size: tuple[int, int] = (45, 37)) -> Image.Image:
    """Return a picture of its own for each number."""
    small = np.random.default_rng(number).integers(0, 256, (9, 8, 3), np.uint8)
    return Image.fromarray(small).resize(size)


def jpeg(number: int, mode: str = "RGB", size: tuple[int, int] = (45, 37), **options: Any) -> bytes:
    """Return a JPEG file."""
    content = io.BytesIO()
    photo(number, size).convert(mode).save(content, "JPEG", **{"quality": 80, **options})
    return content.getvalue()


def turned(orientation: int) -> Image.Exif:
    """Return EXIF data that say how to hold the camera."""
    exif = Image.Exif()
    exif[274] = orientation
    return exif


def png() -> bytes:
    """Return a PNG file."""
    content = io.BytesIO()
    photo(8).save(content, "PNG")
    return content.getvalue()


WHOLE = jpeg(0)
FILES = {
    "plain": (WHOLE, True),
    "full colour": (jpeg(1, subsampling=0), True),
    "half colour": (jpeg(2, subsampling=1), True),
    "grey": (jpeg(3, "L"), True),
    "progressive": (jpeg(4, progressive=True), True),
    "upright": (jpeg(5, exif=turned(1)), True),
    "larger": (jpeg(6, size=(90, 71)), True),
    "smaller": (jpeg(7, size=(5, 4)), True),
    "sRGB": (jpeg(9, icc_profile=icc_profile(SRGB, CURVE)), True),
    "end without content": (WHOLE[:-200] + b"\xff\xd9", True),
    "turned": (jpeg(10, exif=turned(6)), False),
    "mirrored": (jpeg(11, exif=turned(2)), False),
    "Adobe RGB": (jpeg(12, icc_profile=icc_profile(ADOBE_RGB, GAMMA)), False),
    "CMYK": (jpeg(13, "CMYK"), False),
    "PNG": (png(), False),
    "more after the end": (WHOLE + b"more", False),
    "no end": (WHOLE[:-2], False),
    "half of an end": (WHOLE[:-1], False),
    "half": (WHOLE[: len(WHOLE) // 2], False),
    "head": (WHOLE[:300], False),
    "text": (b"no image", False),
    "empty": (b"", False),
}
"""Contents, and whether any decoder gives the pixels that Pillow gives."""


@pytest.fixture
def pictures(tmp_path: Path) -> list[Picture]:
    """Return files of all kinds, among them one that is missing and one that is a folder."""
    for name, (content, _) in FILES.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "folder").mkdir()
    return [Picture(str(tmp_path / name)) for name in (*FILES, "missing", "folder")]


def decoder(size: tuple[int, int] = (16, 20), channels: int = 3, **resize: Any) -> Any:
    """Return a decoder of pictures."""
    from cnncli.engine.input_pipeline.picture_decoder import PictureDecoder
    from cnncli.engine.input_pipeline.preprocessing import Preprocessing

    data = Data(source="folder", path="x", image_size=size, channels=channels, resize=Resize(**resize))
    return PictureDecoder(Preprocessing(data))


def by_pillow(picture: Picture, channels: int) -> tuple[np.ndarray | None, str | None]:
    """Return a picture's pixels, or its error."""
    try:
        return decode(picture.content(), channels, picture.name), None
    except DataError as error:
        return None, error.message.removeprefix(f"{picture.name}: ")


def check(one: Any, pictures: Sequence[Picture], channels: int = 3) -> int:
    """Compare with Pillow's pixels, resized one by one; return the number of errors."""
    errors = 0
    for picture, found in zip(pictures, one.read(pictures), strict=True):
        pixels, error = by_pillow(picture, channels)
        assert found.error == error
        if pixels is None:
            errors += 1
            continue
        assert found.size == pixels.shape[:2]
        resized = one._preprocessing.resize_uint8(pixels[None])[0].numpy()
        assert np.array_equal(found.image, resized), picture.name
    return errors


@pytest.mark.parametrize(
    ("channels", "size", "resize"),
    [
        (3, (16, 20), {}),
        (1, (37, 45), {}),
        (3, (60, 60), {"method": "bicubic", "fit": "crop"}),
        (3, (12, 9), {"method": "area", "fit": "pad"}),
        (1, (12, 9), {"method": "nearest", "fit": "crop"}),
    ],
    ids=str,
)
def test_pixels_are_those_of_training(
    pictures: list[Picture], channels: int, size: tuple[int, int], resize: dict[str, Any]
) -> None:
    """Every kind of file becomes what Pillow and the resizing of its image alone make of it, or its error."""
    assert check(decoder(size, channels, **resize), pictures, channels) == 8


def test_what_tensorflow_decodes(pictures: list[Picture], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole JPEG files that leave no choice are the ones that Pillow does not decode."""
    one = decoder()
    honest, asked = one._decode, []
    monkeypatch.setattr(one, "_decode", lambda number: asked.append(one._pictures[int(number)]) or honest(number))
    one.read(pictures)
    expected = [picture for picture in pictures if not FILES.get(Path(picture.name).name, (b"", False))[1]]
    assert sorted(picture.name for picture in asked) == sorted(picture.name for picture in expected)


def test_the_head_tells_what_decoding_tells(pictures: list[Picture]) -> None:
    """A file that is plain by its first and last bytes is so after it was decoded, in colour and in grey."""
    for picture in pictures[: len(FILES)]:
        content, _ = FILES[Path(picture.name).name]
        for channels in (1, 3):
            if picture.is_plain(channels):
                assert examine(content, channels, picture.name).is_plain
    assert not Picture("-", piped=WHOLE).is_plain(3)


def test_a_file_that_tensorflow_refuses(pictures: list[Picture], monkeypatch: pytest.MonkeyPatch) -> None:
    """If a file was taken for plain and is not, Pillow says what it is; the others lose nothing."""
    monkeypatch.setattr(Picture, "is_plain", lambda *_: True)
    one = decoder()
    assert check(one, pictures[:10]) == 0
    assert check(one, pictures) == 8


def test_decoders_that_disagree_leave_all_to_pillow(pictures: list[Picture], monkeypatch: pytest.MonkeyPatch) -> None:
    """If TensorFlow gave other pixels here, it would decode nothing."""
    from cnncli.engine.input_pipeline import decoder as module

    honest = module.decode_jpeg
    monkeypatch.setattr(module, "decode_jpeg", lambda content, channels: honest(content, channels) ^ 1)
    assert check(decoder(), pictures) == 8


def test_nothing_stays(pictures: list[Picture]) -> None:
    """Neither pictures nor errors are kept once they have been returned."""
    one = decoder()
    one.read(pictures)
    assert (one._pictures, one._errors) == ({}, {})
