"""Layers that change an image's height and width without weights."""

from fractions import Fraction
from typing import Annotated, Any, ClassVar, Self

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from cnncli.errors import ShapeError
from cnncli.layers.arguments import Interpolation, Positive, Size2
from cnncli.layers.base import Layer, LayerName, Shape, Window
from cnncli.layers.sliding import check_rank, things, times

REACH = {"nearest": 0, "bilinear": 1, "bicubic": 2, "lanczos3": 3, "lanczos5": 5}
"""Input positions on each side of a sampled point that count in its value."""

Edge = tuple[int, int]


def _edges(given: Any) -> tuple[Edge, Edge]:
    """Return ((top, bottom), (left, right)) for one number, [height, width] or [[top, bottom], [left, right]]."""
    axes = given if isinstance(given, (list, tuple)) else (given, given)
    edges = tuple(tuple(axis) if isinstance(axis, (list, tuple)) else (axis, axis) for axis in axes)
    if len(edges) != 2 or not all(len(e) == 2 and all(type(n) is int and n >= 0 for n in e) for e in edges):
        raise PydanticCustomError(
            "edges",
            "Input should be an integer of at least 0, [height, width], or [[top, bottom], [left, right]]",
        )
    (top, bottom), (left, right) = edges
    return (top, bottom), (left, right)


Edges = Annotated[
    tuple[Edge, Edge],
    BeforeValidator(_edges, json_schema_input_type=int | tuple[int, int] | tuple[Edge, Edge]),
]


class ZeroPadding2D(Layer):
    """Add rows and columns of zeros.

    Args:
        padding: Number for all sides, [height, width], or [[top, bottom], [left, right]].

    Input shape: (height, width, channels).
    Output shape: (height + top + bottom, width + left + right, channels).
    Example: ZeroPadding2D(padding=1).output_shape((4, 4, 3)) == (6, 6, 3)
    """

    is_linear: ClassVar[bool] = True
    looks_like_its_input: ClassVar[bool] = True

    padding: Edges = ((1, 1), (1, 1))

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return the enlarged shape."""
        check_rank(self, input_shape, 2)
        return (*(n + sum(edge) for n, edge in zip(input_shape, self.padding, strict=False)), input_shape[-1])

    def windows(self, input_shape: Shape) -> tuple[Window, ...] | None:
        """Return windows that begin in the padding."""
        return tuple(Window(1, before=edge[0]) for edge in self.padding)


class Cropping2D(Layer):
    """Cut off rows and columns.

    Args:
        cropping: Number for all sides, [height, width], or [[top, bottom], [left, right]].

    Input shape: (height, width, channels).
    Output shape: (height − top − bottom, width − left − right, channels).
    Raises: ShapeError if nothing is left.
    Example: Cropping2D(cropping=1).output_shape((4, 4, 3)) == (2, 2, 3)
    """

    is_linear: ClassVar[bool] = True

    cropping: Edges = ((0, 0), (0, 0))

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return what is left."""
        check_rank(self, input_shape, 2)
        lengths = tuple(n - sum(edge) for n, edge in zip(input_shape, self.cropping, strict=False))
        if min(lengths) < 1:
            (top, bottom), (left, right) = self.cropping
            raise ShapeError(
                f"cropping {top} + {bottom} rows and {left} + {right} columns leaves nothing of "
                f"{things(input_shape[:-1])}",
                "crop less, or put it before the layers that shrink the image",
                "E040",
            )
        return (*lengths, input_shape[-1])

    def windows(self, input_shape: Shape) -> tuple[Window, ...] | None:
        """Return windows that begin after the cut."""
        return tuple(Window(1, before=-edge[0]) for edge in self.cropping)


