"""How well images unlike those of training are told: by the energy, the confidence, and the Mahalanobis distance.

    python tests/campaigns/unlikely_input.py [--data FOLDER] [--mnist-epochs 10] [--cifar-epochs 5]

FOLDER holds mnist.npz, cifar10-jpeg.zip, camvid.zip and bccd.zip. Trains three networks with the tool: LeNet-5 on
MNIST, and the CIFAR net of the speed comparison on all ten classes and on the first six. Each is then shown its test
split and 1,000 images (or all there are) of something else. Prints for each such pair the area under the ROC curve
(AUROC, by scikit-learn) of

* the confidence: 1 minus the largest probability,
* the energy: −log Σ exp(logit), what `cnn predict` uses,
* the energy by both sides: how far its rank among those of the validation examples is from the middle,
* the Mahalanobis distance of the last layer's input from the nearest class mean, with one covariance of all classes,
* the relative one: less the distance from the mean of all classes, with the covariance about that;

then the share of the other images that is told, by the run's own thresholds, with the energy, with the energy and a
limit on both sides, each for half of the false alarms, with the confidence, and with the comparison of brightness,
contrast and colour that `cnn predict` made before; and for each network the share of its test split that is.
"""

from __future__ import annotations

import argparse
import io
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageDraw
from scipy import special
from sklearn.covariance import empirical_covariance, shrunk_covariance
from sklearn.metrics import roc_auc_score

SHARED = Path(__file__).parents[3] / "shared" / "data"
CIFAR_NET = Path(__file__).parents[1] / "benchmarks" / "cifar_net.yaml"
NUMBER = 1000
SCORES = ("confidence", "energy", "both sides", "Mahalanobis", "relative")
WARNINGS = ("energy", "both sides", "confidence", "statistics")
SHRINKAGE = 1e-3
"""Share of the identity in a covariance, so that it can be inverted where a feature is always 0."""

Array = np.ndarray


class Cifar(NamedTuple):
    """CIFAR-10 in memory, class by class: images and labels."""

    train: tuple[Array, Array]
    test: tuple[Array, Array]
    classes: tuple[str, ...]


def opened(content: bytes) -> Image.Image:
    """Return an image file's image."""
    return Image.open(io.BytesIO(content)).convert("RGB")


def cifar(path: Path) -> Cifar:
    """Read the image folder in a .zip file."""
    with zipfile.ZipFile(path) as packed:
        names = sorted(name for name in packed.namelist() if name.endswith(".jpg"))
        classes = tuple(sorted({name.split("/")[-2] for name in names}))
        found = []
        for split in ("train", "test"):
            own = [name for name in names if f"/{split}/" in name]
            images = np.stack([np.asarray(opened(packed.read(name))) for name in own])
            found.append((images, np.array([classes.index(name.split("/")[-2]) for name in own])))
    return Cifar(*found, classes)


