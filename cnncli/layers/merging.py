"""What ends branches: several inputs, one output."""

from __future__ import annotations

from collections.abc import Sequence

from cnncli.errors import ShapeError
from cnncli.layers.base import Merge, Shape
from cnncli.layers.sliding import times


class Concatenate(Merge):
    """Put the branches' channels side by side.

    Output shape: (spatial axes of all branches, sum of their channels).
    Raises: ShapeError if the spatial axes differ.
    """

    def merged_shape(self, input_shapes: Sequence[Shape]) -> Shape:
        """Return the common spatial axes and all channels."""
        if len({shape[:-1] for shape in input_shapes}) > 1:
            raise ShapeError(
                f"the branches have different heights and widths: {_list(input_shapes)}",
                "give every branch the same strides and padding: same, or crop the larger ones",
                "E042",
            )
        return (*input_shapes[0][:-1], sum(shape[-1] for shape in input_shapes))


class Add(Merge):
    """Add the branches value by value.

    Output shape: that of each branch.
    Raises: ShapeError if the shapes differ.
    """

    def merged_shape(self, input_shapes: Sequence[Shape]) -> Shape:
        """Return the common shape."""
        if len(set(input_shapes)) > 1:
            raise ShapeError(
                f"the branches to be added have different shapes: {_list(input_shapes)}",
                "give the shortcut a Conv2D with kernel_size: 1 and the same filters and strides, "
                "or make the layers keep the shape (padding: same, strides: 1, as many filters)",
                "E042",
            )
        return input_shapes[0]


def _list(shapes: Sequence[Shape]) -> str:
    return " and ".join(map(times, shapes))
