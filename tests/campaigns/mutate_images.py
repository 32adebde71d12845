"""Mutated image files by the thousand: a pass over them reads or names every one, in bounded memory, without a crash.

    python tests/campaigns/mutate_images.py --number 10000

Makes valid images of every format, spoils each copy (flipped bytes, cuts, insertions, extreme numbers, splices of two
files) and lets a process of its own take the passport of the folder, the files one by one through every decoder. The
figures and the peak memory of that process are printed; the exit code is 1 if it died, took more than 1 GB, or left a
file out.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

LIMIT_BYTES = 10**9
EXTREMES = [0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 60_000, 2**24]


@dataclass(frozen=True)
class Figures:
    """What a campaign came to.

    Attributes:
        number: Mutated files.
        read: How many of them were still images.
        reasons: How often each reason was given, by its first words.
        unnamed: Files that were neither read nor named; there should be none.
        peak_bytes: Largest memory of the process.
        seconds: Time of the pass.
        exit_code: Of the process; 0 if it lived.
        stderr: What it wrote there; libtiff comments on damaged files.
    """

    number: int
    read: int
    reasons: Counter[str]
    unnamed: list[str]
    peak_bytes: int
    seconds: float
    exit_code: int
    stderr: str

    @property
    def failed(self) -> bool:
        """Whether a promise was broken."""
        return bool(self.exit_code or self.unnamed or self.peak_bytes >= LIMIT_BYTES)

    def lines(self) -> list[str]:
        """Return the figures as text."""
        return [
            f"mutated files   {self.number:,}",
            f"still images    {self.read:,}",
            f"named as bad    {self.number - self.read - len(self.unnamed):,}",
            f"left out        {len(self.unnamed):,} {self.unnamed[:3]}",
            f"exit code       {self.exit_code}",
            f"peak memory     {self.peak_bytes / 1e6:,.0f} MB (limit {LIMIT_BYTES / 1e6:,.0f})",
            f"seconds         {self.seconds:.1f}",
            f"on stderr       {len(self.stderr.splitlines()):,} lines, the last: {self.stderr[-100:].strip()}",
            *(f"  {count:6,}  {reason}" for reason, count in self.reasons.most_common(12)),
        ]


def originals() -> list[bytes]:
    """Return valid files of every format and many modes, small and middle-sized."""
    generator = np.random.default_rng(0)
    found = []
    for side in (12, 90):
        picture = Image.fromarray(generator.integers(0, 256, (side // 6, side // 6, 3), np.uint8)).resize((side, side))
        deep = Image.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) * 257)
        variants = [
            *((picture, kind, {}) for kind in ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM")),
            (picture, "JPEG", {"progressive": True}),
            (picture.convert("CMYK"), "JPEG", {}),
            (picture.convert("L"), "JPEG", {}),
            (picture, "TIFF", {"compression": "tiff_lzw"}),
            (picture, "TIFF", {"compression": "jpeg"}),
            (picture, "TIFF", {"compression": "tiff_adobe_deflate"}),
            (picture.convert("1"), "TIFF", {"compression": "group4"}),
            (picture, "WEBP", {"lossless": True}),
            (picture.quantize(16), "PNG", {"transparency": 3}),
            (picture.convert("RGBA"), "PNG", {}),
            (deep, "PNG", {}),
            (deep, "TIFF", {}),
            (picture, "GIF", {"save_all": True, "append_images": [picture.transpose(Image.Transpose.ROTATE_90)]}),
        ]
        for image, kind, options in variants:
            content = io.BytesIO()
            exif = Image.Exif()
            exif[274] = 6
            image.save(content, kind, **({"exif": exif} if kind in ("JPEG", "PNG", "WEBP") else {}), **options)
            found.append(content.getvalue())
    return found


def mutate(content: bytes, other: bytes, generator: np.random.Generator) -> bytes:
    """Return a spoilt copy of a file."""
    spoilt = bytearray(content)
    length = len(spoilt)
    place = int(generator.integers(0, length))
    kind = int(generator.integers(0, 7))
    if kind == 0:
        for at in generator.integers(0, length, int(generator.integers(1, 20))):
            spoilt[at] = int(generator.integers(0, 256))
    elif kind == 1:
        del spoilt[place:]
    elif kind == 2:
        spoilt[place:place] = generator.bytes(int(generator.integers(1, 200)))
    elif kind == 3:
        del spoilt[place : place + int(generator.integers(1, 200))]
    elif kind == 4:
        place = int(generator.integers(0, min(length, 200)))
        size = int(generator.choice([1, 2, 4]))
        value = int(generator.choice(EXTREMES)) & (256**size - 1)
        spoilt[place : place + size] = value.to_bytes(size, str(generator.choice(["little", "big"])))
    elif kind == 5:
        spoilt[place:] = other[int(generator.integers(0, len(other))) :]
    else:
        spoilt[place : place + 64] = bytes(64)
    return bytes(spoilt)


def write(folder: Path, number: int, seed: int) -> None:
    """Write mutated files into two class folders."""
    generator = np.random.default_rng(seed)
    valid = originals()
    for name in "ab":
        (folder / name).mkdir(parents=True)
    for index in range(number):
        first, second = (valid[int(i)] for i in generator.integers(0, len(valid), 2))
        (folder / "ab"[index % 2] / f"{index:06}.img").write_bytes(mutate(first, second, generator))


def campaign(number: int, seed: int = 0) -> Figures:
    """Mutate files and let a process take their passport."""
    with TemporaryDirectory() as temporary:
        folder = Path(temporary) / "images"
        write(folder, number, seed)
        begun = time.perf_counter()
        environment = os.environ | {"XDG_CACHE_HOME": str(Path(temporary) / "cache")}
        command = [sys.executable, __file__, "--scan", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        seconds = time.perf_counter() - begun
        if done.returncode:
            return Figures(number, 0, Counter(), [], 0, seconds, done.returncode, done.stderr[-4000:])
        found = json.loads(done.stdout)
        named = {item["file"]: item["reason"] for item in found["bad_files"]}
        missing = {f"{'ab'[i % 2]}/{i:06}.img" for i in range(number)} - named.keys() - set(found["read"])
        words = Counter(" ".join(reason.split()[:5]) for reason in named.values())
        return Figures(number, len(found["read"]), words, sorted(missing), found["peak_bytes"], seconds, 0, done.stderr)


def scan(folder: Path) -> None:
    """Take the passport of a folder and print what was found; the process of its own."""
    from cnncli import datasets
    from cnncli.config.schema.schema import Config, Data
    from cnncli.resources import peak_memory

    data = Data(source="folder", path=str(folder), image_size=(8, 8), channels=3, validation=0.0)
    splits = datasets.inspect(Config.model_construct(name="mutated", seed=0, nodes=(), data=data))
    peak = peak_memory()
    found = {"bad_files": splits.passport["bad_files"], "read": splits.train.ids, "peak_bytes": peak}
    sys.stdout.write(json.dumps(found))


def main() -> int:
    """Run a campaign and print its figures."""
    parser = argparse.ArgumentParser(description="Spoil image files and read them.")
    parser.add_argument("--number", type=int, default=10_000, help="files to spoil")
    parser.add_argument("--seed", type=int, default=0, help="seed of the campaign")
    parser.add_argument("--scan", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.scan is not None:
        scan(arguments.scan)
        return 0
    figures = campaign(arguments.number, arguments.seed)
    print("\n".join(figures.lines()))
    return 1 if figures.failed else 0


if __name__ == "__main__":
    sys.exit(main())
