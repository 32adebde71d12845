"""How insensitive a network is to what should not matter: its accuracy under growing distortions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from cnncli.files.form import Form, listed, number, record, share, text, whole
from cnncli.tasks.distortion import DISTORTIONS, Distortion
from cnncli.tasks.significance import wilson_interval

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Images = npt.NDArray[np.uint8]
    Labels = npt.NDArray[np.int64]
    Predict = Callable[[Images], Labels]

BATCH = 128


_POINT = record(
    {
        "amount": number(-1e6, 1e6),
        "accuracy": share,
        "accuracy_interval": listed(share, 2, 2),
        "agreement": share,
    }
)
FORM: Form = record(
    {
        "split": text(1),
        "num_examples": whole(),
        "accuracy": share,
        "curves": listed(record({"distortion": text(1), "unit": text(), "points": listed(_POINT, least=1)})),
        "checkpoint": text(1),
    }
)
"""What invariance-<split>.json must look like."""


@dataclass(frozen=True)
class Point:
    """What was measured under one distortion at one strength.

    Attributes:
        amount: The strength.
        accuracy: Share of examples classified correctly.
        accuracy_interval: Its 95 % interval.
        agreement: Share of examples with the same prediction as without distortion.
    """

    amount: float
    accuracy: float
    accuracy_interval: tuple[float, float]
    agreement: float


@dataclass(frozen=True)
class Curve:
    """What was measured under one kind of distortion.

    Attributes:
        distortion: Its name.
        unit: What the amounts are.
        points: One for each strength.
    """

    distortion: str
    unit: str
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Invariance:
    """A network's profile.

    Attributes:
        split: Name of the split that the examples are of.
        num_examples: Number of examples.
        accuracy: Accuracy without distortion.
        curves: One for each kind of distortion.
    """

    split: str
    num_examples: int
    accuracy: float
    curves: tuple[Curve, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)


def invariance(split: str, images: Images, labels: Labels, predict: Predict) -> Invariance:
    """Evaluate a network under every distortion.

    Args:
        split: Name of the split.
        images: uint8 (examples, height, width, channels) of the network's size.
        labels: Their classes.
        predict: Returns the class that the network predicts for each image.
    """
    plain = predict(images)
    curves = [
        Curve(distortion.name, distortion.unit, tuple(_points(distortion, images, labels, plain, predict)))
        for distortion in DISTORTIONS
    ]
    return Invariance(split, len(labels), float((plain == labels).mean()), tuple(curves))


def _points(distortion: Distortion, images: Images, labels: Labels, plain: Labels, predict: Predict) -> Iterator[Point]:
    for amount in distortion.amounts:
        predicted = predict(distorted(distortion, images, amount))
        right = predicted == labels
        interval = wilson_interval(int(right.sum()), len(labels))
        yield Point(amount, float(right.mean()), interval, float((predicted == plain).mean()))


def distorted(distortion: Distortion, images: Images, amount: float) -> Images:
    """Return images under a distortion, a batch at a time: computing them takes several times their memory."""
    import numpy as np

    starts = range(0, len(images), BATCH)
    return np.concatenate([distortion.apply(images[start : start + BATCH], amount, start) for start in starts])