class UpSampling2D(Layer):
    """Enlarge an image by whole factors.

    Args:
        size: Factor for height and width.
        interpolation: "nearest" repeats rows and columns; the others interpolate.

    Input shape: (height, width, channels).
    Output shape: (height · size, width · size, channels).
    Example: UpSampling2D(size=2).output_shape((4, 4, 3)) == (8, 8, 3)
    """

    is_linear: ClassVar[bool] = True
    needs_float32: ClassVar[bool] = True

    size: Size2 = (2, 2)
    interpolation: Interpolation = "nearest"

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return the enlarged shape."""
        check_rank(self, input_shape, 2)
        return (*(n * factor for n, factor in zip(input_shape, self.size, strict=False)), input_shape[-1])

    def windows(self, input_shape: Shape) -> tuple[Window, ...] | None:
        """Return the positions that each output is interpolated from."""
        return tuple(sample(Fraction(1, factor), self.interpolation) for factor in self.size)


class Resizing(Layer):
    """Bring an image to a given height and width, or to those of another layer, stretching it.

    A decoder that enlarges to the size of its encoder fits at every image size: twice 22 is not 45.

    Args:
        height: Rows of the output.
        width: Columns of the output.
        like: Layer whose height and width the output has, in place of numbers; "input" for the image's.
        interpolation: How values between pixels come about.

    Input shape: (height, width, channels).
    Output shape: (height, width, channels), height and width as given or as the other layer's.
    Example: Resizing(height=6, width=8).output_shape((4, 4, 3)) == (6, 8, 3)
    """

    is_linear: ClassVar[bool] = True
    needs_float32: ClassVar[bool] = True
    own_arguments: ClassVar[frozenset[str]] = frozenset({"like"})

    height: Annotated[Positive | None, Field(description="Rows of the output.")] = None
    width: Annotated[Positive | None, Field(description="Columns of the output.")] = None
    like: LayerName | None = None
    interpolation: Annotated[Interpolation, Field(description="Kind of interpolation.")] = "bilinear"

    @model_validator(mode="after")
    def _check(self) -> Self:
        numbers = (self.height, self.width)
        if self.like is not None and numbers != (None, None):
            raise PydanticCustomError("size", "Resizing takes height and width, or like, not both")
        if self.like is None and None in numbers:
            raise PydanticCustomError(
                "size", "Resizing needs height and width, or like with the name of the layer whose size it takes"
            )
        return self

    def sized(self, shape: Shape) -> Self:
        """Return the layer with the height and width of the layer that it names.

        Args:
            shape: Shape of what the named layer makes.
        """
        if len(shape) != 3:
            raise ShapeError(
                f"the layer {self.like} makes {times(shape)} values, which have no height and width",
                "let `like` name a layer that makes an image",
                "E041",
            )
        return self.model_copy(update={"height": shape[0], "width": shape[1]})

    @property
    def lengths(self) -> tuple[int, int]:
        """Height and width of the output; one that takes those of another layer has them once it is `sized`."""
        if self.height is None or self.width is None:
            raise ValueError(f"the size of {self.like} is not known here")
        return self.height, self.width

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return the given height and width."""
        check_rank(self, input_shape, 2)
        return (*self.lengths, input_shape[-1])

    def windows(self, input_shape: Shape) -> tuple[Window, ...] | None:
        """Return the positions that each output is interpolated from."""
        pairs = zip(input_shape, self.lengths, strict=False)
        return tuple(sample(Fraction(n, m), self.interpolation) for n, m in pairs)


def sample(stride: Fraction, interpolation: str) -> Window:
    """Return the window of a resize whose outputs lie `stride` input positions apart, pixel centres aligned.

    The point under output o is x = (o + ½) · stride − ½, a multiple of 1/d; nearest takes floor(x + ½), the
    others the positions nearer than their reach.
    """
    if stride.denominator == 1 and stride.numerator % 2:  # every point is the centre of a pixel
        return Window(1, stride, (1 - stride) / 2)
    if interpolation == "nearest":
        slack = 1 - Fraction(1, 2 * stride.denominator)
        first = stride / 2 - slack
        return Window(1 + slack, stride, -first)
    slack = REACH[interpolation] - Fraction(1, 2 * stride.denominator)
    return Window(1 + 2 * slack, stride, slack + Fraction(1, 2) - stride / 2)
