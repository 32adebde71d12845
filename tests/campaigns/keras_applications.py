"""Networks of `keras.applications`, saved by Keras and imported: their counts, and how far the predictions are.

    python tests/campaigns/keras_applications.py [NAME…]

Weights are random, those of batch normalizations too. Prints one line a network; ends with 1 if a count differs or a
probability by more than 1e-5.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

NAMES = (
    "VGG16", "ResNet50", "ResNet50V2", "MobileNet", "MobileNetV2", "MobileNetV3Small", "DenseNet121", "InceptionV3",
    "Xception", "NASNetMobile", "EfficientNetB0", "EfficientNetV2B0", "ConvNeXtTiny",
)  # fmt: skip

TOLERANCE = 1e-5
IMAGE_SIZE = (224, 224)
"""Of networks that take any size."""

NUM_IMAGES = 4


def network(name: str) -> Any:
    """Return a network of Keras's with random weights and statistics, so that no layer passes its input on as it is."""
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
    return model


def compare(name: str, folder: Path) -> tuple[int, int, float, float]:
    """Return the parameters of Keras's network and of ours, and the largest differences of p and of log p."""
    import keras
    import numpy as np

    from cnncli.engine.evaluation.trained import load_trained
    from cnncli.importing.read import make_run, read

    theirs = network(name)
    path = folder / f"{name}.keras"
    theirs.save(path)
    found = read(path, None if None not in theirs.input_shape[1:3] else IMAGE_SIZE)
    ours = load_trained(make_run(found, folder)).model
    images = np.random.default_rng(2).integers(0, 256, (NUM_IMAGES, *found.config.input_shape)).astype(np.float32)
    # A network that scales its input itself takes bytes; another takes here what ours does.
    scales = any(isinstance(layer, keras.layers.Rescaling) for layer in theirs.layers[:2])
    expected = theirs.predict(images if scales else images / 255, verbose=0)
    answered = np.asarray(keras.ops.softmax(ours.predict(images / 255, verbose=0)))
    of_p, of_log = np.abs(answered - expected).max(), np.abs(np.log(answered / expected)).max()
    return theirs.count_params(), ours.count_params(), float(of_p), float(of_log)


def main(wanted: list[str]) -> int:
    """Compare the networks; return the exit code."""
    from cnncli.errors import CnnError

    wrong = []
    print(f"{'network':18}{'parameters':>13}{'imported':>13}{'max |dp|':>10}{'|dlog p|':>10}")
    for name in wanted or NAMES:
        try:
            with tempfile.TemporaryDirectory() as folder:
                theirs, ours, of_p, of_log = compare(name, Path(folder))
        except CnnError as error:
            print(f"{name:18}{error.message}", flush=True)
            wrong.append(name)
            continue
        print(f"{name:18}{theirs:13,}{ours:13,}{of_p:10.1e}{of_log:10.1e}", flush=True)
        if theirs != ours or not of_p <= TOLERANCE:
            wrong.append(name)
    print(f"not equal: {', '.join(wrong) or 'none'}")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
