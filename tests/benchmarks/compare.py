"""Whole processes side by side: `cnn train`, a plain Keras script and a tuned PyTorch script, in alternating runs.

Usage:

    python tests/benchmarks/compare.py lenet5 --data mnist.npz --repeats 5 --precision float32
        [--rival keras] [--rival torch] [--torch-python PATH] [--epochs 10] [--rival-precision float32]

`--data` is an npz file, or a zip of folders train/CLASS/ and test/CLASS/ of images, which is decoded once before; for
`segnet`, a zip of train/images/ and train/masks/ (and test), which is also made smaller; for `detector`, a zip as
bccd.zip is, likewise.

All three train the same network with the same batch, epochs and validation. Prints the median seconds of each and
their ratios, and the same of the images a second in training, after the first epoch. PyTorch is not a dependency
of cnncli: name a Python that has it.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from statistics import median
from xml.etree import ElementTree

import numpy as np
from PIL import Image

HERE = Path(__file__).parent
CONFIGS = {"lenet5": "mnist_lenet5", "cifar_net": "tests/benchmarks/cifar_net.yaml"}
CONFIGS |= {name: f"tests/benchmarks/{name}.yaml" for name in ("small_alexnet", "segnet", "detector")}
SMALLER = 320, 240
"""Width and height of images with masks."""

SMALL = 256, 192
"""Width and height of images with boxes."""

CELLS = "Platelets", "RBC", "WBC"
"""Classes of bccd.zip."""


def command_of(who: str, options: argparse.Namespace, runs_dir: str) -> list[str]:
    """Return the command line of one contender."""
    if who == "cnn":
        sets = {
            # Boxes do not go into arrays: beside these lies a zip of the same images.
            "data.path": Path(options.data).with_suffix(".zip") if options.network == "detector" else options.data,
            "train.epochs": options.epochs,
            "train.precision": options.precision,
            "train.schedule": "CosineDecay",
        }
        arguments = [part for key, value in sets.items() for part in ("--set", f"{key}={value}")]
        config = CONFIGS[options.network]
        return [sys.executable, "-m", "cnncli", "train", config, *arguments, "--runs-dir", runs_dir, "--json"]
    script, python = ("keras_fit.py", sys.executable) if who == "keras" else ("torch_loop.py", options.torch_python)
    return [
        python,
        str(HERE / "rivals" / script),
        options.network,
        options.data,
        str(options.epochs),
        options.rival_precision or options.precision,
    ]


def run(who: str, options: argparse.Namespace) -> dict[str, float]:
    """Run one contender once; return seconds of the whole process, peak memory in MiB, and images a second."""
    with tempfile.TemporaryDirectory() as runs_dir:
        begun = time.perf_counter()
        process = subprocess.Popen(
            command_of(who, options, runs_dir), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        out, err = process.communicate()
        seconds = time.perf_counter() - begun
        if process.returncode:
            raise SystemExit(f"{who} failed:\n{err}")
        rate = _rate(who, out)
    return {"seconds": seconds, "images_per_second": rate}


def _rate(who: str, out: str) -> float:
    if who != "cnn":
        return float(re.search(r"images_per_second ([\d.]+)", out)[1])
    path = Path(json.loads(out)["run"]) / "metrics.jsonl"
    rates = [json.loads(line)["images_per_second"] for line in path.read_text().splitlines()]
    # The first epoch compiles. The rivals too print the median of the others, without validation.
    return median(rates[1:] or rates)


def peak_memory(who: str, options: argparse.Namespace) -> float:
    """Return the peak resident memory of one run in MiB, measured in a process that starts nothing else."""
    with tempfile.TemporaryDirectory() as runs_dir:
        code = (
            "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, capture_output=True);"
            "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
        )
        command = [sys.executable, "-c", code, *command_of(who, options, runs_dir)]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout) / 1024


def main() -> None:
    """Read the options and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", choices=sorted(CONFIGS))
    parser.add_argument("--data", required=True)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--rival-precision", help="of the rivals, where it is not the same")
    parser.add_argument("--rival", action="append", choices=["keras", "torch"])
    parser.add_argument("--torch-python", default=sys.executable)
    parser.add_argument("--examples", type=int, help="take only the first training images")
    parser.add_argument("--memory", action="store_true", help="measure peak memory instead of time")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if not options.data.endswith(".npz"):
            read = {"segnet": decoded_masks, "detector": decoded_boxes}.get(options.network, decoded)
            options.data = read(Path(options.data), Path(folder) / "images.npz")
        options.data = str(Path(options.data).resolve())
        if options.examples:
            options.data = shortened(Path(options.data), Path(folder) / "short.npz", options.examples)
        if options.network == "detector":
            write_coco(Path(options.data))
        compare(options)


