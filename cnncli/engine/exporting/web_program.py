"""A network as the list of steps that the page's JavaScript computes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cnncli.analysis.summary import summarize
from cnncli.engine.exporting.source import Source
from cnncli.engine.exporting.web_steps import ACTIVATIONS, STEPS, Floats, Step
from cnncli.layers.base import Layer, Shape
from cnncli.layers.graph import Node, input_shapes, shapes

MOST_BYTES = 64 * 2**20
"""Most bytes of weights in a page."""

MOST_MACS = 200_000_000
"""Most multiply-accumulates an image: half a second in a browser."""

MOST_MACS_OF_A_PHOTO = 3_000_000_000
"""The same where nothing is drawn but a photo opened, whose places are shown: some seconds."""


@dataclass
class Program:
    """A network for the page.

    Attributes:
        layers: Steps as plain data.
        weights: Arrays that the steps point into, by byte offset.
        macs: Multiply-accumulates an image.
    """

    layers: list[dict[str, Any]] = field(default_factory=list)
    weights: list[Floats] = field(default_factory=list)
    macs: int = 0
    _size: int = 0

    @classmethod
    def of(cls, source: Source, nodes: Sequence[Node] | None = None) -> Program:
        """Return the steps of a network up to its logits, one for each of its nodes.

        Args:
            source: The network.
            nodes: Its first nodes alone, as of `graph.leading_to`.
        """
        program = cls()
        nodes = source.nodes if nodes is None else nodes
        rows = {row.name: row for row in summarize(source.config).rows}
        outputs = shapes(nodes, source.config.input_shape)
        for node, shape in zip(nodes, outputs, strict=True):
            given = input_shapes(node, outputs, source.config.input_shape)
            keras_layer = source.trained.model.get_layer(node.name)
            row = rows[node.name]
            program.macs += row.macs
            program._add(
                node, Step(node.layer, keras_layer, given, shape), row.trainable_params + row.non_trainable_params
            )
        return program

    def _add(self, node: Node, step: Step, params: int) -> None:
        """Append a step; sequences become images of one row."""
        made = STEPS[node.layer.type_name()](step)
        arrays = made.pop("arrays", {})
        refs = {name: self._store(array) for name, array in arrays.items()}
        flat = {"from": [_image(s) for s in step.given], "shape": _image(step.shape)} if made.pop("image", 0) else {}
        self.layers.append(
            {
                "name": node.name,
                "type": node.layer.type_name(),
                "inputs": list(node.inputs),
                "from": [list(shape) for shape in step.given],
                "shape": list(step.shape),
                "params": params,
                **made,
                **flat,
                "weights": refs,
            }
        )

    def _store(self, array: Floats) -> tuple[int, int]:
        offset = self._size
        self.weights.append(np.ascontiguousarray(array, "<f4"))
        self._size += 4 * array.size
        return offset, array.size

    def buffer(self) -> bytes:
        """Return all weights one after the other."""
        return b"".join(array.tobytes() for array in self.weights)


def _image(shape: Shape) -> list[int]:
    """Return a sequence's shape as that of an image of one row."""
    return [1, *shape] if len(shape) == 2 else list(shape)


def obstacles(source: Source, nodes: Sequence[Node] | None = None) -> Iterable[str]:
    """Return what of a network, or of its first nodes alone, the page cannot compute."""
    nodes = source.nodes if nodes is None else nodes
    for node in nodes:
        kind, layer = node.layer.type_name(), node.layer
        if kind not in STEPS:
            yield f"{node.name} ({kind})"
        elif (activation := _activation(layer)) not in (None, *ACTIVATIONS):
            yield f"{node.name} (activation {activation})"
        elif getattr(layer, "interpolation", "nearest") not in ("nearest", "bilinear"):
            yield f"{node.name} ({kind} by {getattr(layer, 'interpolation', '')} interpolation)"
    if source.config.data.resize.method not in ("bilinear", "nearest"):
        yield f"data.resize.method {source.config.data.resize.method}"
    names = {node.name for node in nodes}
    rows = [row for row in summarize(source.config).rows if row.name in names]
    macs = sum(row.macs for row in rows)
    most = MOST_MACS_OF_A_PHOTO if source.config.task_spec.has_places else MOST_MACS
    if macs > most:
        yield f"{macs / 1e6:,.0f} million multiply-accumulates per image in a page (at most {most / 1e6:,.0f})"
    size = 4 * sum(row.trainable_params + row.non_trainable_params for row in rows)
    if size > MOST_BYTES:
        yield f"{size:,} bytes of weights in a page (at most {MOST_BYTES:,})"


def _activation(layer: Layer) -> str | None:
    found: str | None = getattr(layer, "activation", None)
    return found