def crops(path: Path, folder: str, side: int = 64) -> Array:
    """Return equally many squares at random places of each image in a folder of a .zip file."""
    generator = np.random.default_rng(0)
    with zipfile.ZipFile(path) as packed:
        names = sorted(name for name in packed.namelist() if folder in name and name.endswith((".jpg", ".png")))
        found = []
        for number in range(NUMBER):
            if number % -(-NUMBER // len(names)) == 0:
                image = opened(packed.read(names[number // -(-NUMBER // len(names))]))
            left, top = (int(generator.integers(0, length - side)) for length in image.size)
            found.append(np.asarray(image.crop((left, top, left + side, top + side))))
    return np.stack(found)


def grey(images: Array) -> Array:
    """Return images as the tool makes them grey."""
    return np.stack([np.asarray(Image.fromarray(image).convert("L")) for image in images])[..., None]


def noise(images: Array) -> Array:
    """Return uniform noise in the shape of images."""
    return np.random.default_rng(0).integers(0, 256, images.shape, np.uint8)


def houses(in_colour: bool, side: int = 64) -> Array:
    """Return drawings of a wall, a roof and a door: white lines on black, or areas of random colours on another."""
    generator = np.random.default_rng(0)
    found = []
    for _ in range(NUMBER):
        ground, *paints = generator.integers(0, 256, (4, 3)).tolist() if in_colour else [[0] * 3] * 4
        image = Image.new("RGB", (side, side), tuple(ground))
        draw, pen = ImageDraw.Draw(image), {} if in_colour else {"outline": (255,) * 3, "width": 4}
        left, right, top = (int(generator.integers(*range_)) for range_ in ((4, 20), (44, 60), (24, 36)))
        bottom, middle, door = side - 6, (left + right) // 2, int(generator.integers(6, 12))
        parts = [(left, top), (right, top), (right, bottom), (left, bottom)], [(left, top), (middle, 6), (right, top)]
        doorway = [(middle, bottom - 2 * door), (middle + door, bottom - 2 * door), (middle + door, bottom)]
        for part, paint in zip((*parts, [*doorway, (middle, bottom)]), paints, strict=True):
            draw.polygon(part, fill=tuple(paint), **pen)
        found.append(np.asarray(image))
    return np.stack(found)


class Mahalanobis:
    """Distances of features from the means of the classes.

    Args:
        features: Of the training examples.
        labels: Their classes.
        relative: Whether the distance from the mean of all is taken off.
    """

    def __init__(self, features: Array, labels: Array, relative: bool = False) -> None:
        means = np.stack([features[labels == label].mean(axis=0) for label in np.unique(labels)])
        self._classes = Whitened(features - means[labels], means)
        centre = features.mean(axis=0)
        self._all = Whitened(features - centre, centre[None]) if relative else None

    def __call__(self, features: Array) -> Array:
        """Return the squared distance of each row."""
        nearest = self._classes.distances(features)
        return nearest if self._all is None else nearest - self._all.distances(features)


class Whitened:
    """Distances from the nearest of some points, where the residuals' covariance is the unit of length.

    Args:
        residuals: Of the training examples.
        points: The points.
    """

    def __init__(self, residuals: Array, points: Array) -> None:
        covariance = shrunk_covariance(empirical_covariance(residuals, assume_centered=True), SHRINKAGE)
        self._root = np.linalg.cholesky(np.linalg.inv(covariance))
        self._points = points @ self._root

    def distances(self, features: Array) -> Array:
        """Return the squared distance of each row."""
        white = features @ self._root
        nearest: Array = np.min([np.square(white - point).sum(axis=1) for point in self._points], axis=0)
        return nearest


class Known:
    """A trained network with its test split, and the scores by which it may tell other images.

    Args:
        title: What it was trained on.
        run: Its run.
    """

    def __init__(self, title: str, run: Any) -> None:
        import keras

        from cnncli.datasets import own
        from cnncli.engine.evaluation.trained import load_trained

        self.title = title
        self._trained = load_trained(run)
        self._look = run.passport()["looks"]["train"]
        model = self._trained.model
        self._model = keras.Model(model.input, [model.layers[-1].input, model.output])
        splits = own(self._trained.config, run.passport())
        features, _ = self._computed(splits.train.images)
        labels = splits.train.targets.labels
        _, logits = self._computed(splits.validation.images)
        self._usual = np.sort(-special.logsumexp(logits, axis=1))
        distance, relative = Mahalanobis(features, labels), Mahalanobis(features, labels, relative=True)
        self._scores: dict[str, Callable[[Array, Array], Array]] = {
            "confidence": lambda _, logits: 1 - special.softmax(logits, axis=1).max(axis=1),
            "energy": lambda _, logits: -special.logsumexp(logits, axis=1),
            "both sides": lambda _, logits: np.abs(2 * self._rank(-special.logsumexp(logits, axis=1)) - 1),
            "Mahalanobis": lambda features, _: distance(features),
            "relative": lambda features, _: relative(features),
        }
        self.test = splits.test.images
        features, logits = self._computed(self.test)
        self._of_test = {name: score(features, logits) for name, score in self._scores.items()}
        self.accuracy = float((logits.argmax(axis=1) == splits.test.targets.labels).mean())

    def _computed(self, images: Array) -> tuple[Array, Array]:
        preprocessing = self._trained.preprocessing
        read = preprocessing.to_float(preprocessing.resize_uint8(images))
        features, logits = self._model.predict(read, batch_size=256, verbose=0)
        return features.astype(np.float64), logits.astype(np.float64)

    def _rank(self, energies: Array) -> Array:
        """Return the share of the validation examples whose energy is lower."""
        return np.searchsorted(self._usual, energies) / len(self._usual)

    def _outside(self, energies: Array) -> Array:
        """Return which energies are beyond either of two limits; as many examples lie beyond both as beyond one."""
        beyond = round(self._trained.detector.false_alarm_rate * (len(self._usual) + 1))
        below = beyond // 2
        outside: Array = energies > self._usual[below - beyond]
        return outside | (energies < self._usual[below - 1]) if below else outside

    def aurocs(self, images: Array) -> dict[str, float]:
        """Return how well each score tells images from the test split."""
        features, logits = self._computed(images)
        found = {}
        for name, score in self._scores.items():
            of_test, of_others = self._of_test[name], score(features, logits)
            truth = np.repeat([0, 1], [len(of_test), len(of_others)])
            found[name] = float(roc_auc_score(truth, np.concatenate([of_test, of_others])))
        return found

    def told(self, images: Array) -> dict[str, float]:
        """Return the share of images that get a warning: by each of `WARNINGS`."""
        from cnncli.datasets.facts import of_array
        from cnncli.datasets.image_statistics import differences, image_statistics

        _, logits = self._computed(images)
        detector = self._trained.detector
        outputs = {"logits": logits}, {"probabilities": special.softmax(logits, axis=1)}
        energy, confidence = (np.mean([score.unlike for score in detector.scores(one)]) for one in outputs)
        warned = [bool(differences(image_statistics(of_array(image[None])), self._look)) for image in images[:NUMBER]]
        outside = np.mean(self._outside(-special.logsumexp(logits, axis=1)))
        return dict(zip(WARNINGS, map(float, (energy, outside, confidence, np.mean(warned))), strict=True))


def trained(config: str, folder: Path, *overrides: str) -> Any:
    """Train a config and return its run."""
    from cnncli.config.load import load
    from cnncli.engine.training.train import train
    from cnncli.runs.events import Silence
    from cnncli.runs.run import Run

    return Run.open(Path(train(load(config, overrides), folder / "runs", Silence()).run))


def cifar_run(data: Cifar, classes: list[int], folder: Path, epochs: int) -> Any:
    """Train the CIFAR net on some of the classes."""
    path = folder / f"cifar-{len(classes)}.npz"
    arrays = {}
    for split, (images, labels) in {"train": data.train, "test": data.test}.items():
        chosen = np.isin(labels, classes)
        arrays |= {f"x_{split}": images[chosen], f"y_{split}": labels[chosen]}
    np.savez(path, **arrays)
    overrides = [f"data.path={path}", f"train.epochs={epochs}", "train.precision=mixed_bfloat16"]
    return trained(str(CIFAR_NET), folder, *overrides, f"model.layers[8].Dense.units={len(classes)}")


def pairs(data: Path, folder: Path, mnist_epochs: int, cifar_epochs: int) -> Iterator[tuple[Known, dict[str, Array]]]:
    """Yield each network with the images that it was not trained for."""
    photos = cifar(data / "cifar10-jpeg.zip")
    unrelated = photos.test[0][:: len(photos.test[0]) // NUMBER]
    streets = crops(data / "camvid.zip", "test/images/")
    cells = crops(data / "bccd.zip", "JPEGImages/")
    mnist = f"data.path={data / 'mnist.npz'}"
    known = Known("MNIST", trained("mnist_lenet5", folder, mnist, f"train.epochs={mnist_epochs}"))
    digits = known.test[:NUMBER]
    others = {
        "CIFAR-10": grey(unrelated),
        "CamVid": grey(streets),
        "BCCD": grey(cells),
        "MNIST, inverted": 255 - digits,
        "noise": noise(digits),
        "houses in lines": grey(houses(in_colour=False)),
    }
    yield known, others
    known = Known("CIFAR-10", cifar_run(photos, list(range(10)), folder, cifar_epochs))
    photographs = known.test[:NUMBER]
    others = {
        "MNIST": digits.repeat(3, axis=-1),
        "CamVid": streets,
        "BCCD": cells,
        "CIFAR-10, inverted": 255 - photographs,
        "noise": noise(photographs),
        "houses in colour": houses(in_colour=True),
    }
    yield known, others
    known = Known("CIFAR-10, 6 classes", cifar_run(photos, list(range(6)), folder, cifar_epochs))
    yield known, {"CIFAR-10, the other 4": photos.test[0][photos.test[1] >= 6]}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, default=SHARED)
    parser.add_argument("--mnist-epochs", type=int, default=10)
    parser.add_argument("--cifar-epochs", type=int, default=5)
    options = parser.parse_args()
    print(f"{'':44}{'AUROC':>{12 * len(SCORES)}}{'told':>{12 * len(WARNINGS)}}")
    print(f"{'trained on':20}{'shown':24}" + "".join(f"{name:>12}" for name in SCORES), end="")
    print("".join(f"{name:>12}" for name in WARNINGS))
    rows = []
    with TemporaryDirectory() as folder:
        for known, others in pairs(options.data, Path(folder), options.mnist_epochs, options.cifar_epochs):
            told = known.told(known.test)
            alarms = "".join(f"{told[name]:12.1%}" for name in WARNINGS)
            accuracy = f"(accuracy {known.accuracy:.1%})"
            print(f"{known.title:20}{'its test split':24}{accuracy:>{12 * len(SCORES)}}{alarms}")
            for name, images in others.items():
                aurocs, told = known.aurocs(images), known.told(images)
                rows.append([aurocs[score] for score in SCORES] + [told[warning] for warning in WARNINGS])
                figures = "".join(f"{aurocs[score]:12.4f}" for score in SCORES)
                figures += "".join(f"{told[warning]:12.1%}" for warning in WARNINGS)
                print(f"{known.title:20}{name:24}{figures}", flush=True)
    mean = np.mean(rows, axis=0)
    print(f"{f'mean of {len(rows)} pairs':44}", end="")
    print("".join(f"{value:12.4f}" for value in mean[: len(SCORES)]), end="")
    print("".join(f"{value:12.1%}" for value in mean[len(SCORES) :]))


if __name__ == "__main__":
    main()
