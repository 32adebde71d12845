"""A network explained: for every layer the arithmetic in numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from cnncli.analysis.formulas import Formula, dense_formula, field_formulas, mac_formula, param_formula, shape_formulas
from cnncli.analysis.summary import Row, Summary, summarize
from cnncli.analysis.walk import Step, walk
from cnncli.config.schema.schema import Config
from cnncli.errors import CnnError
from cnncli.layers.base import Shape
from cnncli.layers.graph import INPUT


@dataclass(frozen=True, slots=True)
class Explanation:
    """One layer explained.

    Attributes:
        row: The layer in numbers.
        purpose: First sentence of the layer's description.
        input_shapes: Shapes of what it takes.
        shape: How its output's axes come about.
        counts: Parameters, MACs, and what a dense layer would need.
        field: How the receptive field grows.
    """

    row: Row
    purpose: str
    input_shapes: tuple[Shape, ...]
    shape: tuple[Formula, ...]
    counts: tuple[Formula, ...]
    field: tuple[Formula, ...]

    @property
    def formulas(self) -> tuple[Formula, ...]:
        """All formulas, in the order in which they are read."""
        return (*self.shape, *self.counts, *self.field)

    def to_json(self) -> dict[str, Any]:
        """Return the layer as `cnn explain --json` prints it."""
        return {
            "name": self.row.name,
            "type": self.row.type,
            "path": self.row.path,
            "purpose": self.purpose,
            "inputs": list(self.row.inputs),
            "input_shapes": [list(shape) for shape in self.input_shapes],
            "output_shape": list(self.row.output_shape),
            "params": self.row.params,
            "macs": self.row.macs,
            "receptive_field": list(self.row.receptive_field),
            "formulas": [formula.to_json() for formula in self.formulas],
        }


@dataclass(frozen=True, slots=True)
class NetworkExplanation:
    """All layers asked for, and the network that they are in."""

    summary: Summary
    layers: tuple[Explanation, ...]

    def to_json(self) -> dict[str, Any]:
        """Return what `cnn explain --json` prints."""
        return {
            "name": self.summary.name,
            "input_shape": list(self.summary.input_shape),
            "layers": [layer.to_json() for layer in self.layers],
            "total_params": self.summary.total_params,
            "macs": self.summary.macs,
            "flops": self.summary.flops,
        }


def explain(config: Config, layer: str | None = None) -> NetworkExplanation:
    """Explain a config's network, or one of its layers.

    Args:
        config: The config.
        layer: A layer's name or path in the config; all layers by default.

    Raises:
        CnnError: If the network has no such layer.
    """
    steps, summary = walk(config.nodes, config.input_shape), summarize(config)
    chosen = range(len(steps)) if layer is None else [_index(steps, layer)]
    return NetworkExplanation(summary, tuple(_explanation(steps, summary, i) for i in chosen))


def _index(steps: Sequence[Step], layer: str) -> int:
    for index, step in enumerate(steps):
        if layer in (step.node.name, step.node.path, step.node.path.rpartition(".")[0]):
            return index
    names = [step.node.name for step in steps]
    near = get_close_matches(layer, names, n=3, cutoff=0.5)
    hint = f"Did you mean {' or '.join(near)}?" if near else f"Its layers: {', '.join(names[:20])}"
    raise CnnError(f'the network has no layer "{layer}"', hint)


def _explanation(steps: Sequence[Step], summary: Summary, index: int) -> Explanation:
    step, row = steps[index], summary.rows[index]
    counts = (param_formula(step), mac_formula(step), dense_formula(step, row.dense_params))
    source = step.node.inputs[0]
    before = summary.rows[source] if source != INPUT else None
    return Explanation(
        row=row,
        purpose=(type(step.node.layer).__doc__ or "").strip().partition("\n")[0],
        input_shapes=step.input_shapes,
        shape=shape_formulas(step),
        counts=tuple(formula for formula in counts if formula is not None),
        field=() if row.sees_all else field_formulas(step, _field(before, row), _field(row, row)),
    )


def _field(row: Row | None, like: Row) -> list[tuple[int, int]]:
    """Return size and stride along each axis; those of the image itself where there is no row."""
    if row is None:
        return [(1, 1)] * len(like.receptive_field)
    return [(size, int(stride)) for size, stride in zip(row.receptive_field, row.receptive_field_stride, strict=True)]
