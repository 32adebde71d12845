"""Training in processes of its own, and what a campaign reads of a run without the project's own readers."""

from __future__ import annotations

import hashlib
import io
import json
import struct
import subprocess
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from forked import Forked, fresh

SMALL = """
name: small
seed: 3
data: {source: digits, image_size: [8, 8], channels: 1, validation: 0.2}
model:
  layers:
    - Conv2D: {filters: 8, kernel_size: 3, use_bias: false}
    - BatchNormalization: {momentum: 0.9}
    - ReLU
    - MaxPooling2D: {pool_size: 2}
    - Flatten
    - Dropout: {rate: 0.2}
    - Dense: {units: 10}
train: {epochs: 12, batch_size: 32}
"""
"""Dropout and batch normalization are in every trial."""

STEPS_PER_EPOCH = 37

MOVES = "[{RandomTranslation: {height_factor: 0.1, width_factor: 0.1}}, {RandomRotation: {factor: 0.05}}, MixUp]"

MASKS, BOXES = "scenes.zip", "digits.zip"
"""Archives of images with masks and with boxes, beside a config that names one."""

FEW, NUM_VALIDATION = 4, 37
"""Batch size of what is in archives, and images for validation."""

NUM_SCENES = STEPS_PER_EPOCH * FEW + NUM_VALIDATION

MASK_MOVES = "[{RandomFlip: {mode: horizontal}}, {RandomScale: {factor: [0.7, 1.5]}}, CutMix]"

MASK_LAYERS = (
    "[{Conv2D: {filters: 8, kernel_size: 3, strides: 2, padding: same, use_bias: false}}, BatchNormalization, ReLU, "
    "{Conv2D: {filters: 3, kernel_size: 1}}]"
)

BOX_MOVES = "[{RandomFlip: {mode: horizontal}}, {RandomScale: {factor: [0.7, 1.5]}}]"

BOX_LAYERS = (
    "[{Conv2D: {filters: 8, kernel_size: 3, strides: 2, padding: same, use_bias: false}}, BatchNormalization, ReLU, "
    "{Conv2D: {filters: 8, kernel_size: 3, strides: 2, padding: same, use_bias: false}}, BatchNormalization, ReLU]"
)

BOX_HEADS = "{heatmap: [{Conv2D: {filters: 10, kernel_size: 1}}], box: [{Conv2D: {filters: 4, kernel_size: 1}}]}"

VARIANTS: dict[str, list[str]] = {
    "dropout and batch norm": [],
    "augmentation": [f"data.augmentation={MOVES}"],
    "plateau": [
        "train.schedule={ReduceLROnPlateau: {monitor: validation_accuracy, patience: 1, min_delta: 0.05, factor: 0.5}}"
    ],
    "early stopping": ["train.early_stopping={patience: 2, min_delta: 0.02}", "train.epochs=30"],
    "ema": ["train.ema=0.95"],
    "mid-epoch checkpoints": ["train.checkpoint={every: {steps: 5}}"],
    "cosine with momentum": [
        "train.optimizer={SGD: {momentum: 0.9, learning_rate: 0.05}}",
        "train.schedule={CosineDecay: {warmup_epochs: 1.5}}",
    ],
    "every third epoch": ["train.checkpoint={every: {epochs: 3}}"],
    "streamed masks": [
        "task=segmentation",
        f"data={{source: masks, path: {MASKS}, image_size: [16, 20], channels: 1}}",
        "data.classes={dark: 0, bright: 1, edge: 2}",
        "data.ignore=9",
        f"data.validation={NUM_VALIDATION / NUM_SCENES}",
        f"data.augmentation={MASK_MOVES}",
        f"model={{layers: {MASK_LAYERS}}}",
        f"train={{epochs: 6, batch_size: {FEW}, ema: 0.95, checkpoint: {{every: {{steps: 15}}}}}}",
        "train.loss={class_weights: inverse_log, dice: 0.3}",
    ],
    "streamed boxes": [
        "task=detection",
        f"data={{source: voc, path: {BOXES}, image_size: [32, 40], channels: 1}}",
        f"data.validation={NUM_VALIDATION / NUM_SCENES}",
        f"data.augmentation={BOX_MOVES}",
        f"model={{layers: {BOX_LAYERS}, heads: {BOX_HEADS}}}",
        f"train={{epochs: 6, batch_size: {FEW}, ema: 0.95, checkpoint: {{every: {{steps: 15}}}}}}",
        "train.optimizer={Adam: {learning_rate: 0.02}}",
    ],
}

INTERVAL = {
    "mid-epoch checkpoints": 5,
    "every third epoch": 3 * STEPS_PER_EPOCH,
    "streamed masks": 15,
    "streamed boxes": 15,
}
"""Steps between two checkpoints, where it is not an epoch."""

