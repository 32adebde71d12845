"""The oracle: whatever the layer vocabulary says of shapes and counts, Keras and TensorFlow say too.

By default each layer is tried a few times. The full campaign, at least 2,000 cases over the vocabulary, is
`CNNCLI_ORACLE_EXAMPLES=60 pytest tests/engine/network/test_oracle.py`.
"""

import contextlib
import functools
import inspect
import os
from itertools import product
from math import prod

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from cnncli.errors import ShapeError
from cnncli.layers import VOCABULARY
from cnncli.layers.arguments import ActivationName, Interpolation
from cnncli.layers.graph import shapes
from cnncli.layers.initializers import INITIALIZERS
from cnncli.layers.kernels import KERNELS
from cnncli.layers.layout import flatten
from cnncli.layers.regularizers import REGULARIZERS

pytestmark = pytest.mark.engine

EXAMPLES = int(os.environ.get("CNNCLI_ORACLE_EXAMPLES", "7"))
TRIED = settings(
    max_examples=EXAMPLES,
    deadline=None,
    phases=(Phase.generate, Phase.shrink),
    derandomize="CNNCLI_ORACLE_EXAMPLES" not in os.environ,
    suppress_health_check=list(HealthCheck),
)

small = st.integers(1, 4)
optional = st.booleans()


def sizes(axes, largest=4, smallest=1):
    """Draw one number for all axes, or one for each."""
    one = st.integers(smallest, largest)
    return one if axes == 1 else one | st.lists(one, min_size=axes, max_size=axes)


def strides_or_dilation(axes, same=False):
    """Draw strides or a dilation rate, which most layers cannot have together."""
    if same:
        return st.fixed_dictionaries({}, optional={"strides": small, "dilation_rate": sizes(axes, 3)})
    strides, dilation_rate = {"strides": sizes(axes)}, {"dilation_rate": sizes(axes, 3)}
    return st.fixed_dictionaries(strides) | st.fixed_dictionaries(dilation_rate)


def fields(**draws):
    """Draw a value for each argument, some arguments left out."""
    return st.fixed_dictionaries({}, optional={**draws, "trainable": optional})


initializer = st.sampled_from(
    [*sorted(set(INITIALIZERS) - {"Orthogonal"}), "he_normal", {"RandomNormal": {"stddev": 0.01}}]
)
regularizer = st.sampled_from([None, "L1", {"L2": {"l2": 1e-4}}, {"L1L2": {"l1": 0.1}}])
activation = st.sampled_from(ActivationName.__args__)
padding = st.sampled_from(["valid", "same"])
edges = st.integers(0, 3) | st.lists(st.integers(0, 3), min_size=2, max_size=2)
edges |= st.lists(st.lists(st.integers(0, 3), min_size=2, max_size=2), min_size=2, max_size=2)


@st.composite
def convolution(draw, axes, paddings=padding, needed=("filters", "kernel_size"), same=False, **more):
    """Draw the arguments of a convolution."""
    groups = draw(st.sampled_from([1, 1, 1, 2, 3])) if "groups" in more else 1
    needs = {"filters": small.map(lambda n: n * groups), "kernel_size": sizes(axes, 5)}
    arguments = draw(st.fixed_dictionaries({name: needs[name] for name in needed}))
    arguments |= draw(strides_or_dilation(axes, same))
    common = {"padding": paddings, "activation": activation, "use_bias": optional, "bias_initializer": initializer}
    own = {name: value for name, value in more.items() if name != "groups"}
    return arguments | draw(fields(**common, **own)) | ({"groups": groups} if groups > 1 else {})


def kernel(prefix="kernel"):
    """Draw what concerns one kernel."""
    return {f"{prefix}_initializer": initializer, f"{prefix}_regularizer": regularizer}


def pooling(axes):
    """Draw the arguments of a pooling."""
    return fields(pool_size=sizes(axes), strides=sizes(axes), padding=padding)


@st.composite
def transposed(draw):
    """Draw the arguments of a transposed convolution; output_padding stays below the strides, above 0 for "same"."""
    arguments = draw(convolution(2, **kernel()))
    stride = arguments.get("strides", 1)
    smallest = min(stride) if isinstance(stride, list) else stride
    if smallest > 1 and draw(optional):
        arguments["output_padding"] = draw(st.integers(arguments.get("padding") == "same", smallest - 1))
    return arguments


