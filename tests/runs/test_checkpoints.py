"""The checkpoint store: what is saved comes back, and what is damaged does not."""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import math
import os
import threading
from pathlib import Path

import numpy as np
import pytest

from cnncli.errors import CheckpointError
from cnncli.files import durable
from cnncli.runs.checkpoints import CheckpointStore


@pytest.fixture
def store(tmp_path: Path) -> CheckpointStore:
    """Return an empty store."""
    return CheckpointStore(tmp_path / "run" / "checkpoints")


def save(store: CheckpointStore, *steps: int, best: tuple[int, ...] = ()) -> None:
    """Save small checkpoints whose one array holds the step."""
    for step in steps:
        store.save(step, {"w": np.full(3, step, np.float32)}, {}, best=step in best)


def flip_a_bit(path: Path) -> None:
    """Damage a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_every_kind_of_array_comes_back_to_the_bit(store: CheckpointStore) -> None:
    """Types, axes, order in memory and names do not matter."""
    ml_dtypes = pytest.importorskip("ml_dtypes")
    rng = np.random.default_rng(0)
    arrays = {
        "model/conv2d/kernel": rng.standard_normal((3, 3, 1, 8), np.float32),
        "half": rng.standard_normal(5).astype(np.float16),
        "brain": rng.standard_normal((2, 3)).astype(ml_dtypes.bfloat16),
        "tiny": np.ones(3, ml_dtypes.float8_e4m3fn),
        "scalar": np.array(7, np.int64),
        "empty": np.zeros((0, 4), np.float64),
        "transposed": np.arange(12, dtype=np.int32).reshape(3, 4).T,
        "sliced": np.arange(20, dtype=np.uint8)[::3],
        "flags": np.array([True, False]),
        "complex": np.array([1 + 2j]),
        "not finite": np.array([np.nan, -0.0, np.inf]),
        "größe/名": np.array([5], np.uint64),
    }
    store.save(12, arrays, {})
    found = store.latest()
    assert found is not None
    assert found.step == 12
    assert list(found.arrays) == list(arrays)
    for name, array in arrays.items():
        assert found.arrays[name].dtype == array.dtype
        assert found.arrays[name].shape == array.shape
        assert found.arrays[name].tobytes() == array.tobytes()
        found.arrays[name][...] = 0


def test_big_endian_arrays_are_stored_little_endian(store: CheckpointStore) -> None:
    """The file is the same on every machine."""
    path = store.save(1, {"w": np.array([1, 2], ">i4")}, {})
    assert (path / "arrays.bin").read_bytes() == np.array([1, 2], "<i4").tobytes()


def test_meta_comes_back(store: CheckpointStore) -> None:
    """Plain data is kept exactly, infinities included."""
    meta = {"progress": {"epoch": 3, "best": -math.inf, "rate": 0.1 + 0.2, "name": "Straße"}, "list": [1, None, True]}
    store.save(1, {}, meta)
    found = store.latest()
    assert found is not None
    assert found.meta == meta


def test_other_programs_can_check_and_read_it(store: CheckpointStore) -> None:
    """The manifest states the file's SHA-256, and where each array lies in it."""
    weights = np.arange(5, dtype=np.float32)
    path = store.save(1, {"a": np.zeros(3, np.uint8), "w": weights}, {})
    content = (path / "arrays.bin").read_bytes()
    manifest = json.loads((path / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["sha256"] == hashlib.sha256(content).hexdigest()
    entry = manifest["entries"][1]
    assert entry == {"name": "w", "dtype": "float32", "shape": [5], "offset": 64, "num_bytes": 20}
    assert np.frombuffer(content, "<f4", 5, entry["offset"]).tolist() == weights.tolist()


def test_two_newest_and_the_best_are_kept(store: CheckpointStore) -> None:
    """The best stays as long as no better one is safe, and as a kept checkpoint names it."""
    save(store, 10, 20, 30, 40, best=(10,))
    assert store.names() == ["step-00000010", "step-00000030", "step-00000040"]
    save(store, 50, best=(50,))
    assert store.names() == ["step-00000010", "step-00000040", "step-00000050"]
    save(store, 60)
    assert store.names() == ["step-00000050", "step-00000060"]
    best = store.best()
    assert best is not None
    assert best.step == 50


def test_keep_says_how_many(store: CheckpointStore) -> None:
    """Three of five, and never fewer than two."""
    for step in range(5):
        store.save(step, {}, {}, keep=3)
    assert len(store.names()) == 3
    store.save(5, {}, {}, keep=1)
    assert len(store.names()) == 2


def test_hints_name_newest_and_best(store: CheckpointStore) -> None:
    """latest.json and best.json stand beside the folder."""
    save(store, 10, 20, best=(10,))
    hints = {
        name: json.loads((store.directory.parent / f"{name}.json").read_text(encoding="utf-8"))
        for name in ("latest", "best")
    }
    assert hints == {
        "latest": {"checkpoint": "checkpoints/step-00000020", "step": 20},
        "best": {"checkpoint": "checkpoints/step-00000010", "step": 10},
    }


def test_hints_are_not_believed(store: CheckpointStore) -> None:
    """A hint that is wrong or gone changes nothing."""
    save(store, 10, 20, best=(10,))
    (store.directory.parent / "best.json").unlink()
    (store.directory.parent / "latest.json").write_text("nonsense", encoding="utf-8")
    latest, best = store.latest(), store.best()
    assert latest is not None
    assert best is not None
    assert (latest.step, best.step) == (20, 10)


def test_a_step_can_be_saved_twice(store: CheckpointStore) -> None:
    """The second stands beside the first, and counts as newer."""
    save(store, 10)
    path = store.save(10, {"w": np.ones(3)}, {})
    assert path.name == "step-00000010-2"
    found = store.latest()
    assert found is not None
    assert found.arrays["w"].tolist() == [1, 1, 1]
    save(store, 20)
    assert store.names() == ["step-00000010-2", "step-00000020"]


def test_the_folder_is_made_once(store: CheckpointStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Making it again at every save would wait for the disk each time."""
    save(store, 1)
    monkeypatch.setattr(durable, "make_directories", None)
    save(store, 2, 3)


def test_names_are_in_the_order_of_steps(store: CheckpointStore) -> None:
    """Not of the alphabet: the tenth save of a step is newer than the second, step 100,000,000 than step 20,000,000."""
    ordered = [
        "step-00000009-3",
        "step-00000010",
        "step-00000010-2",
        "step-00000010-10",
        "step-20000000",
        "step-100000000",
    ]
    for name in reversed([*ordered, "step-1", ".new-step-00000001", "other"]):
        (store.directory / name).mkdir(parents=True)
    assert store.names() == ordered
    (store.directory / "step-100000000").rmdir()
    (store.directory / "step-20000000").rmdir()
    assert store.save(10, {"w": np.ones(1)}, {}, keep=9).name == "step-00000010-11"


def test_weights_that_are_not_finite_are_refused(store: CheckpointStore) -> None:
    """The array is named, and nothing is written."""
    save(store, 1)
    arrays = {"seen": np.array([np.inf]), "w": np.array([1, np.nan])}
    with pytest.raises(CheckpointError, match=r"step 2.*: w is not finite"):
        store.save(2, arrays, {}, weights=["w"])
    assert store.names() == ["step-00000001"]


def test_what_is_no_number_is_refused(store: CheckpointStore) -> None:
    """Objects would need pickle; nothing is left of the attempt."""
    with pytest.raises(TypeError, match="w contains object"):
        store.save(1, {"w": np.array([{}])}, {})
    assert list(store.directory.iterdir()) == []


@pytest.mark.parametrize("file", ["arrays.bin", "manifest.json"])
def test_a_damaged_checkpoint_is_set_aside(store: CheckpointStore, file: str, caplog: pytest.LogCaptureFixture) -> None:
    """One warning says so, and the one before is used."""
    save(store, 10, 20)
    flip_a_bit(store.directory / "step-00000020" / file)
    found = store.latest()
    assert found is not None
    assert found.step == 10
    assert (store.directory / "corrupt-step-00000020").is_dir()
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "step-00000020 is damaged" in caplog.text


def test_a_file_that_is_gone_is_damage(store: CheckpointStore) -> None:
    """Either file; the next step of the same number does not clash."""
    for file in ("arrays.bin", "manifest.json"):
        save(store, 10, 20)
        (store.directory / "step-00000020" / file).unlink()
        found = store.latest()
        assert found is not None
        assert found.step == 10
    assert {path.name for path in store.directory.glob("corrupt-*")} == {
        "corrupt-step-00000020",
        "corrupt-step-00000020.2",
    }


def test_damage_to_the_best_leads_to_the_best_before(store: CheckpointStore) -> None:
    """As the checkpoint before names it."""
    save(store, 10, 20, 30, best=(10, 30))
    flip_a_bit(store.directory / "step-00000030" / "arrays.bin")
    best = store.best()
    assert best is not None
    assert best.step == 10


def test_another_checkpoints_manifest_is_damage(store: CheckpointStore, caplog: pytest.LogCaptureFixture) -> None:
    """Whole as it is, it belongs to another step, whose best one would be taken without a word."""
    save(store, 1, best=(1,))
    save(store, 2, best=(2,))
    first, second = (store.directory / f"step-0000000{step}" / "manifest.json" for step in (1, 2))
    second.write_bytes(first.read_bytes())
    assert store.best().step == 1
    assert "manifest.json is that of step 1" in caplog.text
    with pytest.raises(CheckpointError, match="that of step 1"):
        store.load("step-00000002")


def test_nothing_whole_is_an_error(store: CheckpointStore) -> None:
    """While an empty folder is none."""
    assert store.latest() is None
    assert store.best() is None
    save(store, 10)
    assert store.best() is None
    flip_a_bit(store.directory / "step-00000010" / "arrays.bin")
    with pytest.raises(CheckpointError, match="no intact checkpoint"):
        store.latest()


def test_load_by_name(store: CheckpointStore) -> None:
    """A name that is not there is answered with those that are."""
    save(store, 10)
    assert store.load("step-00000010").step == 10
    with pytest.raises(CheckpointError, match="available: step-00000010"):
        store.load("step-00000011")
    flip_a_bit(store.directory / "step-00000010" / "manifest.json")
    with pytest.raises(CheckpointError, match=r"step-00000010 is damaged: manifest\.json"):
        store.load("step-00000010")


def test_what_may_not_be_read_is_not_damaged(store: CheckpointStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing permission or too many open files set nothing aside."""
    save(store, 10, 20)

    def refuse(*_: object) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(CheckpointError, match="Too many open files"):
        store.latest()
    assert store.names() == ["step-00000010", "step-00000020"]


def test_what_crashed_saves_left_is_removed(store: CheckpointStore) -> None:
    """By the next save."""
    save(store, 10)
    for name in (".new-step-00000020", ".old-step-00000005"):
        (store.directory / name).mkdir()
        (store.directory / name / "arrays.bin").write_bytes(b"half")
    save(store, 20)
    assert sorted(path.name for path in store.directory.iterdir()) == ["step-00000010", "step-00000020"]


def test_a_disk_that_refuses_is_one_line(store: CheckpointStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what, why, and that the one before is untouched."""
    save(store, 10)

    def refuse(_: Path) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(durable, "mkdir", refuse)
    with pytest.raises(CheckpointError) as caught:
        save(store, 20)
    assert "step 20" in caught.value.message
    assert ": Read-only file system; step-00000010 is untouched" in caught.value.message
    assert "\n" not in caught.value.message


def test_a_list_that_is_out_of_date_is_read_again(store: CheckpointStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that was listed may be gone when it is opened: two saves are quick on a busy machine."""
    save(store, 30, 40)
    stale = [["step-00000010", "step-00000020"]] * 2
    listed = store.names
    monkeypatch.setattr(store, "names", lambda: stale.pop() if stale else listed())
    found = store.latest()
    assert found is not None
    assert found.step == 40


def test_a_newest_that_is_gone_has_a_newer_one(store: CheckpointStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is removed after it was listed made way for something newer; the best before it is kept, but older."""
    save(store, 42, 44, best=(42,))
    names, gone = store.names, "step-00000043"
    stale = iter([[*names()[:1], gone]] * 2)
    monkeypatch.setattr(store, "names", lambda: next(stale, None) or names())
    latest = store.latest()
    assert latest is not None
    assert latest.step == 44


def test_others_may_read_while_one_writes(store: CheckpointStore, caplog: pytest.LogCaptureFixture) -> None:
    """A reader never meets half a checkpoint, nor takes a removed one for damaged."""
    save(store, 0, best=(0,))
    writer = threading.Thread(target=save, args=(store, *range(1, 60)), kwargs={"best": tuple(range(0, 60, 7))})
    writer.start()
    seen = []
    while writer.is_alive():
        latest, best = store.latest(), store.best()
        assert latest is not None
        assert best is not None
        assert latest.arrays["w"].tolist() == [latest.step] * 3
        seen.append(latest.step)
    writer.join()
    assert seen == sorted(seen)
    assert caplog.records == []
    assert not list(store.directory.glob("corrupt-*"))
