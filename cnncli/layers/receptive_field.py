"""Which part of the image each layer's outputs see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from cnncli.layers.base import Shape, Window
from cnncli.layers.graph import INPUT, Node, input_shapes, sized
from cnncli.layers.reach import Reach, Sight
from cnncli.layers.reshaping import Reshape


def receptive_fields(
    nodes: Sequence[Node], shapes: Sequence[Shape], input_shape: Shape
) -> tuple[tuple[Reach, ...] | None, ...]:
    """Return for each node what its outputs see along each axis of the image, None where all see the whole image.

    Branches count together: from the first pixel that any of them sees to the last. After Flatten or a global
    pooling all outputs count as seeing the whole image; after a Reshape they may do so along one axis (stride 0).
    Normalizations count as seeing one position, whatever their statistics are taken from.

    Args:
        nodes: The network.
        shapes: Its nodes' output shapes.
        input_shape: The image's: (height, width, channels).
    """
    return tuple(view.field for view in views(nodes, shapes, input_shape))


@dataclass(frozen=True)
class View:
    """What a node's outputs see.

    Attributes:
        sights: For each axis of the image, what is seen of it.
        axes: For each spatial axis of the node's output, the axis of the image it runs along, or None.
    """

    sights: tuple[Sight, ...]
    axes: tuple[int | None, ...]

    @property
    def field(self) -> tuple[Reach, ...] | None:
        """The reach along each axis of the image, None if all outputs see all."""
        field = tuple(sight.reach for sight in self.sights)
        return field if any(reach.stride for reach in field) else None

    def whole(self, output_shape: Shape) -> View:
        """Return what a layer sees whose outputs all see everything."""
        return View(tuple(sight.whole() for sight in self.sights), (None,) * (len(output_shape) - 1))

    def through(self, windows: Sequence[Window], output_shape: Shape) -> View:
        """Return what a layer with these windows sees."""
        sights = list(self.sights)
        for axis, window, length in zip(self.axes, windows, output_shape, strict=False):
            if axis is not None:
                sights[axis] = sights[axis].through(window, length)
        return replace(self, sights=tuple(sights))

    def joined(self, other: View, output_shape: Shape) -> View:
        """Return what a node sees that puts both together."""
        axes = self.axes if self.axes == other.axes else (None,) * len(self.axes)
        lengths = {axis: n for axis, n in zip(axes, output_shape, strict=False) if axis is not None}
        pairs = enumerate(zip(self.sights, other.sights, strict=True))
        return View(tuple(mine.joined(yours, lengths.get(i, 1)) for i, (mine, yours) in pairs), axes)

    def reshaped(self, input_shape: Shape, output_shape: Shape) -> View:
        """Return what is seen after a Reshape.

        Values keep their order, so leading axes that stay keep their meaning; one of length 1 may come or go.
        """
        rest = list(zip(input_shape[:-1], self.axes, strict=True))
        axes: list[int | None] = []
        for length in output_shape[:-1]:
            while rest and rest[0][0] == 1 != length:
                rest.pop(0)
            same = bool(rest) and rest[0][0] == length
            axes.append(rest.pop(0)[1] if same else None)
            if not same and length != 1:
                rest = []
        return View(tuple(s if i in axes else s.whole() for i, s in enumerate(self.sights)), tuple(axes))


def views(nodes: Sequence[Node], shapes: Sequence[Shape], input_shape: Shape) -> tuple[View, ...]:
    """Return for each node what each of its outputs sees.

    Args:
        nodes: The network.
        shapes: Its nodes' output shapes.
        input_shape: The image's: (height, width, channels).
    """
    nodes, lengths = sized(nodes, input_shape), input_shape[:-1]
    image = View(tuple(map(Sight.of_pixels, lengths)), tuple(range(len(lengths))))
    views: list[View] = []
    for node, output_shape in zip(nodes, shapes, strict=True):
        view, *others = (image if i == INPUT else views[i] for i in node.inputs)
        for other in others:
            view = view.joined(other, output_shape)
        views.append(_seen(node, view, input_shapes(node, shapes, input_shape)[0], output_shape))
    return tuple(views)


def _seen(node: Node, view: View, input_shape: Shape, output_shape: Shape) -> View:
    if isinstance(node.layer, Reshape):
        return view.reshaped(input_shape, output_shape)
    windows = node.layer.windows(input_shape)
    return view.whole(output_shape) if windows is None else view.through(windows, output_shape)
