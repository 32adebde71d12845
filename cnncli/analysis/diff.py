"""What differs between two configs: layer by layer, in counts, and in every other setting."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel

from cnncli.analysis.alignment import align
from cnncli.analysis.summary import Row, Summary, summarize
from cnncli.config.schema.schema import Config
from cnncli.layers.base import Layer, Spec
from cnncli.layers.graph import INPUT, Node

Status = Literal["same", "changed", "shifted", "added", "removed"]


@dataclass(frozen=True, slots=True)
class Change:
    """One value that differs.

    Attributes:
        key: Name of the argument, or dotted path of the setting.
        before: Its value in the first config, None where it has none.
        after: Its value in the second.
    """

    key: str
    before: Any
    after: Any

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {"key": self.key, "before": self.before, "after": self.after}


@dataclass(frozen=True, slots=True)
class Pair:
    """A layer of the first network and the one of the second that takes its place.

    Attributes:
        before: The first network's, None if the layer is added.
        after: The second network's, None if it is removed.
        changes: Arguments that differ; another name alone does not count.
    """

    before: Row | None
    after: Row | None
    changes: tuple[Change, ...] = ()

    @property
    def row(self) -> Row:
        """The layer as it is in the second network, or was in the first."""
        found = self.after or self.before
        if found is None:
            raise ValueError("a pair has at least one layer")
        return found

    @property
    def status(self) -> Status:
        """What happened to the layer; "shifted": its arguments are the same, its shape or counts are not."""
        if self.before is None:
            return "added"
        if self.after is None:
            return "removed"
        if self.changes:
            return "changed"
        return "same" if _counts(self.before) == _counts(self.after) else "shifted"

    @property
    def delta_params(self) -> int:
        """Parameters gained."""
        return (self.after.params if self.after else 0) - (self.before.params if self.before else 0)

    @property
    def delta_macs(self) -> int:
        """MACs gained."""
        return (self.after.macs if self.after else 0) - (self.before.macs if self.before else 0)

    def to_json(self) -> dict[str, Any]:
        """Return the pair as `cnn diff --json` prints it."""
        return {
            "status": self.status,
            "before": self.before.to_json() if self.before else None,
            "after": self.after.to_json() if self.after else None,
            "changes": [change.to_json() for change in self.changes],
            "delta_params": self.delta_params,
            "delta_macs": self.delta_macs,
        }


@dataclass(frozen=True, slots=True)
class Difference:
    """Two configs side by side.

    Attributes:
        before: The first network in numbers.
        after: The second.
        pairs: All layers of both, in order.
        settings: Settings outside the network that differ.
    """

    before: Summary
    after: Summary
    pairs: tuple[Pair, ...]
    settings: tuple[Change, ...]

    @property
    def is_empty(self) -> bool:
        """Whether nothing differs."""
        return not self.settings and all(pair.status == "same" for pair in self.pairs)

    def totals(self) -> dict[str, dict[str, int]]:
        """Return each total before and after, and the difference."""
        names = ("total_params", "trainable_params", "non_trainable_params", "macs", "flops")
        found = {name: (getattr(self.before, name), getattr(self.after, name)) for name in names}
        old, new = self.before.memory, self.after.memory
        found["weight_bytes"] = old.weights, new.weights
        found["activation_bytes"] = old.activations, new.activations
        found["training_bytes"] = old.training, new.training
        return {name: {"before": a, "after": b, "delta": b - a} for name, (a, b) in found.items()}

    def to_json(self) -> dict[str, Any]:
        """Return what `cnn diff --json` prints."""
        return {
            "before": self.before.name,
            "after": self.after.name,
            "rows": [pair.to_json() for pair in self.pairs],
            "settings": [change.to_json() for change in self.settings],
            "totals": self.totals(),
        }


def diff(before: Config, after: Config) -> Difference:
    """Compare two configs.

    Raises:
        ShapeError: If a layer of either cannot take its input.
    """
    old, new = summarize(before), summarize(after)
    identities = [[_identity(node.layer) for node in config.nodes] for config in (before, after)]
    aligned = align(*identities)
    successors = {i: j for i, j in aligned if i is not None} | {INPUT: INPUT}
    pairs = tuple(
        Pair(
            None if i is None else old.rows[i],
            None if j is None else new.rows[j],
            ()
            if i is None or j is None
            else (
                *_changes(before.nodes[i].layer, after.nodes[j].layer),
                *_rewired(before.nodes[i], after.nodes[j], successors, (old.rows[i], new.rows[j])),
            ),
        )
        for i, j in aligned
    )
    return Difference(old, new, pairs, tuple(_settings(before, after)))


def _identity(layer: Layer) -> tuple[Any, ...]:
    arguments = type(layer).model_fields
    return (layer.type_name(), *(getattr(layer, name) for name in arguments if name not in Layer.placing))


def _changes(before: Layer, after: Layer) -> tuple[Change, ...]:
    if _identity(before) == _identity(after):
        return ()
    old, new = dict(_flat(before, "")), dict(_flat(after, ""))
    keys = dict.fromkeys((*old, *new))
    changed = (key for key in keys if key not in Layer.placing and old.get(key) != new.get(key))
    return tuple(Change(key, old.get(key), new.get(key)) for key in changed)


def _rewired(
    before: Node, after: Node, successors: Mapping[int, int | None], rows: tuple[Row, Row]
) -> tuple[Change, ...]:
    """Return the change of what a layer reads, where one of the configs names it."""
    same = tuple(successors.get(i) for i in before.inputs) == after.inputs
    if same or not (before.named or after.named):
        return ()
    return (Change("inputs", list(rows[0].inputs), list(rows[1].inputs)),)


def _settings(before: Config, after: Config) -> Iterator[Change]:
    old, new = (
        {
            "name": config.name,
            "seed": config.seed,
            **dict(_flat(config.data, "data")),
            **{f"model.outputs.{name}": config.nodes[i].name for name, i in config.outputs.items()},
            **dict(_flat(config.train, "train")),
        }
        for config in (before, after)
    )
    for key in dict.fromkeys((*old, *new)):
        if old.get(key) != new.get(key):
            yield Change(key, old.get(key), new.get(key))


def _flat(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Yield the values of a section or spec with their dotted paths; a spec's name is a value and a step."""
    if isinstance(value, BaseModel):
        if isinstance(value, Spec) and path:
            yield path, value.type_name()
            path = f"{path}.{value.type_name()}"
        for key in type(value).model_fields:
            yield from _flat(getattr(value, key), f"{path}.{key}" if path else key)
    elif isinstance(value, tuple) and any(isinstance(item, BaseModel) for item in value):
        for index, item in enumerate(value):
            yield from _flat(item, f"{path}[{index}]")
    elif value is not None:
        yield path, list(value) if isinstance(value, tuple) else value


def _counts(row: Row) -> tuple[Any, ...]:
    return row.output_shape, row.params, row.macs, row.receptive_field, row.sees_all
