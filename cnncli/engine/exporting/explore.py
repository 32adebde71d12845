"""What `cnn explore` puts into the page besides the network: examples, curves, the weights of earlier epochs."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cnncli.config.language.suggestions import suggestion
from cnncli.engine.evaluation.proof_examples import measuring_split, spread
from cnncli.engine.evaluation.trained import load_trained
from cnncli.engine.exporting.export import load_source
from cnncli.engine.exporting.source import Source, sized
from cnncli.engine.exporting.web_page import SHOWN, page_text
from cnncli.engine.exporting.web_program import Program, obstacles
from cnncli.engine.network.variables import assign, model_variables
from cnncli.engine.training import replay
from cnncli.errors import ExportError
from cnncli.layers import graph
from cnncli.layers.graph import Node
from cnncli.plural import counted
from cnncli.runs.run import Run

MOST_BYTES = 30_000_000
"""Most bytes of a page: a browser opens it within seconds."""

MOST_ASKED = 500
"""Examples that the run predicts, to choose from."""

MOST_EPOCHS = 30
"""Epochs whose weights are in a page."""

MOST_EPOCH_BYTES = 12_000_000
"""Most bytes of all their weights."""

Note = Callable[[str], None]


@dataclass(frozen=True)
class Wanted:
    """What `cnn explore` was asked for.

    Attributes:
        examples: Most examples.
        layers: Names of the layers up to which the network is held; all where there are none.
        checkpoint: "best", "last", or a checkpoint's path.
        data: Where the run's examples are now, or None where its config says it.
    """

    examples: int = 30
    layers: Sequence[str] = ()
    checkpoint: str = "best"
    data: Path | None = None


@dataclass(frozen=True)
class Explored:
    """A page before it is written.

    Attributes:
        text: HTML.
        examples: Number of examples in it.
        epochs: Epochs whose weights are in it.
        layers: Number of layers.
    """

    text: str
    examples: int
    epochs: tuple[int, ...]
    layers: int

    @property
    def bytes(self) -> int:
        """Size of the file."""
        return len(self.text.encode())

    @property
    def contents(self) -> str:
        """What is in it, in a line."""
        parts = [counted(self.layers, "layer"), counted(self.examples, "example")]
        return ", ".join([*parts, f"the weights of {counted(len(self.epochs), 'epoch')}"] if self.epochs else parts)

    def to_json(self) -> dict[str, Any]:
        """Return the fields of `cnn explore --json`."""
        return {"bytes": self.bytes, "layers": self.layers, "examples": self.examples, "epochs": list(self.epochs)}


def explore(run: Run, wanted: Wanted, note: Note) -> Explored:
    """Return a run's network as a page to explore.

    Args:
        run: The run.
        wanted: What is to be in it.
        note: Hears what is left out, and why.

    Raises:
        ExportError: If the page cannot compute the network, or would be too large.
    """
    trained = load_trained(run, wanted.checkpoint)
    source = load_source(run, trained, wanted.data, note)
    if source.config.task not in SHOWN:
        raise ExportError(f"the page is for {', '.join(SHOWN)}; this network's task is {source.config.task}")
    source = source.in_float32()
    nodes = _nodes(source, wanted.layers)
    found = list(obstacles(source, nodes))
    if found:
        raise ExportError(f"the page cannot hold {'; '.join(found)}", _advice(source, nodes))
    program = Program.of(source, nodes)
    material: dict[str, Any] = {
        "examples": list(_examples(source, wanted.examples)),
        "metrics": [_curves(line) for line in run.metrics()],
        "partial": list(wanted.layers),
    }
    any_size = replace(source.description, any_size=True)
    bare = len(page_text(program, source, any_size, material).encode())
    if bare > MOST_BYTES:
        examples = f"{counted(len(material['examples']), 'example')}, {len(program.buffer()):,} bytes of weights"
        raise ExportError(
            f"the page would have {bare:,} bytes ({examples}), at most {MOST_BYTES:,} are allowed",
            f"Take fewer examples with --examples, or {_advice(source, nodes).lower()}",
        )
    epochs = list(_epochs(run, source, nodes, min(MOST_BYTES - bare, MOST_EPOCH_BYTES), note))
    now = base64.b64encode(program.buffer()).decode()
    material |= {
        "epochs": epochs,
        "own_epoch": next((one["epoch"] for one in epochs if one["weights"] == now), None),
        "thinned": len(epochs) < len(replay.weighed_epochs(run)),
    }
    text = page_text(program, source, any_size, material)
    return Explored(text, len(material["examples"]), tuple(one["epoch"] for one in epochs), len(program.layers))


def _nodes(source: Source, names: Sequence[str]) -> tuple[Node, ...]:
    """Return the layers that lead to those of some names; all where there are none.

    Raises:
        ExportError: If there is no layer of a name.
    """
    places = {node.name: index for index, node in enumerate(source.nodes)}
    for name in names:
        if name not in places:
            raise ExportError(f'no layer "{name}"{suggestion(name, list(places))}', f"Layers: {', '.join(places)}.")
    return graph.leading_to(source.nodes, *(places[name] for name in names)) if names else source.nodes


def _advice(source: Source, nodes: Sequence[Node]) -> str:
    """Say up to which layer the page can hold a network, the furthest that it can."""
    for index in range(len(nodes) - 1, -1, -1):
        part = graph.leading_to(nodes, index)
        weights = 4 * sum(node.layer.num_params(shape) for node, shape in _given(source, part))
        if len(part) < len(nodes) and 1.5 * weights < MOST_BYTES and not list(obstacles(source, part)):
            return f"Hold the first layers only: --layers {nodes[index].name}."
    return "Train a smaller network, or one of other layers."


def _given(source: Source, nodes: Sequence[Node]) -> Iterator[tuple[Node, Any]]:
    """Yield nodes with the shape of the first of their inputs."""
    outputs = graph.shapes(nodes, source.config.input_shape)
    for node in nodes:
        yield node, graph.input_shapes(node, outputs, source.config.input_shape)[0]


def _curves(line: dict[str, Any]) -> dict[str, Any]:
    """Return the numbers of an epoch that are drawn."""
    splits = {split: line[split] for split in ("train", "validation") if isinstance(line.get(split), dict)}
    numbers = {
        split: {name: value for name, value in found.items() if isinstance(value, int | float)}
        for split, found in splits.items()
    }
    return {"epoch": line["epoch"], **numbers}


def _examples(source: Source, most: int) -> Iterator[dict[str, Any]]:
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


def _epochs(run: Run, source: Source, nodes: Sequence[Node], room: int, note: Note) -> Iterator[dict[str, Any]]:
    """Yield the weights after the epochs that a run recorded, as far as there is room for them."""
    epochs = replay.weighed_epochs(run)
    if not epochs:
        return
    each = len(base64.b64encode(Program.of(source, nodes).buffer()))
    most = min(MOST_EPOCHS, room // max(each, 1), len(epochs))
    if most < len(epochs):
        note(f"{most} of {len(epochs)} recorded epochs are held: the weights of each take {each:,} bytes")
    places = np.unique(np.linspace(0, len(epochs) - 1, most).round().astype(int)) if most > 0 else []
    variables = model_variables(source.trained.model)
    before = {name: np.asarray(variable) for name, variable in variables.items()}
    try:
        for place in places:
            assign(variables, replay.read_weights(run, epochs[place]))
            weights = base64.b64encode(Program.of(source, nodes).buffer()).decode()
            yield {"epoch": epochs[place], "weights": weights}
    finally:
        assign(variables, before)
