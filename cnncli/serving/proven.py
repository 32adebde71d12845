"""Whether an exported network is still the one that was proven: its parity record holds its checksum."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from cnncli.errors import ExportError
from cnncli.files.form import record, text
from cnncli.files.read import read_json

FORM = record({"sha256": text(64, 64)})
"""What is read of a parity record."""

MOST_BYTES = 10_000_000


def record_of(path: Path) -> Path:
    """Return the file of an artifact's parity record: it lies beside it."""
    return path.with_name(f"{path.name}.parity.json")


def files_of(path: Path) -> Iterable[Path]:
    """Return the files of an artifact, which is one, or a folder; without what Python adds when it imports a script."""
    if path.is_file():
        return [path]
    return sorted(p for p in path.rglob("*") if p.is_file() and "__pycache__" not in p.parts)


def digest(path: Path) -> str:
    """Return the SHA-256 of a file, or of a folder's names and files in their order."""
    if path.is_file():
        return _digest_of_file(path).hexdigest()
    total = hashlib.sha256()
    for file in files_of(path):
        total.update(f"{file.relative_to(path).as_posix()}\0".encode())
        total.update(_digest_of_file(file).digest())
    return total.hexdigest()


def check_proven(path: Path) -> None:
    """Refuse an artifact that was changed after it was proven; one without a record is taken as it is.

    Raises:
        ExportError: If its checksum is not the record's, or the record cannot be read.
    """
    parity = record_of(path)
    if not parity.exists():
        return
    try:
        document = read_json(parity, MOST_BYTES)
        FORM(document)
        found = digest(path)
    except (OSError, ValueError) as error:
        raise ExportError(f"{parity} cannot be read: {error}", "`cnn export` writes it again.") from error
    if found != document["sha256"]:
        raise ExportError(
            f"{path} was changed after it was proven: its SHA-256 is {found[:12]}…, {document['sha256'][:12]}… in "
            f"{parity.name}",
            "`cnn export` writes it again; without the record beside it, a network is taken as it is.",
        )


def _digest_of_file(path: Path) -> hashlib._Hash:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256")
