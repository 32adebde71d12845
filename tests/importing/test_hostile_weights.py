"""Damaged and hostile files of weights; the large version is `tests/campaigns/mutate_weights.py`."""

from __future__ import annotations

import io
import json
import struct
import time
import tracemalloc
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from cnncli.importing.graph import GraphImportError
from cnncli.importing.read import read_onto
from tests.importing.test_torch_weights import FILES, config

Script = Callable[[str], ModuleType]
KINDS = ("caffe", "darknet", "onnx", "pt", "safetensors")
LENET = (FILES / "lenet.pt").read_bytes()


def test_spoilt_files_are_read_or_refused(script: Script, tmp_path: Path) -> None:
    """200 of each kind, and each hostile one: nothing but a known error, and none slow."""
    ends = list(script("campaigns/mutate_weights.py").campaign(200, 1, tmp_path))
    counts = Counter(name for name, *_ in ends)
    assert {counts[name] for name in KINDS} == {200}
    assert counts["hostile pt"] > 30
    assert counts["hostile onnx"] > 20
    refused = Counter(name for name, end, _ in ends if end == "refused")
    assert all(refused[name] > 100 for name in KINDS)
    assert max(seconds for *_, seconds in ends) < 10


def with_pickle(content: bytes) -> bytes:
    """Return lenet.pt with another pickle."""
    with zipfile.ZipFile(io.BytesIO(LENET)) as file:
        members = {name: file.read(name) for name in file.namelist()}
    name = next(name for name in members if name.endswith("data.pkl"))
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        for member, whole in {**members, name: content}.items():
            file.writestr(member, whole)
    return stream.getvalue()


def refusal(folder: Path, content: bytes, suffix: str = ".pt") -> str:
    """Return the error of a file."""
    path = folder / f"w{suffix}"
    path.write_bytes(content)
    with pytest.raises(GraphImportError) as raised:
        read_onto(path, config("lenet"))
    return f"{raised.value.message} {raised.value.hint}"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"cos\nsystem\nX\x02\x00\x00\x00id\x85R.", "names os.system, which is not part of a state_dict"),
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x02id\x85R.", "names os.system"),
        (b"c__main__\nNet\n)\x81.", "names __main__.Net, which is not part of a state_dict Save the weights alone"),
        (b"(S'id'\nios\nsystem\n.", "the pickle's operation STRING is not read"),
        (
            b"ccollections\nOrderedDict\n]q\x00h\x00h\x00\x86a\x85R.",
            "calls collections.OrderedDict as no state_dict does",
        ),
        (b"}r\xff\xff\xff\x7f.", "does not hold a state_dict"),
        (b"})" + b"q\x00h\x00\x86" * 40 + b"K\x01s.", "got a key of type tuple"),
        (b"}q\x00X\x05\x00\x00\x00modelh\x00s.", "does not hold a state_dict"),
        (b"\x96" + struct.pack("<Q", 2**40) + b".", "the pickle is damaged"),
        (b"0" * 100, "the pickle's operation POP is not read"),
        (b"", "the pickle is damaged"),
    ],
    ids=[
        "call",
        "call 4",
        "model",
        "inst",
        "items",
        "memo",
        "hash",
        "cycle",
        "bytearray",
        "pop",
        "empty",
    ],
)
def test_pickles(content: bytes, message: str, tmp_path: Path) -> None:
    """What `pickle` would run, or would take all memory or time for, is refused by its name."""
    tracemalloc.start()
    begun = time.process_time()
    assert message in refusal(tmp_path, with_pickle(content))
    assert time.process_time() - begun < 10
    assert tracemalloc.get_traced_memory()[1] < 2e8
    tracemalloc.stop()