TOLD = """
import importlib.util, os, sys
from cnncli.__main__ import main
from cnncli.report.progress import PlainLines
name = sys.argv.pop(1)
class Imports:
    def find_spec(self, module, *_):
        if module == "tensorflow":
            os.close(os.open(f"{name}-import", os.O_CREAT))
        if module == "cnncli.engine.input_pipeline.feed":
            sys.meta_path.remove(self)
            spec = importlib.util.find_spec(module)
            execute = spec.loader.exec_module
            def limited(feed):
                execute(feed)
                feed.MEMORY_LIMIT = 0
            spec.loader.exec_module = limited
            return spec
sys.meta_path.insert(0, Imports())
file = os.open(name, os.O_WRONLY | os.O_CREAT)
def steps_done(self, event):
    os.pwrite(file, f"{event.epoch} {event.batch}".ljust(32).encode(), 0)
PlainLines.steps_done = steps_done
os.close(os.open(f"{name}-main", os.O_CREAT))
main()
"""
"""The command line, and how far it has come in a file that outlives a kill: what a user sees move on the terminal.

The file told-main says that Python itself has started and the command line's own code begins, told-import that
TensorFlow's import does. What is in files is streamed from them, however little it is.
"""


@dataclass
class Workplace:
    """A folder with one config and one run.

    Attributes:
        folder: The folder.
        overrides: `--set` values of the config.
        forked: Whether its processes have TensorFlow imported already, for tests of what comes after that.
        starts: Number of processes started so far.
    """

    folder: Path
    overrides: list[str]
    forked: bool = False
    starts: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "small.yaml").write_text(SMALL, encoding="utf-8")
        for name, write in ARCHIVES.items():
            if any(name in value for value in self.overrides):
                write(self.folder / name)

    @property
    def run(self) -> Path | None:
        """The run's directory, if it is there."""
        return next((p for p in self.folder.glob("runs/small/[!.]*") if p.is_dir()), None)

    def start(self) -> subprocess.Popen[bytes] | Forked:
        """Start the training, or go on with the run where there is one."""
        run = self.run
        sets = [word for value in self.overrides for word in ("--set", value)]
        command = ["train", "small.yaml", "--runs-dir", "runs", *sets] if run is None else ["resume", str(run)]
        self.starts += 1
        for name in ("told-main", "told-import"):
            (self.folder / name).unlink(missing_ok=True)
        start = Forked if self.forked else fresh
        return start(TOLD, ["told", *command], cwd=self.folder, stderr=self.folder / f"stderr-{self.starts}.txt")

    @property
    def in_main(self) -> bool:
        """Whether the newest process has come to the command line's own code."""
        return (self.folder / "told-main").exists()

    @property
    def imports_tensorflow(self) -> bool:
        """Whether the newest process has begun to import TensorFlow, which takes it seconds."""
        return (self.folder / "told-import").exists()

    def stderr(self) -> str:
        """Return what the newest process wrote on stderr."""
        return (self.folder / f"stderr-{self.starts}.txt").read_text(encoding="utf-8")

    def steps_told(self) -> int:
        """Return the number of steps that the processes have told of; those of a running chunk are not among them."""
        try:
            epoch, batch = (self.folder / "told").read_text(encoding="utf-8").split()
        except (FileNotFoundError, ValueError):
            return 0
        return (int(epoch) - 1) * STEPS_PER_EPOCH + int(batch)

    def finish(self) -> None:
        """Train to the end."""
        with self.start() as process:
            code = process.wait(timeout=600)
        if code != 0:
            raise RuntimeError(f"exit code {code}:\n{self.stderr()}")


def write_scenes(path: Path) -> None:
    """Write grey images of two sizes with masks of what is dark, bright and between; some pixels are of no class."""
    import numpy as np

    generator = np.random.default_rng(0)
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(NUM_SCENES):
            size = (16, 20) if number % 3 else (21, 24)
            image = (
                generator.integers(0, 256, (4, 4), np.uint8).repeat(6, axis=0).repeat(6, axis=1)[: size[0], : size[1]]
            )
            mask = np.where(image < 90, 0, np.where(image > 160, 1, 2)).astype(np.uint8)
            mask[:2, :3] = 9
            for kind, pixels in (("images", image), ("masks", mask)):
                archive.writestr(zipfile.ZipInfo(f"train/{kind}/{number:03}.png"), _png(pixels))


def write_digits(path: Path) -> None:
    """Write grey images of two sizes with up to three digits in VOC's files: some overlap, some images have none."""
    import numpy as np
    from sklearn.datasets import load_digits

    digits, generator = load_digits(), np.random.default_rng(0)
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(NUM_SCENES):
            height, width = (32, 40) if number % 3 else (48, 44)
            image, objects = np.zeros((height, width), np.uint8), ""
            for _ in range(generator.integers(0, 4)):
                chosen, scale = generator.integers(0, len(digits.target)), generator.integers(1, 4)
                digit = (digits.images[chosen] * 15).astype(np.uint8).repeat(scale, axis=0).repeat(scale, axis=1)
                side = len(digit)
                top, left = generator.integers(0, (height - side + 1, width - side + 1)).tolist()
                place = image[top : top + side, left : left + side]
                np.maximum(place, digit, out=place)
                objects += OBJECT.format(digits.target[chosen], left + 1, top + 1, left + side, top + side)
            size = f"<size><width>{width}</width><height>{height}</height></size>"
            archive.writestr(zipfile.ZipInfo(f"JPEGImages/{number:03}.png"), _png(image))
            annotation = f"<annotation>{size}{objects}</annotation>"
            archive.writestr(zipfile.ZipInfo(f"Annotations/{number:03}.xml"), annotation)


