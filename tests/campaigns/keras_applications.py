"""Networks of `keras.applications`, saved by Keras and imported: their counts, and how far the predictions are.

    python tests/campaigns/keras_applications.py [NAME…]

Weights are random, those of batch normalizations too. Prints one line a network; ends with 1 if a count differs or a
probability by more than 1e-5.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

NAMES = (
    "VGG16", "ResNet50", "ResNet50V2", "MobileNet", "MobileNetV2", "MobileNetV3Small", "DenseNet121", "InceptionV3",
    "Xception", "NASNetMobile", "EfficientNetB0", "EfficientNetV2B0", "ConvNeXtTiny",
)  # fmt: skip

TOLERANCE = 1e-5
IMAGE_SIZE = (224, 224)
SIZES = {"InceptionV3": (299, 299), "Xception": (299, 299)}
"""Height and width where they are others."""

NUM_IMAGES = 4


class Compared(NamedTuple):
    """What came of one network: parameters of Keras's and of ours, largest differences of p and log p between the two.

    The spread is the largest difference of log p between images: were it small, the images would not matter.
    """

    theirs: int
    ours: int
    of_p: float
    of_log: float
    spread: float


def images_of(shape: tuple[int, int, int]) -> Any:
    """Return images of a few large patches: float32 (number, height, width, channels), from 0 to 255."""
    import numpy as np

    height, width, channels = shape
    patches = np.random.default_rng(2).integers(0, 256, (NUM_IMAGES, 5, 5, channels))
    rows, columns = (np.arange(length) * 5 // length for length in (height, width))
    return patches[:, rows][:, :, columns].astype(np.float32)


def random_network(name: str) -> Any:
    """Return a network of Keras's with random weights, whose normalizations take up the first images it is trained on.

    With other statistics, values fade on their way through so many layers, and all images get one prediction.
    """
    import keras
    import numpy as np

    keras.utils.set_random_seed(1)
    model = getattr(keras.applications, name)(weights=None)
    random = np.random.default_rng(0)
    for variable in model.weights:
        kind = variable.path.rsplit("/", 1)[1]
        if kind in ("moving_variance", "variance", "gamma"):
            variable.assign(random.uniform(0.5, 1.5, variable.shape))
        elif len(variable.shape) == 1:
            variable.assign(random.normal(0, 0.1, variable.shape))
    for layer in model.layers:
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()  # it computes with copies of its weights
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    return model


def scales(model: Any) -> bool:
    """Say whether a network scales its input itself: it takes bytes, where another takes here what ours does."""
    import keras

    return any(isinstance(layer, keras.layers.Rescaling) for layer in model.layers[:2])


def compare(name: str, folder: Path) -> Compared:
    """Save a network, import it, and compare what the two predict."""
    import keras
    import numpy as np

    from cnncli.engine.evaluation.trained import load_trained
    from cnncli.importing.read import make_run, read

    size = SIZES.get(name, IMAGE_SIZE)
    images = images_of((*size, 3))
    theirs = random_network(name)
    theirs(images if scales(theirs) else images / 255, training=True)
    path = folder / f"{name}.keras"
    theirs.save(path)
    found = read(path, IMAGE_SIZE)
    path.unlink()
    ours = load_trained(make_run(found, folder)).model
    expected = theirs.predict(images if scales(theirs) else images / 255, verbose=0)
    answered = np.asarray(keras.ops.softmax(ours.predict(images / 255, verbose=0)))
    of_p, of_log = np.abs(answered - expected).max(), np.abs(np.log(answered / expected)).max()
    spread = np.abs(np.log(expected[0] / expected[1])).max()
    return Compared(theirs.count_params(), ours.count_params(), float(of_p), float(of_log), float(spread))


def main(wanted: list[str]) -> int:
    """Compare the networks; return the exit code."""
    from cnncli.errors import CnnError

    wrong = []
    print(f"{'network':18}{'parameters':>13}{'imported':>13}{'max |dp|':>10}{'|dlog p|':>10}{'spread':>9}")
    for name in wanted or NAMES:
        try:
            with tempfile.TemporaryDirectory() as folder:
                row = compare(name, Path(folder))
        except CnnError as error:
            print(f"{name:18}{error.message}", flush=True)
            wrong.append(name)
            continue
        print(f"{name:18}{row.theirs:13,}{row.ours:13,}{row.of_p:10.1e}{row.of_log:10.1e}{row.spread:9.3f}", flush=True)
        if row.theirs != row.ours or not row.of_p <= TOLERANCE:
            wrong.append(name)
    print(f"not equal: {', '.join(wrong) or 'none'}")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
