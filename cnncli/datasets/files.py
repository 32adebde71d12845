"""Images in files, decoded when they are needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cnncli.datasets.images import Decoded, Pixels, examine
from cnncli.datasets.store import Store


@dataclass(frozen=True)
class Files:
    """A sequence of image files of any size.

    Attributes:
        store: The folder or archive that holds them.
        names: Path of each file in the store.
        channels: 1 or 3: what the images are decoded to.
    """

    store: Store
    names: Sequence[str]
    channels: int

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
            DataError: If the file is no image that can be decoded; names the file.
        """
        return self.examine(index).pixels

    def take(self, indices: npt.NDArray[np.int64]) -> Files:
        """Return the files at `indices`, in that order."""
        return Files(self.store, [self.names[i] for i in indices.tolist()], self.channels)