OBJECT = "<object><name>{}</name><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>"

ARCHIVES = {MASKS: write_scenes, BOXES: write_digits}
"""By the name of an archive: what writes it."""


def _png(pixels: Any) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def newest_checkpoint(run: Path) -> Path | None:
    """Return the newest checkpoint's directory."""
    return max(
        run.glob("checkpoints/step-*"),
        key=lambda path: [int(number) for number in path.name.split("-")[1:]],
        default=None,
    )


def step_of(checkpoint: Path | None) -> int:
    """Return the step that a checkpoint's name gives."""
    return 0 if checkpoint is None else int(checkpoint.name.split("-")[1])


def digests(run: Path) -> dict[str, str]:
    """Return the SHA-256 of every array of the newest checkpoint, taken from the bytes themselves."""
    newest = newest_checkpoint(run)
    assert newest is not None
    manifest = json.loads((newest / "manifest.json").read_text(encoding="utf-8"))
    data = (newest / "arrays.bin").read_bytes()
    found = {}
    for entry in manifest["entries"]:
        raw = data[entry["offset"] : entry["offset"] + entry["num_bytes"]]
        assert len(raw) == entry["num_bytes"] > 0
        found[entry["name"]] = hashlib.sha256(raw).hexdigest()
    assert len(found) > 10
    return found


def progress(run: Path) -> dict[str, Any]:
    """Return the counters in the newest checkpoint (best, early stopping, plateau) without what the clock decides."""
    newest = newest_checkpoint(run)
    assert newest is not None
    document = json.loads((newest / "manifest.json").read_text(encoding="utf-8"))["meta"]["progress"]
    return {name: value for name, value in document.items() if "seconds" not in name}


def metrics(run: Path) -> list[dict[str, Any]]:
    """Return the lines of metrics.jsonl without what the clock decides."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return [{k: v for k, v in line.items() if k not in ("seconds", "images_per_second")} for line in lines]


def points(run: Path) -> dict[str, list[int]]:
    """Return the steps at which each scalar and picture stands in the event files, in the files' order."""
    from tensorboard.compat.proto.event_pb2 import Event

    found: dict[str, list[int]] = {}
    for part in ("train", "validation"):
        for path in sorted((run / "tensorboard" / part).glob("events.*")):
            for record in _records(path.read_bytes()):
                event = Event.FromString(record)
                for value in event.summary.value:
                    if value.tag != "model":
                        found.setdefault(f"{part}/{value.tag}", []).append(event.step)
    return found


def _records(data: bytes) -> list[bytes]:
    """Split an event file: length (8 bytes), its checksum (4), data, its checksum (4)."""
    records, place = [], 0
    while place < len(data):
        (length,) = struct.unpack_from("<Q", data, place)
        records.append(data[place + 12 : place + 12 + length])
        assert len(records[-1]) == length, "a torn event"
        place += 16 + length
    return records


def differences(run: Path, reference: Path) -> list[str]:
    """Return in what a finished run differs from the uninterrupted one; nothing if it is the same to the last bit."""
    wrong = []
    ours, theirs = digests(run), digests(reference)
    if ours != theirs:
        names = [name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)]
        wrong.append(f"{len(names)} of {len(theirs)} arrays differ: {sorted(names)[:3]}")
    if metrics(run) != metrics(reference):
        wrong.append("metrics.jsonl differs")
    if progress(run) != progress(reference):
        wrong.append(f"counters differ: {progress(run)} instead of {progress(reference)}")
    if step_of(newest_checkpoint(run)) != step_of(newest_checkpoint(reference)):
        wrong.append("another last step")
    for hint in ("best.json", "latest.json"):
        if _hinted_step(run, hint) != _hinted_step(reference, hint):
            wrong.append(f"{hint} differs")
    found, expected = points(run), points(reference)
    wrong += [f"event files: {tag} at {steps}" for tag, steps in found.items() if steps != expected.get(tag)]
    if found.keys() != expected.keys():
        wrong.append("event files: a tag is missing")
    if found["train/loss"] != [line["step"] for line in metrics(reference)]:
        wrong.append("event files: the loss does not stand once at each epoch's end")
    status = json.loads((run / "run.json").read_text(encoding="utf-8"))["status"]
    if status != "done":
        wrong.append(f"status is {status}")
    return wrong


def _hinted_step(run: Path, hint: str) -> int:
    step: int = json.loads((run / hint).read_text(encoding="utf-8"))["step"]
    return step
