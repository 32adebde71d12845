"""Mutated files of annotations by the thousand: every one is read or told, in bounded memory, without a crash.

    python tests/campaigns/mutate_annotations.py --number 5000

Writes a small set of images in the files of VOC, COCO and YOLO, spoils one of its files (bytes, tokens, cuts,
repetitions; of JSON also single values) and loads it, each time with other choices of on_bad_box and on_bad_image. The
numbers and the peak memory are printed; the first exception that is no known error, or the first warning, ends it, with
the file.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from PIL import Image

from cnncli import datasets
from cnncli.config.schema.schema import Config, Data
from cnncli.config.yaml.origins import Origins
from cnncli.config.yaml.parser import parse
from cnncli.datasets.problems import findings
from cnncli.errors import CnnError

sys.path.insert(0, str(Path(__file__).parent))
from spoilt_bytes import spoilt

sys.path.pop(0)

LIMIT_BYTES = 10**9
OBJECT = "<object><name>{}</name><difficult>0</difficult><bndbox>{}</bndbox></object>"
BOX = "<xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax>"
SIZE = "<size><width>60</width><height>40</height></size>"


def _xml(name: str, *objects: tuple[Any, ...]) -> str:
    written = "".join(OBJECT.format(of, BOX.format(*box)) for of, *box in objects)
    return f"<annotation><filename>{name}</filename>{SIZE}{written}</annotation>"


def _json() -> str:
    images = [
        {"id": number, "file_name": f"{name}.png", "width": 60, "height": 40} for number, name in enumerate("ab", 1)
    ]
    objects = [
        {"id": number, "image_id": number, "category_id": 1, "bbox": [10, 4, 10, 5.5], "iscrowd": 0, "area": 50.0}
        for number in (1, 2)
    ]
    return json.dumps({"images": images, "annotations": objects, "categories": [{"id": 1, "name": "rbc"}]})


SETS: dict[str, tuple[str, dict[str, str]]] = {
    "voc": (
        "JPEGImages",
        {
            "Annotations/a.xml": _xml("a.png", ("rbc", 1, 1, 9, 9)),
            "Annotations/b.xml": _xml("b.png", ("rbc", 1, 1, 9, 9), ("wbc", 3.5, 3, 20, 20)),
            "ImageSets/Main/train.txt": "a\nb\n",
        },
    ),
    "yolo": (
        "images",
        {
            "labels/a.txt": "0 0.5 0.5 0.1 0.1\n1 0.2 0.2 0.1 0.1\n",
            "labels/b.txt": "0 0.5 0.5 0.5 0.5\n",
            "data.yaml": "train: images\nnc: 2\nnames:\n  0: rbc\n  1: wbc\n",
        },
    ),
    "coco": ("train", {"annotations/instances_train.json": _json()}),
}
"""By source: folder of the images, and the files of annotations."""

VALUES = (
    None,
    True,
    -1,
    0,
    1,
    7,
    0.5,
    1e308,
    10**400,
    float("nan"),
    float("inf"),
    "",
    "x",
    "1",
    [],
    [1],
    {},
    {"id": 1},
)
TOKENS = (
    *(
        b"nan",
        b"1e999",
        b"-1",
        b"9" * 30,
        b"null",
        b"[]",
        b"{}",
        b'"x"',
        b"true",
        b"0",
        b"1.5",
        b"-",
        b":",
        b"*a",
        b"&a",
    ),
    *(
        b"\x00",
        b"\xff",
        b"\xe2\x80\xa8",
        b"<a>",
        b"</object>",
        b"&amp;",
        b"&e;",
        b"<!DOCTYPE a>",
        b"<![CDATA[",
        b"[[[[",
    ),
    *(b"\n", b",", b" ", b"!!python/object:os.system", b"!!int", b"? ", b"|\n", b"'"),
)


def mutated(content: bytes, draw: random.Random) -> bytes:
    """Return a spoilt copy of a file."""
    if content.startswith(b"{") and draw.random() < 0.7:
        return _with_another_value(content, draw)
    return spoilt(content, TOKENS, draw, lambda size: draw.randrange(size + 1))


def _with_another_value(content: bytes, draw: random.Random) -> bytes:
    """Return JSON with one value replaced, removed or doubled."""
    document = json.loads(content)
    holder, key = draw.choice(list(_places(document)))
    kind = draw.randrange(4)
    if kind == 0:
        del holder[key]
    elif kind == 1 and isinstance(holder, list):
        holder.append(holder[key])
    else:
        holder[key] = draw.choice(VALUES)
    return json.dumps(document).encode()


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each place of a value: what holds it, and its key."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield value, key
        yield from _places(inner)


def campaign(number: int, seed: int, folder: Path) -> Counter[tuple[str, str]]:
    """Load so many spoilt sets of each source below a folder, and return how they ended.

    Raises:
        Exception: Whatever is no known error, or a warning; a note says what the file was.
    """
    draw, ends = random.Random(seed), Counter[tuple[str, str]]()
    for source, (images, files) in SETS.items():
        root = folder / source
        for place, name in enumerate("ab"):
            (root / images).mkdir(parents=True, exist_ok=True)
            pixels = np.random.default_rng(place).integers(0, 256, (40, 60, 3), np.uint8)
            Image.fromarray(pixels).save(root / images / f"{name}.png")
        for _ in range(number):
            spoilt = draw.choice(list(files))
            contents = {name: text.encode() for name, text in files.items()}
            contents[spoilt] = mutated(contents[spoilt], draw)
            for name, content in contents.items():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_bytes(content)
            try:
                with warnings.catch_warnings(action="error"):
                    ends[source, _loaded(source, root, draw)] += 1
            except Exception as error:
                error.add_note(f"{spoilt}: {contents[spoilt]!r}")
                raise
    return ends


def _loaded(source: str, root: Path, draw: random.Random) -> str:
    """Load a set as training and `cnn data` do, and return how that ended."""
    data = Data(
        source=source,
        path=str(root),
        image_size=(16, 16),
        channels=3,
        validation=0.0,
        on_bad_box=draw.choice(("error", "skip", "clip")),
        on_bad_image=draw.choice(("error", "skip")),
    )
    origins = Origins(parse("{}", "mutated"))
    config = Config.model_construct(name="mutated", task="detection", seed=0, nodes=(), data=data, origins=origins)
    try:
        splits = draw.choice((datasets.load, datasets.inspect))(config)
    except CnnError:
        return "told"
    json.dumps(splits.passport, allow_nan=False)
    list(findings(config, splits.passport))
    assert np.isfinite(splits.train.targets.fit(data)).all()
    return "read"


def main() -> int:
    """Run the campaign and print what it came to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--number", type=int, default=5000, help="spoilt files in all")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    begun = time.process_time()
    with TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = str(Path(folder, "cache"))
        ends = campaign(-(-arguments.number // len(SETS)), arguments.seed, Path(folder))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    for (source, end), number in sorted(ends.items()):
        print(f"{source:5} {end}   {number:,}")
    print(
        f"peak memory  {peak / 1e6:,.0f} MB (limit {LIMIT_BYTES / 1e6:,.0f}); {time.process_time() - begun:.1f} CPU s"
    )
    return int(peak >= LIMIT_BYTES)


if __name__ == "__main__":
    sys.exit(main())
