"""What is known of each image without looking at it again: digest, size, sums, thumbnail."""

from __future__ import annotations

from dataclasses import dataclass, fields
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from cnncli.datasets.images import Decoded

THUMB = 16
"""Height and width of a thumbnail."""

_VALUES = np.arange(256, dtype=np.int64)
_BLOCK = 4096


Column = npt.NDArray[Any]
"""Something known of each image, one row an image."""


def both(first: Column | None, second: Column | None) -> Column | None:
    """Return the rows of two columns, one behind the other; None where either is not known."""
    return None if first is None or second is None else np.concatenate([first, second])


@dataclass(frozen=True)
class Facts:
    """Columns with one row an image.

    Attributes:
        digests: (number, 16) uint8, equal exactly where the decoded images are.
        sizes: (number, 2) int32, height and width.
        sums: (number, channels) int64, sum of the values 0 to 255.
        squares: (number, channels) int64, sum of their squares.
        flat: (number,) bool, whether all pixels are the same.
        grey: (number,) bool, whether the stored image shows no colour.
        plain: (number,) bool, whether it is a file that any libjpeg decodes alike.
        thumbs: (number, 16, 16) uint8, grey thumbnails.
        kinds: (number,) uint8, place in `vocabulary`.
        orientations: (number,) uint8, 1 to 8 as in EXIF; 0 for those that were never in a file.
        vocabulary: "FORMAT MODE" of the stored images; "array" for those that were never in a file.
    """

    digests: npt.NDArray[np.uint8]
    sizes: npt.NDArray[np.int32]
    sums: npt.NDArray[np.int64]
    squares: npt.NDArray[np.int64]
    flat: npt.NDArray[np.bool_]
    grey: npt.NDArray[np.bool_]
    plain: npt.NDArray[np.bool_]
    thumbs: npt.NDArray[np.uint8]
    kinds: npt.NDArray[np.uint8]
    orientations: npt.NDArray[np.uint8]
    vocabulary: tuple[str, ...]

    @classmethod
    def empty(cls, number: int, channels: int, vocabulary: tuple[str, ...] = ()) -> Facts:
        """Return columns of zeros, to be filled in."""
        return cls(
            digests=np.zeros((number, 16), np.uint8),
            sizes=np.zeros((number, 2), np.int32),
            sums=np.zeros((number, channels), np.int64),
            squares=np.zeros((number, channels), np.int64),
            flat=np.zeros(number, np.bool_),
            grey=np.zeros(number, np.bool_),
            plain=np.zeros(number, np.bool_),
            thumbs=np.zeros((number, THUMB, THUMB), np.uint8),
            kinds=np.zeros(number, np.uint8),
            orientations=np.zeros(number, np.uint8),
            vocabulary=vocabulary,
        )

    @classmethod
    def columns(cls) -> tuple[str, ...]:
        """Return the names of the columns."""
        return tuple(field.name for field in fields(cls) if field.name != "vocabulary")

    def __len__(self) -> int:
        return len(self.digests)

    def take(self, indices: npt.NDArray[np.int64]) -> Facts:
        """Return the rows at `indices`."""
        rows = {name: getattr(self, name)[indices] for name in self.columns()}
        return Facts(**rows, vocabulary=self.vocabulary)

    def joined(self, other: Facts) -> Facts:
        """Return these rows and those of others of the same source behind them."""
        rows = {name: np.concatenate([getattr(self, name), getattr(other, name)]) for name in self.columns()}
        return Facts(**rows, vocabulary=self.vocabulary)

    def set(self, row: int, decoded: Decoded, kind: int) -> None:
        """Fill in one row from a decoded image."""
        self.set_statistics(row, decoded)
        self.digests[row] = np.frombuffer(digest(decoded.pixels), np.uint8)
        self.plain[row] = decoded.is_plain
        small = decoded.image.convert("L").resize((THUMB, THUMB), Image.Resampling.BOX)
        self.thumbs[row] = np.asarray(small)
        self.kinds[row] = kind
        self.orientations[row] = decoded.orientation

    def set_statistics(self, row: int, decoded: Decoded) -> None:
        """Fill in what `image_statistics` reads, in a fraction of the time that all of a row takes."""
        image = decoded.image
        histogram = np.array(image.histogram(), dtype=np.int64).reshape(-1, 256)
        self.sizes[row] = image.height, image.width
        self.sums[row] = histogram @ _VALUES
        self.squares[row] = histogram @ (_VALUES * _VALUES)
        self.flat[row] = bool((histogram.max(axis=1) == image.width * image.height).all())
        self.grey[row] = decoded.is_grey


def digest(pixels: npt.NDArray[np.uint8]) -> bytes:
    """Return 16 bytes that are equal exactly for images of the same shape and pixels."""
    shape = np.asarray(pixels.shape, dtype="<u4").tobytes().ljust(16, b"\0")
    return blake2b(np.ascontiguousarray(pixels).data, digest_size=16, salt=shape).digest()


def of_array(images: npt.NDArray[np.uint8]) -> Facts:
    """Return the facts of images that share one array (number, height, width, channels)."""
    facts = Facts.empty(len(images), images.shape[-1], ("array",))
    facts.sizes[:] = images.shape[1:3]
    for start in range(0, len(images), _BLOCK):
        rows = slice(start, start + _BLOCK)
        block = images[rows]
        flat = block.reshape(len(block), -1, block.shape[-1])
        facts.digests[rows] = np.frombuffer(b"".join(digest(image) for image in block), np.uint8).reshape(-1, 16)
        values = flat.astype(np.int32)
        facts.sums[rows] = values.sum(axis=1)
        facts.squares[rows] = np.square(values).sum(axis=1, dtype=np.int64)
        facts.flat[rows] = (flat == flat[:, :1]).all(axis=(1, 2))
        facts.grey[rows] = (flat == flat[..., :1]).all(axis=(1, 2))
        facts.thumbs[rows] = _thumbnails(block)
    return facts


def _thumbnails(block: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Average over the cells of a 16 × 16 grid laid over each image."""
    grey = block.astype(np.float32).mean(axis=-1)
    rows, columns = (_averaging(length) for length in grey.shape[1:])
    averaged: npt.NDArray[np.float32] = np.matmul(rows, np.matmul(grey, columns.T))
    thumbs: npt.NDArray[np.uint8] = np.rint(averaged).astype(np.uint8)
    return thumbs


def _averaging(length: int) -> npt.NDArray[np.float32]:
    """Return the matrix (16, length) that averages over 16 equal parts of a line of pixels."""
    edges = np.arange(THUMB + 1) * (length / THUMB)
    first, last = edges[:-1, None], edges[1:, None]
    pixels = np.arange(length)[None]
    overlap = np.clip(np.minimum(last, pixels + 1) - np.maximum(first, pixels), 0, None)
    shares: npt.NDArray[np.float32] = (overlap / overlap.sum(axis=1, keepdims=True)).astype(np.float32)
    return shares
