"""Caffe's prototxt → our layers."""

from __future__ import annotations

from pathlib import Path

from cnncli.importing.caffe.layers import LAYERS, Context
from cnncli.importing.caffe.text_format import Message, parse, single, whole
from cnncli.importing.document import config_name
from cnncli.importing.graph import Blobs, GraphImportError, ImportedGraph, check_number
from cnncli.importing.merge_layers import folded

_LOSSES = {"sigmoidcrossentropyloss", "euclideanloss", "contrastiveloss", "multinomiallogisticloss", "infogainloss"}
_IGNORED = {"accuracy", "softmaxwithloss", "softmaxloss", "split", "silence", "argmax", "hingeloss", *_LOSSES}
_SOURCES = {"data", "imagedata", "hdf5data", "memorydata", "input", "dummydata", "windowdata"}
"""Layers that make batches of a file, and layers that only measure; of those, losses that a note names."""

_REASONS = {
    "python": "names a program, and nothing in a file is run",
    "slice": "parts its input, as networks for pairs of images do, which a config cannot describe",
    **dict.fromkeys(
        ("lstm", "rnn", "recurrent"), "passes a state on from step to step: recurrent networks are not supported"
    ),
}
"""Why some layers are not read."""


def read_caffe(path: Path, text: str, image_size: tuple[int, int] | None, channels: int | None) -> ImportedGraph:
    """Return the network of a prototxt file: a deploy file, or one for training.

    Args:
        path: For its name.
        text: The file's text.
        image_size: Height and width where the file does not say them.
        channels: Likewise.

    Raises:
        GraphImportError: If it is damaged, or has layers that the vocabulary lacks.
    """
    net = parse(text, path.name)
    name = config_name(str(single(net, "name", path.stem)))
    layers = [layer for layer in (*net.get("layer", ()), *net.get("layers", ())) if isinstance(layer, dict)]
    check_number(len(layers), path.name)
    reader = _Net(path.name, net, layers, image_size, channels)
    return reader.read(name)


def _kind(layer: Message) -> str:
    return str(single(layer, "type", "")).replace("_", "").lower()


class _Net:
    """One file on its way."""

    def __init__(
        self, where: str, net: Message, layers: list[Message], size: tuple[int, int] | None, channels: int | None
    ) -> None:
        self._where, self._net, self._layers = where, net, layers
        self._size, self._channels = size, channels
        self._blobs = Blobs()

    def read(self, name: str) -> ImportedGraph:
        height, width, channels = shape = self._input_shape()
        for value in self._input_names():
            self._blobs.begin(value, shape)
        value = ""
        for layer in self._layers:
            kind = _kind(layer)
            if kind in _LOSSES:
                self._blobs.notes.append(f"its loss, {single(layer, 'type', '')}, was not imported; see train.loss")
            if kind in _SOURCES or kind in _IGNORED or _phase(layer) == "TEST":
                continue
            value = self._add(layer, kind)
        if not value:
            raise GraphImportError(f"{self._where} has no layers")
        operations = folded(self._blobs.upto(value))
        return ImportedGraph(name, (height, width, channels), operations, tuple(dict.fromkeys(self._blobs.notes)))

    def _input_names(self) -> list[str]:
        named = [str(value) for value in self._net.get("input", ())]
        tops = [layer.get("top", []) for layer in self._layers if _kind(layer) in _SOURCES]
        named += [str(top[0]) for top in tops if top]
        return list(dict.fromkeys(named)) or ["data"]

    def _input_shape(self) -> tuple[int, int, int]:
        dims = self._dims()
        crop = self._crop()
        channels = self._channels or (dims[1] if len(dims) == 4 else None)
        size = self._size or (tuple(dims[2:]) if len(dims) == 4 else (crop, crop) if crop else None)
        if channels is None and size is not None and self._size is None:
            channels = 3
            self._blobs.notes.append("the file does not give the number of channels; 3 assumed")
        if channels is None or size is None:
            raise GraphImportError(
                f"{self._where} does not give the image size",
                "Give it with --image-size HEIGHT WIDTH --channels N, or import the deploy file.",
            )
        return int(size[0]), int(size[1]), int(channels)

    def _dims(self) -> list[int]:
        shapes = [s for s in self._net.get("input_shape", ()) if isinstance(s, dict)]
        for layer in self._layers:
            parameters = layer.get("input_param", [])
            shapes += [s for p in parameters if isinstance(p, dict) for s in p.get("shape", ()) if isinstance(s, dict)]
        found = [list(shape.get("dim", ())) for shape in shapes] or [list(self._net.get("input_dim", ()))]
        return [whole(n, f"{self._where}: the input's size", 1) for n in found[0]]

    def _crop(self) -> int | None:
        for layer in self._layers:
            for field in ("transform_param", "data_param", "image_data_param"):
                for parameters in layer.get(field, ()):
                    if isinstance(parameters, dict) and "crop_size" in parameters:
                        return whole(single(parameters, "crop_size", 0), f"{self._where}: crop_size")
        return None

    def _add(self, layer: Message, kind: str) -> str:
        """Add what a layer means; return the value it makes."""
        origin = str(single(layer, "name", kind))
        name = config_name(origin)
        sources = [str(value) for value in layer.get("bottom", ())] or ["data"]
        value = str(single(layer, "top", name))
        make = LAYERS.get(kind)
        if make is None:
            reason = _REASONS.get(kind, "is not a supported layer")
            raise GraphImportError(f"{self._where}: {name}: {single(layer, 'type', '?')} {reason}")
        if sources[0] not in self._blobs.shapes:
            raise GraphImportError(f'{self._where}: {name}: no earlier layer outputs its input "{sources[0]}"')
        context = Context(layer, self._blobs.shapes[sources[0]], name, self._blobs.notes.append)
        is_transposed = single(context.parameters("inner_product_param"), "transpose", False) is True
        for suffix, made in make(context):
            self._blobs.add(f"{name}{suffix}", made, sources, value, origin, is_transposed)
            sources = [value]
        return value


def _phase(layer: Message) -> str | None:
    for rule in layer.get("include", ()):
        if isinstance(rule, dict) and "phase" in rule:
            return str(single(rule, "phase", ""))
    return None