def test_many_operations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Operations take time each: there is a limit to their number."""
    monkeypatch.setattr("cnncli.importing.pytorch.pickled.MOST_OPERATIONS", 1000)
    assert "has more than 1,000 operations" in refusal(tmp_path, with_pickle(b"N" * 1001 + b"."))


def lenet_pickle() -> bytes:
    """Return the pickle of lenet.pt."""
    with zipfile.ZipFile(io.BytesIO(LENET)) as file:
        return file.read(next(name for name in file.namelist() if name.endswith("data.pkl")))


def test_tensors_that_reach_beyond_their_storage(tmp_path: Path) -> None:
    """A stride, an offset and a size that the values do not bear out."""
    content = lenet_pickle()
    # The first tensor is (4, 1, 3, 3) with strides (9, 9, 3, 1) of a storage with 36 values from the first on.
    shown = b"K$tq\x08QK\x00(K\x04K\x01K\x03K\x03tq\t(K\tK\tK\x03K\x01t"
    assert shown in content
    for place, value, message in (
        (22, b"\x0a", "0.0.weight reaches beyond its storage"),  # the first stride
        (7, b"\x01", "0.0.weight reaches beyond its storage"),  # the offset
        (1, b"\x23", "data/0 has more than 140 bytes"),  # the storage's size
        (1, b"\x25", "data/0 has 144 bytes, expected 148"),
    ):
        spoilt = content.replace(shown, shown[:place] + value + shown[place + 1 :])
        assert message in refusal(tmp_path, with_pickle(spoilt))


def test_archives(tmp_path: Path) -> None:
    """A packed member, one that is missing, old files that are no archive, and big-endian values."""
    with zipfile.ZipFile(io.BytesIO(LENET)) as file:
        members = {name: file.read(name) for name in file.namelist()}

    def archive(changed: dict[str, bytes], packing: int = zipfile.ZIP_STORED) -> bytes:
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", packing) as out:
            for name, member in changed.items():
                out.writestr(name, member)
        return stream.getvalue()

    assert "is packed; PyTorch writes members unpacked" in refusal(tmp_path, archive(members, zipfile.ZIP_DEFLATED))
    missing = {name: member for name, member in members.items() if not name.endswith("data/1")}
    assert "it has no member" in refusal(tmp_path, archive(missing))
    big = {name: b"big" if name.endswith("byteorder") else member for name, member in members.items()}
    assert "big-endian" in refusal(tmp_path, archive(big))
    assert "is not a .pt file of PyTorch's" in refusal(tmp_path, b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.")
    shared = LENET
    for at in (place for place in range(len(LENET)) if LENET[place : place + 4] == b"PK\x01\x02"):
        shared = shared[: at + 20] + struct.pack("<II", 5000, 5000) + shared[at + 28 :]
    assert "its members claim" in refusal(tmp_path, shared)
    assert "has 0 members data.pkl" in refusal(tmp_path, archive({"a/b": b""}))


def safetensors(header: Any, values: bytes = b"", length: int | None = None) -> bytes:
    """Return a safetensors file."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + values


def entry(shape: list[Any], begin: int = 0, end: int = 4, dtype: Any = "F32") -> dict[str, Any]:
    """Return what a header says of a tensor."""
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "damaged or not a safetensors file"),
        (safetensors({}, length=10**9), "its header would have 1,000,000,000 bytes"),
        (safetensors({}, length=2**63), "the limit is 16,777,216"),
        (safetensors(b"[1]"), "its header is not a JSON object"),
        (safetensors(b"{,}"), "its header is not valid JSON"),
        (safetensors(b"[" * 100_000), "its header is not valid JSON"),
        (safetensors({"a": entry([10**9])}, b"1234"), "expected 4,000,000,000 bytes from 0 on"),
        (safetensors({"a": entry([1]), "b": entry([1])}, b"1234"), "has the bytes 0 to 4; expected 4 bytes from 4 on"),
        (safetensors({"a": entry([1], 4, 8)}, b"12345678"), "has the bytes 4 to 8; expected 4 bytes from 0 on"),
        (safetensors({"a": entry([1])}, b"12345678"), "bytes, expected"),
        (safetensors({"a": entry([1], dtype="F128")}, b"1234"), "a contains F128, expected one of"),
        (safetensors({"a": entry([1], dtype=["F32"])}, b"1234"), "expected one of"),
        (safetensors({"a": entry([-1])}, b"1234"), "has no shape and data_offsets"),
        (safetensors({"a": entry([True])}, b"1234"), "has no shape and data_offsets"),
        (safetensors({"a": entry([1.0])}, b"1234"), "has no shape and data_offsets"),
        (safetensors({"a": 5}), "a contains None"),
        (safetensors({f"{i}": entry([0], 0, 0) for i in range(10_001)}), "10,001 tensors; the limit is 10,000"),
        (safetensors({"a.weight": entry([1], dtype="I32")}, b"1234"), "do not fit"),
    ],
)
def test_safetensors(content: bytes, message: str, tmp_path: Path) -> None:
    """Lengths, shapes and places that the file does not bear out."""
    assert message in refusal(tmp_path, content, ".safetensors")


def test_integers_are_not_weights(tmp_path: Path) -> None:
    """A tensor of the right shape with integers is one of the things that do not fit."""
    content = (FILES / "lenet.safetensors").read_bytes()
    spoilt = content.replace(b'"1.3.bias": {"dtype": "F32"', b'"1.3.bias": {"dtype": "I32"')
    assert spoilt != content
    message = refusal(tmp_path, spoilt, ".safetensors")
    assert 'd2: "1.3" has bias of type I32, expected one of F16, BF16, F32, F64' in message


def test_many_modules_take_no_long_time(tmp_path: Path) -> None:
    """Ten thousand modules are compared with the layers in a moment."""
    header = {f"m{i}.weight": entry([0, i % 300], 0, 0) for i in range(10_000)}
    begun = time.process_time()
    message = refusal(tmp_path, safetensors(header), ".safetensors")
    assert time.process_time() - begun < 10
    assert "of its weights do not fit" in message
