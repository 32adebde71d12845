"""A run's network as a page, as far as a page can hold it."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cnncli.config.language.suggestions import suggestion
from cnncli.engine.evaluation.trained import load_trained
from cnncli.engine.exploring.epochs import curves, epochs
from cnncli.engine.exploring.examples import examples
from cnncli.engine.exporting.export import load_source
from cnncli.engine.exporting.source import Source
from cnncli.engine.exporting.web_page import SHOWN, page_text
from cnncli.engine.exporting.web_program import Program, obstacles
from cnncli.engine.training import replay
from cnncli.errors import ExportError
from cnncli.layers import graph
from cnncli.layers.graph import Node
from cnncli.plural import counted
from cnncli.runs.run import Run

MOST_BYTES = 30_000_000
"""Most bytes of a page: a browser opens it within seconds."""

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
        "examples": list(examples(source, wanted.examples)),
        "metrics": [curves(line) for line in run.metrics()],
        "partial": list(wanted.layers),
    }
    any_size = replace(source.description, any_size=True)
    bare = len(page_text(program, source, any_size, material).encode())
    if bare > MOST_BYTES:
        contents = f"{counted(len(material['examples']), 'example')}, {len(program.buffer()):,} bytes of weights"
        raise ExportError(
            f"the page would have {bare:,} bytes ({contents}), at most {MOST_BYTES:,} are allowed",
            f"Take fewer examples with --examples. {_advice(source, nodes)}",
        )
    held = list(epochs(run, source, nodes, MOST_BYTES - bare, note))
    now = base64.b64encode(program.buffer()).decode()
    material |= {
        "epochs": held,
        "own_epoch": next((one["epoch"] for one in held if one["weights"] == now), None),
        "thinned": len(held) < len(replay.weighed_epochs(run)),
    }
    text = page_text(program, source, any_size, material)
    return Explored(text, len(material["examples"]), tuple(one["epoch"] for one in held), len(program.layers))


def _nodes(source: Source, names: Sequence[str]) -> tuple[Node, ...]:
    """Return the layers that lead to those of some names; all where there are none.

    Raises:
        ExportError: If there is no layer of a name.
    """
    places = {node.name: index for index, node in enumerate(source.nodes)}
    for name in names:
        if name not in places:
            raise ExportError(f'no layer "{name}".{suggestion(name, list(places))}', f"Layers: {', '.join(places)}.")
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
