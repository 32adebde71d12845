"""Files that would take all memory or never end, by the hundred: each is one error, quickly, in little memory.

    python tests/campaigns/bombs.py --number 300

Every bomb is given to a process of its own, as a user would. Prints for each kind the number, the worst peak of memory
(of the command or of a process that it started), the worst time by the clock and on the processor, exit codes and
tracebacks. The exit code is 1 if a command succeeded, showed a traceback, was killed, or took more than 1.0 GB; time is
shown, but not judged: it depends on what else the machine does.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import struct
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
MOST_BYTES = 1_000_000_000
GIVE_UP = 300
"""Seconds after which a command is killed."""
MEASURE = """
import json, resource, subprocess, sys, time
begun = time.perf_counter()
process = subprocess.Popen(sys.argv[2:], stdout=subprocess.DEVNULL)
try:
    process.wait(int(sys.argv[1]))
except subprocess.TimeoutExpired:
    process.kill()
    process.wait()
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([process.returncode, time.perf_counter() - begun, used.ru_utime + used.ru_stime, used.ru_maxrss]))
"""
"""Runs a command and prints what it took.

The system counts the memory of a process from before it became another program, when it was still its parent. So a
command whose parent is large, such as a test's process, seems as large.
"""

Generator = np.random.Generator


class Bomb(NamedTuple):
    """A command that meets a bomb, and what it finds on its standard input."""

    arguments: tuple[str, ...]
    standard_input: str = os.devnull


@dataclass(frozen=True)
class Ending:
    """How a command ended.

    Attributes:
        kind: Of the bomb.
        exit_code: Its exit code; negative for a signal.
        seconds: By the clock.
        computed: On the processor, all its processes together.
        peak: Most bytes of memory of one process.
        stderr: What it said.
    """

    kind: str
    exit_code: int
    seconds: float
    computed: float
    peak: int
    stderr: str

    @property
    def wrong(self) -> bool:
        """Whether a promise was broken."""
        return self.exit_code not in (1, 2) or "Traceback" in self.stderr or self.peak > MOST_BYTES


def inflating_description(folder: Path, generator: Generator) -> Bomb:
    """Write a description that grows a thousandfold, into a LiteRT or a `.keras` file."""
    path = folder / "net.tflite"
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    size = int(generator.integers(1, 5)) * 1_000_000_000
    block = (b" ", b"[", b'{"a":')[int(generator.integers(0, 3))] * 100_000
    content = b"".join(packer.compress(block) for _ in range(size // len(block))) + packer.flush()
    path.write_bytes(b"network" + _zip([("cnncli.json", content, size), ("classes.txt", b"\x03\x00", 0)]))
    return Bomb(("predict", str(path), str(_image(folder))))


def npz(folder: Path, generator: Generator) -> Bomb:
    """Write arrays of zeros of some gigabytes."""
    number = int(generator.integers(400_000, 4_000_000))
    header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (%d, 28, 28), }" % number
    header = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header) + 1) + header + b"\n"
    size = number * 784 + len(header)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    content = packer.compress(header)
    zeros = bytes(10_000_000)
    for start in range(0, number * 784, len(zeros)):
        content += packer.compress(zeros[: number * 784 - start])
    path = folder / "x.npz"
    path.write_bytes(_zip([("x.npy", content + packer.flush(), size)]))
    return Bomb(("data", str(path)))


def csv(folder: Path, generator: Generator) -> Bomb:
    """Make a table that is a link to a device, or a line without an end."""
    path = folder / "x.csv"
    if generator.integers(0, 2):
        path.symlink_to("/dev/zero")
    else:
        path.write_bytes(b"file,label\n" + (b"a,", b"a", b'"')[int(generator.integers(0, 3))] * 50_000_000)
    return Bomb(("data", str(path)))


def standard_input(folder: Path, generator: Generator) -> Bomb:
    """Give zeros without end to a command that reads images."""
    return Bomb(("predict", "none", "-"), "/dev/zero")


def pipe(folder: Path, generator: Generator) -> Bomb:
    """Make a pipe that nobody writes to."""
    name = ("x.npz", "x.csv", "x.zip", "x.tar.gz", "x.keras", "x.cfg", "x.prototxt", "x.pgm")
    path = folder / name[int(generator.integers(0, len(name)))]
    os.mkfifo(path)
    if path.suffix in (".keras", ".cfg", ".prototxt"):
        return Bomb(("import", str(path), "-o", str(folder / "out.yaml")))
    return Bomb(("predict", str(_network(folder)), str(path)) if path.suffix == ".pgm" else ("data", str(path)))


def onnx_width(folder: Path, generator: Generator) -> Bomb:
    """Write an ONNX file that spreads a value over a billion places."""
    names = ("width", "constant width")
    width = int(generator.integers(3 * 10**8, 10**10))
    return _asked(folder, names[int(generator.integers(0, 2))], width)


def onnx_loop(folder: Path, generator: Generator) -> Bomb:
    """Write an ONNX file that loops for centuries."""
    return _asked(folder, "loop", int(generator.integers(2**40, 2**62)))


def layers(folder: Path, generator: Generator) -> Bomb:
    """Write a network of tens of thousands of layers."""
    number = int(generator.integers(20_000, 100_000))
    if generator.integers(0, 2):
        text = "[net]\nheight=8\nwidth=8\nchannels=1\n" + "[dropout]\n" * number
        return _imported(folder / "x.cfg", text)
    return _imported(folder / "x.prototxt", "input_dim: [1,1,8,8]\n" + "layer{type:'ReLU'}\n" * number)


def nested_prototxt(folder: Path, generator: Generator) -> Bomb:
    """Write a prototxt of open brackets."""
    opening = ("a: [", "a {", "[", "a < ", "a: [b {")[int(generator.integers(0, 5))]
    return _imported(folder / "x.prototxt", "a: " + opening * int(generator.integers(1000, 500_000)))


def numbers(folder: Path, generator: Generator) -> Bomb:
    """Write sizes that no computer holds."""
    number = ("1e999", "-1e999", "1" * 400, "999999999999999999", "1e18")[int(generator.integers(0, 5))]
    if generator.integers(0, 2):
        return _imported(folder / "x.prototxt", f"input_dim: [1, 1, {number}, {number}]\nlayer {{type: 'ReLU'}}")
    return _imported(folder / "x.cfg", f"[net]\nheight={number}\nwidth=8\nchannels=1\n[connected]\noutput={number}\n")


def image(folder: Path, generator: Generator) -> Bomb:
    """Write an image of 3,600,000,000 pixels."""
    side = int(generator.integers(20_000, 60_001))
    head = struct.pack(">2I5B", side, side, 8, 6, 0, 0, 0)
    rows = zlib.compress(bytes(10_000_000), 9)
    png = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        for name, content in ((b"IHDR", head), (b"IDAT", rows), (b"IEND", b""))
    )
    bmp = struct.pack("<2sIHHIIiiHHIIiiII", b"BM", 10**6, 0, 0, 54, 40, side, side, 1, 24, 0, 0, 0, 0, 0, 0) + bytes(99)
    contents = {"x.png": png, "x.bmp": bmp, "x.pgm": b"P5\n%d %d\n255\n" % (side, side) + bytes(99)}
    name = sorted(contents)[int(generator.integers(0, 3))]
    (folder / name).write_bytes(contents[name])
    return Bomb(("predict", str(_network(folder)), str(folder / name)))


def members(folder: Path, generator: Generator) -> Bomb:
    """Write an archive that lists one file a million times."""
    number = int(generator.integers(500_000, 1_500_000))
    suffix = (".zip", ".npz", ".keras")[int(generator.integers(0, 3))]
    entry = struct.pack("<4s6H3L5H2L", b"PK\x01\x02", 20, 20, 0, 0, 0, 0, 0, 0, 0, 13, 0, 0, 0, 0, 0, 0)
    local = struct.pack("<4sH24x", b"PK\x03\x04", 20)
    content = local + b"".join(entry + b"a/%07d.png" % i for i in range(number))
    size = len(content) - len(local)
    content += struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, number, number, size, len(local))
    content += struct.pack("<4sLQL", b"PK\x06\x07", 0, len(local) + size, 1)
    content += struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 100, len(local), 0)
    path = folder / f"x{suffix}"
    path.write_bytes(content)
    return Bomb(("import", str(path), "-o", str(folder / "o")) if suffix == ".keras" else ("data", str(path)))


def litert(folder: Path, generator: Generator) -> Bomb:
    """Write noise where a LiteRT file has its network."""
    path = folder / "net.tflite"
    starts = b"", struct.pack("<I", 28) + b"TFL3", struct.pack("<I", 2**31 - 1) + b"TFL3"
    path.write_bytes(starts[int(generator.integers(0, 3))] + generator.bytes(int(generator.integers(10, 100_000))))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("cnncli.json", _bombs().DESCRIPTION.to_json())
        archive.writestr("classes.txt", _bombs().DESCRIPTION.classes_text)
    return Bomb(("predict", str(path), str(_image(folder))))


def deep_json(folder: Path, generator: Generator) -> Bomb:
    """Write JSON that nests deeper than any reader goes."""
    depth = int(generator.integers(300, 1_000_000))
    opening, closing = (("[", "]"), ('{"a":', "}"))[int(generator.integers(0, 2))]
    text = opening * depth + "1" + closing * depth
    config = '{"class_name": "Functional", "config": {"layers": [{"class_name": "InputLayer", "config": {"name": "i", '
    config += f'"batch_shape": {text}}}, "inbound_nodes": [{text}]}}]}}}}'
    path = folder / "x.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", config if generator.integers(0, 2) else text)
    return Bomb(("import", str(path), "-o", str(folder / "out.yaml")))


def keras_size(folder: Path, generator: Generator) -> Bomb:
    """Write a `.keras` file that makes billions of weights, or of numbers out of each image."""
    number = int(generator.integers(10**5, 10**6))
    wide = _keras_layer("Dense", units=number * 10**4)
    padded = _keras_layer("ZeroPadding2D", padding=[[number, number], [number, number]])
    repeated = _keras_layer("UpSampling2D", size=[number, number])
    return _keras(folder, ([wide], [padded], [repeated])[int(generator.integers(0, 3))])


def keras_time(folder: Path, generator: Generator) -> Bomb:
    """Write a `.keras` file of tens of thousands of layers, or one that computes for hours."""
    number = int(generator.integers(20_000, 60_000))
    if generator.integers(0, 2):
        return _keras(folder, [_keras_layer("ReLU", name=f"relu{i}") for i in range(number)])
    large = _keras_layer("AveragePooling2D", pool_size=[999, 999], strides=[1, 1], padding="same")
    padded = _keras_layer("ZeroPadding2D", padding=[[1500, 1500], [1500, 1500]])
    return _keras(folder, [padded, *(large | {"config": large["config"] | {"name": f"p{i}"}} for i in range(9))])


def keras_weights(folder: Path, generator: Generator) -> Bomb:
    """Write a `.keras` file whose weights inflate a thousandfold."""
    path = folder / "x.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        config = _keras_config([_keras_layer("Flatten"), _keras_layer("Dense", units=10)])
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("cnncli.json", _bombs().DESCRIPTION.to_json())
        with archive.open("model.weights.h5", "w", force_zip64=True) as weights:
            for _ in range(int(generator.integers(100, 500))):
                weights.write(bytes(10_000_000))
    return Bomb(("predict", str(path), str(_image(folder))))


def threads(folder: Path, generator: Generator) -> Bomb:
    """Ask for millions of threads."""
    number = int(10 ** generator.uniform(3.1, 12))
    text = "name: n\ndata: {source: digits, image_size: [8, 8], channels: 1}\nmodel: {layers: [Flatten, Dense: {units: "
    (folder / "x.yaml").write_text(f"{text}10}}]}}\ntrain: {{threads: {number}}}\n", encoding="utf-8")
    return Bomb(("check", str(folder / "x.yaml")))


KINDS: dict[str, Callable[[Path, Generator], Bomb]] = {
    "inflating description": inflating_description,
    "npz": npz,
    "csv": csv,
    "standard input": standard_input,
    "pipe": pipe,
    "ONNX, width": onnx_width,
    "ONNX, loop": onnx_loop,
    "layers": layers,
    "nested prototxt": nested_prototxt,
    "numbers": numbers,
    "image": image,
    "members": members,
    "LiteRT, noise": litert,
    "deep JSON": deep_json,
    "threads": threads,
    "Keras, size": keras_size,
    "Keras, time": keras_time,
    "Keras, weights": keras_weights,
}


def campaign(number: int, seed: int, kinds: list[str]) -> Iterator[Ending]:
    """Make bombs of each kind in turn and yield how a command ends with each."""
    for index in range(number):
        kind = kinds[index % len(kinds)]
        with tempfile.TemporaryDirectory() as folder:
            yield run(kind, KINDS[kind](Path(folder), np.random.default_rng([seed, index])), Path(folder))


def run(kind: str, bomb: Bomb, folder: Path) -> Ending:
    """Give a bomb to a command in a process of its own, and measure it."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(folder / "cache")}
    command = [sys.executable, "-m", "cnncli", *bomb.arguments]
    with Path(bomb.standard_input).open("rb") as given, (folder / "stderr").open("wb") as said:
        measured = subprocess.run(
            # -I -S: with as little memory as Python can have.
            [sys.executable, "-I", "-S", "-c", MEASURE, str(GIVE_UP), *command],
            stdin=given,
            stdout=subprocess.PIPE,
            stderr=said,
            env=environment,
            check=True,
        )
    exit_code, seconds, computed, peak = json.loads(measured.stdout)
    peak *= 1 if sys.platform == "darwin" else 1024
    return Ending(kind, exit_code, seconds, computed, peak, (folder / "stderr").read_text(errors="replace"))


