"""Weights of earlier epochs for the page, and the curves of all."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from cnncli.engine.exporting.source import Source
from cnncli.engine.exporting.web_program import Program
from cnncli.engine.network.variables import assign, model_variables
from cnncli.engine.training import replay
from cnncli.layers.graph import Node
from cnncli.runs.run import Run

MOST_EPOCHS = 30
"""Epochs whose weights are in a page."""

MOST_BYTES = 12_000_000
"""Most bytes of all their weights."""

MOST_WORDS = 100
"""Bytes around the weights of an epoch, and around all epochs."""

Note = Callable[[str], None]


def curves(line: Mapping[str, Any]) -> dict[str, Any]:
    """Return the numbers of an epoch that are drawn."""
    splits = {split: line[split] for split in ("train", "validation") if isinstance(line.get(split), dict)}
    numbers = {
        split: {name: value for name, value in found.items() if isinstance(value, int | float)}
        for split, found in splits.items()
    }
    return {"epoch": line["epoch"], **numbers}


def epochs(run: Run, source: Source, nodes: Sequence[Node], room: int, note: Note) -> Iterator[dict[str, Any]]:
    """Yield the weights after the epochs that a run recorded, as far as there is room for them."""
    found = replay.weighed_epochs(run)
    if not found:
        return
    each = len(base64.b64encode(Program.of(source, nodes).buffer())) + MOST_WORDS
    most = min(MOST_EPOCHS, min(room - MOST_WORDS, MOST_BYTES) // max(each, 1), len(found))
    if most < len(found):
        note(f"{most} of {len(found)} recorded epochs are held: the weights of each take {each:,} bytes")
    places = np.unique(np.linspace(0, len(found) - 1, max(most, 0)).round().astype(int)).tolist()
    variables = model_variables(source.trained.model)
    before = {name: np.asarray(variable) for name, variable in variables.items()}
    try:
        for place in places:
            assign(variables, replay.read_weights(run, found[place]))
            weights = base64.b64encode(Program.of(source, nodes).buffer()).decode()
            yield {"epoch": found[place], "weights": weights}
    finally:
        assign(variables, before)
