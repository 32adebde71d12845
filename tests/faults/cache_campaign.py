"""Damaged files of the data's cache: is a passport ever another than that of the data?

    python tests/faults/cache_campaign.py [--trials 5000] [--seed 0]

Facts and passports of a folder, an archive and an .npz file are damaged, by chance in one of these ways: bits flipped,
a part cut off, added, zeroed or repeated, another file of the cache or an older one in its place, nothing left.
Expected each time: the passport is that of the data, the damaged file was not believed, and a good one is in its place.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from cnncli.datasets import inspect, stamps
from cnncli.datasets.data_path import config_of

Damage = Callable[[bytes, random.Random, list[bytes]], bytes]


def flip(content: bytes, rng: random.Random, others: list[bytes]) -> bytes:
    """Flip one to eight bits."""
    damaged = bytearray(content)
    for place in rng.sample(range(8 * len(damaged)), rng.randint(1, 8)):
        damaged[place // 8] ^= 1 << place % 8
    return bytes(damaged)


def cut(content: bytes, rng: random.Random, others: list[bytes]) -> bytes:
    """Leave out what is behind a place, or what is between two."""
    first, last = sorted(rng.sample(range(len(content) + 1), 2))
    return content[:first] + (content[last:] if rng.random() < 0.5 else b"")


def extend(content: bytes, rng: random.Random, others: list[bytes]) -> bytes:
    """Write bytes behind the end, or before the beginning."""
    more = rng.randbytes(rng.randint(1, 64))
    return content + more if rng.random() < 0.5 else more + content


def blank(content: bytes, rng: random.Random, others: list[bytes]) -> bytes:
    """Put zeros or ones in the place of a block, as a disk does that has lost it."""
    first = rng.randrange(len(content))
    length = rng.choice((1, 8, 64, 512, 4096))
    return content[:first] + rng.choice((b"\0", b"\xff")) * length + content[first + length :]


def repeat(content: bytes, rng: random.Random, others: list[bytes]) -> bytes:
    """Put one part of the file in the place of another."""
    length = rng.choice((8, 16, 64, 256))
    source, target = (rng.randrange(max(1, len(content) - length)) for _ in range(2))
    return content[:target] + content[source : source + length] + content[target + length :]


def other(content: bytes, rng: random.Random, others: list[bytes]) -> bytes:
    """Put another file of the cache in its place, an older one of the same data too."""
    return rng.choice([each for each in others if each != content])


def empty(content: bytes, rng: random.Random, others: list[bytes]) -> bytes:
    """Leave nothing, or nothing but zeros, as a power failure does."""
    return rng.choice((b"", b"\0" * len(content)))


DAMAGES: dict[str, Damage] = {
    "bits flipped": flip,
    "cut": cut,
    "extended": extend,
    "blanked": blank,
    "repeated": repeat,
    "another file": other,
    "emptied": empty,
}


def make_data(folder: Path) -> list[Path]:
    """Write a folder, an archive and an .npz file of images of two classes."""
    generator = np.random.default_rng(5)
    for split, number in (("train", 6), ("test", 2)):
        for name in ("cat", "dog"):
            (folder / "images" / split / name).mkdir(parents=True)
            for place in range(number):
                pixels = generator.integers(0, 256, (9, 7, 3), np.uint8)
                Image.fromarray(pixels).save(folder / "images" / split / name / f"{place}.png")
    with zipfile.ZipFile(folder / "images.zip", "w") as packed:
        for file in sorted((folder / "images").rglob("*.png"))[3:]:
            packed.write(file, file.relative_to(folder / "images"))
    arrays = generator.integers(0, 256, (20, 6, 6, 3), np.uint8)
    np.savez(folder / "images.npz", x=arrays, y=np.arange(20) % 2)
    return [folder / "images", folder / "images.zip", folder / "images.npz"]


def found_in(path: Path) -> Any:
    """Return all that training takes from the cache: the passport, and what is known of the files."""
    splits = inspect(config_of(path))
    files = [getattr(splits.train.images, name, None) for name in ("sizes", "plain", "contents")]
    return splits.passport, [None if column is None else column.tolist() for column in files]


class Cache:
    """The cache's folder, and what was in it when it was whole."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.whole: dict[Path, bytes] = {}

    def files(self) -> dict[Path, bytes]:
        """Return the files and their contents."""
        return {file: file.read_bytes() for file in sorted((self.folder / "cnncli").iterdir()) if file.is_file()}

    def restore(self) -> None:
        """Make it as it was when it was whole."""
        shutil.rmtree(self.folder / "cnncli")
        (self.folder / "cnncli").mkdir()
        for file, content in self.whole.items():
            file.write_bytes(content)


def campaign(folder: Path, trials: int, seed: int) -> tuple[Counter[str], list[str]]:
    """Damage caches in a folder; return how many in which way, and what was wrong."""
    os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
    stamps.MARGIN = 0  # the files are as good as old ones
    rng, wrong, kinds, cache = random.Random(seed), [], Counter[str](), Cache(folder / "cache")
    paths = make_data(folder)
    first = paths[0] / "train/cat/0.png"
    first.rename(first.with_name("later.png"))
    inspect(config_of(paths[0]))
    older = list(cache.files().values())
    first.with_name("later.png").rename(first)
    truth = {path: found_in(path) for path in paths}
    used = {path: _used(cache, path, truth) for path in paths}
    for number in range(trials):
        path, (kind, damage) = paths[number % len(paths)], rng.choice(list(DAMAGES.items()))
        file = rng.choice(used[path])
        damaged = cache.whole[file]
        while damaged == cache.whole[file]:
            damaged = damage(damaged, rng, [*cache.whole.values(), *older])
        kinds[kind] += 1
        file.write_bytes(damaged)
        try:
            same = found_in(path) == truth[path]
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told
            wrong.append(f"{path.name}, {file.name}, {kind}: {type(error).__name__}: {error}")
        else:
            if not same:
                wrong.append(f"{path.name}, {file.name}, {kind}: another passport")
            elif file.read_bytes() != cache.whole[file]:
                wrong.append(f"{path.name}, {file.name}, {kind}: it was believed, or not made anew")
        cache.restore()
    return kinds, wrong


def _used(cache: Cache, path: Path, truth: dict[Path, Any]) -> list[Path]:
    """Return the files of the cache that stand for data: those that come back when they are taken away."""
    cache.whole = cache.files()
    used = []
    for file in cache.whole:
        file.unlink()
        if found_in(path) == truth[path] and file.exists():
            used.append(file)
        cache.restore()
    return used


def main() -> None:
    """Run the campaign and print figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        kinds, wrong = campaign(Path(name), arguments.trials, arguments.seed)
    for line in wrong[:20]:
        print(f"  {line}")
    silent = sum(line.endswith("another passport") for line in wrong)
    print(f"{kinds.total()} damaged caches: {silent} silent, {len(wrong) - silent} otherwise wrong", end=" ")
    print(f"({time.monotonic() - begun:.0f} s)")
    print("  " + ", ".join(f"{kind} {count}" for kind, count in kinds.most_common()))
    raise SystemExit(bool(wrong))


if __name__ == "__main__":
    main()
