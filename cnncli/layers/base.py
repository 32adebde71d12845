"""What every layer of the vocabulary can say about itself without TensorFlow."""

from collections.abc import Sequence
from fractions import Fraction
from math import prod
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

Shape = tuple[int, ...]
"""A tensor's shape without the batch axis, channels last: (height, width, channels)."""

NAME = r"^[A-Za-z0-9][A-Za-z0-9_.\-]*$"
"""What a layer's name looks like."""


def _names(given: Any) -> Any:
    return (given,) if isinstance(given, str) else tuple(given) if isinstance(given, list) else given


LayerName = Annotated[str, Field(pattern=NAME)]
Inputs = Annotated[
    tuple[LayerName, ...],
    Field(min_length=1),
    BeforeValidator(_names, json_schema_input_type=LayerName | list[LayerName]),
]
"""Names of the layers that a layer reads; one may be written without brackets."""

READS = "Names of the layers that it reads, or input; null: the one before it."


class Factor(NamedTuple):
    """One number of a product and what it counts: ("filters", 16)."""

    label: str
    value: int


Term = tuple[Factor, ...]
"""A product: 3 · 16 · 5 · 5. Counts are sums of such terms."""


def value(terms: Sequence[Term]) -> int:
    """Return the sum of the products."""
    return sum(prod(factor.value for factor in term) for term in terms)


class Weight(NamedTuple):
    """One array of a layer.

    Attributes:
        name: Keras's name of it: "kernel", "bias", …
        shape: Its shape.
        trainable: Whether training changes it.
        axes: What each axis of the shape counts: ("kernel height", "kernel width", "channels", "filters").
        dtype: Its type in the network, whatever that computes with.
    """

    name: str
    shape: Shape
    trainable: bool = True
    axes: tuple[str, ...] = ()
    dtype: Literal["float32", "int64"] = "float32"

    @property
    def size(self) -> int:
        """Number of values in the array."""
        return prod(self.shape)

    @property
    def term(self) -> Term:
        """The size as a product: inputs and outputs first, then the window, as in 3 · 16 · 5 · 5."""
        factors = tuple(map(Factor, self.axes or ("values",) * len(self.shape), self.shape))
        return (*factors[-2:], *factors[:-2]) if factors else (Factor("values", 1),)


class Window(NamedTuple):
    """Which input positions one output position sees along one spatial axis.

    Output o sees every whole position from o · stride − before to o · stride − before + size − 1.
    Layers that enlarge have a stride below 1 and may have a fractional size.

    Attributes:
        size: Number of neighbouring input positions from the first to the last seen.
        stride: Input positions between neighbouring outputs.
        before: Positions by which the first window begins before the first input position (padding).
    """

    size: int | Fraction
    stride: int | Fraction = 1
    before: int | Fraction = 0


class Spec(BaseModel):
    """A named thing of a config, written `{Name: {argument: value}}` or just `Name`."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True, allow_inf_nan=False)

    @classmethod
    def type_name(cls) -> str:
        """Name in a config; Keras's class name."""
        return cls.__name__


class Layer(Spec):
    """One layer: its arguments, and what follows from them for an input of a given shape.

    Subclasses state their arguments as fields with Keras's names and defaults. Shapes leave out
    the batch axis; channels come last.
    """

    name: str | None = Field(default=None, pattern=NAME, description="Name of the layer.")
    trainable: bool = Field(default=True, description="Whether the weights are trainable.")
    inputs: Inputs | None = Field(default=None, description=READS)

    placing: ClassVar[frozenset[str]] = frozenset({"name", "inputs"})
    """Arguments that say what the layer is called and where it stands, not what it computes."""

    own_arguments: ClassVar[frozenset[str]] = frozenset()
    """Arguments that Keras's class does not have."""
    is_weighted_sum: ClassVar[bool] = False
    """Whether it is a convolution or a dense layer: a linear map with weights, and perhaps an activation."""
    is_linear: ClassVar[bool] = False
    """Whether, but for weights and an activation, its output depends linearly on its input."""
    is_same_in_evaluation: ClassVar[bool] = False
    """Whether its output in evaluation has the values of its input."""
    is_random_in_training: ClassVar[bool] = False
    """Whether it draws random numbers in training."""
    needs_float32: ClassVar[bool] = False
    """Whether TensorFlow lacks it, or its gradients, in other precisions."""
    averages_places: ClassVar[bool] = False
    """Whether it computes statistics over all places of an image, which its windows leave out."""
    looks_like_its_input: ClassVar[bool] = False
    """Whether a picture of its output, each channel drawn from its lowest value to its highest, shows its input."""

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape of what the layer makes of `input_shape`.

        Raises:
            ShapeError: If the layer cannot take that shape.
        """
        return input_shape

    def arrays(self, input_shape: Shape) -> tuple[Weight, ...]:
        """Return the layer's weights, in Keras's order, as they are when the layer is trainable."""
        return ()

    def mac_terms(self, input_shape: Shape) -> tuple[Term, ...]:
        """Return products whose sum is `macs`."""
        return ()

    def windows(self, input_shape: Shape) -> tuple[Window, ...] | None:
        """Return one window for each spatial axis, or None if every output sees the whole input."""
        return tuple(Window(1) for _ in input_shape[:-1])

    @property
    def final_activation(self) -> str:
        """Name of the activation that it ends with; "linear" for none."""
        return getattr(self, "activation", None) or "linear"

    def weights(self, input_shape: Shape) -> tuple[Weight, ...]:
        """Return the layer's arrays, in Keras's order."""
        arrays = self.arrays(input_shape)
        return arrays if self.trainable else tuple(array._replace(trainable=False) for array in arrays)

    def param_terms(self, input_shape: Shape) -> tuple[Term, ...]:
        """Return one product a weight, whose sum is the number of parameters: 3·16·5·5 + 16."""
        return tuple(weight.term for weight in self.weights(input_shape))

    def num_params(self, input_shape: Shape, trainable: bool | None = None) -> int:
        """Count the values in all weights, or in those that are (not) trainable."""
        return sum(w.size for w in self.weights(input_shape) if trainable in (None, w.trainable))

    def macs(self, input_shape: Shape) -> int:
        """Return the multiply-accumulate operations for one example; biases and element-wise work count as 0."""
        return value(self.mac_terms(input_shape))

    def keras_arguments(self) -> dict[str, Any]:
        """Return the arguments for the Keras class of the same name, without name, inputs and trainable.

        An initializer or regularizer becomes Keras's `{"class_name": …, "config": …}`.
        """
        names = [n for n in type(self).model_fields if n not in {"trainable", *self.placing, *self.own_arguments}]
        return {name: _plain(getattr(self, name)) for name in names}


def _plain(argument: Any) -> Any:
    if isinstance(argument, Spec):
        return {"class_name": argument.type_name(), "config": argument.model_dump()}
    return argument


class Merge(Layer):
    """A layer with several inputs: it names them, or ends a `Parallel` or a `Residual`."""

    def merged_shape(self, input_shapes: Sequence[Shape]) -> Shape:
        """Return the shape that comes of the inputs' shapes.

        Raises:
            ShapeError: If the shapes do not fit together.
        """
        raise NotImplementedError
