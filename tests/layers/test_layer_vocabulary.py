"""What layers say of themselves, by arithmetic that can be followed by hand."""

import doctest
import json
import re

import jsonschema
import pytest
from pydantic import ValidationError

import cnncli.layers
from cnncli.errors import ShapeError
from cnncli.layers import VOCABULARY, Conv2D, DepthwiseConv2D, GroupNormalization, Reshape
from cnncli.layers.base import Factor
from cnncli.layers.preprocessing import Normalization


@pytest.mark.parametrize("name", sorted(VOCABULARY))
def test_every_layer_is_documented(name):
    """Every layer says in its docstring what it does; its examples are true."""
    text = VOCABULARY[name].__doc__
    assert text
    names = {**vars(cnncli.layers)}
    for example in re.findall(r"Example: (.+)", text):
        test = doctest.DocTestParser().get_doctest(f">>> {example}\nTrue\n", names, name, None, 0)
        assert doctest.DocTestRunner().run(test).failed == 0


@pytest.mark.parametrize("name", sorted(VOCABULARY))
def test_every_argument_is_explained(name):
    """Arguments that a layer does not share with many others stand in its docstring."""
    shared = {"name", "inputs", "trainable", "activation", "use_bias", "pool_size", "strides", "padding", "keepdims"}
    text = VOCABULARY[name].__doc__
    if "Args: as" in text:
        return
    for argument in VOCABULARY[name].model_fields:
        if argument not in shared and not argument.endswith(("_initializer", "_regularizer")):
            assert f"{argument}: " in text or f"`{argument}`" in text, argument


@pytest.mark.parametrize("name", sorted(VOCABULARY))
def test_json_schema_is_valid(name):
    """Editors get a correct JSON Schema of every layer."""
    schema = VOCABULARY[name].model_json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    json.dumps(schema)


@pytest.mark.parametrize(
    ("arguments", "accepted"),
    [
        ({"filters": 4, "kernel_size": 3}, True),
        ({"filters": 4, "kernel_size": [3, 5], "kernel_initializer": "he_normal"}, True),
        ({"filters": 4, "kernel_size": 3, "kernel_initializer": {"RandomNormal": {"stddev": 0.01}}}, True),
        ({"filters": 4, "kernel_size": 3, "kernel_regularizer": {"L2": {"l2": 1e-4}}}, True),
        ({"kernel": "sobel_x", "trainable": False}, True),
        ({"kernel": [[1, 2], [3, 4]]}, True),
        ({"kernel": "whitening", "filters": 4, "kernel_size": 3}, True),
        ({"kernel": "whitening"}, False),
        ({"kernel": ["sobel_x", [[1, 2, 3], [4, 5, 6], [7, 8, 9]]]}, True),
        ({"filters": 4}, False),
        ({"filters": 0, "kernel_size": 3}, False),
        ({"filters": True, "kernel_size": 3}, False),
        ({"filters": 4, "kernel_size": "3"}, False),
        ({"filters": 4, "kernel_size": [3]}, False),
        ({"filters": 4, "kernel_size": 3, "padding": "sme"}, False),
        ({"filters": 4, "kernel_size": 3, "kernel_initializer": {"RandomNormal": {"stdev": 0.01}}}, False),
        ({"filters": 4, "kernel_size": 3, "kernel_initializer": "he_norml"}, False),
        ({"filters": 4, "kernel_size": 3, "width": 3}, False),
        ({"kernel": "sobl"}, False),
        ({"kernel": []}, False),
    ],
)
def test_schema_and_validation_agree(arguments, accepted):
    """What the JSON Schema accepts, the layer accepts, and the other way round."""
    validator = jsonschema.Draft202012Validator(Conv2D.model_json_schema())
    assert validator.is_valid(arguments) == accepted
    try:
        Conv2D.model_validate(arguments)
    except ValidationError:
        assert not accepted
    else:
        assert accepted


