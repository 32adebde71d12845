"""Images in files, decoded when they are needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cnncli.datasets.images import decode


@dataclass(frozen=True)
class Files:
    """A sequence of image files of any size.

    Attributes:
        root: Folder that the names are relative to.
        names: Path of each file below `root`, with "/" between the parts.
        channels: 1 or 3: what the images are decoded to.
    """

    root: Path
    names: Sequence[str]
    channels: int

    def __len__(self) -> int:
        return len(self.names)

    def read(self, index: int) -> bytes:
        """Return one file as it is stored."""
        return (self.root / self.names[index]).read_bytes()

    def decode(self, index: int) -> npt.NDArray[np.uint8]:
        """Return one image: (height, width, channels).

        Raises:
            DataError: If the file is no image that can be decoded; names the file.
        """
        return decode(self.read(index), self.channels, self.names[index])

    def take(self, indices: npt.NDArray[np.int64]) -> Files:
        """Return the files at `indices`, in that order."""
        return Files(self.root, [self.names[i] for i in indices.tolist()], self.channels)
