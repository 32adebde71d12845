"""A run's network made to answer for image files that nobody labelled."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from cnncli.analysis.evaluation import log_softmax
from cnncli.datasets.facts import Facts
from cnncli.datasets.images import Decoded, Pixels
from cnncli.datasets.images import examine as decode
from cnncli.datasets.look import Look, differences, look
from cnncli.datasets.pictures import Picture
from cnncli.engine.evaluate import BATCH_SIZE, Predictor, Trained
from cnncli.errors import DataError


class Place(NamedTuple):
    """One class in the order of probability."""

    name: str
    probability: float


@dataclass(frozen=True)
class Answer:
    """What a network says of one file.

    Attributes:
        file: The file as the user named it.
        ranking: The most probable classes, best first; empty for a file that cannot be read.
        doubts: How the image lies far from what the network was trained on, a sentence each.
        error: Why the file cannot be read, or None.
        pixels: The image in the network's size; empty for a file that cannot be read.
    """

    file: str
    ranking: tuple[Place, ...] = ()
    doubts: tuple[str, ...] = ()
    error: str | None = None
    pixels: Pixels = field(default_factory=lambda: np.empty((0, 0, 1), np.uint8), repr=False, compare=False)

    def to_json(self) -> dict[str, Any]:
        """Return an entry of what `cnn predict --json` prints."""
        predictions = [{"class": place.name, "probability": place.probability} for place in self.ranking]
        return {"file": self.file, "predictions": predictions, "doubts": list(self.doubts), "error": self.error}


def predict(trained: Trained, pictures: Iterable[Picture], usual: Look, top: int = 3) -> Iterator[Answer]:
    """Yield an answer for each picture, in their order; memory for one batch at a time.

    Args:
        trained: The network.
        pictures: Images as they are stored.
        usual: How training images look: `passport["looks"]["train"]`.
        top: Number of classes to name.
    """
    predictor = Predictor(trained.model, trained.preprocessing)
    remaining = iter(pictures)
    while batch := list(islice(remaining, BATCH_SIZE)):
        read = [_read(trained, picture, usual) for picture in batch]
        images = [answer.pixels for answer in read if answer.error is None]
        logits = iter(predictor.logits(tf.constant(np.stack(images))) if images else ())
        for answer in read:
            yield answer if answer.error is not None else _ranked(answer, next(logits), trained.classes, top)


def _read(trained: Trained, picture: Picture, usual: Look) -> Answer:
    """Decode a picture as training did, and compare it with what training saw."""
    try:
        decoded = decode(picture.content(), trained.preprocessing.channels, picture.name)
    except DataError as error:
        return Answer(picture.name, error=error.message.removeprefix(f"{picture.name}: "))
    pixels = trained.preprocessing.resize_uint8(decoded.pixels[None])[0].numpy()
    return Answer(picture.name, doubts=differences(look(_facts([decoded])), usual), pixels=pixels)


def _facts(images: Sequence[Decoded]) -> Facts:
    facts = Facts.empty(len(images), images[0].pixels.shape[-1], ("file",))
    for row, decoded in enumerate(images):
        facts.set(row, decoded, 0)
    return facts


def _ranked(answer: Answer, logits: npt.NDArray[np.float32], classes: Sequence[str], top: int) -> Answer:
    probabilities = np.exp(log_softmax(logits))
    order = np.argsort(-probabilities, kind="stable")[:top]
    ranking = tuple(Place(classes[i], float(probabilities[i])) for i in order.tolist())
    return Answer(answer.file, ranking, answer.doubts, None, answer.pixels)