def shortened(npz: Path, target: Path, examples: int) -> str:
    """Write an npz file with fewer training images; return its path."""
    with np.load(npz) as arrays:
        np.savez(target, **{name: arrays[name][: examples if name.endswith("train") else None] for name in arrays})
    return str(target)


def decoded(archive: Path, npz: Path) -> str:
    """Write the images of a zip of train/CLASS/ and test/CLASS/ as arrays; return the npz file's path."""
    arrays: dict[str, np.ndarray] = {}
    with zipfile.ZipFile(archive) as files:
        names = sorted(name for name in files.namelist() if name.endswith((".jpg", ".jpeg", ".png")))
        classes = sorted({name.split("/")[-2] for name in names})
        for split in ("train", "test"):
            own = [name for name in names if name.split("/")[-3] == split]
            arrays[f"x_{split}"] = np.stack([np.asarray(Image.open(files.open(name))) for name in own])
            arrays[f"y_{split}"] = np.array([classes.index(name.split("/")[-2]) for name in own])
    order = np.random.default_rng(0).permutation(len(arrays["y_train"]))  # a plain script holds back the end of it
    np.savez(npz, **arrays | {name: arrays[name][order] for name in ("x_train", "y_train")})
    return str(npz)


def decoded_masks(archive: Path, npz: Path) -> str:
    """Write the images and masks of a zip as smaller arrays, 11 being no class; return the npz file's path."""
    arrays: dict[str, np.ndarray] = {}
    with zipfile.ZipFile(archive) as files:
        for split in ("train", "test"):
            for name, kind, how in (
                ("x", "images", Image.Resampling.BILINEAR),
                ("y", "masks", Image.Resampling.NEAREST),
            ):
                own = sorted(path for path in files.namelist() if f"{split}/{kind}/" in path and "." in path)
                arrays[f"{name}_{split}"] = np.stack(
                    [np.asarray(Image.open(files.open(path)).resize(SMALLER, how)) for path in own]
                )
            masks = arrays[f"y_{split}"]
            masks[masks == 11] = 255
    np.savez(npz, **arrays)
    return str(npz)


def decoded_boxes(archive: Path, npz: Path) -> str:
    """Write the images and boxes of a zip of VOC's files as smaller arrays; return the npz file's path.

    Those for validation count as training, of which each contender holds back a part. A row of a box is its edges in
    the smaller image and its class, -1 where an image has fewer; boxes without an area are left out.
    """
    arrays: dict[str, np.ndarray] = {}
    with zipfile.ZipFile(archive) as files:
        root = next(name for name in files.namelist() if name.endswith("ImageSets/Main/test.txt")).split("ImageSets")[0]
        for split, lists in (("train", ("train", "val")), ("test", ("test",))):
            stems = [stem for name in lists for stem in files.read(f"{root}ImageSets/Main/{name}.txt").decode().split()]
            images = [Image.open(files.open(f"{root}JPEGImages/{stem}.jpg")) for stem in stems]
            arrays[f"x_{split}"] = np.stack(
                [np.asarray(image.resize(SMALL, Image.Resampling.BILINEAR)) for image in images]
            )
            arrays[f"y_{split}"] = np.full((len(stems), 64, 5), -1.0)
            for objects, stem, image in zip(arrays[f"y_{split}"], stems, images, strict=True):
                found = _voc_boxes(files.read(f"{root}Annotations/{stem}.xml"), image.size)
                objects[: len(found)] = found
    np.savez(npz, **arrays)
    return str(npz)


