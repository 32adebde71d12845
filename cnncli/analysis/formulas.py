"""The arithmetic behind one layer's output shape, parameters, MACs and receptive field."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from cnncli.analysis.arithmetic import Ceiling, Expression, Floor, Number, Product, Sum, product
from cnncli.analysis.walk import Step
from cnncli.layers.arguments import AXES
from cnncli.layers.base import Shape, Term
from cnncli.layers.sliding import Slide, Sliding


@dataclass(frozen=True, slots=True)
class Formula:
    """One quantity with the numbers that it comes from.

    Attributes:
        quantity: What is computed: "height", "parameters".
        expression: The numbers.
        legend: What the numbers count, in their order; empty where the quantity tells it.
    """

    quantity: str
    expression: Expression
    legend: str = ""

    @property
    def value(self) -> int:
        """What it comes to."""
        return self.expression.value

    def to_json(self) -> dict[str, Any]:
        """Return the formula as `cnn explain --json` prints it."""
        return {
            "quantity": self.quantity,
            "expression": self.expression.text(),
            "legend": self.legend,
            "value": self.value,
        }


def shape_formulas(step: Step) -> tuple[Formula, ...]:
    """Return a formula for each axis of the output that has one, height and width together where they are equal."""
    layer, shape = step.node.layer, step.input_shape
    if isinstance(layer, Sliding):
        ways = zip(layer.slides(), shape, strict=False)
        return _axes([_windows(slide, length) for slide, length in ways])
    name = layer.type_name()
    if name == "Flatten":
        return (Formula("values", product(*shape), "all of the input, row by row"),)
    if name == "Concatenate":
        channels = tuple(Number(taken[-1]) for taken in step.input_shapes)
        return (Formula("channels", Sum(channels), "those of the branches, side by side"),)
    if name == "UpSampling2D":
        return _axes([product(length, factor) for length, factor in zip(shape, layer.size, strict=False)])  # type: ignore[attr-defined]
    if name == "Resizing" and layer.like is not None:  # type: ignore[attr-defined]
        return _named("", [Number(length) for length in layer.lengths], f"those of {layer.like}")  # type: ignore[attr-defined]
    if name == "ZeroPadding2D":
        return _axes([Sum((Number(n), *map(Number, e))) for n, e in zip(shape, layer.padding, strict=False)])  # type: ignore[attr-defined]
    if name == "Cropping2D":
        return _axes([Sum((Number(n),), tuple(map(Number, e))) for n, e in zip(shape, layer.cropping, strict=False)])  # type: ignore[attr-defined]
    if name == "Conv2DTranspose":
        return _axes(list(_transposed(layer, shape, step.output_shape)))
    return ()


def param_formula(step: Step) -> Formula | None:
    """Return the number of parameters, or None for a layer without any."""
    terms = step.node.layer.param_terms(step.input_shape)
    return _counted("parameters", terms) if terms else None


def mac_formula(step: Step) -> Formula | None:
    """Return the number of MACs, or None for a layer that multiplies no weights."""
    terms = step.node.layer.mac_terms(step.input_shape)
    return _counted("MACs", terms) if terms else None


def dense_formula(step: Step, count: int | None) -> Formula | None:
    """Return what a dense layer of the same input and output would need, or None where `count` is."""
    if count is None:
        return None
    inputs, outputs = product(*step.input_shape), product(*step.output_shape)
    weights = Product((*_factors(inputs), *_factors(outputs)))
    expression: Expression = weights if weights.value == count else Sum((weights, outputs))
    return Formula("dense instead", expression, "all inputs · all outputs" + " + outputs" * (weights.value != count))


def field_formulas(
    step: Step, before: Sequence[tuple[int, int]], after: Sequence[tuple[int, int]]
) -> tuple[Formula, ...]:
    """Return how the receptive field grows along each axis: its size, and the stride between neighbours.

    Args:
        step: The layer.
        before: Size and stride of its input's field along each axis.
        after: Size and stride of its own.
    """
    windows = step.node.layer.windows(step.input_shape) or ()
    unmoved = all(window.size == window.stride == 1 for window in windows)
    if unmoved or len(step.node.inputs) > 1 or len(windows) != len(before):
        return ()
    sizes = [
        Sum((Number(size), Product((Sum((Number(int(w.size)),), (Number(1),)), Number(stride)))))
        for (size, stride), w in zip(before, windows, strict=True)
    ]
    if [size.value for size in sizes] != [size for size, _ in after]:
        return ()  # enlarging layers and uneven branches: the rule of thumb does not hold
    found = _named("sees", sizes, "what its input sees + (window − 1) · stride so far")
    if any(window.stride != 1 for window in windows) and all(window.stride.denominator == 1 for window in windows):
        strides = [product(stride, int(w.stride)) for (_, stride), w in zip(before, windows, strict=True)]
        found += _named("stride so far", strides, "")
    return found


def _counted(quantity: str, terms: Sequence[Term]) -> Formula:
    products = tuple(product(*(factor.value for factor in term)) for term in terms)
    legend = " + ".join(" · ".join(factor.label for factor in term) for term in terms)
    return Formula(quantity, products[0] if len(products) == 1 else Sum(products), legend)


def _windows(slide: Slide, length: int) -> Expression:
    if slide.padding != "valid":
        return Ceiling(Number(length), Number(slide.stride))
    extent: Expression = Number(slide.extent)
    if slide.dilation > 1:
        extent = Sum((Product((Sum((Number(slide.size),), (Number(1),)), Number(slide.dilation))), Number(1)))
    inner = Sum((Number(length),), extent.plus if isinstance(extent, Sum) else (extent,))
    return Sum((Floor(inner, Number(slide.stride)), Number(1)))


def _transposed(layer: Any, shape: Shape, made: Shape) -> Iterator[Expression]:
    for axis in (0, 1):
        length, stride, extent = shape[axis], layer.strides[axis], layer.extents[axis]
        same = product(length, stride)
        spread = Product((Sum((Number(length),), (Number(1),)), Number(stride)))
        rest = made[axis] - spread.value
        whole = Sum((spread, Number(extent), Number(rest - extent)) if rest > extent else (spread, Number(rest)))
        yield same if layer.padding == "same" and same.value == made[axis] else whole


def _axes(expressions: Sequence[Expression]) -> tuple[Formula, ...]:
    return _named("", expressions, "")


def _named(quantity: str, expressions: Sequence[Expression], legend: str) -> tuple[Formula, ...]:
    axes = AXES[len(expressions)]
    prefix = f"{quantity}, " if quantity else ""
    if len(set(expressions)) == 1:
        name = quantity or ", ".join(axes)
        return (Formula(name, expressions[0], legend),)
    return tuple(Formula(f"{prefix}{axis}", e, legend) for axis, e in zip(axes, expressions, strict=True))


def _factors(expression: Expression) -> tuple[Expression, ...]:
    return expression.factors if isinstance(expression, Product) else (expression,)