def lines(endings: list[Ending]) -> Iterator[str]:
    """Yield the figures as text."""
    yield f"{'kind':24}{'number':>7}{'peak, MB':>10}{'seconds':>9}{'computed':>9}  exit codes"
    for kind in dict.fromkeys(ending.kind for ending in endings):
        own = [ending for ending in endings if ending.kind == kind]
        codes = ", ".join(f"{code}: {n}" for code, n in sorted(Counter(e.exit_code for e in own).items()))
        tracebacks = sum("Traceback" in e.stderr for e in own)
        worst = [max(getattr(e, name) for e in own) for name in ("peak", "seconds", "computed")]
        figures = f"{worst[0] / 1e6:>10.0f}{worst[1]:>9.1f}{worst[2]:>9.1f}"
        yield f"{kind:24}{len(own):>7}{figures}  {codes}" + (f"; tracebacks: {tracebacks}" if tracebacks else "")
    yield from (f"WRONG {e.kind}: {e.exit_code}, {e.peak / 1e6:.0f} MB: {e.stderr[-300:]}" for e in endings if e.wrong)


def _asked(folder: Path, name: str, number: int) -> Bomb:
    bombs = _bombs()
    return Bomb(("predict", str(bombs.save(bombs.BOMBS[name], folder / "net.onnx", number)), str(_image(folder))))


