"""The class of every pixel as the target of an image."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from cnncli.datasets.examples import listed
from cnncli.datasets.facts import both
from cnncli.datasets.files import changed
from cnncli.datasets.masks.coding import IGNORED, Coding, Mask
from cnncli.datasets.stamps import Hashes, content_hash
from cnncli.datasets.store import Store
from cnncli.resources import available_threads

if TYPE_CHECKING:
    from cnncli.config.schema.schema import Data

_MOST_NAMED = 3


class MaskSource(Protocol):
    """Where masks come from."""

    def read(self, row: int) -> Mask:
        """Return one mask in its own size."""
        ...

    def take(self, rows: npt.NDArray[np.int64]) -> MaskSource:
        """Return the masks at `rows`, in that order."""
        ...

    def joined(self, other: Any) -> MaskSource:
        """Return these masks and others of the same kind behind them."""
        ...


@dataclass(frozen=True)
class MaskFiles:
    """Masks in files, decoded when they are needed.

    Attributes:
        store: The folder or archive that holds them.
        names: Path of each file in the store.
        coding: What their values mean.
        contents: Hash of what each contained when it was scanned; None before.
    """

    store: Store
    names: Sequence[str]
    coding: Coding
    contents: Hashes | None = None

    def __len__(self) -> int:
        return len(self.names)

    def read(self, row: int) -> Mask:
        """Return one mask; errors as `Coding.decode`.

        Raises:
            DataError: If it can no longer be read, or contains something else than when it was scanned.
        """
        content = self.store.read(self.names[row])
        # A hash takes a hundredth of the time that decoding takes, and tells more than a stamp.
        if self.contents is not None and content_hash(content) != self.contents[row].tobytes():
            raise changed(self.names[row])
        return self.coding.decode(content, self.names[row])

    def take(self, rows: npt.NDArray[np.int64]) -> MaskFiles:
        """Return the files at `rows`."""
        contents = None if self.contents is None else self.contents[rows]
        return MaskFiles(self.store, [self.names[row] for row in rows.tolist()], self.coding, contents)

    def joined(self, other: MaskFiles) -> MaskFiles:
        """Return these files and others of the same store behind them."""
        return replace(self, names=[*self.names, *other.names], contents=both(self.contents, other.contents))


@dataclass(frozen=True)
class MaskArray:
    """Masks in memory.

    Attributes:
        masks: Class numbers, uint8 (examples, height, width).
    """

    masks: npt.NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.masks)

    def read(self, row: int) -> Mask:
        """Return one mask."""
        mask: Mask = self.masks[row]
        return mask

    def take(self, rows: npt.NDArray[np.int64]) -> MaskArray:
        """Return the masks at `rows`."""
        return MaskArray(self.masks[rows])

    def joined(self, other: MaskArray) -> MaskArray:
        """Return these masks and others of the same size behind them."""
        return MaskArray(np.concatenate([self.masks, other.masks]))


@dataclass(frozen=True)
class Masks:
    """The class of every pixel of each image.

    Attributes:
        source: The masks.
        pixels: Pixels of each class in each mask, those that are ignored last: int64 (examples, classes + 1).
        hashes: Hash of each mask's class numbers, uint8 (examples, 16).
        turned_alone: Whether EXIF turned image or mask, but not both, and their sizes do not tell whether it should;
            None where that cannot be.
    """

    source: MaskSource
    pixels: npt.NDArray[np.int64]
    hashes: npt.NDArray[np.uint8]
    turned_alone: npt.NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.pixels)

    def take(self, rows: npt.NDArray[np.int64]) -> Masks:
        """Return the masks at `rows`."""
        turned_alone = None if self.turned_alone is None else self.turned_alone[rows]
        return Masks(self.source.take(rows), self.pixels[rows], self.hashes[rows], turned_alone)

    def joined(self, other: Masks) -> Masks:
        """Return these masks and others of the same source behind them."""
        return Masks(
            self.source.joined(other.source),
            np.concatenate([self.pixels, other.pixels]),
            np.concatenate([self.hashes, other.hashes]),
            both(self.turned_alone, other.turned_alone),
        )

    def read(self, row: int) -> Mask:
        """Return one mask in its own size."""
        return self.source.read(row)

    def name(self, row: int, classes: Sequence[str]) -> str:
        """Return the largest classes of a mask with their shares: "road 41 %, sky 20 %, tree 15 %"."""
        pixels = self.pixels[row, :-1]
        total = max(int(self.pixels[row].sum()), 1)
        largest = [i for i in np.argsort(-pixels, kind="stable")[:_MOST_NAMED].tolist() if pixels[i]]
        return ", ".join(f"{classes[i]} {100 * int(pixels[i]) / total:.0f} %" for i in largest) or "nothing"

    def digests(self) -> npt.NDArray[np.uint8]:
        """Return the hash of each mask."""
        return self.hashes

    def content(self) -> bytes:
        """Return the hashes' bytes."""
        return self.hashes.tobytes()

    def counts(self, classes: Sequence[str]) -> dict[str, int]:
        """Return the number of images in which each class occurs."""
        return dict(zip(classes, (self.pixels[:, :-1] > 0).sum(axis=0).tolist(), strict=True))

    def passport(self, classes: Sequence[str], ids: Sequence[str]) -> dict[str, Any]:
        """Return the pixels of each class, those that are ignored, and images of whose masks something is to be told.

        Returns:
            pixels {class: number}, ignored_pixels, and void (no pixel counts) and turned_alone, each as num_images
            and examples.
        """
        pixels = self.pixels.sum(axis=0).tolist()
        turned_alone = np.zeros(len(self), np.bool_) if self.turned_alone is None else self.turned_alone
        return {
            "pixels": dict(zip(classes, pixels[:-1], strict=True)),
            "ignored_pixels": pixels[-1],
            "void": listed(self.pixels[:, :-1].sum(axis=1) == 0, ids),
            "turned_alone": listed(turned_alone, ids),
        }

    def strata(self) -> None:
        """An image has many classes, so a division is not stratified."""

    def fit(self, data: Data) -> npt.NDArray[np.uint8]:
        """Return all masks in the network's size: class numbers, uint8 (examples, height, width)."""
        height, width = data.image_size
        fitted = np.empty((len(self), height, width), np.uint8)

        def fit(row: int) -> None:
            fitted[row] = fit_mask(self.read(row), (height, width), data.resize.fit)

        with ThreadPoolExecutor(available_threads(), thread_name_prefix="decode") as pool:
            list(pool.map(fit, range(len(self))))
        return fitted

    def fitted_bytes(self, data: Data) -> int:
        """Return the number of pixels: a byte each."""
        height, width = data.image_size
        return height * width