@st.composite
def fixed(draw):
    """Draw a convolution with fixed kernels."""
    kernels = draw(st.lists(st.sampled_from(sorted(KERNELS)), min_size=1, max_size=3))
    return {"kernel": kernels if draw(optional) else kernels[0]} | draw(fields(padding=padding, use_bias=optional))


affine = {"epsilon": st.just(1e-5), "center": optional, "scale": optional, "gamma_initializer": initializer}
affine["beta_regularizer"] = regularizer
positive = st.floats(0, 2)

CASES = {
    "Conv1D": convolution(1, st.sampled_from(["valid", "same", "causal"]), groups=True, **kernel()),
    "Conv2D": convolution(2, groups=True, **kernel()) | fixed(),
    "Conv3D": convolution(3, groups=True, **kernel()),
    "DepthwiseConv2D": convolution(
        2, needed=("kernel_size",), same=True, depth_multiplier=small, **kernel("depthwise")
    ),
    "SeparableConv2D": convolution(2, same=True, depth_multiplier=small, **kernel("depthwise"), **kernel("pointwise")),
    "Conv2DTranspose": transposed(),
    **{f"{kind}Pooling{n}D": pooling(n) for kind in ("Max", "Average") for n in (1, 2, 3)},
    **{f"Global{kind}Pooling{n}D": fields(keepdims=optional) for kind in ("Max", "Average") for n in (1, 2, 3)},
    "Dense": st.fixed_dictionaries(
        {"units": small}, optional={"use_bias": optional, "activation": activation, "trainable": optional, **kernel()}
    ),
    "Flatten": fields(),
    "Reshape": st.fixed_dictionaries(
        {"target_shape": st.lists(st.sampled_from([-1, 1, 2, 3, 4]), min_size=1, max_size=4)}
    ),
    "Permute": st.fixed_dictionaries({"dims": st.integers(1, 4).flatmap(lambda n: st.permutations(range(1, n + 1)))}),
    "ChannelPadding": st.fixed_dictionaries({"padding": st.lists(st.integers(-3, 3), min_size=2, max_size=2)}),
    "LayerScale": fields(init_values=positive),
    "Dropout": st.fixed_dictionaries({"rate": st.floats(0, 0.9)}, optional={"noise_shape": st.none()}),
    "SpatialDropout2D": st.fixed_dictionaries({"rate": st.floats(0, 0.9)}),
    "BatchNormalization": fields(momentum=st.floats(0, 1), moving_mean_initializer=initializer, **affine),
    "LayerNormalization": fields(**affine),
    "GroupNormalization": fields(groups=st.sampled_from([-1, 1, 2, 3]), **affine),
    "LocalResponseNormalization": fields(depth_radius=st.integers(0, 5), alpha=positive, beta=positive),
    "Activation": st.fixed_dictionaries({"activation": activation}),
    "ReLU": fields(max_value=positive, negative_slope=positive, threshold=positive),
    "LeakyReLU": fields(negative_slope=positive),
    "Softmax": fields(),
    "ZeroPadding2D": fields(padding=edges),
    "Cropping2D": fields(cropping=edges),
    "UpSampling2D": fields(size=sizes(2), interpolation=st.sampled_from(Interpolation.__args__)),
    "Rescaling": st.fixed_dictionaries({"scale": st.just(1 / 255)}, optional={"offset": positive}),
    "Normalization": st.sampled_from(
        [{}, {"mean": 0.5, "variance": 0.1}, {"mean": [0.4, 0.5, 0.6], "variance": [0.1, 0.2, 0.3]}]
    ),
    "Resizing": st.fixed_dictionaries(
        {"height": small, "width": small}, optional={"interpolation": st.sampled_from(Interpolation.__args__)}
    ),
}
"""How to draw each layer's arguments."""

