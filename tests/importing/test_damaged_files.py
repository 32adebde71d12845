"""Damaged `.keras` and `.h5` files are refused; the large version is `tests/campaigns/damage_keras_files.py`."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from cnncli.importing.graph import GraphImportError
from cnncli.importing.read import read

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "campaigns"))
import damage_keras_files
import test_hostile_keras as whole

sys.path.pop(0)
sys.path.pop(0)

NUM_KINDS = len([*damage_keras_files.BYTES, *damage_keras_files.MEMBERS, damage_keras_files.bare_h5])


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return a file that is read when it is whole."""
    path = whole.archive(tmp_path_factory.mktemp("whole") / "m.keras")
    read(path)
    return path.read_bytes()


def test_every_kind_of_damage_is_refused(original: bytes, tmp_path: Path) -> None:
    """Each kind of damage, five times at other places, is one error."""
    seen = set()
    for index, (kind, suffix, content) in enumerate(damage_keras_files.damaged([original], 5 * NUM_KINDS, 1)):
        path = tmp_path / f"{index}{suffix}"
        path.write_bytes(content)
        with pytest.raises(GraphImportError):
            read(path)
        seen.add(kind)
    assert len(seen) == NUM_KINDS


def test_processes_end_with_an_exit_code(original: bytes, tmp_path: Path) -> None:
    """A process that imports a damaged file ends with exit code 1, without a traceback, and leaves nothing behind."""
    wanted = {"flipped", "missing", "h5_cut", "h5_signature", "h5_structure", "bare_h5"}
    for kind, suffix, content in damage_keras_files.damaged([original], NUM_KINDS, 2):
        if kind in wanted:
            path = tmp_path / f"{kind}{suffix}"
            path.write_bytes(content)
            ending = damage_keras_files.imported(kind, path)
            assert not ending.wrong, ending
            assert ending.exit_code == 1


@pytest.mark.parametrize("name", ["m.h5", "m.hdf5", "m.weights.h5"])
def test_bare_hdf5_file(name: str, tmp_path: Path) -> None:
    """Keras's older files are refused whole or not, and the error says how to make one that is read."""
    (tmp_path / name).write_bytes(whole.weights())
    with pytest.raises(GraphImportError) as raised:
        read(tmp_path / name)
    assert "unsupported file type" in raised.value.message
    assert "save(….keras)" in str(raised.value.hint)
