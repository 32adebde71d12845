"""Test examples for the page: some that the run gets right, some that it gets wrong, one of each class."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from itertools import chain, zip_longest
from typing import Any

import numpy as np
import numpy.typing as npt

from cnncli.engine.evaluation.proof_examples import measuring_split, spread
from cnncli.engine.exporting.source import Source, sized

MOST_ASKED = 500
"""Examples that the run predicts, to choose from."""


def examples(source: Source, most: int) -> Iterator[dict[str, Any]]:
    """Yield test examples in the network's size with the right answer and, of a classifier, the run's own."""
    split = measuring_split(source.examples)
    classes = source.description.classes
    strata = split.targets.strata()
    if strata is None or source.config.task != "classification":
        rows, predicted = spread(len(split), most), None
    else:
        asked = spread(len(split), MOST_ASKED)
        asked = np.union1d(asked, split.first_of_each(MOST_ASKED)).astype(np.int64)
        images = sized(split.take(asked, split.name), source.preprocessing)
        answers = source.outputs(images)["probabilities"].argmax(axis=1)
        chosen = choose(np.asarray(strata)[asked], answers, most)
        rows, predicted = asked[chosen], answers[chosen]
    if not len(rows):
        return
    pixels = sized(split.take(rows, split.name), source.preprocessing)
    for place, row in enumerate(rows.tolist()):
        # As they are: a picture that a browser decodes may differ by a grey level.
        example: dict[str, Any] = {"pixels": base64.b64encode(pixels[place].tobytes()).decode()}
        example["truth"] = split.targets.name(row, classes)
        if predicted is not None and strata is not None:
            answer = int(predicted[place])
            example |= {"predicted": classes[answer], "right": answer == int(strata[row])}
        yield example


def choose(truths: npt.NDArray[Any], answers: npt.NDArray[Any], most: int) -> npt.NDArray[np.int64]:
    """Return places of examples to show: one of each class, then wrong and right ones in turn, in the order of classes.

    Args:
        truths: Class of each example.
        answers: What the run predicts for each.
        most: How many to choose.
    """
    right = truths == answers
    firsts = []
    for label in np.unique(truths):
        own = np.flatnonzero(truths == label)
        firsts.append(int(own[np.argmax(right[own])]))
    others = [place for place in range(len(truths)) if place not in firsts]
    wrong = [place for place in others if not right[place]]
    rest = [place for place in others if right[place]]
    turns = chain.from_iterable(zip_longest(wrong, rest))
    chosen = [*firsts, *(place for place in turns if place is not None)][:most]
    return np.array(sorted(chosen, key=lambda place: (int(truths[place]), bool(not right[place]), place)), np.int64)
