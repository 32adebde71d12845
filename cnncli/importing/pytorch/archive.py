"""A .pt file: a zip archive of a pickle, which describes tensors, and of their values, unpacked."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnncli.files.archives import open_zip, read_member
from cnncli.importing.graph import GraphImportError
from cnncli.importing.pytorch.pickled import Storage, Tensor, read_pickle
from cnncli.importing.pytorch.tensors import FLOATS, MOST_TENSORS, SIZES, StoredTensor, TensorFile
from cnncli.importing.weight_file import MOST_BYTES

if TYPE_CHECKING:
    import numpy.typing as npt

MOST_MEMBERS = 2 * MOST_TENSORS
DIRECTORY_BYTES = 2**22
MOST_PICKLE = 2**24
"""Most bytes of the pickle."""

_PICKLE = "/data.pkl"
_WRAPPERS = ("state_dict", "model_state_dict", "model")
"""Keys under which training programs put the state_dict."""

_HINT = "Save the weights with PyTorch 1.6 or later: torch.save(model.state_dict(), ….pt)."


@contextmanager
def open_state_dict(path: Path) -> Iterator[TensorFile]:
    """Give the tensors of a .pt file, whose values can be read within the block.

    Raises:
        GraphImportError: If it is damaged, packed, or holds anything but a state_dict.
    """
    with ExitStack() as stack:
        try:
            archive = stack.enter_context(open_zip(path, most_members=MOST_MEMBERS, directory_bytes=DIRECTORY_BYTES))
            size = path.stat().st_size
        except OSError as error:
            reason = str(error.strerror or error)[:100]
            raise GraphImportError(f"{path} is not a .pt file of PyTorch's: {reason}", _HINT) from None
        yield _StateDict(archive, path.name, size).tensors()


class _StateDict:
    """One archive.

    Args:
        archive: The open zip file.
        where: What errors call it.
        size: Bytes of the file.
    """

    def __init__(self, archive: zipfile.ZipFile, where: str, size: int) -> None:
        self._archive, self._where = archive, where
        self._members = {info.filename: info for info in archive.infolist()}
        self._values: dict[str, bytes] = {}
        self._check(size)

    def _check(self, size: int) -> None:
        """Refuse what could expand: packed members, and members that share bytes of the file."""
        packed = [name for name, info in self._members.items() if info.compress_type != zipfile.ZIP_STORED]
        if packed:
            raise GraphImportError(f"{self._where}: {packed[0][:60]} is packed; PyTorch writes members unpacked", _HINT)
        if size > MOST_BYTES:
            raise GraphImportError(f"{self._where} is larger than the limit of {MOST_BYTES:,} bytes")
        total = sum(info.file_size for info in self._archive.infolist())
        if total > size:
            raise GraphImportError(f"{self._where}: its members claim {total:,} bytes, the file has {size:,}")

    def tensors(self) -> TensorFile:
        """Return the tensors in the order of the state_dict."""
        pickles = [name for name in self._members if name.endswith(_PICKLE)]
        if len(pickles) != 1:
            raise GraphImportError(f"{self._where} has {len(pickles)} members data.pkl, expected one", _HINT)
        root = pickles[0].removesuffix(_PICKLE)
        if f"{root}/byteorder" in self._members and self._read(f"{root}/byteorder", 16).strip() != b"little":
            raise GraphImportError(f"{self._where} was written on a big-endian machine, which is not supported")
        document = read_pickle(self._read(pickles[0], MOST_PICKLE), self._where)
        found = _state_dict(document)
        if not found:
            raise GraphImportError(f"{self._where} does not hold a state_dict", _HINT)
        if len(found) > MOST_TENSORS:
            raise GraphImportError(f"{self._where} has {len(found):,} tensors; the limit is {MOST_TENSORS:,}")
        tensors = [
            StoredTensor(name, tensor.shape, tensor.storage.kind, partial(self._array, root, name, tensor))
            for name, tensor in found.items()
        ]
        return TensorFile(tuple(tensors), is_in_order=True)

    def _read(self, name: str, limit: int) -> bytes:
        try:
            return read_member(self._archive, name, limit)
        except KeyError:
            raise GraphImportError(f"{self._where} is damaged: it has no member {name[:60]}") from None
        except OSError as error:
            raise GraphImportError(f"{self._where} is damaged: {error}") from None

    def _array(self, root: str, name: str, tensor: Tensor) -> npt.NDArray[Any]:
        """Return the values of a tensor, which may be any part of its storage."""
        import numpy as np

        content = self._storage(f"{root}/data/{tensor.storage.key}", tensor.storage)
        size = SIZES[tensor.storage.kind]
        try:
            return np.ndarray(
                tensor.shape,
                FLOATS[tensor.storage.kind],
                content,
                tensor.offset * size,
                [stride * size for stride in tensor.strides],
            )
        except (ValueError, TypeError, OverflowError):
            raise GraphImportError(f"{self._where}: {name[:60]} reaches beyond its storage") from None

    def _storage(self, member: str, storage: Storage) -> bytes:
        """Return the bytes of a storage, read once however many tensors share it."""
        expected = storage.size * SIZES[storage.kind]
        if member not in self._values:
            self._values[member] = self._read(member, expected)
        content = self._values[member]
        if len(content) != expected:
            raise GraphImportError(f"{self._where}: {member[:60]} has {len(content):,} bytes, expected {expected:,}")
        return content


def _state_dict(document: Any) -> Mapping[str, Tensor]:
    """Return the tensors of a dictionary, or of the one that a training program has put into another."""
    inner = [document.get(key) for key in _WRAPPERS] if isinstance(document, dict) else []
    found = (_tensors(value) for value in (document, *inner))
    return next((tensors for tensors in found if tensors), {})


def _tensors(value: Any) -> Mapping[str, Tensor]:
    items = value.items() if isinstance(value, dict) else ()
    return {name: item for name, item in items if isinstance(name, str) and isinstance(item, Tensor)}
