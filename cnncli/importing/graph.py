"""A network from elsewhere: its layers in our vocabulary, as a flat graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from cnncli.errors import CnnError
from cnncli.layers import VOCABULARY
from cnncli.layers.base import Layer, Merge, Weight

IMAGE = ""
"""Name that stands for the network's input."""


MOST_LAYERS = 10_000
"""Most layers of a network: a config has no place for more."""


class GraphImportError(CnnError):
    """A network that cannot be taken over: damaged, dangerous, or of layers that the vocabulary lacks."""


def check_number(num_layers: int, where: str) -> None:
    """Refuse a network of more than `MOST_LAYERS` layers, before time is spent on them.

    Raises:
        GraphImportError: With the number.
    """
    if num_layers > MOST_LAYERS:
        raise GraphImportError(f"{where}: the network has {num_layers:,} layers; the limit is {MOST_LAYERS:,}")


@dataclass(frozen=True)
class Stored:
    """A layer of the source as its file of weights has it.

    Attributes:
        name: The source's name of it.
        weights: What the operation that was made of it needs, with Keras's names and shapes.
        is_transposed: Whether the file has its kernel as a matrix with a row for each input, not for each output.
    """

    name: str
    weights: tuple[Weight, ...]
    is_transposed: bool = False


@dataclass(frozen=True)
class Operation:
    """One layer of a network from elsewhere.

    Attributes:
        name: Unique in the network.
        layer: The layer in our vocabulary, without a name and inputs.
        inputs: Names of the operations whose outputs it takes; `IMAGE` for the network's input.
        stored: The layers of the source whose weights it takes: one, or two that became one; empty without weights.
    """

    name: str
    layer: Layer
    inputs: tuple[str, ...]
    stored: tuple[Stored, ...] = ()


@dataclass(frozen=True)
class ImportedGraph:
    """A network from elsewhere.

    Attributes:
        name: What it is called.
        input_shape: Height, width, channels.
        operations: Each after its inputs; the last one's output is the network's, where there are no heads.
        notes: What a user should know of what was taken over differently.
        precision: What it computes with.
        document: The config that an export of ours carries, or None.
        classes: Class names where they are known.
        in_file: All operations in the order of the file, with those that the output does not need.
        task: What the network is for.
        heads: Names of the operations that are its outputs, where there are several.
    """

    name: str
    input_shape: tuple[int, int, int]
    operations: tuple[Operation, ...]
    notes: tuple[str, ...] = ()
    precision: str = "float32"
    document: str | None = None
    classes: tuple[str, ...] = ()
    in_file: tuple[Operation, ...] = ()
    task: str = "classification"
    heads: tuple[str, ...] = ()


def make_layer(kind: str, arguments: Mapping[str, Any], where: str) -> Layer:
    """Return a layer of the vocabulary.

    Args:
        kind: Keras's class name.
        arguments: Its arguments.
        where: What errors call it.

    Raises:
        GraphImportError: If there is no such layer, or an argument is not one of its own.
    """
    layer_class = VOCABULARY.get(kind)
    if layer_class is None:
        raise GraphImportError(f"{where}: {kind} is not a supported layer", f"Supported: {', '.join(VOCABULARY)}.")
    try:
        return layer_class(**arguments)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise GraphImportError(f"{where}: {kind}.{place}: {first['msg']}; got {str(first.get('input'))[:80]}") from None


@dataclass
class Blobs:
    """Which operation made each named value, for formats whose layers pass values by name.

    Attributes:
        makers: Value's name → operation's name.
        shapes: Value's name → its shape.
        operations: Those made so far.
        notes: What a user should know.
        names: Names of the operations.
        numbers: Name → the number from which on "name_2", "name_3", … may be free.
    """

    makers: dict[str, str] = field(default_factory=dict)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    operations: list[Operation] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    numbers: dict[str, int] = field(default_factory=dict)

    def begin(self, value: str, shape: Sequence[int]) -> None:
        """Name the network's input."""
        self.makers[value], self.shapes[value] = IMAGE, tuple(shape)

    def add(
        self,
        name: str,
        layer: Layer,
        sources: Sequence[str],
        value: str,
        origin: str | None = None,
        is_transposed: bool = False,
    ) -> None:
        """Add an operation that makes `value` of the values `sources`.

        Args:
            name: What to call it; another of that name gets a number.
            layer: Its layer.
            sources: Names of values.
            value: Name of the value that it makes.
            origin: What the file of weights calls it; None for a layer that the file does not have.
            is_transposed: As of `Stored`.

        Raises:
            GraphImportError: If a source is made by nothing, or has a shape that the layer cannot take.
        """
        unknown = [source for source in sources if source not in self.makers]
        if unknown:
            raise GraphImportError(f'{name}: no earlier layer outputs its input "{unknown[0]}"')
        shapes = [self.shapes[source] for source in sources]
        try:
            merged = getattr(layer, "merged_shape", None)
            shape = merged(shapes) if merged else layer.output_shape(shapes[0])
        except CnnError as error:
            raise GraphImportError(f"{name}: {error.message}", error.hint) from None
        unique = self._unique(name)
        weights = () if isinstance(layer, Merge) else layer.weights(shapes[0])
        stored = (Stored(origin, weights, is_transposed),) if weights and origin is not None else ()
        inputs = tuple(self.makers[source] for source in sources)
        self.operations.append(Operation(unique, layer, inputs, stored))
        self.names.add(unique)
        self.makers[value], self.shapes[value] = unique, tuple(shape)

    def _unique(self, name: str) -> str:
        if name not in self.names:
            return name
        numbers = range(self.numbers.get(name, 2), len(self.names) + 3)
        number = next(number for number in numbers if f"{name}_{number}" not in self.names)
        self.numbers[name] = number + 1
        return f"{name}_{number}"

    def upto(self, *values: str) -> tuple[Operation, ...]:
        """Return the operations that lead to some values; what leads elsewhere is left out with a note."""
        by_name = {operation.name: operation for operation in self.operations}
        needed: set[str] = set()
        waiting = [self.makers[value] for value in values]
        while waiting:
            name = waiting.pop()
            if name != IMAGE and name not in needed:
                needed.add(name)
                waiting += by_name[name].inputs
        left = [operation.name for operation in self.operations if operation.name not in needed]
        if left:
            self.notes.append(f"dropped, because the output does not depend on it: {', '.join(left)}")
        return tuple(operation for operation in self.operations if operation.name in needed)
