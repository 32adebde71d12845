"""An ONNX file taken apart: nodes, initializers, inputs and outputs. Nothing recurs; graphs within nodes are left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnncli.importing.graph import GraphImportError, check_number
from cnncli.importing.onnx.tensors import read_tensor, text, whole_numbers
from cnncli.importing.weight_file import open_weights
from cnncli.importing.wire_format import FIXED32, MOST_BYTES, Value, WireReader

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

MOST_NUMBERS = 1000
"""Most numbers of an attribute, or names that a node reads or makes."""

_NO_MODEL = "Expected: a file that onnx.save, torch.onnx.export or `cnn export --format onnx` wrote."


@dataclass(frozen=True)
class OnnxNode:
    """One operation.

    Attributes:
        op: Its type: "Conv".
        name: What the file calls it, or what it makes.
        inputs: Names of values; empty for one that is left out.
        outputs: Likewise.
        attributes: Numbers, texts, lists of them, and arrays by name.
        domain: Empty for ONNX's own operations.
    """

    op: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    domain: str = ""


@dataclass(frozen=True)
class OnnxInput:
    """A value that is given from outside.

    Attributes:
        name: Its name.
        dims: Its shape with the batch; None where the file leaves a length open.
    """

    name: str
    dims: tuple[int | None, ...]


@dataclass
class OnnxModel:
    """What an ONNX file holds.

    Attributes:
        size: Bytes of the file.
        opset: Version of ONNX's operations.
        nodes: In the order of the file.
        tensors: Initializers by name.
        inputs: What is given from outside; of old files also the initializers.
        outputs: Names of values.
        has_functions: Whether it defines operations of its own.
        metadata: Texts by key.
    """

    size: int
    opset: int = 0
    nodes: list[OnnxNode] = field(default_factory=list)
    tensors: dict[str, Array] = field(default_factory=dict)
    inputs: list[OnnxInput] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    has_functions: bool = False
    metadata: dict[str, str] = field(default_factory=dict)


def read_model(path: Path) -> OnnxModel:
    """Return what an ONNX file holds.

    Raises:
        GraphImportError: If it is damaged, or holds no graph.
    """
    with open_weights(path, MOST_BYTES) as file:
        content = memoryview(file.read())
    return _Reader(path.name).model(content)


class _Reader:
    def __init__(self, where: str) -> None:
        self._where = where
        self._wire = WireReader(where)

    def model(self, content: memoryview) -> OnnxModel:
        found = OnnxModel(len(content))
        graphs = []
        for number, _, value in self._wire.fields(content):
            if number == 7 and not isinstance(value, int):
                graphs.append(value)
            elif number == 8 and not isinstance(value, int):
                self._opset(found, value)
            elif number == 14 and not isinstance(value, int):
                parts = {n: text(v) for n, _, v in self._wire.fields(value)}
                found.metadata[parts.get(1, "")] = parts.get(2, "")
            elif number == 25:
                found.has_functions = True
        if len(graphs) != 1:
            raise GraphImportError(f"{self._where} is not an ONNX model: it has {len(graphs)} graphs", _NO_MODEL)
        self._graph(found, graphs[0])
        return found

    def _opset(self, found: OnnxModel, message: memoryview) -> None:
        parts = {number: value for number, _, value in self._wire.fields(message)}
        version = parts.get(2, 0)
        if text(parts.get(1, 0)) in ("", "ai.onnx") and isinstance(version, int):
            found.opset = version

    def _graph(self, found: OnnxModel, message: memoryview) -> None:
        for number, _, value in self._wire.fields(message):
            if isinstance(value, int):
                continue
            match number:
                case 1:
                    found.nodes.append(self._node(value))
                    check_number(len(found.nodes), self._where)
                case 5:
                    tensor = read_tensor(self._wire, value, f"{self._where}: a tensor")
                    found.tensors[tensor.name] = tensor.array
                case 11:
                    found.inputs.append(self._input(value))
                case 12:
                    found.outputs.append(self._input(value).name)
                case 15:
                    raise GraphImportError(f"{self._where}: sparse tensors are not supported")

    def _node(self, message: memoryview) -> OnnxNode:
        names: dict[int, list[str]] = {1: [], 2: [], 3: [], 4: [], 7: []}
        attributes: dict[str, Any] = {}
        for number, _, value in self._wire.fields(message):
            if number in names:
                names[number].append(text(value))
                if len(names[number]) > MOST_NUMBERS:
                    raise GraphImportError(f"{self._where}: a node has more than {MOST_NUMBERS:,} inputs or outputs")
            elif number == 5 and not isinstance(value, int):
                key, content = self._attribute(value)
                attributes[key] = content
        op, name, domain = ("".join(names[n][-1:]) for n in (4, 3, 7))
        called = name or "".join(names[2][:1]) or op
        return OnnxNode(op, called, tuple(names[1]), tuple(names[2]), attributes, "" if domain == "ai.onnx" else domain)

    def _attribute(self, message: memoryview) -> tuple[str, Any]:
        import numpy as np

        name, many = "", []
        found: Any = None
        for number, wire_type, value in self._wire.fields(message):
            match number, value:
                case 1, _:
                    name = text(value)
                case 2, memoryview() if wire_type == FIXED32:
                    # The shortest number that is the same in single precision: 1e-05, not 9.999999747378752e-06.
                    found = float(str(np.frombuffer(value, "<f4")[0]))
                case 3, int():
                    found = next(whole_numbers(self._wire, value))
                case 4, memoryview():
                    found = text(value)
                case 5, memoryview():
                    found = read_tensor(self._wire, value, f"{self._where}: a constant").array
                case 7, memoryview():
                    many += np.frombuffer(value[: len(value) // 4 * 4], "<f4")[: MOST_NUMBERS + 1].tolist()
                case 8, _:
                    many += islice(whole_numbers(self._wire, value), MOST_NUMBERS + 1)
            if len(many) > MOST_NUMBERS:
                raise GraphImportError(f"{self._where}: an attribute has more than {MOST_NUMBERS:,} numbers")
        return name, many or found

    def _input(self, message: memoryview) -> OnnxInput:
        name, dims = "", []
        for number, value in self._messages(message):
            if number == 1:
                name = text(value)
            elif number == 2:
                dims = [d for kind, v in self._messages(value) if kind == 1 for d in self._dims(v)]
        return OnnxInput(name, tuple(dims))

    def _dims(self, tensor_type: memoryview) -> list[int | None]:
        dims: list[int | None] = []
        for number, shape in self._messages(tensor_type):
            if number == 2:
                for _, dim in self._messages(shape):
                    lengths = [v for n, _, v in self._wire.fields(dim) if n == 1 and isinstance(v, int)]
                    dims.append(lengths[-1] if lengths and 0 < lengths[-1] < 2**31 else None)
        return dims

    def _messages(self, message: memoryview) -> list[tuple[int, memoryview]]:
        found: list[tuple[int, Value]] = [(number, value) for number, _, value in self._wire.fields(message)]
        return [(number, value) for number, value in found if not isinstance(value, int)]
