"""Damaged `.keras` and `.h5` files by the hundred: `cnn import` ends with exit code 1 for each, never by a signal.

    python tests/campaigns/damage_keras_files.py --files 200

Saves a few networks with Keras and with `cnn export`, damages copies of them (the archive, its members, the HDF5 file
under a fitting checksum) and gives each to a process of its own, as a user would: what HDF5 does when a process ends
counts too. Every kind of damage is one that no reader can overlook. With `--anywhere` more files are damaged at random
places of their HDF5 file, where the damage may do no harm: exit codes 0 and 1 are both right there. With `--ask`
so many of the damaged files are also given to `cnn predict` and `cnn eval`. The exit code is 1 if a process ended
otherwise, showed a traceback, or left something behind.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import h5py
import numpy as np

CONFIG, WEIGHTS = "config.json", "model.weights.h5"
SIGNATURE = b"\x89HDF\r\n\x1a\n"

Generator = np.random.Generator
Members = dict[str, bytes]


# Damage to the archive's bytes.


def cut(content: bytes, generator: Generator) -> bytes:
    """Cut the end off: the archive's directory stands there."""
    return content[: int(generator.integers(0, len(content)))]


def flipped(content: bytes, generator: Generator) -> bytes:
    """Flip bits within a member, which its checksum tells."""
    begin, end = _span(content, generator)
    spoilt = bytearray(content)
    for at in generator.choice(np.arange(begin, end), int(generator.integers(1, 9)), replace=False):
        spoilt[at] ^= 1 << int(generator.integers(0, 8))
    return bytes(spoilt)


def overwritten(content: bytes, generator: Generator) -> bytes:
    """Write a block of noise over a part of a member."""
    begin, end = _span(content, generator)
    at = int(generator.integers(begin, end - 64))
    return content[:at] + generator.bytes(64) + content[at + 64 :]


def directory_lost(content: bytes, generator: Generator) -> bytes:
    """Write zeros over a signature of the archive's directory."""
    signature = (b"PK\x01\x02", b"PK\x05\x06")[int(generator.integers(2))]
    return content.replace(signature, bytes(4))


def marked(content: bytes, generator: Generator) -> bytes:
    """Say in the directory that the members are encrypted, or packed in a way that nobody knows."""
    spoilt = bytearray(content)
    at = -1
    field, value = ((8, b"\x01\x00"), (10, b"\x63\x00"))[int(generator.integers(2))]
    while (at := content.find(b"PK\x01\x02", at + 1)) >= 0:
        spoilt[at + field : at + field + 2] = value
    return bytes(spoilt)


def no_archive(content: bytes, generator: Generator) -> bytes:
    """Return something else under the name of an archive."""
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        others = (b"", generator.bytes(5000), file.read(WEIGHTS), file.read(CONFIG), SIGNATURE + bytes(2000))
    return others[int(generator.integers(len(others)))]


def _span(content: bytes, generator: Generator) -> tuple[int, int]:
    """Return where the packed bytes of one of the two members that are read lie."""
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        member = file.getinfo((CONFIG, WEIGHTS)[int(generator.integers(2))])
    at = member.header_offset
    sizes = int.from_bytes(content[at + 26 : at + 28], "little"), int.from_bytes(content[at + 28 : at + 30], "little")
    begin = at + 30 + sum(sizes)
    return begin, begin + member.compress_size


# Damage to the members, under checksums that fit.


def missing(members: Members, generator: Generator) -> None:
    """Leave a member out."""
    del members[(CONFIG, WEIGHTS)[int(generator.integers(2))]]


def swapped(members: Members, _: Generator) -> None:
    """Put each member's content under the other's name."""
    members[CONFIG], members[WEIGHTS] = members[WEIGHTS], members[CONFIG]


def outside(members: Members, generator: Generator) -> None:
    """Add a member that points outside the archive."""
    members[("../evil", "/evil", "a/../../evil")[int(generator.integers(3))]] = b"x"


def text_cut(members: Members, generator: Generator) -> None:
    """Cut the end off the config."""
    members[CONFIG] = members[CONFIG][: int(generator.integers(0, len(members[CONFIG]) - 1))]


