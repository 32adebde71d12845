"""Zip files are read in place; hostile ones harm nothing."""

from __future__ import annotations

import contextlib
import io
import stat
import struct
import zipfile
import zlib

import numpy as np
import pytest

from cnncli import datasets
from cnncli.datasets import archive
from cnncli.datasets.archive import Archive
from cnncli.errors import DataError


def pack(path, entries, method=zipfile.ZIP_DEFLATED):
    """Write a zip file of (name or ZipInfo, content)."""
    with zipfile.ZipFile(path, "w", method) as packed:
        for name, content in entries:
            packed.writestr(name, content)
    return path


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_zip_is_its_folder(method, make_folder, make_config, tmp_path):
    """The same images, labels, splits and hashes come from a folder and from a zip of it."""
    folder = make_folder({"set/train/cat": 5, "set/train/dog": 6, "set/test/cat": 2})
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    packed = pack(tmp_path / "set.zip", [(str(f.relative_to(folder)), f.read_bytes()) for f in files], method)
    ours, theirs = (datasets.load(make_config(source="folder", path=str(p), channels=3)) for p in (packed, folder))
    assert ours.passport | {"path": None} == theirs.passport | {"path": None}
    for one, other in zip(ours.present(), theirs.present(), strict=True):
        assert one.ids == other.ids
        assert np.array_equal(one.targets.labels, other.targets.labels)
        assert all(np.array_equal(one.images.decode(i), other.images.decode(i)) for i in range(len(one)))


def hostile_entries(encode):
    """Return entries that must not be read, and a word of why, beside an honest image."""
    link = zipfile.ZipInfo("set/a/link.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    device = zipfile.ZipInfo("set/a/device.png")
    device.external_attr = (stat.S_IFCHR | 0o666) << 16
    return [
        ("../outside.png", "outside"),
        ("set/../../outside.png", "outside"),
        ("/absolute.png", "outside"),
        ("C:/windows.png", "outside"),
        ("set\\a\\backslash.png", "outside"),
        (link, "not a regular file"),
        (device, "not a regular file"),
    ]


def test_paths_links_and_devices_are_refused(tmp_path, encode, monkeypatch):
    """Nothing outside is read or written, and every refused entry is named."""
    monkeypatch.chdir(tmp_path)
    image = encode(np.zeros((4, 4), np.uint8))
    entries = hostile_entries(encode)
    packed = pack(tmp_path / "hostile.zip", [("set/a/1.png", image), *((name, image) for name, _ in entries)])
    before = set(tmp_path.parent.rglob("*"))
    listing = Archive(packed).listing()
    assert listing.names == ["set/a/1.png"]
    reasons = dict(listing.bad)
    for name, word in entries:
        name = name.filename if isinstance(name, zipfile.ZipInfo) else name
        assert word in reasons[name]
    assert set(tmp_path.parent.rglob("*")) == before


def test_a_name_that_stands_twice_is_refused(tmp_path):
    """Of two entries with one name, the second is reported instead of silently winning."""
    path = tmp_path / "twice.zip"
    with pytest.warns(UserWarning, match="Duplicate name"):
        pack(path, [("a/1.png", b"first"), ("a/1.png", b"second")])
    store = Archive(path)
    assert store.listing().bad == [("a/1.png", "the name appears twice in the archive")]
    assert store.read("a/1.png") == b"first"


def test_a_bomb_is_not_unpacked(tmp_path):
    """An entry that says it is larger than any image file is not inflated."""
    packed = pack(tmp_path / "bomb.zip", [("a/1.png", bytes(300 * 2**20))])
    assert packed.stat().st_size < 2**20
    with pytest.raises(DataError, match="the limit is"):
        Archive(packed).read("a/1.png")


def test_a_lying_bomb_stops_at_its_claim(tmp_path):
    """An entry that is larger than it says is cut off and refused."""
    path = pack(tmp_path / "lie.zip", [("a/1.png", bytes(50 * 2**20))])
    content = bytearray(path.read_bytes())
    directory = content.rindex(b"PK\x01\x02")
    struct.pack_into("<L", content, directory + 24, 100)
    path.write_bytes(content)
    with pytest.raises(DataError, match="damaged"):
        Archive(path).read("a/1.png")


def test_inflating_stops_at_the_claim():
    """No more is inflated than an entry says it holds, so that a lie costs no memory."""
    packer = zlib.compressobj(wbits=-15)
    raw = packer.compress(bytes(10**7)) + packer.flush()
    assert len(archive._inflate(raw, 100, "x")) == 101


def test_overlapping_entries_are_refused(tmp_path):
    """Many entries that share one compressed body are reported, not multiplied."""
    path = pack(tmp_path / "overlap.zip", [("a/1.png", bytes(1000)), ("a/2.png", bytes(1000))])
    content = bytearray(path.read_bytes())
    second = content.rindex(b"PK\x01\x02")
    struct.pack_into("<L", content, second + 42, 0)
    path.write_bytes(content)
    assert [name for name, reason in Archive(path).listing().bad if "overlaps" in reason]


def test_a_changed_checksum_is_noticed(tmp_path):
    """Damage inside an entry is an error that names it."""
    path = pack(tmp_path / "bits.zip", [("a/1.png", b"some content")], zipfile.ZIP_STORED)
    content = bytearray(path.read_bytes())
    content[content.index(b"some")] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a/1\.png.*damaged"):
        Archive(path).read("a/1.png")


def test_encrypted_and_strangely_packed_entries_are_refused(tmp_path):
    """Encryption and rare methods are reported, not guessed at."""
    path = pack(tmp_path / "odd.zip", [("a/1.png", b"x"), ("a/2.png", b"y")])
    content = bytearray(path.read_bytes())
    first = content.index(b"PK\x01\x02")
    second = content.rindex(b"PK\x01\x02")
    struct.pack_into("<H", content, first + 8, 1)
    struct.pack_into("<H", content, second + 10, 99)
    path.write_bytes(content)
    reasons = dict(Archive(path).listing().bad)
    assert reasons["a/1.png"] == "encrypted"
    assert "method 99" in reasons["a/2.png"]


def test_a_huge_table_of_contents_is_refused_unread(tmp_path, monkeypatch):
    """The size of the table is looked at before it is read."""
    monkeypatch.setattr(archive, "MAX_DIRECTORY_BYTES", 100)
    path = pack(tmp_path / "many.zip", [(f"a/{i}.png", b"") for i in range(50)])
    with pytest.raises(DataError, match="table of contents"):
        Archive(path)


@pytest.mark.parametrize("content", [b"", b"PK\x05\x06", b"no zip at all" * 10, b"PK\x03\x04" + bytes(100)])
def test_no_zip_is_one_clear_error(content, tmp_path):
    """What is no zip file is an error that names it."""
    path = tmp_path / "x.zip"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"x\.zip"):
        Archive(path)