def _imported(path: Path, text: str) -> Bomb:
    path.write_text(text, encoding="utf-8")
    return Bomb(("import", str(path), "-o", str(path.with_suffix(".yaml"))))


def _keras(folder: Path, layers: list[dict[str, Any]]) -> Bomb:
    """Write a `.keras` file of layers without weights, as `cnn export` writes it."""
    import h5py

    with h5py.File(folder / "weights", "w") as weights:
        weights.create_group("layers")
        weights.create_group("vars")
    path = folder / "x.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", json.dumps(_keras_config(layers)))
        archive.writestr("cnncli.json", _bombs().DESCRIPTION.to_json())
        archive.write(folder / "weights", "model.weights.h5")
    return Bomb(("predict", str(path), str(_image(folder))))


def _keras_layer(kind: str, **config: Any) -> dict[str, Any]:
    return {"module": "keras.layers", "class_name": kind, "config": {"name": kind.lower(), **config}}


def _keras_config(layers: list[dict[str, Any]]) -> dict[str, Any]:
    about = _bombs().DESCRIPTION
    given = {"batch_shape": [None, about.height, about.width, about.channels], "dtype": "float32"}
    first = _keras_layer("InputLayer", **given)
    return {"module": "keras", "class_name": "Sequential", "config": {"name": "net", "layers": [first, *layers]}}