MERGES = {
    "Concatenate": lambda arrays: np.concatenate(arrays, axis=-1),
    "Add": lambda arrays: functools.reduce(np.add, arrays),
    "Subtract": lambda arrays: functools.reduce(np.subtract, arrays),
    "Multiply": lambda arrays: functools.reduce(np.multiply, arrays),
    "Average": lambda arrays: functools.reduce(np.add, arrays) / len(arrays),
    "Maximum": lambda arrays: functools.reduce(np.maximum, arrays),
    "Minimum": lambda arrays: functools.reduce(np.minimum, arrays),
}
"""What each layer with several inputs computes."""

RANKS = {"1D": 1, "2D": 2, "3D": 3, "LocalResponseNormalization": 2, "Resizing": 2}


@st.composite
def inputs(draw, name):
    """Draw the shape of an input, for layers of a fixed number of axes mostly with as many."""
    axes = next((axes for key, axes in RANKS.items() if key in name), None)
    axes = axes if axes is not None else draw(st.integers(0, 3))
    channels = draw(st.sampled_from([1, 2, 3, 4, 6]))
    return (*draw(st.lists(st.integers(1, 9), min_size=axes, max_size=axes)), channels)


def one_layer(name, arguments):
    """Return the nodes of a network of one layer."""
    return flatten([VOCABULARY[name].model_validate(arguments)])


def counts(weights):
    """Return the number of values in Keras's weights."""
    return sum(prod(weight.shape) for weight in weights)


def test_every_layer_is_tried():
    """A layer added to the vocabulary needs a row here."""
    assert CASES.keys() | MERGES.keys() == VOCABULARY.keys()


@st.composite
def shapes_to_merge(draw, most):
    """Draw shapes of as many axes, which mostly fit together."""
    whole = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    lengths = [st.sampled_from([n, n, n, n, 1, n + 1]) for n in whole]
    return draw(st.lists(st.tuples(*lengths), min_size=2, max_size=most))


@pytest.mark.parametrize("name", sorted(MERGES))
def test_merges_equal_keras_and_numpy(name):
    """Shapes and values of layers with several inputs are Keras's and NumPy's; what we refuse, Keras refuses too."""
    import keras
    import tensorflow as tf

    layer = VOCABULARY[name]()

    @settings(TRIED, max_examples=10 * EXAMPLES)
    @given(shapes_to_merge(2 if name == "Subtract" else 4), st.integers(0, 9))
    def compare(given_shapes, seed):
        draws = np.random.default_rng(seed)
        arrays = [draws.normal(size=(2, *shape)).astype(np.float32) for shape in given_shapes]
        theirs = getattr(keras.layers, name)()
        try:
            shape = layer.merged_shape(given_shapes)
        except ShapeError as error:
            if "goes wrong in Keras" in error.message:
                return
            with pytest.raises((ValueError, tf.errors.InvalidArgumentError), match=r"(?i)shape|dimensions"):
                theirs(arrays)
            return
        assert tuple(theirs([keras.Input(shape) for shape in given_shapes]).shape[1:]) == shape
        found = MERGES[name](arrays)
        assert found.shape[1:] == shape
        assert np.allclose(found, theirs(arrays), atol=1e-6)

    compare()


@pytest.mark.parametrize("name", sorted(CASES))
def test_shapes_and_counts_equal_keras(name):
    """Output shape, trainable and non-trainable counts equal Keras's; what we refuse, Keras refuses too."""
    import tensorflow as tf

    from cnncli.engine.network.model import build_network

    @TRIED
    @given(st.data())
    def compare(data):
        arguments, input_shape = data.draw(CASES[name]), data.draw(inputs(name))
        try:
            nodes = one_layer(name, arguments)
        except ValueError:
            assume(False)
        layer = nodes[0].layer
        try:
            (output_shape,) = shapes(nodes, input_shape)
        except ShapeError:
            with pytest.raises((ValueError, IndexError, ZeroDivisionError, tf.errors.InvalidArgumentError)):
                build_network(nodes, input_shape, seed=0)
            return
        model = build_network(nodes, input_shape, seed=0)
        assert model.output_shape[1:] == output_shape
        assert counts(model.trainable_weights) == layer.num_params(input_shape, trainable=True)
        assert counts(model.non_trainable_weights) == layer.num_params(input_shape, trainable=False)
        assert [tuple(w.shape) for w in model.layers[-1].weights if "seed" not in w.path] == [
            weight.shape for weight in layer.weights(input_shape)
        ]
        assert sum(prod(f.value for f in term) for term in layer.param_terms(input_shape)) == model.count_params()

    compare()


