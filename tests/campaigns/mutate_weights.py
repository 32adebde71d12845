"""Mutated files of weights by the thousand: every one is read or refused, in bounded memory, and nothing in it runs.

    python tests/campaigns/mutate_weights.py --number 2000

Takes small files of Caffe, Darknet, ONNX, PyTorch and safetensors, spoils each (bytes, cuts, repetitions, 10⁹; of
a .pt file also the pickle in a whole archive, of safetensors single values of the header) and imports it. Among them
are pickles that would run a command, packed archives and members that share bytes. The numbers, the slowest file and
the peak memory are printed; the first exception that is no known error, or call that could run something, ends it.
"""

from __future__ import annotations

import argparse
import io
import json
import pickle
import random
import resource
import struct
import sys
import time
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from cnncli.errors import CnnError
from cnncli.importing import channels_first
from cnncli.importing.caffe import caffemodel
from cnncli.importing.caffe.prototxt import read_caffe
from cnncli.importing.darknet import weights as darknet
from cnncli.importing.darknet.cfg import read_darknet
from cnncli.importing.document import to_config
from cnncli.importing.onnx.read import read_onnx
from cnncli.importing.pytorch.read import read_weights as read_torch

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]
from spoilt_bytes import spoilt  # noqa: E402

from tests.importing import caffe_files, hostile_onnx, onnx_files, test_darknet_weights, test_torch_weights  # noqa: E402

del sys.path[:2]

LIMIT_BYTES, LIMIT_SECONDS = 10**9, 10.0

RUNNING = {
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.fork",
    "subprocess.Popen",
    "pickle.find_class",
    "socket.connect",
}
"""What Python tells an audit hook of when something is about to run."""

NUMBERS = (b"\xff" * 8, struct.pack("<q", 10**9), struct.pack("<i", -1), bytes(8), b"\x80\x94\xeb\xdc\x03", b"\x7f")
TOKENS = (
    *(*NUMBERS, struct.pack("<f", np.nan), struct.pack("<d", 1e308)),
    *(b"\xa2\x06", b"\x3a", b"\x2a", b"\x22\x00", b"\x0b", b"\x2d"),
    *(b"cos\nsystem\n", b"cbuiltins\neval\n", b"X\x02\x00\x00\x00id\x85R", b"(dp0\n", b"\x8c\x02os\x8c\x06system\x93"),
    *(
        b"r\xff\xff\xff\x7f",
        b"\x8e" + struct.pack("<Q", 2**40),
        b"Q",
        b"b",
        b"o",
        b"}",
        b"]",
        b"(",
        b"t",
        b"\x85" * 60,
        b".",
    ),
    *(b'"F32"', b"[1000000000, 1000000000]", b"[0, -1]", b"{", b"[" * 200, b"1e999", b'"__metadata__"'),
)
VALUES = (
    None,
    True,
    -1,
    0,
    10**9,
    2**63,
    10**40,
    0.5,
    "",
    "F32",
    "I64",
    [],
    [0],
    [10**9, 10**9],
    [0, 2**62],
    {},
    {"a": 1},
)


@dataclass(frozen=True)
class Format:
    """Files of one kind.

    Attributes:
        contents: Whole ones.
        suffix: Of their names.
        read: Imports one.
    """

    contents: tuple[bytes, ...]
    suffix: str
    read: Callable[[Path], Any]


