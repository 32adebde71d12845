"""Sizes of sets that are known without reading them: the built-in ones, and classes that a config names."""

from __future__ import annotations

from typing import NamedTuple

from cnncli.config.schema.schema import Data


class KnownSet(NamedTuple):
    """Number of classes and of examples for training, before any are held back for validation."""

    num_classes: int
    num_train: int


KNOWN_SETS = {
    "digits": KnownSet(10, 1442),
    "digit_scenes": KnownSet(11, 1500),
    "digit_boxes": KnownSet(10, 1500),
    "mnist": KnownSet(10, 60_000),
    "fashion_mnist": KnownSet(10, 60_000),
    "cifar10": KnownSet(10, 50_000),
    "cifar100": KnownSet(100, 50_000),
}
"""By the name of `data.source`; a local copy may have fewer examples, not other classes."""


def num_classes(data: Data) -> int | None:
    """Return the number of classes, None where the source has to be read to know."""
    known, names = KNOWN_SETS.get(data.source), data.classes
    if known is not None or names is None:
        return known.num_classes if known else None
    # A list of names may name an ignored value too, by its place; it is no class then.
    ignored = (data.ignore,) if isinstance(data.ignore, int) else data.ignore or ()
    return len(names) if isinstance(names, dict) else sum(number not in ignored for number in range(len(names)))


def num_training_examples(data: Data) -> int | None:
    """Return about how many examples train, None where the source has to be read to know."""
    known, held = KNOWN_SETS.get(data.source), data.validation
    if known is None:
        return None
    if data.folds is not None:
        held = 1 / data.folds
    return round(known.num_train * (1 - held)) if isinstance(held, float) else known.num_train