@pytest.mark.parametrize(
    ("name", "arguments", "place", "words"),
    [
        ("Conv2D", {"filters": 6, "kernel_size": 3, "strides": 2, "dilation_rate": 2}, (), "both be above 1"),
        ("Conv2D", {"filters": 6, "kernel_size": 3, "groups": 4}, (), "6 filters are not divisible by 4 groups"),
        ("Conv2D", {"kernel": "box", "kernel_size": 5}, (), "kernel_size is [5, 5], but kernel is 3×3"),
        ("Conv2D", {"kernel": ["box", "sobel_x"], "filters": 3}, (), "3 filters cannot be distributed over 2 kernels"),
        ("Conv2D", {"kernel": [[1, 2], [3]]}, ("kernel",), "same number of values"),
        ("Conv2D", {"kernel": ["box", [[1]]]}, ("kernel",), "same height and width"),
        ("Conv2D", {"kernel": 3}, ("kernel",), "rows of numbers"),
        ("Conv1D", {"filters": 1, "kernel_size": [3, 3]}, ("kernel_size",), "an integer of at least 1"),
        ("DepthwiseConv2D", {"kernel_size": 3, "strides": [1, 2]}, (), "equal strides for height and width"),
        ("Conv2DTranspose", {"filters": 1, "kernel_size": 3, "output_padding": 1}, (), "below strides"),
        (
            "Conv2DTranspose",
            {"filters": 4, "kernel_size": [3, 4], "strides": 2, "padding": "same", "output_padding": [0, 0]},
            (),
            "even kernel width (4) needs an output_padding of at least 1 there",
        ),
        ("Reshape", {"target_shape": [-1, -1]}, (), "at most one -1"),
        ("Permute", {"dims": [1, 3]}, (), "each number from 1 to the number of axes once"),
        ("ChannelPadding", {"padding": [1.5, 0]}, ("padding", 0), "valid integer"),
        ("Resizing", {}, (), "needs height and width, or like"),
        ("Resizing", {"height": 3}, (), "needs height and width, or like"),
        ("Resizing", {"width": 3, "like": "a"}, (), "height and width, or like, not both"),
        ("Resizing", {"like": ""}, ("like",), "pattern"),
        ("GroupNormalization", {"groups": 0}, (), "at least 1, or -1"),
        ("Normalization", {"mean": 0.5}, (), "together, or neither"),
        ("Normalization", {"mean": [0.5], "variance": [1.0, 2.0]}, (), "same number of values"),
        ("ZeroPadding2D", {"padding": [1, 2, 3]}, ("padding",), "[height, width]"),
        ("ZeroPadding2D", {"padding": [[1, 2, 3], 1]}, ("padding",), "[height, width]"),
        ("ZeroPadding2D", {"padding": [[1, 2], [0, -1]]}, ("padding",), "[height, width]"),
        ("ZeroPadding2D", {"padding": [[1, 2], [0, 1.5]]}, ("padding",), "[height, width]"),
        ("Cropping2D", {"cropping": -1}, ("cropping",), "[height, width]"),
        (
            "Conv2D",
            {"kernel": "whitening", "filters": 3, "kernel_size": 3},
            (),
            "an even number of filters in one group",
        ),
        ("Conv2D", {"kernel": "whitening", "filters": 4, "kernel_size": 3, "groups": 2}, (), "got 4 in 2"),
        ("Conv2D", {"kernel": [["a"]]}, ("kernel",), "rows of numbers"),
        ("Conv2D", {"kernel": [[True]]}, ("kernel",), "rows of numbers"),
        ("Dropout", {"rate": 1.0}, ("rate",), "less than 1"),
        ("Dense", {"units": 3, "kernel_regularizer": {"L2": {"l2": -1}}}, ("kernel_regularizer", "L2", "l2"), "0"),
    ],
)
def test_wrong_arguments_are_named(name, arguments, place, words):
    """A wrong argument is reported at its place, with what was expected."""
    with pytest.raises(ValidationError) as caught:
        VOCABULARY[name].model_validate(arguments)
    (error,) = caught.value.errors()
    assert error["loc"] == place
    assert words in error["msg"]