def _voc_boxes(xml: bytes, size: tuple[int, int]) -> np.ndarray:
    """Return edges and class of each object of a VOC file, (objects, 5): edges of the smaller image."""
    across, down = (small / side for small, side in zip(SMALL, size, strict=True))
    found = []
    for each in ElementTree.fromstring(xml).iter("object"):
        left, top, right, bottom = (float(each.findtext(f"bndbox/{side}")) for side in ("xmin", "ymin", "xmax", "ymax"))
        left, top, right, bottom = max(left - 1, 0), max(top - 1, 0), min(right, size[0]), min(bottom, size[1])
        if left < right and top < bottom:
            label = CELLS.index(each.findtext("name"))
            found.append([left * across, top * down, right * across, bottom * down, label])
    return np.array(found).reshape(-1, 5)


def write_coco(npz: Path) -> None:
    """Write the images and boxes of arrays into a zip of COCO's files beside them."""
    with np.load(npz) as arrays, zipfile.ZipFile(npz.with_suffix(".zip"), "w") as archive:
        for split in ("train", "test"):
            document = {"images": [], "annotations": []}
            document["categories"] = [{"id": number, "name": name} for number, name in enumerate(CELLS, 1)]
            for number, (pixels, objects) in enumerate(zip(arrays[f"x_{split}"], arrays[f"y_{split}"], strict=True)):
                file = io.BytesIO()
                Image.fromarray(pixels).save(file, "PNG")
                archive.writestr(f"{split}/{number:03}.png", file.getvalue())
                width, height = SMALL
                document["images"].append(
                    {"id": number, "file_name": f"{number:03}.png", "width": width, "height": height}
                )
                document["annotations"] += [
                    {
                        "id": 1000 * number + place,
                        "image_id": number,
                        "category_id": int(label) + 1,
                        "bbox": [left, top, right - left, bottom - top],
                    }
                    for place, (left, top, right, bottom, label) in enumerate(objects.tolist())
                    if label >= 0
                ]
            archive.writestr(f"annotations/instances_{split}.json", json.dumps(document))


def compare(options: argparse.Namespace) -> None:
    """Run the contenders in turn and print what they took."""
    contenders = ["cnn", *(options.rival or ["keras"])]
    if options.memory:
        peaks = {who: peak_memory(who, options) for who in contenders}
        for who, peak in peaks.items():
            print(f"{who:6} {peak:8.0f} MiB  ratio {peaks['cnn'] / peak:.3f}")
        return
    runs: dict[str, list[dict[str, float]]] = {who: [] for who in contenders}
    for number in range(options.repeats):
        # Each round begins with another contender, so that none always follows the same one.
        for who in contenders[number % len(contenders) :] + contenders[: number % len(contenders)]:
            runs[who].append(run(who, options))
            print(f"round {number + 1} {who:6} {runs[who][-1]['seconds']:.1f} s", file=sys.stderr, flush=True)
    for who in contenders:
        ratios = [a["seconds"] / b["seconds"] for a, b in zip(runs["cnn"], runs[who], strict=True)]
        faster = [a["images_per_second"] / b["images_per_second"] for a, b in zip(runs["cnn"], runs[who], strict=True)]
        times = [r["seconds"] for r in runs[who]]
        rate = median(r["images_per_second"] for r in runs[who])
        shown = f"{rate:,.0f}" if rate >= 100 else f"{rate:.1f}"
        print(
            f"{who:6} median {median(times):.2f} s ({min(times):.2f} to {max(times):.2f}), {shown} images/s; "
            f"cnn takes {median(ratios):.3f} of it ({min(ratios):.3f} to {max(ratios):.3f}), "
            f"{median(faster):.2f} × the images/s ({min(faster):.2f} to {max(faster):.2f}), n={options.repeats}"
        )


if __name__ == "__main__":
    os.chdir(HERE.parent.parent)
    main()
