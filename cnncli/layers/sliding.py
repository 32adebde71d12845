"""A window that slides over the spatial axes: what convolutions and poolings have in common."""

from dataclasses import dataclass
from typing import ClassVar

from cnncli.errors import ShapeError
from cnncli.layers.arguments import AXES
from cnncli.layers.base import Layer, Shape, Window


@dataclass(frozen=True)
class Slide:
    """A window's way along one axis.

    Attributes:
        size: Taps of the window.
        stride: Positions between neighbouring windows.
        padding: "valid": only windows that fit; "same": zeros on both sides; "causal": zeros before.
        dilation: Positions between neighbouring taps.
    """

    size: int
    stride: int
    padding: str
    dilation: int = 1

    @property
    def extent(self) -> int:
        """Positions from the first tap to the last."""
        return (self.size - 1) * self.dilation + 1

    def outputs(self, length: int) -> int:
        """Return how many windows there are; below 1 if none fits."""
        return (length - self.extent) // self.stride + 1 if self.padding == "valid" else -(-length // self.stride)

    def before(self, length: int) -> int:
        """Return how many zeros stand before the first position."""
        if self.padding == "valid":
            return 0
        if self.padding == "causal":
            return self.extent - 1
        return max((self.outputs(length) - 1) * self.stride + self.extent - length, 0) // 2


class Sliding(Layer):
    """A layer whose outputs each see one window of the input."""

    num_axes: ClassVar[int]
    window_argument: ClassVar[str]
    """Name of the argument that holds the window's size."""

    def slides(self) -> tuple[Slide, ...]:
        """Return the window's way along each spatial axis."""
        raise NotImplementedError

    def positions(self, input_shape: Shape) -> Shape:
        """Return the number of windows along each spatial axis.

        Raises:
            ShapeError: If the input has another number of axes, or no window fits.
        """
        check_rank(self, input_shape, self.num_axes)
        slides = self.slides()
        positions = tuple(s.outputs(n) for s, n in zip(slides, input_shape, strict=False))
        if min(positions) < 1:
            raise self._does_not_fit(slides, input_shape[:-1])
        return positions

    def windows(self, input_shape: Shape) -> tuple[Window, ...] | None:
        """Return one window for each spatial axis."""
        pairs = zip(self.slides(), input_shape, strict=False)
        return tuple(Window(s.extent, s.stride, s.before(n)) for s, n in pairs)

    def _does_not_fit(self, slides: tuple[Slide, ...], lengths: Shape) -> ShapeError:
        window, taps = times(s.extent for s in slides), times(s.size for s in slides)
        spread = f" ({taps}, spread by dilation_rate)" if window != taps else ""
        return ShapeError(
            f"a {window} window{spread} does not fit {things(lengths)}",
            f"use padding: same, a smaller {self.window_argument}, or fewer poolings and strides before it",
            "E040",
        )


def kernel_slides(size: Shape, strides: Shape, padding: str, dilation_rate: Shape) -> tuple[Slide, ...]:
    """Return a kernel's way along each spatial axis."""
    ways = zip(size, strides, dilation_rate, strict=True)
    return tuple(Slide(taps, stride, padding, dilation) for taps, stride, dilation in ways)


def times(lengths: object) -> str:
    """Return 28×28 for (28, 28)."""
    return "×".join(map(str, lengths))  # type: ignore[call-overload]


def things(lengths: Shape) -> str:
    """Name what has these spatial lengths: "a 28×28 image"."""
    return f"a {times(lengths)} {({1: 'sequence', 2: 'image', 3: 'volume'})[len(lengths)]}"


def check_rank(layer: Layer, input_shape: Shape, num_axes: int) -> None:
    """Check that the input has `num_axes` spatial axes and channels.

    Raises:
        ShapeError: If it has not.
    """
    if len(input_shape) == num_axes + 1:
        return
    wanted = ", ".join((*AXES[num_axes], "channels"))
    if len(input_shape) == 1:
        hint = "put it before Flatten or the global pooling, or restore the axes with Reshape"
    else:
        hint = f"use {_sibling(layer.type_name(), len(input_shape) - 1)}, or change the axes with Reshape"
    raise ShapeError(
        f"{layer.type_name()} needs {num_axes + 1} axes ({wanted}); its input has {len(input_shape)}: "
        f"{times(input_shape)}",
        hint,
        "E041",
    )


def _sibling(name: str, num_axes: int) -> str:
    return f"{name[:-2]}{num_axes}D" if name[-2:] in {"1D", "2D", "3D"} else "another layer"