@pytest.mark.parametrize(
    ("name", "arguments", "input_shape", "message", "hint"),
    [
        (
            "Conv2D",
            {"filters": 1, "kernel_size": 5},
            (3, 3, 1),
            "a 5×5 window does not fit a 3×3 image",
            "padding: same",
        ),
        (
            "Conv2D",
            {"filters": 1, "kernel_size": 3, "dilation_rate": 2},
            (4, 9, 1),
            "a 5×5 window (3×3, spread by dilation_rate) does not fit a 4×9 image",
            "a smaller kernel_size",
        ),
        ("MaxPooling2D", {}, (1, 1, 6), "a 2×2 window does not fit a 1×1 image", "a smaller pool_size"),
        ("Conv2D", {"filters": 1, "kernel_size": 3}, (120,), "its input has 1: 120", "before Flatten"),
        ("Conv2D", {"filters": 1, "kernel_size": 3}, (8, 3), "its input has 2: 8×3", "Conv1D"),
        ("Conv2D", {"filters": 4, "kernel_size": 3, "groups": 2}, (8, 8, 3), "3 input channels", "groups"),
        ("Reshape", {"target_shape": [5, -1]}, (4, 4, 1), "4×4×1 = 16 values cannot be arranged as 5×?", "16"),
        ("Permute", {"dims": [2, 1]}, (4, 4, 1), "dims name 2 axes; the input has 3: 4×4×1", "from 1 to 3"),
        (
            "ChannelPadding",
            {"padding": [-2, -2]},
            (4, 4, 4),
            "cutting off 2 and 2 channels leaves none of 4 (4×4×4)",
            "fewer than 4",
        ),
        ("Cropping2D", {"cropping": 2}, (4, 8, 1), "leaves nothing of a 4×8 image", "crop less"),
        ("GroupNormalization", {"groups": 4}, (4, 4, 6), "6 channels (4×4×6)", "divide 6"),
        (
            "Normalization",
            {"mean": [1.0, 2.0], "variance": [1.0, 1.0]},
            (4, 4, 3),
            "2 means for 3 channels",
            "3 values",
        ),
    ],
)
def test_shapes_that_do_not_fit(name, arguments, input_shape, message, hint):
    """A shape error says the numbers and what to do."""
    with pytest.raises(ShapeError) as caught:
        VOCABULARY[name].model_validate(arguments).output_shape(input_shape)
    assert message in caught.value.message
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("arguments", "input_shape", "fits"),
    [
        ({"filters": 4, "kernel_size": 3}, (3, 3, 1), True),
        ({"filters": 4, "kernel_size": 3}, (2, 3, 1), False),
        ({"filters": 4, "kernel_size": [3, 2]}, (3, 2, 1), True),
        ({"filters": 4, "kernel_size": [3, 2]}, (3, 1, 1), False),
        ({"filters": 4, "kernel_size": 3, "dilation_rate": 2}, (5, 5, 1), True),
        ({"filters": 4, "kernel_size": 3, "dilation_rate": 2}, (5, 4, 1), False),
        ({"filters": 36, "kernel_size": 3}, (8, 8, 2), True),
        ({"filters": 38, "kernel_size": 3}, (8, 8, 2), False),
        ({"filters": 12, "kernel_size": [3, 2]}, (8, 8, 1), True),
        ({"filters": 14, "kernel_size": [3, 2]}, (8, 8, 1), False),
    ],
)
def test_whitening_measures_whole_patches(arguments, input_shape, fits):
    """The patch fits into the input, and has at least half as many components as there are filters."""
    layer = Conv2D.model_validate({**arguments, "kernel": "whitening", "padding": "same"})
    if fits:
        assert layer.output_shape(input_shape) == (*input_shape[:2], arguments["filters"])
    else:
        with pytest.raises(ShapeError) as caught:
            layer.output_shape(input_shape)
        assert caught.value.code == "E043"


NOT_NEGATIVE = (0.0, -1e-9)
POSITIVE = (1e-9, 0.0)
COUNT = (1, 0)


@pytest.mark.parametrize(
    ("name", "needed", "argument", "limits"),
    [
        ("ReLU", {}, "max_value", NOT_NEGATIVE),
        ("ReLU", {}, "negative_slope", NOT_NEGATIVE),
        ("ReLU", {}, "threshold", NOT_NEGATIVE),
        ("LeakyReLU", {}, "negative_slope", NOT_NEGATIVE),
        ("Conv2D", {"kernel_size": 3}, "filters", COUNT),
        ("Conv2D", {"filters": 3}, "kernel_size", COUNT),
        ("Conv2D", {"filters": 3, "kernel_size": 3}, "strides", COUNT),
        ("Conv2D", {"filters": 3, "kernel_size": 3}, "dilation_rate", COUNT),
        ("Conv2D", {"filters": 3, "kernel_size": 3}, "groups", COUNT),
        ("Conv2DTranspose", {"filters": 3, "kernel_size": 3, "strides": 3}, "output_padding", (2, 3)),
        ("Conv2DTranspose", {"filters": 3, "kernel_size": 3, "strides": 3}, "output_padding", (0, -1)),
        ("DepthwiseConv2D", {"kernel_size": 3}, "depth_multiplier", COUNT),
        ("Dense", {}, "units", COUNT),
        ("Dropout", {}, "rate", (0.0, -1e-9)),
        ("Dropout", {}, "rate", (0.999999, 1.0)),
        ("SpatialDropout2D", {}, "rate", (0.999999, 1.0)),
        ("BatchNormalization", {}, "momentum", (0.0, -1e-9)),
        ("BatchNormalization", {}, "momentum", (1.0, 1.000001)),
        ("BatchNormalization", {}, "epsilon", POSITIVE),
        ("GroupNormalization", {}, "groups", (-1, -2)),
        ("GroupNormalization", {}, "groups", (1, 0)),
        ("LocalResponseNormalization", {}, "depth_radius", (0, -1)),
        ("LocalResponseNormalization", {}, "bias", POSITIVE),
        ("LocalResponseNormalization", {}, "alpha", NOT_NEGATIVE),
        ("LocalResponseNormalization", {}, "beta", NOT_NEGATIVE),
        ("Reshape", {}, "target_shape", ([-1], [-2])),
        ("Reshape", {}, "target_shape", ([1], [])),
        ("ZeroPadding2D", {}, "padding", (0, -1)),
        ("UpSampling2D", {}, "size", COUNT),
        ("Resizing", {"width": 1}, "height", COUNT),
        ("Resizing", {"height": 1}, "width", COUNT),
        ("MaxPooling2D", {}, "pool_size", COUNT),
    ],
)
def test_arguments_at_their_limits(name, needed, argument, limits):
    """The last value that is taken, and the first that is not."""
    good, bad = limits
    VOCABULARY[name].model_validate({**needed, argument: good})
    with pytest.raises(ValidationError):
        VOCABULARY[name].model_validate({**needed, argument: bad})