@pytest.mark.parametrize("name", sorted(MERGES))
def test_sums_that_keras_gets_wrong(name):
    """Where one value an image is added to as many channels as images, Keras adds another image's: we refuse it."""
    import keras

    arrays = [np.arange(4, dtype=np.float32).reshape(2, 2), np.float32([[10], [20]])]
    right = np.allclose(getattr(keras.layers, name)()(arrays), MERGES[name](arrays))
    assert right == (name not in ("Add", "Average"))
    if not right:
        with pytest.raises(ShapeError, match="goes wrong in Keras"):
            VOCABULARY[name]().merged_shape([(2,), (1,)])


OWN = {"LocalResponseNormalization", "LayerScale", "ChannelPadding"}
"""Layers that Keras does not have."""

NEEDED = {
    "filters": 4,
    "kernel_size": 3,
    "units": 5,
    "target_shape": [4],
    "dims": [2, 1],
    "rate": 0.5,
    "activation": "relu",
    "scale": 0.5,
    "height": 6,
    "width": 7,
    "pool_size": 2,
}
"""Values for arguments that Keras's classes need."""


@pytest.mark.parametrize("name", sorted({*CASES, *MERGES} - OWN))
def test_defaults_are_keras(name):
    """A layer of which only the necessary is said is the one that Keras makes of that."""
    import keras

    kind, theirs = VOCABULARY[name], getattr(keras.layers, name)
    empty = inspect.Parameter.empty
    needed = {
        key: NEEDED[key]
        for key, p in inspect.signature(theirs).parameters.items()
        if p.default is empty and key in NEEDED
    }
    ours = kind.model_validate({key: value for key, value in needed.items() if _is_needed(kind, key)})
    expected = theirs(**needed).get_config()
    found = theirs(**ours.keras_arguments()).get_config()
    assert ours.trainable
    assert {**found, "name": None} == {**expected, "name": None}


def _is_needed(kind, key):
    """Say whether an argument must be given; `Resizing` takes the name of a layer in place of two of them."""
    return kind.model_fields[key].is_required() or (kind is VOCABULARY["Resizing"] and key in ("height", "width"))


def test_defaults_of_the_local_normalization_are_tensorflows():
    """The layer that Keras does not have takes TensorFlow's."""
    import tensorflow as tf

    theirs = inspect.signature(tf.nn.local_response_normalization).parameters
    ours = VOCABULARY["LocalResponseNormalization"]()
    for argument in ("depth_radius", "bias", "alpha", "beta"):
        assert theirs[argument].default in (None, getattr(ours, argument)), argument
    images = np.random.default_rng(0).normal(size=(2, 3, 3, 20)).astype(np.float32)
    arguments = {name: getattr(ours, name) for name in ("depth_radius", "bias", "alpha", "beta")}
    found = tf.nn.local_response_normalization(images, **arguments).numpy()
    assert np.array_equal(found, tf.nn.local_response_normalization(images).numpy())


@pytest.mark.parametrize("name", sorted(INITIALIZERS))
def test_defaults_of_initializers_are_keras(name):
    """An initializer without arguments is Keras's without arguments."""
    import keras

    theirs = getattr(keras.initializers, name)
    assert theirs(**INITIALIZERS[name]().model_dump()).get_config() == theirs().get_config()