def _image(folder: Path) -> Path:
    (folder / "good.pgm").write_bytes(b"P5\n6 4\n255\n" + bytes(24))
    return folder / "good.pgm"


def _network(folder: Path) -> Path:
    bombs = _bombs()
    path: Path = bombs.save(bombs.BOMBS["none"], folder / "good.onnx")
    return path


def _bombs() -> Any:
    """Return the module that writes ONNX files."""
    if "onnx_bombs" not in sys.modules:
        sys.path.insert(0, str(ROOT))
        spec = importlib.util.spec_from_file_location("onnx_bombs", ROOT / "tests/serving/onnx_bombs.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules["onnx_bombs"] = module
        spec.loader.exec_module(module)
    return sys.modules["onnx_bombs"]


def _zip(members: list[tuple[str, bytes, int]]) -> bytes:
    """Return an archive of deflated members, of which the checksums are wrong: nobody should come to check them."""
    content, entries = b"", b""
    for name, packed, size in members:
        numbers = 0, len(packed), min(size, 2**32 - 2)
        entries += struct.pack("<4s6H3L5H2L", b"PK\x01\x02", 20, 20, 0, 8, 0, 0, *numbers, len(name), 0, 0, 0, 0, 0, 0)
        entries = entries[:-4] + struct.pack("<L", len(content)) + name.encode()
        content += struct.pack("<4s5H3L2H", b"PK\x03\x04", 20, 0, 8, 0, 0, *numbers, len(name), 0)
        content += name.encode() + packed
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, len(members), len(members), len(entries), len(content), 0)
    return content + entries + end


def main() -> int:
    """Run the campaign and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--number", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", choices=KINDS, action="append", help="Only this one; may be given several times.")
    arguments = parser.parse_args()
    endings = list(campaign(arguments.number, arguments.seed, arguments.kind or list(KINDS)))
    print(*lines(endings), sep="\n")
    print(json.dumps({"number": len(endings), "wrong": sum(e.wrong for e in endings)}))
    return int(any(ending.wrong for ending in endings))


if __name__ == "__main__":
    sys.exit(main())