def test_parameters_as_arithmetic():
    """ConvNetJS's first convolution prints as 3·16·5·5 + 16 = 1,216."""
    terms = Conv2D(filters=16, kernel_size=5).param_terms((32, 32, 3))
    text = " + ".join("·".join(str(factor.value) for factor in term) for term in terms)
    assert text == "3·16·5·5 + 16"
    assert terms[1] == (Factor("filters", 16),)


def test_macs_as_arithmetic():
    """A strided convolution multiplies once for each output position, tap, channel and filter."""
    layer = Conv2D(filters=64, kernel_size=7, strides=2, padding="same", use_bias=False)
    (term,) = layer.mac_terms((224, 224, 3))
    assert [factor.value for factor in term] == [112, 112, 3, 64, 7, 7]
    assert layer.macs((224, 224, 3)) == 118_013_952


def test_one_filter_pass_of_goodfellow():
    """Two taps over a 320×280 image: 319·280·3 operations, where a dense product needs sixteen billion."""
    macs = Conv2D(filters=1, kernel_size=[1, 2], use_bias=False).macs((280, 320, 1))
    additions = macs // 2
    assert macs + additions == 319 * 280 * 3 == 267_960
    assert 319 * 280 * 320 * 280 * 2 == 16_006_144_000


def test_frozen_layers_count_as_not_trainable():
    """`trainable: false` moves all values to the other count."""
    frozen = DepthwiseConv2D(kernel_size=3, trainable=False)
    assert frozen.num_params((8, 8, 4), trainable=True) == 0
    assert frozen.num_params((8, 8, 4), trainable=False) == frozen.num_params((8, 8, 4)) == 40


def test_batch_normalization_counts():
    """Factor and offset are trained, the moving statistics are not."""
    layer = VOCABULARY["BatchNormalization"]()
    assert layer.num_params((8, 8, 16), trainable=True) == layer.num_params((8, 8, 16), trainable=False) == 32


def test_kernel_brings_its_filters():
    """A kernel stands for filters and kernel_size: one filter a kernel and group."""
    layer = Conv2D(kernel=["sobel_x", "sobel_y"], groups=3)
    assert (layer.filters, layer.kernel_size) == (6, (3, 3))


def test_initializers_by_any_name():
    """Keras's snake case, the class name and the form with arguments mean the same."""
    forms = ["he_normal", "HeNormal", {"HeNormal": {}}, {"he_normal": None}]
    layers = [Conv2D.model_validate({"filters": 1, "kernel_size": 1, "kernel_initializer": form}) for form in forms]
    assert len(set(layers)) == 1
    assert layers[0].keras_arguments()["kernel_initializer"] == {"class_name": "HeNormal", "config": {}}


def test_measured_normalization_has_weights():
    """Without numbers the statistics are weights that training fills once; with numbers there are none."""
    assert [w.shape for w in Normalization().weights((4, 4, 3))] == [(3,), (3,), ()]
    assert Normalization(mean=0.5, variance=1.0).weights((4, 4, 3)) == ()


def test_reshape_fills_one_axis_in():
    """-1 is whatever is left."""
    assert Reshape(target_shape=[-1, 4]).output_shape((6, 2, 1)) == (3, 4)


@pytest.mark.parametrize(("filters", "fits"), [(24, True), (26, False)])
def test_whitening_has_two_filters_for_each_value_of_a_patch(filters, fits):
    """A patch of 2×2 pixels of 3 channels has 12 components, each of which a filter and its negative show."""
    layer = Conv2D(filters=filters, kernel_size=2, kernel="whitening")
    if fits:
        assert layer.output_shape((5, 6, 3)) == (4, 5, 24)
        return
    with pytest.raises(ShapeError, match="26 whitening filters, but a patch of this input has 12 components"):
        layer.output_shape((5, 6, 3))


def test_groups_of_a_normalization_divide_the_channels():
    """Groups that do, and one for each channel; not those that leave a rest."""
    for groups in (1, 3, 6, -1):
        assert GroupNormalization(groups=groups).output_shape((4, 5, 6)) == (4, 5, 6)
    with pytest.raises(ShapeError, match=r"6 channels \(4×5×6\) are not divisible by 4 groups"):
        GroupNormalization(groups=4).output_shape((4, 5, 6))
