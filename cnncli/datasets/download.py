"""Built-in sets, downloaded or read by Keras."""

from __future__ import annotations

import contextlib
import hashlib
import pickle
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from cnncli.errors import DataError

_ARCHIVES = {
    "cifar10": ("cifar-10-batches-py", "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"),
    "cifar100": ("cifar-100-python", "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7"),
}
"""Folder in the original archive, and the archive's SHA-256 as Keras knows it."""


def download(source: str) -> dict[str, npt.NDArray[Any]]:
    """Return x_train, y_train, x_test and y_test of a set; Keras keeps the file and checks its hash.

    Args:
        source: Name of a module of `keras.datasets`.

    Raises:
        DataError: If there is no network, or what came is damaged.
    """
    import keras

    module: Any = getattr(keras.datasets, source)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            (x_train, y_train), (x_test, y_test) = module.load_data()
    except Exception as error:
        raise DataError(
            f"{source} could not be downloaded: {error}",
            hint="Set data.path to a local copy (an .npz file with x_train, y_train, x_test, y_test; a folder of "
            "images; the original .tar.gz of CIFAR), or use data.source digits, which needs no download.",
        ) from error
    return {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}


def read_archive(source: str, path: Path) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of an original CIFAR archive ("python version").

    Its files are pickles: nothing of it is opened before the archive's SHA-256 is that of the
    published one, and then only through Keras's unpickler, which makes arrays and nothing else.

    Args:
        source: "cifar10" or "cifar100".
        path: cifar-10-python.tar.gz or cifar-100-python.tar.gz.

    Raises:
        DataError: If the file is another one.
    """
    folder, expected = _ARCHIVES[source]
    with path.open("rb") as file:
        found = _sha256(file)
        if found != expected:
            raise DataError(
                f"{path} is not the published archive of {source}: its SHA-256 is {found}, expected {expected}",
                hint="Download it again.",
            )
        file.seek(0)
        try:
            with tarfile.open(fileobj=file, mode="r:gz") as archive:
                return _batches(archive, folder, source)
        except (tarfile.TarError, pickle.UnpicklingError, KeyError, ValueError, EOFError) as error:
            raise DataError(f"{path} is not an archive of {source}: {error}") from error


def _batches(archive: tarfile.TarFile, folder: str, source: str) -> dict[str, npt.NDArray[Any]]:
    from keras.src.datasets.cifar import load_batch

    fine = source == "cifar100"
    train, test = (["train"], ["test"]) if fine else ([f"data_batch_{i}" for i in range(1, 6)], ["test_batch"])
    arrays: dict[str, npt.NDArray[Any]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        batch = Path(temporary) / "batch"
        for split, members in (("train", train), ("test", test)):
            images, labels = [], []
            for member in members:
                content = archive.extractfile(f"{folder}/{member}")
                if content is None:
                    raise DataError(f"{member} is missing from the archive of {source}")
                batch.write_bytes(content.read())
                found = load_batch(str(batch), "fine_labels" if fine else "labels")
                images.append(found[0])
                labels.append(np.asarray(found[1]))
            arrays[f"x_{split}"] = np.concatenate(images).transpose(0, 2, 3, 1)
            arrays[f"y_{split}"] = np.concatenate(labels)
    return arrays


def _sha256(file: BinaryIO) -> str:
    total = hashlib.sha256()
    while block := file.read(2**20):
        total.update(block)
    return total.hexdigest()