def formats(folder: Path) -> dict[str, Format]:
    """Return every kind, with the networks that the files are for.

    Args:
        folder: Keeps a table of names.
    """
    generator = np.random.default_rng(0)
    blobs = caffe_files.resnet_blobs(generator)
    forms = (caffe_files.packed_blob, caffe_files.old_blob, caffe_files.unpacked_blob, caffe_files.double_blob)
    caffe = read_caffe(Path("n.prototxt"), caffe_files.RESNET, None, None)
    cfg = read_darknet(Path("n.cfg"), test_darknet_weights.CFG)
    of_caffe, of_cfg = (channels_first.slots(to_config(graph)[0]) for graph in (caffe, cfg))
    torch = channels_first.slots(test_torch_weights.config("layers"))
    table = test_torch_weights.written(folder, test_torch_weights.TABLES["layers"])
    pt, tensors = ((test_torch_weights.FILES / f"layers{suffix}").read_bytes() for suffix in (".pt", ".safetensors"))
    return {
        "caffe": Format(
            tuple(caffe_files.caffemodel(blobs, form) for form in forms),
            ".caffemodel",
            lambda path: caffemodel.read_weights(path, caffe, of_caffe),
        ),
        "darknet": Format(
            (test_darknet_weights.file(test_darknet_weights.drawn_weights()),),
            ".weights",
            lambda path: darknet.read_weights(path, cfg, of_cfg),
        ),
        "onnx": Format(
            tuple(write() for write in onnx_files.NETWORKS.values()),
            ".onnx",
            lambda path: to_config(read_onnx(path, None, None)[0]),
        ),
        "pt": Format((pt,), ".pt", lambda path: read_torch(path, torch, None)),
        "safetensors": Format((tensors,), ".safetensors", lambda path: read_torch(path, torch, table)),
    }


def mutated(content: bytes, suffix: str, draw: random.Random) -> bytes:
    """Return a spoilt copy of a file."""
    if suffix == ".pt" and draw.random() < 0.7:
        return _with_another_member(content, draw)
    if suffix == ".onnx" and draw.random() < 0.5:
        return hostile_onnx.with_another_field(content, draw)
    if suffix == ".safetensors" and draw.random() < 0.5:
        return _with_another_header(content, draw)
    return _spoilt(content, draw)


def _spoilt(content: bytes, draw: random.Random) -> bytes:
    """Return a copy of which half of the changes fall on the beginning, where numbers stand that others depend on."""
    return spoilt(content, TOKENS, draw, lambda size: draw.randrange(min(size, draw.choice((64, 10**9))) + 1))


def archived(members: dict[str, bytes], packing: int = zipfile.ZIP_STORED) -> bytes:
    """Return a zip archive."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", packing) as file:
        for name, member in members.items():
            file.writestr(name, member)
    return stream.getvalue()


def _with_another_member(content: bytes, draw: random.Random) -> bytes:
    """Return an archive whose checksums are right: its pickle is another one, or a member is missing or cut."""
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        members = {name: file.read(name) for name in file.namelist()}
    name = next(name for name in members if name.endswith("data.pkl"))
    kind = draw.randrange(10)
    if kind < 7:
        members[name] = _spoilt(members[name], draw)
    elif kind == 7:
        members[name] = draw.choice(hostile_pickles())
    elif kind == 8:
        del members[draw.choice(list(members))]
    else:
        other = draw.choice(list(members))
        members[other] = members[other][: draw.randrange(len(members[other]) + 1)]
    return archived(members, draw.choice((zipfile.ZIP_STORED,) * 9 + (zipfile.ZIP_DEFLATED,)))


class _Command:
    """What a pickle runs a command with."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self._made = function, arguments

    def __reduce__(self) -> Any:
        return self._made


def hostile_pickles() -> list[bytes]:
    """Return pickles that `pickle.load` would run commands for, or take all memory or all time."""
    import os
    import subprocess

    commands = [(os.system, "echo ran"), (subprocess.Popen, ["echo", "ran"]), (eval, "1 + 1"), (getattr, {}, "keys")]
    found = [pickle.dumps(_Command(*command), protocol) for command in commands for protocol in range(5)]
    found += [pickle.dumps({"state_dict": _Command(*command)}, 2) for command in commands]
    found.append(b"\x80\x02r\xff\xff\xff\x7f.")  # A place in the memory that would need 32 GB to reach.
    found.append(b"\x80\x02}r\xff\xff\xff\x7f.")
    found.append(b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b".")  # A bytearray of a terabyte.
    # Tuples of the tuple before twice, forty times, as the key of a dictionary: hashing it would take for ever.
    found.append(b"\x80\x02})" + b"q\x00h\x00\x86" * 40 + b"K\x01s.")
    found.append(b"\x80\x02]q\x00h\x00a.")  # A list that holds itself.
    found.append(b"\x80\x02}q\x00X\x05\x00\x00\x00modelh\x00s.")
    found.append(b"\x80\x02" + b"(" * 100_000 + b"t" * 100_000 + b".")
    return found


