"""Seconds that `cnn data` takes for a folder or zip of images, the first time and the second, as whole processes.

    python tests/benchmarks/passport.py ../shared/data/cifar10-jpeg.zip --unpack

With `--unpack` a zip is also unpacked into a temporary folder and measured as such. The cache is a temporary one.
With `--against ROOT` the second times are taken in turn with those of another version of cnncli, `--turns` of each:

    python tests/benchmarks/passport.py images.zip --unpack --against ../before --turns 9
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

CONFIG = """
name: passport
data: {{source: folder, path: {path}, image_size: [32, 32], channels: 3}}
model: {{layers: [Flatten, {{Dense: {{units: 10}}}}]}}
"""


def measure(path: Path, temporary: Path, root: Path | None = None) -> tuple[float, dict[str, object]]:
    """Run `cnn data --json` once, of the cnncli at a root, and return its seconds and what it printed."""
    config = temporary / "config.yaml"
    config.write_text(CONFIG.format(path=json.dumps(str(path))), encoding="utf-8")
    environment = os.environ | {"XDG_CACHE_HOME": str(temporary / "cache")}
    if root is not None:
        environment["PYTHONPATH"] = str(root)
    begun = time.perf_counter()
    command = [sys.executable, "-m", "cnncli", "data", str(config), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    seconds = time.perf_counter() - begun
    if done.returncode:
        raise SystemExit(done.stderr)
    return seconds, json.loads(done.stdout)


def compare(path: Path, temporary: Path, before: Path, turns: int) -> None:
    """Print how long the second time takes before and now, alternating; each version has a cache of its own."""
    now = Path(__file__).parents[2]
    seconds: dict[Path, list[float]] = {before: [], now: []}
    for turn in range(turns + 1):
        for root in (before, now) if turn % 2 else (now, before):
            taken, _ = measure(path, temporary, root)
            if turn:  # the first fills the cache
                seconds[root].append(taken)
    old, new = (statistics.median(seconds[root]) for root in (before, now))
    print(f"{path.name:20} warm   before {old:.3f} s, now {new:.3f} s, {new / old:.2f} times  (medians of {turns})")


def main() -> int:
    """Print the seconds."""
    parser = argparse.ArgumentParser(description="Take the passport of a folder or zip of images, twice.")
    parser.add_argument("path", type=Path)
    parser.add_argument("--unpack", action="store_true")
    parser.add_argument("--against", type=Path, metavar="ROOT")
    parser.add_argument("--turns", type=int, default=5)
    given = parser.parse_args()
    with TemporaryDirectory() as name:
        temporary = Path(name)
        paths = [given.path]
        if given.unpack:
            with zipfile.ZipFile(given.path) as packed:
                packed.extractall(temporary / "unpacked")
            paths.append(temporary / "unpacked")
            time.sleep(3)  # files changed within the last two seconds are not trusted to stay as they are
        if given.against is not None:
            for path in paths:
                compare(path, temporary, given.against, given.turns)
            return 0
        hashes = set()
        for path in paths:
            for turn in ("first", "second"):
                seconds, found = measure(path, temporary)
                hashes.add(found["content_hash"])
                counts = found["num_examples"]
                print(f"{path.name:20} {turn:6} {seconds:6.2f} s  {counts}  load {os.getloadavg()[0]:.1f}")
        print(f"content hashes equal: {len(hashes) == 1}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