def text_of_noise(members: Members, generator: Generator) -> None:
    """Write bytes that are no UTF-8 into the config."""
    at = int(generator.integers(1, len(members[CONFIG])))
    members[CONFIG] = members[CONFIG][:at] + b"\xff\xfe\xff" + members[CONFIG][at:]


def other_network(members: Members, generator: Generator) -> None:
    """Say in the config that a layer is larger, or of a kind that nobody knows."""
    config = json.loads(members[CONFIG])
    layers = [layer for layer in config["config"]["layers"] if {"units", "filters"} & layer["config"].keys()]
    layer = layers[int(generator.integers(len(layers)))]
    if generator.integers(2):
        layer["class_name"] = layer["class_name"][::-1]
    else:
        layer["config"]["units" if "units" in layer["config"] else "filters"] += int(generator.integers(1, 100))
    members[CONFIG] = json.dumps(config).encode()


def field_lost(members: Members, generator: Generator) -> None:
    """Leave out of the config what every reader needs."""
    config = json.loads(members[CONFIG])
    key = ("class_name", "config")[int(generator.integers(2))]
    del (config if generator.integers(2) else config["config"]["layers"][-1])[key]
    members[CONFIG] = json.dumps(config).encode()


def h5_cut(members: Members, generator: Generator) -> None:
    """Cut the end off the HDF5 file, whose first block says how long it is."""
    members[WEIGHTS] = members[WEIGHTS][: int(generator.integers(0, len(members[WEIGHTS])))]


def h5_signature(members: Members, generator: Generator) -> None:
    """Flip a bit of the HDF5 file's signature."""
    spoilt = bytearray(members[WEIGHTS])
    spoilt[int(generator.integers(8))] ^= 1 << int(generator.integers(8))
    members[WEIGHTS] = bytes(spoilt)


def h5_superblock(members: Members, generator: Generator) -> None:
    """Write noise into the HDF5 file's first block, with a version that there is not."""
    noise = bytearray(generator.bytes(88))
    noise[0] = int(generator.integers(10, 256))
    members[WEIGHTS] = SIGNATURE + bytes(noise) + members[WEIGHTS][96:]


def h5_structure(members: Members, generator: Generator) -> None:
    """Write over the signatures of the HDF5 file's trees, heaps or lists of names."""
    signature = (b"TREE", b"HEAP", b"SNOD")[int(generator.integers(3))]
    members[WEIGHTS] = members[WEIGHTS].replace(signature, generator.bytes(4))


def h5_weights(members: Members, generator: Generator) -> None:
    """Leave a weight out, or store values that are no numbers, not finite, or of another shape."""
    stream = io.BytesIO(members[WEIGHTS])
    with h5py.File(stream, "r+") as file:
        names: list[str] = []
        file.visititems(
            lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) and "f" in item.dtype.kind else None
        )
        name = names[int(generator.integers(len(names)))]
        values = np.atleast_1d(file[name][()])
        del file[name]
        kind = int(generator.integers(4))
        if kind == 1:
            file[name] = np.full(values.shape, b"text", "S4")
        elif kind == 2:
            file[name] = np.where(np.arange(values.size).reshape(values.shape) == 0, np.nan, values)
        elif kind == 3:
            file[name] = np.concatenate([values, values])
    members[WEIGHTS] = stream.getvalue()


BYTES: tuple[Callable[[bytes, Generator], bytes], ...] = (
    cut,
    flipped,
    overwritten,
    directory_lost,
    marked,
    no_archive,
)
MEMBERS: tuple[Callable[[Members, Generator], None], ...] = (
    missing,
    swapped,
    outside,
    text_cut,
    text_of_noise,
    other_network,
    field_lost,
    h5_cut,
    h5_signature,
    h5_superblock,
    h5_structure,
    h5_weights,
)


