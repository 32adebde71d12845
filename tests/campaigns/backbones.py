"""Weights of Keras Applications on the zoo's networks: counts, and how far the predictions are, also after export.

    python tests/campaigns/backbones.py [NETWORK…]

Files of the layout that Keras publishes are written with random weights, their normalizations fitted to images, and
read by `cnn import FILE --config NETWORK`. Prints one line a network: the largest differences of probabilities to
Keras's own on bytes that its `preprocess_input` takes, of the run and of its ONNX and LiteRT exports. Ends with 1 if a
count differs or a probability by more than 1e-5.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from keras_applications import random_network

sys.path.pop(0)

TOLERANCE = 1e-5
NUM_CLASSES = 1000
NAMES = ("mobilenet_v2", "efficientnet_b0", "resnet50_keras", "densenet121")


class Compared(NamedTuple):
    """What came of one network.

    Attributes:
        theirs: Parameters of Keras's.
        ours: Parameters of the zoo's.
        differences: Largest difference of a probability, by runtime.
        spread: Largest difference of a probability between two images: were it small, the images would not matter.
    """

    theirs: int
    ours: int
    differences: dict[str, float]
    spread: float


def images_of(number: int, size: tuple[int, int]) -> Any:
    """Return images of a few large patches, every second one of noise: uint8 (number, height, width, 3)."""
    random = np.random.default_rng(2)
    patches = random.integers(0, 256, (number, 5, 5, 3), np.uint8)
    rows, columns = (np.arange(length) * 5 // length for length in size)
    images = patches[:, rows][:, :, columns]
    images[1::2] = random.integers(0, 256, images[1::2].shape, np.uint8)
    return images


def module_of(name: str) -> ModuleType:
    """Return Keras's module of a network."""
    import keras

    modules = keras.applications
    return {
        "MobileNetV2": modules.mobilenet_v2,
        "EfficientNetB0": modules.efficientnet,
        "ResNet50": modules.resnet,
        "DenseNet121": modules.densenet,
    }[name]


def network(name: str, images: Any) -> Any:
    """Return a network of Keras's with random weights, its normalizations fitted to prepared images."""
    model = random_network(name)
    model(images, training=True)
    return model


def write_older(model: Any, path: Path) -> None:
    """Write weights in the layout of the published files."""
    import h5py
    from keras.src.legacy.saving.legacy_h5_format import save_weights_to_hdf5_group

    with h5py.File(path, "w") as file:
        save_weights_to_hdf5_group(file, model)


def prepared(name: str, images: Any) -> Any:
    """Return bytes as Keras's network takes them."""
    return module_of(name).preprocess_input(images.astype(np.float32))


def examples(folder: Path) -> Path:
    """Write small examples of all classes, with which an export is proven."""
    labels = np.arange(NUM_CLASSES)
    images = images_of(NUM_CLASSES, (16, 16))
    np.savez(folder / "examples.npz", x_train=images, y_train=labels, x_test=images[:20], y_test=labels[:20])
    return folder / "examples.npz"


def compare(zoo_name: str, folder: Path, number: int, formats: tuple[str, ...]) -> Compared:
    """Write a file, import it, and compare what the two predict."""
    import cnncli
    from cnncli.config.load import load
    from cnncli.engine.exporting.export import Wanted, export
    from cnncli.engine.exporting.open import open_artifact
    from cnncli.importing.keras.applications import APPLICATIONS
    from cnncli.importing.read import make_run, read_onto

    application = next(each for each in APPLICATIONS if each.network == zoo_name)
    config = load(zoo_name, ["data.source=npz", f"data.path={examples(folder)}", "data.validation=0"])
    images = images_of(number, config.data.image_size)
    theirs = network(application.name, prepared(application.name, images[:8]))
    file = folder / application.whole.name
    write_older(theirs, file)
    expected = theirs.predict(prepared(application.name, images), verbose=0)
    run = make_run(read_onto(file, config), folder)
    ours = cnncli.Run(run.path).keras_model()
    answers = {"run": ours.predict(images, verbose=0)}
    for kept in export(run, Wanted(formats), print) if formats else ():
        found = open_artifact(kept.path).runtime(images)
        answers[kept.format.kind] = found if isinstance(found, np.ndarray) else found["probabilities"]
    differences = {name: float(np.abs(each - expected).max()) for name, each in answers.items()}
    spread = float(np.abs(expected[0] - expected[1]).max())
    return Compared(theirs.count_params(), ours.count_params(), differences, spread)


def main(given: list[str] | None = None) -> int:
    """Compare the networks; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help=", ".join(NAMES))
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--formats", nargs="*", default=["onnx", "litert"])
    asked = parser.parse_args(given)
    columns = ["run", *asked.formats]
    wrong = []
    print(f"{'network':18}{'Keras':>12}{'zoo':>12}{''.join(f'{name:>10}' for name in columns)}{'spread':>10}")
    for name in asked.networks or NAMES:
        with tempfile.TemporaryDirectory() as folder:
            row = compare(name, Path(folder), asked.images, tuple(asked.formats))
        cells = "".join(f"{row.differences[column]:10.1e}" for column in columns)
        print(f"{name:18}{row.theirs:12,}{row.ours:12,}{cells}{row.spread:10.1e}", flush=True)
        if row.theirs != row.ours or not max(row.differences.values()) <= TOLERANCE:
            wrong.append(name)
    print(f"not equal: {', '.join(wrong) or 'none'}")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