def fit_mask(mask: Mask, size: tuple[int, int], fit: str) -> Mask:
    """Return a mask in another size, by the geometry of its image and nearest neighbours.

    Args:
        mask: Class numbers (height, width).
        size: Height and width to fit.
        fit: "stretch", or "pad": what is added is ignored.
    """
    if mask.shape == size:
        return mask
    if fit != "pad":
        return nearest(mask, size)
    inner, (top, left) = padded_place(mask.shape, size)
    fitted = np.full(size, IGNORED, np.uint8)
    fitted[top : top + inner[0], left : left + inner[1]] = nearest(mask, inner)
    return fitted


def padded_place(shape: tuple[int, ...], size: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the height and width of an image of some shape when it is padded to `size`, and its top and left there."""
    height, width = shape[:2]
    tall, wide = height * size[1], width * size[0]
    inner = (
        size[0] if tall >= wide else min(max(tall // width, 1), size[0]),
        size[1] if wide >= tall else min(max(wide // height, 1), size[1]),
    )
    return inner, ((size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2)


def nearest(mask: Mask, size: tuple[int, int]) -> Mask:
    """Return a mask resized by nearest neighbours, pixel centres aligned."""
    rows, columns = (_read_at(length, of) for length, of in zip(size, mask.shape, strict=True))
    resized: Mask = mask[rows[:, None], columns]
    return resized


def _read_at(length: int, of: int) -> npt.NDArray[np.int64]:
    """Return the pixel that each of `length` pixels shows of `of` ones: floor((i + ½) · of / length)."""
    return (2 * np.arange(length) + 1) * of // (2 * length)