def hostile_archives(content: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield what is hostile of an archive rather than of its pickle."""
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        members = {name: file.read(name) for name in file.namelist()}
    root = next(iter(members)).split("/")[0]
    yield "packed", archived({**members, f"{root}/data/0": bytes(10**8)}, zipfile.ZIP_DEFLATED)
    yield "two pickles", archived({**members, "other/data.pkl": b"."})
    yield "no archive", b"PK\x03\x04" + bytes(100)
    for number, hostile in enumerate(hostile_pickles()):
        yield f"pickle {number}", archived({**members, f"{root}/data.pkl": hostile})
    # The table of contents says that every storage is as large as the file.
    at = content.find(b"PK\x01\x02")
    shared = bytearray(content)
    while at >= 0:
        shared[at + 20 : at + 28] = struct.pack("<II", len(content), len(content))
        at = content.find(b"PK\x01\x02", at + 1)
    yield "shared bytes", bytes(shared)


def _with_another_header(content: bytes, draw: random.Random) -> bytes:
    """Return safetensors with a header that is JSON of the right length, with one value replaced, removed or added."""
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    name = draw.choice(list(header))
    kind = draw.randrange(4)
    if kind == 0:
        del header[name]
    elif kind == 1:
        header[name] = draw.choice(VALUES)
    elif kind == 2:
        header[name][draw.choice(("dtype", "shape", "data_offsets", "other"))] = draw.choice(VALUES)
    else:
        header[f"{name}x"] = header[draw.choice(list(header))]
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + content[8 + length :]


def watch() -> None:
    """End the process at the first call that could run something."""

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in RUNNING:
            raise AssertionError(f"{event}{arguments!r}")

    sys.addaudithook(hook)


def end_of(file: Format, path: Path, content: bytes) -> tuple[str, float]:
    """Import a file, and return how that ended and the processor seconds that it took.

    Raises:
        Exception: Whatever is no known error, or a warning; a note says what the file was.
    """
    path.write_bytes(content)
    begun = time.process_time()
    try:
        with warnings.catch_warnings(action="error"):
            file.read(path)
        end = "read"
    except CnnError:
        end = "refused"
    except Exception as error:
        error.add_note(f"{path.suffix}: {content[:3000]!r}")
        raise
    return end, time.process_time() - begun


def campaign(number: int, seed: int, folder: Path) -> Iterator[tuple[str, str, float]]:
    """Import so many spoilt files of each kind below a folder; yield the kind, how each ended, and the seconds."""
    for name, file in formats(folder).items():
        draw = random.Random(f"{name} {seed}")
        path = folder / f"spoilt{file.suffix}"
        for content in file.contents:
            end, seconds = end_of(file, path, content)
            assert end == "read", name
        for _ in range(number):
            yield name, *end_of(file, path, mutated(draw.choice(file.contents), file.suffix, draw))
        hostile = {"pt": hostile_archives, "onnx": lambda _: hostile_onnx.files()}.get(name)
        if hostile is not None:
            for kind, content in hostile(file.contents[0]):
                end, seconds = end_of(file, path, content)
                assert end == "refused", kind
                yield f"hostile {name}", end, seconds


def main() -> int:
    """Run the campaign and print what it came to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--number", type=int, default=2000, help="spoilt files of each kind")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    watch()
    with TemporaryDirectory() as folder:
        ends = list(campaign(arguments.number, arguments.seed, Path(folder)))
    for (name, end), number in sorted(Counter((name, end) for name, end, _ in ends).items()):
        print(f"{name:12} {end:8} {number:,}")
    slowest = max(seconds for *_, seconds in ends)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    memory = f"peak memory {peak / 1e6:,.0f} MB (limit {LIMIT_BYTES / 1e6:,.0f})"
    print(f"slowest {slowest:.2f} s of processor time; {memory}; nothing ran")
    return int(peak >= LIMIT_BYTES or slowest >= LIMIT_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
