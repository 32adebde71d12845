"""Images in files, decoded when they are needed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cnncli.datasets.facts import both
from cnncli.datasets.images import Decoded, Pixels, examine
from cnncli.datasets.stamps import Hashes, Stamp, Stamps, content_hash, settled, table
from cnncli.datasets.store import Store
from cnncli.errors import DataError


@dataclass(frozen=True)
class Files:
    """A sequence of image files of any size.

    Attributes:
        store: The folder or archive that holds them.
        names: Path of each file in the store.
        channels: 1 or 3: what the images are decoded to.
        plain: (number,) whether it is a JPEG that any libjpeg decodes alike; False if unknown.
        sizes: (number, 2) height and width; 0 if unknown.
        stamps: What the system said of each when it was scanned; None if unknown.
        contents: Hash of what each contained then.
    """

    store: Store
    names: Sequence[str]
    channels: int
    plain: npt.NDArray[np.bool_]
    sizes: npt.NDArray[np.int32]
    stamps: Stamps | None = None
    contents: Hashes | None = None

    def __len__(self) -> int:
        return len(self.names)

    def read(self, index: int) -> bytes:
        """Return one file as it is stored."""
        return self.store.read(self.names[index])

    def examine(self, index: int) -> Decoded:
        """Return one image and what its file says of it; errors as `decode`."""
        return examine(self.read(index), self.channels, self.names[index])

    def decode(self, index: int) -> Pixels:
        """Return one image: (height, width, channels).

        Raises:
            DataError: If the file is not a decodable image; names the file.
        """
        return self.examine(index).pixels

    def require_unchanged(self, indices: npt.NDArray[np.int32]) -> None:
        """Make sure that files are still those that were scanned: by their stamps, in doubt by their contents.

        Called after they have been read, it holds for what was read; about 5 µs a file.

        Raises:
            DataError: If one contains something else; names it.
        """
        if self.stamps is None or self.contents is None:
            return
        for index, expected in zip(indices.tolist(), self.stamps[indices].tolist(), strict=True):
            stamp = self._stamp(index)
            if stamp == tuple(expected):
                continue
            now = time.time_ns()
            if content_hash(self.read(index)) != self.contents[index].tobytes():
                raise changed(self.names[index])
            self.stamps[index] = settled(table([stamp]), now)[0]

    def _stamp(self, index: int) -> Stamp:
        try:
            return self.store.stamp(self.names[index])
        except OSError as error:
            raise DataError(f"{self.names[index]}: {(error.strerror or str(error)).lower()}") from error

    def take(self, indices: npt.NDArray[np.int64]) -> Files:
        """Return the files at `indices`, in that order."""
        names = [self.names[i] for i in indices.tolist()]
        stamps = None if self.stamps is None else self.stamps[indices]
        contents = None if self.contents is None else self.contents[indices]
        return Files(self.store, names, self.channels, self.plain[indices], self.sizes[indices], stamps, contents)

    def joined(self, other: Files) -> Files:
        """Return these files and others of the same store behind them."""
        return Files(
            self.store,
            [*self.names, *other.names],
            self.channels,
            np.concatenate([self.plain, other.plain]),
            np.concatenate([self.sizes, other.sizes]),
            both(self.stamps, other.stamps),
            both(self.contents, other.contents),
        )

    @classmethod
    def of(cls, store: Store, names: Sequence[str], channels: int) -> Files:
        """Return files of which nothing is known yet."""
        return cls(store, names, channels, np.zeros(len(names), np.bool_), np.zeros((len(names), 2), np.int32))


def changed(name: str) -> DataError:
    """Return the error that a file contains something else than when it was scanned."""
    return DataError(
        f"{name} has changed since the examples were read",
        "Restore it and go on with `cnn resume`, or begin anew with the data as they are now.",
    )