def bare_h5(content: bytes, generator: Generator) -> bytes:
    """Return the HDF5 file by itself, whole or cut: `.h5` is no kind that is read."""
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        weights = file.read(WEIGHTS)
    return weights if generator.integers(2) else weights[: len(weights) // 2]


def anywhere(members: Members, generator: Generator) -> None:
    """Write numbers at random places of the HDF5 file; where nothing is read, that does no harm."""
    spoilt = bytearray(members[WEIGHTS])
    for _ in range(int(generator.integers(1, 9))):
        at, size = int(generator.integers(len(spoilt))), int(generator.choice([1, 2, 8]))
        spoilt[at : at + size] = (bytes(size), b"\xff" * size, generator.bytes(size))[int(generator.integers(3))]
    members[WEIGHTS] = bytes(spoilt)


def rewritten(content: bytes, change: Callable[[Members, Generator], None], generator: Generator) -> bytes:
    """Return an archive after a change of its members."""
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        members = {name: file.read(name) for name in file.namelist()}
    change(members, generator)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        for name, member in members.items():
            file.writestr(name, member)
    return stream.getvalue()


def damaged(originals: list[bytes], number: int, seed: int) -> Iterator[tuple[str, str, bytes]]:
    """Yield kind, suffix and content of damaged files: every kind in turn."""
    generator = np.random.default_rng(seed)
    kinds = [*BYTES, *MEMBERS, bare_h5]
    for index in range(number):
        kind = kinds[index % len(kinds)]
        original = originals[int(generator.integers(len(originals)))]
        content = rewritten(original, kind, generator) if kind in MEMBERS else kind(original, generator)  # type: ignore[operator]
        if content == original:
            raise AssertionError(f"{kind.__name__} did no damage")
        yield kind.__name__, ".h5" if kind is bare_h5 else ".keras", content


@dataclass(frozen=True)
class Ending:
    """How a process ended.

    Attributes:
        kind: The damage.
        command: Of cnn.
        exit_code: Negative for a signal.
        seconds: How long it took.
        stderr: What it said.
        left: What it left behind.
        right: The exit codes that it may end with.
    """

    kind: str
    command: str
    exit_code: int
    seconds: float
    stderr: str
    left: tuple[str, ...] = ()
    right: tuple[int, ...] = (1,)

    @property
    def wrong(self) -> bool:
        """Whether a promise was broken."""
        return self.exit_code not in self.right or "Traceback" in self.stderr or bool(self.left)


def imported(kind: str, path: Path, right: tuple[int, ...] = (1,)) -> Ending:
    """Give a file to `cnn import`."""
    output, runs = path.with_suffix(".yaml"), path.with_suffix(".runs")
    exit_code, seconds, stderr = _cnn("import", str(path), "--output", str(output), "--runs-dir", str(runs))
    left = tuple(str(made) for made in (output, runs) if exit_code and made.exists())
    return Ending(kind, "import", exit_code, seconds, stderr, left, right)


def asked(kind: str, path: Path, command: str, image: Path) -> Ending:
    """Give a file to `cnn predict` or `cnn eval`, to which some damage is none: both exit codes are right."""
    arguments = [str(image)] if command == "predict" else ["--runs-dir", str(path.parent)]
    exit_code, seconds, stderr = _cnn(command, str(path), *arguments)
    # 2 is the command line's own: a name that is no exported network is taken for one of a run.
    return Ending(kind, command, exit_code, seconds, stderr, right=(0, 1, 2))


def _cnn(*arguments: str) -> tuple[int, float, str]:
    begun = time.perf_counter()
    command = [sys.executable, "-m", "cnncli", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    return done.returncode, time.perf_counter() - begun, done.stderr


def campaign(
    originals: list[bytes], folder: Path, files: int, seed: int, *, loose: int = 0, ask: int = 0, parallel: int = 1
) -> list[Ending]:
    """Damage files and give each to a process of its own."""
    from PIL import Image

    image = folder / "image.png"
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(image)
    jobs: list[Callable[[], Ending]] = []
    for index, (kind, suffix, content) in enumerate(damaged(originals, files, seed)):
        path = folder / f"{index:04}_{kind}{suffix}"
        path.write_bytes(content)
        jobs.append(lambda kind=kind, path=path: imported(kind, path))
        if index < ask:
            command = ("predict", "eval")[index % 2]
            jobs.append(lambda kind=kind, path=path, command=command: asked(kind, path, command, image))
    generator = np.random.default_rng([seed, 1])
    for index in range(loose):
        path = folder / f"{index:04}_anywhere.keras"
        path.write_bytes(rewritten(originals[index % len(originals)], anywhere, generator))
        jobs.append(lambda path=path: imported("anywhere", path, (0, 1)))
    with ThreadPoolExecutor(parallel) as pool:
        return list(pool.map(lambda job: job(), jobs))


def saved(folder: Path) -> list[bytes]:
    """Return networks that Keras saved, and one that was trained and exported here."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras

    layers = keras.layers
    plain = keras.Sequential([keras.Input((8, 8, 1)), layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(3)])
    inputs = keras.Input((8, 8, 3))
    x = layers.BatchNormalization()(layers.Conv2D(6, 3, padding="same", activation="relu")(inputs))
    x = layers.Add()([x, layers.SeparableConv2D(6, 3, padding="same")(x)])
    branched = keras.Model(inputs, layers.Dense(5)(layers.GlobalAveragePooling2D()(x)))
    found = []
    for name, model in (("plain", plain), ("branched", branched)):
        model.save(folder / f"{name}.keras")
        found.append((folder / f"{name}.keras").read_bytes())
    for arguments in (["train", "digits_lenet", "--set", "train.epochs=1"], ["export", "--format", "keras"]):
        exit_code, _, stderr = _cnn(*arguments, "--runs-dir", str(folder / "runs"))
        if exit_code:
            raise SystemExit(f"cnn {arguments[0]} ended with {exit_code}: {stderr[-500:]}")
    exported = next((folder / "runs").glob("*/*/export/*.keras"))
    return [*found, exported.read_bytes()]


def lines(endings: list[Ending]) -> Iterator[str]:
    """Yield the figures as text."""
    for command in dict.fromkeys(ending.command for ending in endings):
        own = [e for e in endings if e.command == command]
        sure, loose = [e for e in own if e.kind != "anywhere"], [e for e in own if e.kind == "anywhere"]
        codes = ", ".join(f"{n} × exit code {code}" for code, n in sorted(Counter(e.exit_code for e in sure).items()))
        yield f"cnn {command}: {len(sure)} damaged files: {codes}"
        if loose:
            codes = ", ".join(f"{n} × {code}" for code, n in sorted(Counter(e.exit_code for e in loose).items()))
            yield f"  and {len(loose)} damaged where it may do no harm: {codes}"
        slowest = max(own, key=lambda e: e.seconds)
        yield f"  ended by a signal {sum(e.exit_code < 0 for e in own)}, tracebacks {_tracebacks(own)}"
        yield f"  slowest {slowest.seconds:.1f} s ({slowest.kind}), mean {np.mean([e.seconds for e in own]):.1f} s"
    kinds = Counter(ending.kind for ending in endings if ending.command == "import")
    yield "kinds: " + ", ".join(f"{kind} {number}" for kind, number in kinds.items())
    for ending in endings:
        if ending.wrong:
            yield f"WRONG {ending.command} {ending.kind}: {ending.exit_code} {ending.left} {ending.stderr[-300:]}"


def _tracebacks(endings: list[Ending]) -> int:
    return sum("Traceback" in ending.stderr for ending in endings)


def main(given: list[str] | None = None) -> int:
    """Run a campaign and print its figures."""
    parser = argparse.ArgumentParser(description="Damage .keras and .h5 files and import them.")
    parser.add_argument("--files", type=int, default=200, help="files to damage")
    parser.add_argument("--anywhere", type=int, default=0, help="more files, damaged where it may do no harm")
    parser.add_argument("--ask", type=int, default=0, help="damaged files to give to cnn predict and cnn eval too")
    parser.add_argument("--parallel", type=int, default=2, help="processes at a time")
    parser.add_argument("--seed", type=int, default=0, help="seed of the campaign")
    options = parser.parse_args(given)
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        numbers: dict[str, Any] = {"loose": options.anywhere, "ask": options.ask, "parallel": options.parallel}
        endings = campaign(saved(folder), folder, options.files, options.seed, **numbers)
    print("\n".join(lines(endings)))
    return 1 if any(ending.wrong for ending in endings) else 0


if __name__ == "__main__":
    raise SystemExit(main())
