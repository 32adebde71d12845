"""An ONNX file → a graph of our layers, and their weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from cnncli.errors import CnnError
from cnncli.importing.document import config_name
from cnncli.importing.graph import GraphImportError, ImportedGraph, Operation
from cnncli.importing.merge_layers import folded, num_readers
from cnncli.importing.onnx.constants import constant
from cnncli.importing.onnx.model import OnnxModel, OnnxNode, read_model
from cnncli.importing.onnx.operations import OPERATIONS
from cnncli.importing.onnx.values import CHANNELS_FIRST, Net
from cnncli.importing.onnx.written_out import put_together
from cnncli.serving.description import FILE

if TYPE_CHECKING:
    from cnncli.importing.onnx.values import Array

MOST_PROBLEMS = 50
"""Most problems that an error lists."""

_FOREIGN = "Give the network as PyTorch's or ONNX's exporters write it, or import its weights onto a config."
_OWN = "Its run is the network; to pass one on, export it with --format keras, which can be imported."
_VALUES = "a run reads RGB from 0 to 1; a network trained on other values has to be fine-tuned first"

_REASONS = {
    **dict.fromkeys(("If", "Loop", "Scan"), "decides while it computes, which a config cannot say"),
    **dict.fromkeys(
        ("LSTM", "GRU", "RNN"), "passes a state on from step to step: recurrent networks are not supported"
    ),
    **dict.fromkeys(("Slice", "Split", "Gather"), "parts its input, which a config cannot say"),
}


def read_onnx(
    path: Path, image_size: tuple[int, int] | None, channels: int | None
) -> tuple[ImportedGraph, dict[str, Array]]:
    """Return the network of an ONNX file, and its weights by "layer/weight".

    Args:
        path: The file.
        image_size: Height and width where the file leaves them open.
        channels: Likewise.

    Raises:
        GraphImportError: If it is damaged, or has operations that the vocabulary lacks: with all of them.
    """
    model = read_model(path)
    if FILE in model.metadata:
        raise GraphImportError(
            f"{path.name} is an export of cnn's: it begins with the resizing of images, which a config does not say",
            _OWN,
        )
    net = Net(replace(model, nodes=put_together(model)), path.name)
    shape = _begin(net, image_size, channels)
    problems = [*_foreign(model), *_translated(net)]
    if problems:
        shown = "\n".join(f"  {problem}" for problem in problems[:MOST_PROBLEMS])
        more = f"\n  and {len(problems) - MOST_PROBLEMS:,} more" if problems[MOST_PROBLEMS:] else ""
        raise GraphImportError(
            f"{path.name}: {len(problems)} of its nodes cannot be imported:\n{shown}{more}", _FOREIGN
        )
    operations = folded(_without_flatten(_ends(net)))
    kept = {operation.name for operation in operations}
    weights = {key: array for key, array in net.weights.items() if key.rsplit("/", 1)[0] in kept}
    notes = (*dict.fromkeys(net.blobs.notes), _VALUES)
    return ImportedGraph(config_name(path.stem), shape, operations, notes), weights


def _begin(net: Net, image_size: tuple[int, int] | None, channels: int | None) -> tuple[int, int, int]:
    """Name the network's input: one batch of images."""
    given = [value for value in net.model.inputs if value.name not in net.constants]
    if len(given) != 1 or len(given[0].dims) != 4:
        shown = ", ".join(f"{value.name[:40]} of {len(value.dims)} axes" for value in given[:5]) or "none"
        raise GraphImportError(f"{net.where}: got the inputs {shown}; expected one batch of images, of four axes")
    _, second, third, last = given[0].dims
    is_last = has_channels_last(given[0].dims)
    size = (second, third) if is_last else (third, last)
    found = [a or b for a, b in zip(size, image_size or (None, None), strict=True)]
    depth = (last if is_last else second) or channels
    if found[0] is None or found[1] is None or depth is None:
        raise GraphImportError(
            f"{net.where} does not give the image size", "Give it with --image-size HEIGHT WIDTH --channels N."
        )
    shape = (found[0], found[1], depth)
    net.begin(given[0].name, shape, (0, 1, 2) if is_last else CHANNELS_FIRST)
    return shape


def has_channels_last(dims: Sequence[int | None]) -> bool:
    """Whether an input of such a shape has its channels last: only there is a length of 1 or 3."""
    return len(dims) == 4 and dims[3] in (1, 3) and dims[1] not in (1, 3)


def _foreign(model: OnnxModel) -> Iterator[str]:
    """Yield what no node may be."""
    if model.has_functions:
        yield "the file defines operations of its own, which are not read"
    if not 1 <= model.opset <= 100:
        yield f"the version {model.opset} of ONNX's operations is not known"


def _translated(net: Net) -> list[str]:
    """Translate all nodes; return what is wrong with those that cannot be. What reads a failed one is not blamed."""
    problems: list[str] = []
    lost: set[str] = set()
    for node in net.model.nodes:
        failed = _problem(net, node, lost)
        if failed is None:
            continue
        lost.update(node.outputs)
        if failed:
            problems.append(f"{node.name[:60]} ({node.op[:40]}): {failed}")
    return problems


def _problem(net: Net, node: OnnxNode, lost: set[str]) -> str | None:
    """Translate a node; return what is wrong, empty if that is only what it reads, or None."""
    try:
        made = None if node.domain else constant(net, node)
        if made is not None:
            net.constants[node.outputs[0]] = made
            return None
        translate = None if node.domain else OPERATIONS.get(node.op)
        if translate is None:
            return _REASONS.get(
                node.op, f"is not a supported operation{' of ' + node.domain[:40] if node.domain else ''}"
            )
        if lost.intersection(node.inputs):
            return ""
        if not node.outputs or node.outputs[0] in net.values:
            return "makes nothing, or what another node has made"
        net.values[node.outputs[0]] = translate(net, node)
    except CnnError as error:
        return error.message
    return None


def _ends(net: Net) -> tuple[Operation, ...]:
    """Return the operations that lead to the output."""
    name = next(iter(net.model.outputs), "")
    found = net.values.get(name)
    if found is None or not net.blobs.operations or found.blob == "image":
        raise GraphImportError(f'{net.where}: no node makes its output "{name[:60]}" of the image')
    if len(net.model.outputs) > 1:
        net.blobs.notes.append(f"of {len(net.model.outputs)} outputs only the first, {name[:60]}, was imported")
    if found.is_reordered:
        raise GraphImportError(f"{net.where}: its output is a flattened image, whose values have another order here")
    if len(found.shape) == 3 and found.shape[:2] == (1, 1):
        node = OnnxNode("Flatten", "flatten", (name,), (), {})
        found = net.flattened(node, found)
    return net.blobs.upto(found.blob)


def _without_flatten(operations: Sequence[Operation]) -> tuple[Operation, ...]:
    """Return operations where a global pooling that a Flatten follows makes the vector itself."""
    readers = num_readers(operations)
    kept: dict[str, Operation] = {}
    renamed: dict[str, str] = {}
    for operation in operations:
        before = kept.get(operation.inputs[0])
        pools = before is not None and before.layer.type_name().startswith("Global")
        if before is not None and pools and operation.layer.type_name() == "Flatten" and readers[before.name] == 1:
            kept[before.name] = replace(before, layer=before.layer.model_copy(update={"keepdims": False}))
            renamed[operation.name] = before.name
            continue
        kept[operation.name] = replace(operation, inputs=tuple(renamed.get(name, name) for name in operation.inputs))
    return tuple(kept.values())
