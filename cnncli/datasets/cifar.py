"""CIFAR's original archives ("python version"): pickles in a .tar.gz."""

from __future__ import annotations

import io
import pickle
import tarfile
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from cnncli.errors import DataError

_LAYOUTS: dict[str, tuple[str, bytes, dict[str, list[str]]]] = {
    "cifar10": (
        "cifar-10-batches-py",
        b"labels",
        {"train": [f"data_batch_{number}" for number in range(1, 6)], "test": ["test_batch"]},
    ),
    "cifar100": ("cifar-100-python", b"fine_labels", {"train": ["train"], "test": ["test"]}),
}
"""The folder in the archive, the key of the labels, and the batches of each split."""

_GLOBALS = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("numpy.core.multiarray", "_reconstruct"),  # as NumPy 1 wrote it
    ("numpy._core.multiarray", "_reconstruct"),
}
"""What a pickled array is made with."""


class _ArrayUnpickler(pickle.Unpickler):
    """Makes arrays, and what needs no import: dictionaries, lists, texts and numbers."""

    def find_class(self, module: str, name: str) -> Any:
        """Return what arrays are made with; refuse everything else before it is imported."""
        if (module, name) not in _GLOBALS:
            raise pickle.UnpicklingError(f"it names {module}.{name}, and only arrays are read")
        return super().find_class(module, name)


def read(file: BinaryIO, source: str) -> dict[str, npt.NDArray[Any]]:
    """Return x_train, y_train, x_test and y_test of an archive.

    Args:
        file: The archive, whose digest has been checked.
        source: "cifar10" or "cifar100".

    Raises:
        DataError: If it is not an archive of that set.
    """
    folder, key, splits = _LAYOUTS[source]
    arrays: dict[str, npt.NDArray[Any]] = {}
    try:
        with tarfile.open(fileobj=file, mode="r:gz") as archive:
            for split, names in splits.items():
                batches = [_batch(archive, f"{folder}/{name}") for name in names]
                pixels = np.concatenate([batch[b"data"] for batch in batches])
                arrays[f"x_{split}"] = pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
                arrays[f"y_{split}"] = np.concatenate([np.asarray(batch[key]) for batch in batches])
    except (tarfile.TarError, pickle.UnpicklingError, KeyError, ValueError, TypeError, EOFError, OSError) as error:
        raise DataError(f"this is not an archive of {source}: {error}") from error
    return arrays


def _batch(archive: tarfile.TarFile, name: str) -> dict[bytes, Any]:
    member = archive.extractfile(name)
    if member is None:
        raise ValueError(f"{name} is not a file")
    batch = _ArrayUnpickler(io.BytesIO(member.read()), encoding="bytes").load()
    if not isinstance(batch, dict):
        raise ValueError(f"{name} is not a dictionary")
    return batch
