"""The network files that Caffe and Darknet come with, imported: how many, how large, and why the others are refused.

    python tests/campaigns/import_in_the_wild.py CAFFE DARKNET

The two folders are checkouts of the projects' own sources, which Debian has as packages too (`apt-get source caffe`,
`darknet`). Read are all files in Caffe's models/ and examples/ that describe layers, solvers included, and all in
Darknet's cfg/. A file that does not say how large its images are is read again with the size of what it is trained on.
Prints one line a file; ends with 1 if a count differs from the published one, if fewer than 62 are read, or if
anything but a known error comes up.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from cnncli.analysis.summary import summarize
from cnncli.errors import CnnError
from cnncli.importing.read import read

WANTED = 62
SIZES = {"cifar10": ((32, 32), 3), "mnist": ((28, 28), 1), "siamese": ((28, 28), 1), "hdf5": ((2, 2), 1)}
"""By what a path contains: height and width, and channels, of the examples; those of hdf5 have four numbers."""

PUBLISHED = {
    "models/bvlc_alexnet/deploy.prototxt": 60_965_224,
    "models/bvlc_reference_caffenet/deploy.prototxt": 60_965_224,
    "models/bvlc_googlenet/deploy.prototxt": 6_998_552,
    "examples/mnist/lenet.prototxt": 431_080,
    "examples/cifar10/cifar10_quick.prototxt": 145_578,
    "examples/cifar10/cifar10_full.prototxt": 89_578,
}
"""Parameters as Caffe counts them."""


def files(caffe: Path, darknet: Path) -> Iterator[tuple[Path, str]]:
    """Yield each file, with its path in its project."""
    layers = re.compile(r"^\s*(layers?|net_param)\s*\{", re.MULTILINE)
    for folder in ("models", "examples"):
        for path in sorted((caffe / folder).rglob("*.prototxt")):
            if layers.search(path.read_text(encoding="utf-8")):
                yield path, path.relative_to(caffe).as_posix()
    for path in sorted((darknet / "cfg").glob("*.cfg")):
        yield path, path.relative_to(darknet).as_posix()


def count(path: Path, name: str) -> int:
    """Return the parameters of an imported network.

    Raises:
        CnnError: If it cannot be imported.
    """
    try:
        found = read(path)
    except CnnError as error:
        size, channels = next((each for part, each in SIZES.items() if part in name), (None, None))
        if size is None or "image size" not in error.message:
            raise
        found = read(path, size, channels)
    return summarize(found.config).total_params


def main() -> int:
    """Print the table; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("caffe", type=Path)
    parser.add_argument("darknet", type=Path)
    asked = parser.parse_args()
    num_read, differing, every = 0, [], list(files(asked.caffe, asked.darknet))
    for path, name in every:
        try:
            params = count(path, name)
        except CnnError as error:
            print(f"{'refused':>12}  {name}: {error.message.removeprefix(f'{path.name}: ')}", flush=True)
            continue
        num_read += 1
        print(f"{params:12,}  {name}", flush=True)
        if params != PUBLISHED.get(name, params):
            differing.append(name)
    print(f"{num_read} of {len(every)} files imported; {len(differing)} counts differ from the published ones")
    return 1 if differing or num_read < WANTED else 0


if __name__ == "__main__":
    sys.exit(main())