def test_flipped_bits_never_crash(tmp_path, encode):
    """Any byte of an archive may be wrong: the answer is an error or a reading, never another exception."""
    image = encode(np.arange(64, dtype=np.uint8).reshape(8, 8))
    whole = pack(tmp_path / "ok.zip", [(f"s/{c}/{i}.png", image) for c in "ab" for i in range(2)]).read_bytes()
    generator = np.random.default_rng(0)
    path = tmp_path / "flipped.zip"
    for _ in range(300):
        content = bytearray(whole)
        for place in generator.integers(0, len(whole), 3):
            content[place] = generator.integers(0, 256)
        path.write_bytes(content)
        with contextlib.suppress(DataError):
            store = Archive(path)
            for name in store.listing().names:
                store.read(name)


def test_pickles_never_run(tmp_path, make_config):
    """An .npz file with a pickled object is refused without opening the pickle."""
    marker = tmp_path / "ran"

    class Malice:
        def __reduce__(self):
            return (marker.touch, ())

    path = tmp_path / "evil.npz"
    malice = np.array([Malice()], dtype=object)
    np.savez(path, x_train=malice, y_train=np.zeros(1, np.int64), allow_pickle=True)
    with pytest.raises(DataError, match=r"evil\.npz"):
        datasets.load(make_config(source="npz", path=str(path)))
    assert not marker.exists()


def test_an_npz_bomb_is_refused(tmp_path, make_config):
    """An array whose header claims more than the file holds is an error, not an allocation."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (10**12, 28, 28)})
    packed = pack(tmp_path / "bomb.npz", [("x_train.npy", header.getvalue()), ("y_train.npy", header.getvalue())])
    with pytest.raises(DataError, match=r"bomb\.npz"):
        datasets.load(make_config(source="npz", path=str(packed)))


@pytest.mark.parametrize("damage", ["signature", "cut short"])
def test_an_entry_that_is_not_where_it_is_listed(damage, tmp_path):
    """Without its signature, or beyond the end of the file, it is reported with its name."""
    path = pack(tmp_path / "x.zip", [("a/1.png", b"content")], zipfile.ZIP_STORED)
    listed = Archive(path)
    content = path.read_bytes()
    path.write_bytes(b"XX" + content[2:] if damage == "signature" else content[:20])
    with pytest.raises(DataError, match=r"a/1\.png: the archive is damaged \(missing entry"):
        listed.read("a/1.png")


def test_a_file_that_is_too_large_is_not_read(tmp_path, monkeypatch):
    """One byte more than is read is refused with both numbers; as much as is read is read."""
    path = pack(tmp_path / "x.zip", [("a/1.png", b"12345")])
    monkeypatch.setattr(archive, "MAX_BYTES", 5)
    assert Archive(path).read("a/1.png") == b"12345"
    monkeypatch.setattr(archive, "MAX_BYTES", 4)
    with pytest.raises(DataError, match="the file has 5 bytes; the limit is 4"):
        Archive(path).read("a/1.png")
