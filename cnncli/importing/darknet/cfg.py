"""Darknet's cfg → our layers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cnncli.config.schema.tasks.detection import NUM_EDGES
from cnncli.importing.darknet.in_layers import ACTIVATIONS, Steps, flattened, pool_edges, reorg, same_edges, shortcut
from cnncli.importing.darknet.sections import DETECTING, OF_IMAGES, Options, check_kinds, read_sections
from cnncli.importing.document import config_name
from cnncli.importing.graph import Blobs, GraphImportError, ImportedGraph, check_number, make_layer
from cnncli.layers.named import snake_case


def read_darknet(path: Path, text: str) -> ImportedGraph:
    """Return the network of a cfg file.

    Args:
        path: For its name.
        text: The file's text.

    Raises:
        GraphImportError: If it is damaged, or has layers that the vocabulary lacks.
    """
    sections = read_sections(text, path.name)
    check_number(len(sections) - 1, path.name)
    if not sections or sections[0][0] not in ("net", "network"):
        raise GraphImportError(f"{path.name} does not begin with [net]")
    net = _Net(path.name)
    return net.read(config_name(path.stem), sections)


class _Net:
    """One file on its way. The value that section number i makes is called by that number."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._blobs = Blobs()
        self._counts: dict[str, int] = {}
        self._kinds: list[str] = []
        self._heads: list[str] = []

    def read(self, name: str, sections: list[tuple[str, Options]]) -> ImportedGraph:
        """Translate all sections."""
        self._kinds = [kind for kind, _ in sections[1:]]
        check_kinds(self._kinds, self._where)
        options = sections[0][1]
        size = [self._number(options, key, None, 1) for key in ("height", "width", "channels")]
        if sections[1:] and sections[1][0] == "crop":
            crop = sections[1][1]
            size[0] = self._number(crop, "crop_height", size[0], 1)
            size[1] = self._number(crop, "crop_width", size[1], 1)
        height, width, channels = size
        self._blobs.begin("-1", (height, width, channels))
        last = -1
        for index, (kind, section) in enumerate(sections[1:]):
            if kind == "cost":
                continue
            self._section(index, kind, section)
            last = index
        if last < 0:
            raise GraphImportError(f"{self._where} has no layers")
        if not self._heads and self._blobs.shapes[str(last)][:-1] == (1, 1):
            self._blobs.add("flatten", make_layer("Flatten", {}, self._where), [str(last)], str(last))
        operations = self._blobs.upto(*(self._heads or [str(last)]))
        if not operations:
            raise GraphImportError(f"{self._where} has no layers")
        notes, task = tuple(dict.fromkeys(self._blobs.notes)), "detection" if self._heads else "classification"
        return ImportedGraph(
            name,
            (height, width, channels),
            operations,
            notes,
            in_file=tuple(self._blobs.operations),
            task=task,
            heads=tuple(self._heads),
        )

    def _number(self, options: Options, key: str, default: int | None, least: int = 0) -> int:
        text = options.get(key, "" if default is None else str(default))
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if number < least:
            expected = f"an integer of at least {least}"
            raise GraphImportError(f"{self._where}: {key}={text[:60] or '(missing)'}: expected {expected}")
        return number

    def _section(self, index: int, kind: str, options: Options) -> None:
        """Add what a section means."""
        before, value = str(index - 1), str(index)
        translate = getattr(self, f"_{kind}")
        if before not in self._blobs.makers:
            raise GraphImportError(
                f"{self._where}: section {index + 1}, [{kind}], does not follow a layer that outputs an image"
            )
        is_flipped = bool(self._number(options, "flipped", 0))
        translate(_Place(index, before, value, f"section {index + 1}, [{kind}]", is_flipped), options)

    def _add(self, place: _Place, kind: str, sources: list[str] | None = None, **arguments: Any) -> None:
        """Add a layer that reads what the section has made so far."""
        layer = make_layer(kind, arguments, f"{self._where}, section {place.index + 1}")
        stem = snake_case(kind)
        number = self._counts.get(stem, 0)
        self._counts[stem] = number + 1
        given = sources or [place.value if place.value in self._blobs.makers else place.before]
        name = f"{stem}_{number}" if number else stem
        self._blobs.add(name, layer, given, place.value, place.origin, place.is_flipped)

    def _shape(self, place: _Place) -> tuple[int, ...]:
        return self._blobs.shapes[place.before]

    def _activate(self, place: _Place, options: Options) -> None:
        name = options.get("activation", "logistic")
        if name not in ACTIVATIONS:
            raise GraphImportError(f"{self._where}: activation={name} is not supported")
        self._follow(place, ACTIVATIONS[name])

    def _follow(self, place: _Place, steps: Steps) -> None:
        """Add layers that each read what the section has made so far."""
        for kind, arguments in steps:
            self._add(place, kind, **arguments)

    def _same(self, place: _Place, value: str) -> None:
        """Let a section's value be one that is there already."""
        self._blobs.makers[place.value] = self._blobs.makers[value]
        self._blobs.shapes[place.value] = self._blobs.shapes[value]

    def _convolutional(self, place: _Place, options: Options) -> None:
        size, stride = self._number(options, "size", 1, 1), self._number(options, "stride", 1, 1)
        pad = size // 2 if self._number(options, "pad", 0) else self._number(options, "padding", 0)
        same = stride == 1 and 2 * pad == size - 1
        if pad and not same:
            self._add(place, "ZeroPadding2D", padding=pad)
        normalized = bool(self._number(options, "batch_normalize", 0))
        self._add(
            place,
            "Conv2D",
            filters=self._number(options, "filters", 1),
            kernel_size=size,
            strides=stride,
            padding="same" if same and pad else "valid",
            groups=self._number(options, "groups", 1),
            use_bias=not normalized,
        )
        if normalized:
            self._add(place, "BatchNormalization", epsilon=1e-5)
        self._activate(place, options)

    def _maxpool(self, place: _Place, options: Options) -> None:
        stride = self._number(options, "stride", 1, 1)
        size = self._number(options, "size", stride, 1)
        total = self._number(options, "padding", size - 1)
        height, width = self._shape(place)[:2]
        edges = [pool_edges(length, size, stride, total) for length in (height, width)]
        pool: dict[str, Any] = {"pool_size": size, "strides": stride}
        if all(edge == same_edges(n, size, stride) for edge, n in zip(edges, (height, width), strict=True)):
            self._add(place, "MaxPooling2D", **pool, padding="same")
            return
        if any(edge > (0, 0) for edge in edges):
            self._blobs.notes.append("a max-pooling's padding counts as 0, in Darknet as minus infinity")
            self._add(place, "ZeroPadding2D", padding=tuple((max(0, a), max(0, b)) for a, b in edges))
        self._add(place, "MaxPooling2D", **pool)

    def _avgpool(self, place: _Place, _: Options) -> None:
        # A convolution may follow: to Darknet, a mean is an image of one pixel.
        ends = (kind for kind in self._kinds[place.index + 1 :] if kind != "dropout")
        self._add(place, "GlobalAveragePooling2D", keepdims=next(ends, "") in OF_IMAGES)

    def _connected(self, place: _Place, options: Options) -> None:
        if len(self._shape(place)) > 1:
            self._add(place, "Flatten")
        normalized = bool(self._number(options, "batch_normalize", 0))
        self._add(place, "Dense", units=self._number(options, "output", 1), use_bias=not normalized)
        if normalized:
            self._add(place, "BatchNormalization", epsilon=1e-5)
        self._activate(place, options)

    def _dropout(self, place: _Place, options: Options) -> None:
        text = options.get("probability", "0.5")
        try:
            self._add(place, "Dropout", rate=float(text))
        except ValueError:
            raise GraphImportError(f"{self._where}: probability={text[:60]}: expected a number") from None

    def _softmax(self, place: _Place, _: Options) -> None:
        if len(self._shape(place)) > 1:
            self._add(place, "Flatten")
        self._add(place, "Softmax")

    def _shortcut(self, place: _Place, options: Options) -> None:
        other = self._other(place, options.get("from", ""))
        beside = _Place(place.index, other, f"{place.value} beside", place.origin, is_flipped=False)
        self._same(beside, other)
        if self._blobs.shapes[other] != self._shape(place):
            where = f"{self._where}: section {place.index + 1}"
            self._follow(beside, shortcut(self._shape(place), self._blobs.shapes[other], where))
        self._add(place, "Add", [place.before, beside.value])
        self._activate(place, {"activation": options.get("activation", "linear")})

    def _route(self, place: _Place, options: Options) -> None:
        others = [self._other(place, text) for text in options.get("layers", "").split(",")]
        if "groups" in options:
            raise GraphImportError(f"{self._where}: [route] with groups is not supported")
        if len(others) == 1:
            self._same(place, others[0])
            return
        self._add(place, "Concatenate", others)

    def _reorg(self, place: _Place, options: Options) -> None:
        where = f"{self._where}: section {place.index + 1}"
        stride, extra = self._number(options, "stride", 1, 1), self._number(options, "extra", 0)
        if self._number(options, "reverse", 0) or self._number(options, "flatten", 0):
            raise GraphImportError(f"{where}: [reorg] with reverse or flatten is not supported")
        self._same(place, place.before)
        if extra:
            self._follow(place, flattened(self._shape(place), extra))
            return
        self._follow(place, reorg(self._image_shape(place), stride, where))

    def _upsample(self, place: _Place, options: Options) -> None:
        self._add(place, "UpSampling2D", size=self._number(options, "stride", 2, 1))

    def _image_shape(self, place: _Place) -> tuple[int, ...]:
        shape = self._shape(place)
        if len(shape) != 3:
            raise GraphImportError(
                f"{self._where}: section {place.index + 1} needs an image; it reads {shape[0]:,} values"
            )
        return shape

    def _yolo(self, place: _Place, options: Options) -> None:
        """Put heads of ours in the place of the convolution whose channels are boxes relative to anchors."""
        features = str(place.index - 2)
        kind = self._kinds[place.index]
        where = f"{self._where}: section {place.index + 1}"
        if place.index < 2 or self._kinds[place.index - 1] != "convolutional":
            raise GraphImportError(f"{where}: [{kind}] does not follow [convolutional]")
        self._same(place, place.before)
        height, _, _ = self._image_shape(place)
        is_single = sum(kind in DETECTING for kind in self._kinds) == 1
        suffix = "" if is_single else f"_{self._blobs.shapes['-1'][0] // height}"
        for head, filters in (("heatmap", self._number(options, "classes", 20, 1)), ("box", NUM_EDGES)):
            name = f"{head}{suffix}"
            layer = make_layer("Conv2D", {"filters": filters, "kernel_size": 1}, self._where)
            self._blobs.add(name, layer, [features], name)
            self._heads.append(self._blobs.makers[name])
        self._blobs.notes.append(
            f"[{kind}] finds boxes relative to anchors; here heads that have to be trained take the place of the "
            "convolution before it"
        )

    _region = _yolo

    def _crop(self, place: _Place, _: Options) -> None:
        """Cut training images at random: here the size is all that stays of it."""
        self._blobs.notes.append("[crop] augments training images at random; only its size was imported")
        self._same(place, place.before)

    def _other(self, place: _Place, text: str) -> str:
        try:
            index = int(text)
        except ValueError:
            raise GraphImportError(f"{self._where}: {text.strip()!r}: expected the number of a layer") from None
        found = str(place.index + index if index < 0 else index)
        if found not in self._blobs.makers or int(found) >= place.index:
            raise GraphImportError(
                f"{self._where}: section {place.index + 1} reads layer {text.strip()}, which does not exist"
            )
        return found


class _Place:
    """Where a section stands: its number, the value before it, the value it makes.

    Its origin is what errors call it; flipped are kernels that its file of weights has as inputs × outputs.
    """

    def __init__(self, index: int, before: str, value: str, origin: str, is_flipped: bool) -> None:
        self.index, self.before, self.value = index, before, value
        self.origin, self.is_flipped = origin, is_flipped
