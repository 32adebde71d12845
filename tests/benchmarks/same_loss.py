"""Do the three contenders of `compare.py detector` train for the same loss? Their first loss, from the same weights.

    python tests/benchmarks/same_loss.py [--torch-python PATH]

Draws images and boxes, gives the network of detector.yaml random weights, and prints the loss of a training step of
ours, of the Keras script and, where a Python that has PyTorch is named, of the PyTorch script. The exit status is 1
where one differs from ours by more than float32 rounds.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).parent / "rivals"))
from box_planes import painted

HERE = Path(__file__).parent
SIZE, NUM_IMAGES, CAPACITY = (96, 128), 4, 12
ROUNDING = 2e-5


def drawn() -> tuple[np.ndarray, np.ndarray]:
    """Return float32 images from 0 to 1, and boxes: (images, objects, 5), with edges and class; one image has none."""
    generator = np.random.default_rng(0)
    images = generator.random((NUM_IMAGES, *SIZE, 3), np.float32)
    boxes = np.full((NUM_IMAGES, CAPACITY, 5), -1.0, np.float32)
    corner = generator.uniform(0, (SIZE[1] - 3, SIZE[0] - 3), (NUM_IMAGES, CAPACITY, 2))
    sides = generator.uniform(2, 60, (NUM_IMAGES, CAPACITY, 2))
    boxes[..., :4] = np.concatenate([corner, np.minimum(corner + sides, (SIZE[1], SIZE[0]))], axis=-1)
    boxes[..., 4] = generator.integers(0, 3, (NUM_IMAGES, CAPACITY))
    boxes[1, 5:, 4] = boxes[2, :, 4] = -1
    return images, boxes


class First(NamedTuple):
    """Our first loss, and what it was computed with.

    Attributes:
        loss: The mean of all images.
        layers: Kind and weights of each layer that has some, in the order of the config.
    """

    loss: float
    layers: list[tuple[str, list[np.ndarray]]]


def ours(images: np.ndarray, boxes: np.ndarray) -> First:
    """Return the loss of a training step of ours, from weights that are drawn."""
    from cnncli.config.load import load
    from cnncli.engine.network.model import build
    from cnncli.engine.tasks.detection import CenterHeatmap

    config = load(HERE / "detector.yaml", [f"data.image_size={list(SIZE)}"])
    model, generator = build(config), np.random.default_rng(1)
    for weight in model.weights:
        # Biases and the scales of normalization begin with a constant, in which an exchange would not be seen.
        weight.assign(weight + 0.02 * generator.standard_normal(weight.shape, np.float32))
    objective = CenterHeatmap(config.output_shape, SIZE, boxes.shape[1])
    is_there = boxes[..., 4:] >= 0
    targets = np.concatenate([boxes, is_there], axis=-1).astype(np.float32)
    layers = [model.get_layer(node.name) for node in config.nodes]
    known = [(type(layer).__name__, layer.get_weights()) for layer in layers if layer.weights]
    loss = float(np.mean(objective.loss(targets, model(images, training=True))))
    return First(loss, known)


def keras_loss(images: np.ndarray, planes: np.ndarray, layers: list[tuple[str, list[np.ndarray]]]) -> float:
    """Return the same of the Keras script."""
    import keras
    from keras_planes import detection_loss, detector

    inputs = keras.Input(images.shape[1:])
    model = keras.Model(inputs, detector(inputs))
    # Keras numbers the layers of a kind as they are made, and lists them in another order.
    for kind in ("Conv2D", "BatchNormalization"):
        given = [weights for name, weights in layers if name == kind]
        own = sorted((layer for layer in model.layers if type(layer).__name__ == kind), key=_number)
        for layer, weights in zip(own, given, strict=True):
            layer.set_weights(weights)
    model.compile(optimizer="sgd", loss=detection_loss)
    return float(model.train_on_batch(images, planes))


def _number(layer: Any) -> int:
    """Return the number at the end of a layer's name: "conv2d_3"."""
    return int(layer.name.rpartition("_")[2]) if layer.name[-1].isdigit() and "_" in layer.name else 0


def torch_loss(python: str, images: np.ndarray, planes: np.ndarray, weights: list[np.ndarray]) -> float:
    """Return the same of the PyTorch script, given the weights in the order of its layers."""
    with TemporaryDirectory() as folder:
        given = Path(folder, "given.npz")
        np.savez(given, images=images, planes=planes, **{f"weights_{n}": weight for n, weight in enumerate(weights)})
        command = [python, str(HERE / "rivals" / "torch_planes.py"), str(given)]
        return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def losses(torch_python: str | None = None) -> dict[str, float]:
    """Return the first loss by contender."""
    images, boxes = drawn()
    planes, first = painted(boxes, SIZE), ours(images, boxes)
    found = {"cnn": first.loss, "keras": keras_loss(images, planes, first.layers)}
    if torch_python is not None:
        weights = [weight for _, own in first.layers for weight in own]
        found["torch"] = torch_loss(torch_python, images, planes, weights)
    return found


def main() -> int:
    """Print the losses."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--torch-python", help="a Python that has PyTorch")
    found = losses(parser.parse_args().torch_python)
    for who, loss in found.items():
        print(f"{who:6} {loss:.6f}  {loss / found['cnn'] - 1:+.1e} of cnn's")
    return int(any(abs(loss / found["cnn"] - 1) > ROUNDING for loss in found.values()))


if __name__ == "__main__":
    sys.exit(main())
