"""The scores of `cnn eval` on a test split of masks, beside those of Keras and of a count from masks that are written.

    python tests/benchmarks/mask_scores.py RUN camvid.zip

DATA is a folder or a .zip with test/images and test/masks somewhere in it: masks of the classes' numbers, other values
are ignored. `cnn eval` measures the run's test split, `cnn predict --masks` writes a mask for each image; from these
files alone NumPy counts the confusion matrix, and `keras.metrics.MeanIoU` sees the same pixels. Ends with 1 where
anything differs.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

IGNORED = 255


def cnn(*arguments: object) -> Any:
    """Run a command and return what it prints as JSON."""
    command = [sys.executable, "-m", "cnncli", *map(str, arguments), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout)


def pixels(path: Path) -> np.ndarray:
    """Return the values of a PNG file of indices."""
    with Image.open(path) as image:
        return np.asarray(image)


def recounted(pairs: Iterable[tuple[Path, Path]], num_classes: int) -> dict[str, Any]:
    """Return confusion matrix and scores of written masks, counted here and by Keras.

    Args:
        pairs: Files of each image's mask and of the one that was written for it.
        num_classes: Number of classes; other values are ignored in the masks.
    """
    import keras

    confusion = np.zeros((num_classes, num_classes), np.int64)
    metric = keras.metrics.MeanIoU(num_classes, ignore_class=IGNORED)
    for of_truth, of_prediction in pairs:
        truth, predicted = pixels(of_truth).astype(np.int64), pixels(of_prediction).astype(np.int64)
        if truth.shape != predicted.shape:
            raise SystemExit(f"{of_prediction} has {predicted.shape} pixels, {of_truth} {truth.shape}")
        truth[truth >= num_classes] = IGNORED
        for label in range(num_classes):
            confusion[label] += [np.count_nonzero((truth == label) & (predicted == i)) for i in range(num_classes)]
        metric.update_state(truth, predicted)
    union = confusion.sum(0) + confusion.sum(1) - confusion.diagonal()
    ious = [
        int(both) / int(either) if either else None for both, either in zip(confusion.diagonal(), union, strict=True)
    ]
    known = [iou for iou in ious if iou is not None]
    return {
        "confusion_matrix": confusion.tolist(),
        "iou": ious,
        "mean_iou": float(np.mean(known)),
        "pixel_accuracy": float(confusion.trace() / confusion.sum()),
        "keras_confusion_matrix": np.asarray(metric.total_cm).astype(int).tolist(),
        "keras_mean_iou": float(metric.result()),
    }


def differences(document: Mapping[str, Any], counted: Mapping[str, Any]) -> list[str]:
    """Return which scores of `cnn eval` are not those that were counted.

    All are compared to the last bit, but for the mean IoU that Keras makes of its matrix, in float32.
    """
    found = {
        "confusion_matrix": document["confusion_matrix"] == counted["confusion_matrix"],
        "iou": [row["iou"] for row in document["per_class"]] == counted["iou"],
        "mean_iou": document["mean_iou"] == counted["mean_iou"],
        "pixel_accuracy": document["pixel_accuracy"] == counted["pixel_accuracy"],
        "keras_confusion_matrix": document["confusion_matrix"] == counted["keras_confusion_matrix"],
        "keras_mean_iou": abs(document["mean_iou"] - counted["keras_mean_iou"]) < 1e-6,
    }
    return [name for name, equal in found.items() if not equal]


def main() -> None:
    """Measure, predict, count, and print each score three times."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("data", type=Path)
    options = parser.parse_args()
    document = cnn("eval", options.run)
    with tempfile.TemporaryDirectory() as folder:
        root = options.data
        if root.is_file():
            with zipfile.ZipFile(root) as archive:
                archive.extractall(folder)
            root = Path(folder)
        images = next(path for path in sorted(root.rglob("images")) if path.parent.name == "test")
        entries = cnn("predict", options.run, images, "--masks", Path(folder, "written"))
        masks = {path.stem: path for path in (images.parent / "masks").iterdir()}
        pairs = [(masks[Path(entry["file"]).stem], Path(entry["mask"])) for entry in entries]
        counted = recounted(pairs, len(document["classes"]))
    print(f"{len(pairs)} images, {np.sum(counted['confusion_matrix']):,} pixels that count")
    print(f"mean IoU        cnn eval {document['mean_iou']!r}  counted {counted['mean_iou']!r}")
    print(f"                Keras {counted['keras_mean_iou']!r}, whose metrics are in float32")
    print(f"pixel accuracy  cnn eval {document['pixel_accuracy']!r}  counted {counted['pixel_accuracy']!r}")
    for row, iou in zip(document["per_class"], counted["iou"], strict=True):
        print(f"IoU of {row['class']:20} {row['iou']!r}  counted {iou!r}")
    different = differences(document, counted)
    print(f"different: {', '.join(different)}" if different else "all equal")
    raise SystemExit(1 if different else 0)


if __name__ == "__main__":
    main()