@pytest.mark.parametrize("name", sorted(REGULARIZERS))
def test_defaults_of_regularizers_are_keras(name):
    """A regularizer without arguments is Keras's without arguments."""
    import keras

    theirs = getattr(keras.regularizers, name)
    assert theirs(**REGULARIZERS[name]().model_dump()).get_config() == theirs().get_config()


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_transposed_convolutions_of_every_size(padding):
    """Kernel, strides, dilation and output_padding in every small combination give Keras's output shape."""
    import keras

    tried = 0
    for size, extra, (stride, dilation) in product((1, 2, 3, 4, 5), (None, 0, 1, 2), [(1, 1), (2, 1), (3, 1), (1, 2)]):
        # A patch of even height without output_padding is refused for "same", as TensorFlow does.
        refused = padding == "same" and extra == 0 == ((size - 1) * dilation + 1) % 2
        if not refused and (extra is None or extra < stride):
            arguments = {"filters": 2, "kernel_size": [size, 3], "strides": stride, "padding": padding}
            arguments |= {"dilation_rate": dilation, "output_padding": extra}
            layer = VOCABULARY["Conv2DTranspose"].model_validate(arguments)
            theirs = keras.layers.Conv2DTranspose(**arguments)
            for input_shape in ((1, 5, 3), (2, 5, 3), (7, 5, 3)):
                with contextlib.suppress(ShapeError):  # some of these TensorFlow cannot compute
                    output_shape = layer.output_shape(input_shape)
                    assert output_shape == tuple(theirs.compute_output_shape((None, *input_shape))[1:]), arguments
                    tried += 1
    assert tried > 100


MULTIPLIES = ("Conv2D", "Conv3D", "MatMul", "DepthwiseConv2dNative", "Conv2DBackpropInput")
"""TensorFlow's operations whose multiplications count; the profiler's additions of biases and its element-wise work do
not."""


def profiled(model, input_shape):
    """Return the profiler's floating-point operations for one example, by kind of operation."""
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    function = tf.function(lambda x: model(x, training=False))
    concrete = function.get_concrete_function(tf.TensorSpec((1, *input_shape), tf.float32))
    frozen = convert_variables_to_constants_v2(concrete)
    with tf.Graph().as_default() as graph:
        tf.graph_util.import_graph_def(frozen.graph.as_graph_def(), name="")
        options = tf.compat.v1.profiler.ProfileOptionBuilder.float_operation()
        options["output"] = "none"
        found = tf.compat.v1.profiler.profile(graph, cmd="op", options=options)
    kinds = {}
    while found.children:
        (found,) = found.children
        kinds[found.name] = found.float_ops
    return kinds


def as_the_profiler_sees(name, arguments):
    """Return the arguments without those that make TensorFlow compute in a way that the profiler misjudges.

    Dilation becomes a convolution over a padded batch of smaller images, whose padding it counts; groups of a Conv1D
    go into an XLA function that it does not see.
    """
    misjudged = {"dilation_rate", *(["groups"] if name == "Conv1D" else [])}
    return {key: value for key, value in arguments.items() if key not in misjudged} | {"activation": None}


def expected_operations(layer, input_shape, output_shape):
    """Return the multiplications and additions that the profiler counts for a layer.

    It counts a transposed convolution as output positions · kernel / strides², as if every output had that many
    taps; we count what is computed, input positions · kernel. (A 1×1 kernel we compute as a plain convolution.)
    """
    operations = 2 * layer.macs(input_shape)
    if layer.type_name() == "Conv2DTranspose" and layer.kernel_size != (1, 1):
        positions = prod(input_shape[:-1]) * prod(layer.strides)
        return operations * prod(output_shape[:-1]) // positions
    return operations


@pytest.mark.parametrize(
    "name", ["Conv1D", "Conv2D", "Conv3D", "DepthwiseConv2D", "SeparableConv2D", "Conv2DTranspose", "Dense"]
)
def test_macs_equal_the_profilers(name):
    """TensorFlow's profiler counts two operations for each of our multiply-accumulates."""
    from cnncli.engine.network.model import build_network

    @TRIED
    @given(st.data())
    def compare(data):
        arguments, input_shape = data.draw(CASES[name]), data.draw(inputs(name))
        nodes = one_layer(name, as_the_profiler_sees(name, arguments))
        try:
            (output_shape,) = shapes(nodes, input_shape)
        except ShapeError:
            assume(False)
        found = profiled(build_network(nodes, input_shape, seed=0), input_shape)
        operations = sum(found.get(kind, 0) for kind in MULTIPLIES)
        assert operations == expected_operations(nodes[0].layer, input_shape, output_shape)

    compare()
