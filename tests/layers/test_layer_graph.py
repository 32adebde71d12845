"""From composites to nodes: order, inputs, names, paths, shapes."""

import pytest

from cnncli.layers import (
    Add,
    Concatenate,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    MaxPooling2D,
    Multiply,
    ReLU,
    Resizing,
    Subtract,
    UpSampling2D,
)
from cnncli.layers.composites import Block, Parallel, Repeat, Residual
from cnncli.layers.graph import INPUT, MOST_PROBLEMS, GraphError, NodeShapeError, leading_to, measure, shapes, sized
from cnncli.layers.layout import flatten, lay_out


def conv(filters=4, **more):
    """Return a 3×3 convolution that keeps the size."""
    return Conv2D(filters=filters, kernel_size=3, padding="same", **more)


def test_composites_become_nodes():
    """Branches follow one another, each takes the same input, and a merge takes their ends."""
    layers = [
        conv(),
        Parallel(branches=((conv(),), (MaxPooling2D(pool_size=1), conv()), ())),
        Residual(layers=(conv(12), ReLU()), shortcut=(conv(12),)),
        Residual(layers=(conv(12),)),
    ]
    nodes = flatten(layers)
    assert [(node.name, node.inputs) for node in nodes] == [
        ("conv2d", (INPUT,)),
        ("conv2d_1", (0,)),
        ("max_pooling2d", (0,)),
        ("conv2d_2", (2,)),
        ("concatenate", (1, 3, 0)),
        ("conv2d_3", (4,)),
        ("re_lu", (5,)),
        ("conv2d_4", (4,)),
        ("add", (6, 7)),
        ("conv2d_5", (8,)),
        ("add_1", (9, 8)),
    ]
    assert [node.path for node in nodes][1:10:2] == [
        "model.layers[1].Parallel[0][0].Conv2D",
        "model.layers[1].Parallel[1][1].Conv2D",
        "model.layers[2].Residual.layers[0].Conv2D",
        "model.layers[2].Residual.shortcut[0].Conv2D",
        "model.layers[3].Residual.layers[0].Conv2D",
    ]
    assert shapes(nodes, (8, 8, 3))[4:] == ((8, 8, 12),) * 7


def test_repeated_layers_share_a_path_and_number_their_name():
    """Each time round is a node of its own; a given name is numbered, and never taken twice."""
    nodes = flatten([Repeat(times=3, layers=(conv(name="c"),)), Block(block="b", layers=(conv(name="c"), conv()))])
    assert [node.name for node in nodes] == ["c", "c_1", "c_2", "c_3", "conv2d"]
    assert {node.path for node in nodes[:3]} == {"model.layers[0].Repeat.layers[0].Conv2D"}
    assert nodes[3].path == "model.layers[1].b.layers[0].Conv2D"


def test_automatic_names_leave_given_ones_alone():
    """A name from the config is never taken by a layer without one."""
    nodes = flatten([conv(), conv(name="conv2d"), conv(), conv(name="conv2d_2")])
    assert [node.name for node in nodes] == ["conv2d_1", "conv2d", "conv2d_3", "conv2d_2"]


def test_the_same_name_twice_is_an_error():
    """Two layers of one name would be one row too few."""
    with pytest.raises(GraphError, match='two layers are named "c"') as caught:
        flatten([conv(name="c"), conv(name="c")])
    assert caught.value.path == "model.layers[1].Conv2D"


def test_repeats_within_repeats_are_bounded():
    """A billion layers are a mistake, and found at once."""
    layers = (conv(),)
    for _ in range(3):
        layers = (Repeat(times=1000, layers=layers),)
    with pytest.raises(GraphError, match="more than 20,000 layers"):
        flatten(layers)


def test_repeats_of_nothing_end():
    """A block without layers, repeated without end, is an identity."""
    layers = (Block(block="empty", layers=()),)
    for _ in range(4):
        layers = (Repeat(times=1000, layers=layers),)
    assert flatten([*layers, Flatten()])[0].inputs == (INPUT,)


def test_shape_errors_tell_the_way_there():
    """The error names the layer and the sizes that led to it, without steps that changed nothing."""
    nodes = flatten([conv(), ReLU(), MaxPooling2D(pool_size=4), Dropout(rate=0.5), Conv2D(filters=1, kernel_size=5)])
    with pytest.raises(NodeShapeError, match="a 5×5 window does not fit a 2×2 image") as caught:
        shapes(nodes, (8, 8, 1))
    assert caught.value.node.name == "conv2d_1"
    assert caught.value.sizes == "input 8×8×1 → conv2d 8×8×4 → max_pooling2d 2×2×4"


def test_branches_that_do_not_meet():
    """Branches of different sizes or channels say both shapes."""
    different = Parallel(branches=((conv(),), (MaxPooling2D(),)))
    with pytest.raises(NodeShapeError, match="8×8×4 and 4×4×1"):
        shapes(flatten([different]), (8, 8, 1))
    with pytest.raises(NodeShapeError, match="8×8×4 and 8×8×1"):
        shapes(flatten([Residual(layers=(conv(),))]), (8, 8, 1))


def inputs(nodes):
    """Return the names that each node reads, by its name."""
    names = [node.name for node in nodes] + ["input"]
    return {node.name: tuple(names[i] for i in node.inputs) for node in nodes}


def test_layers_read_what_they_name():
    """An earlier layer, also one inside branches and blocks, or the network's input; without names the one above."""
    nodes = lay_out(
        [
            conv(name="a"),
            Parallel(branches=((conv(name="b"),), ())),
            Block(block="x", layers=(ReLU(name="c"),), inputs=("b",)),
            conv(inputs=("input",), name="d"),
            Add(inputs=("c", "d", "a")),
            Residual(layers=(ReLU(name="r"),), inputs=("a",)),
            Parallel(branches=((), ()), inputs=("r",)),
            Repeat(times=2, layers=(ReLU(),), inputs=("b",)),
        ]
    ).nodes
    assert inputs(nodes) == {
        "a": ("input",),
        "b": ("a",),
        "concatenate": ("b", "a"),
        "c": ("b",),
        "d": ("input",),
        "add": ("c", "d", "a"),
        "r": ("a",),
        "add_1": ("r", "a"),
        "concatenate_1": ("r", "r"),
        "re_lu": ("b",),
        "re_lu_1": ("re_lu",),
    }
    assert [node.name for node in nodes if node.named] == ["c", "d", "add", "r", "add_1", "concatenate_1", "re_lu"]


def test_names_inside_a_use_mean_its_own_layers_first():
    """Each turn of a Repeat and each use of a block reads its own layer, and the outer one where it has none."""
    turn = (conv(name="c"), ReLU(name="r"), Add(inputs=("c", "r", "stem")))
    nodes = flatten([conv(name="stem"), Repeat(times=2, layers=turn), Block(block="b", layers=turn)])
    assert {name: read for name, read in inputs(nodes).items() if name.startswith("add")} == {
        "add": ("c", "r", "stem"),
        "add_1": ("c_1", "r_1", "stem"),
        "add_2": ("c_2", "r_2", "stem"),
    }


def test_a_block_of_several_inputs():
    """The first layer of a block takes all of them if it merges; so do branches that begin with a merge."""
    merge = Block(block="b", layers=(Concatenate(), conv()), inputs=("a", "input"))
    assert inputs(flatten([conv(name="a"), merge]))["concatenate"] == ("a", "input")
    sums = Parallel(branches=((Add(),), (Multiply(),)), inputs=("a", "b"))
    found = inputs(flatten([conv(name="a"), ReLU(name="b"), sums]))
    assert (found["add"], found["multiply"]) == (("a", "b"), ("a", "b"))


def test_a_layer_called_input_hides_the_image():
    """A name that is given is a layer's."""
    assert flatten([conv(name="input"), Add(inputs=("input", "input"))])[1].inputs == (0, 0)


def test_outputs_have_names():
    """Any layer can be an output; without names the last one is, and every other is read."""
    layers = [conv(name="a"), conv(name="b"), ReLU(inputs=("a",), name="c")]
    layout = lay_out(layers, {"first": "b", "second": "c", "third": "a"})
    assert (layout.outputs, layout.problems) == ({"first": 1, "second": 2, "third": 0}, ())
    assert [error.message for error in lay_out(layers).problems] == ["no layer reads b, and it is not an output"]
    codes = [error.code for error in lay_out(layers, {"x": "b", "y": "d", "z": "input"}).problems]
    assert codes == ["E033", "E033"]


def test_names_of_layers_that_were_left_out_are_no_error():
    """Where only the first layers could be made, a name may be one of the others'."""
    layers = [conv(inputs=("later",)), conv(inputs=("never",))]
    assert [error.code for error in lay_out(layers, left_out={"later"}).problems] == ["E033"]


@pytest.mark.parametrize(
    ("layers", "code", "words"),
    [
        (
            [conv(name="a", inputs=("b",)), conv(name="b", inputs=("input",)), Add(inputs=("a", "b"))],
            "E034",
            '"b" comes',
        ),
        ([conv(name="a", inputs=("a",))], "E035", "the layer a reads itself"),
        ([conv(name="a", inputs=("b",)), conv(name="b")], "E035", "a reads b, b reads a"),
        ([conv(name="a", inputs=("c",)), ReLU(), conv(name="c")], "E035", "a reads c, c reads re_lu, re_lu reads a"),
        (
            [conv(name="a", inputs=("b",)), conv(name="b", inputs=("c",)), conv(name="c", inputs=("a",))],
            "E035",
            "a reads b, b reads c, c reads a",
        ),
        ([conv(name="a", inputs=("z",)), *[ReLU()] * 9, conv(name="z")], "E035", "a reads z, z reads re_lu_8, "),
        ([conv(name="a"), Resizing(like="c")], "E033", 'no layer is named "c"'),
        ([Resizing(like="a", name="a")], "E035", "the layer a reads itself"),
        ([conv(), Resizing(like="b", name="a"), conv(name="b")], "E035", "a reads b, b reads a"),
        (
            [Resizing(like="b", name="a"), conv(name="b", inputs=("input",)), Concatenate(inputs=("a", "b"))],
            "E034",
            '"b" comes later',
        ),
        ([conv(name="a"), conv(inputs=("input",)), Resizing(like="a")], "E037", "no layer reads a"),
        ([Add()], "E036", "here it has only input"),
        ([conv(name="a"), ReLU(inputs=("a", "a"))], "E036", "ReLU takes one input; here it has 2"),
        ([conv(name="a"), Subtract(inputs=("a", "a", "a"))], "E036", "takes 2 inputs; here it has 3"),
    ],
)
def test_what_cannot_be_read(layers, code, words):
    """Later names, circles with the way round, and wrong numbers of inputs; each is told once."""
    (error,) = lay_out(layers).problems
    assert error.code == code
    assert words in error.message


def test_circles_of_many_names_end():
    """Thousands of names that no earlier layer has are told of in a moment, the first of them."""
    layers = [conv(name=f"n{i}", inputs=(f"n{i + 1}",)) for i in range(5000)]
    assert len(lay_out([*layers, conv(name="n5000")]).problems) <= MOST_PROBLEMS


def test_axes_that_grow_without_end():
    """Channels doubled again and again end in an error, not in numbers that cannot be printed."""
    for grow in (Concatenate(inputs=("c", "c"), name="c"), UpSampling2D(name="c")):
        doubled = Repeat(times=1000, layers=(ReLU(name="c"), grow.model_copy(update={"name": None})))
        errors = measure(flatten([doubled]), (8, 8, 1))[1]
        assert [error.code for error in errors] == ["E043"]


def test_an_unread_layer_of_many_turns_is_told_once():
    """A layer written once is told of once, however often it is repeated."""
    layers = [conv(name="a"), Repeat(times=9, layers=(ReLU(), conv(inputs=("a",))))]
    assert [error.message for error in lay_out(layers).problems] == ["no layer reads re_lu, and it is not an output"]


def test_shape_errors_of_several_inputs_tell_each_way():
    """Each input's way is told from where they part; independent errors are all found."""
    layers = [
        conv(name="stem"),
        ReLU(name="same"),
        conv(8, name="a"),
        MaxPooling2D(inputs=("same",), name="half"),
        Add(inputs=("a", "half"), name="sum"),
        Conv2D(filters=1, kernel_size=9, inputs=("half",), name="large"),
        Dense(units=1, inputs=("sum",)),
    ]
    errors = measure(lay_out(layers, left_out=()).nodes, (8, 8, 1))[1]
    assert [error.node.name for error in errors] == ["sum", "large"]
    assert errors[0].sizes == "same 8×8×4 → a 8×8×8; same 8×8×4 → half 4×4×4"
    assert errors[1].sizes == "input 8×8×1 → stem 8×8×4 → half 4×4×4"


def decoder():
    """Return a pooling whose plane goes back to the size of what was pooled, and then to the image's."""
    return flatten(
        [
            conv(5, strides=2, name="fine"),
            MaxPooling2D(),
            Resizing(like="fine", name="up"),
            Concatenate(inputs=("fine", "up")),
            Resizing(like="input", interpolation="nearest"),
        ]
    )


@pytest.mark.parametrize(("size", "fine", "coarse"), [((45, 64), (23, 32), (11, 16)), ((9, 7), (5, 4), (2, 2))])
def test_a_size_like_that_of_another_layer(size, fine, coarse):
    """It follows the image's size, and reads nothing of the layer that has it."""
    nodes = decoder()
    assert [(node.inputs, node.like) for node in nodes[2:]] == [((1,), 0), ((0, 2), None), ((3,), INPUT)]
    assert shapes(nodes, (*size, 3)) == ((*fine, 5), (*coarse, 5), (*fine, 5), (*fine, 10), (*size, 10))
    found = sized(nodes, (*size, 3))
    assert [node.layer.lengths for node in (found[2], found[4])] == [fine, size]
    assert found[2].layer.keras_arguments() == {"height": fine[0], "width": fine[1], "interpolation": "bilinear"}
    assert sized(found, (20, 20, 3))[2].layer.lengths == (10, 10)
    assert nodes[2].layer.height is None


def test_a_size_like_that_of_a_vector():
    """What makes no plane has no size that another could have."""
    layers = [conv(name="a"), Flatten(name="flat"), Dense(units=3), Resizing(like="flat", inputs=("a",))]
    (error,) = measure(lay_out(layers, left_out=()).nodes, (8, 8, 1))[1]
    assert (error.code, error.message) == ("E041", "the layer flat makes 256 values, which have no height and width")


def test_a_thousand_layers_are_laid_out_in_order():
    """A long chain stays a chain."""
    nodes = flatten([Repeat(times=1000, layers=(conv(),)), Flatten(), Dense(units=10)])
    assert len(nodes) == 1002
    assert shapes(nodes, (8, 8, 4))[-1] == (10,)


def test_what_leads_to_a_node():
    """Layers that it does not need are left out, and what is left refers to its inputs in their new places."""
    layers = [
        conv(name="a"),
        conv(name="unused"),
        conv(inputs="a", name="b"),
        Concatenate(inputs=("a", "b"), name="end"),
        conv(name="after"),
    ]
    nodes = lay_out(layers, {"mask": "end", "other": "unused", "last": "after"}).nodes
    found = leading_to(nodes, 3)
    assert [(node.name, node.inputs) for node in found] == [("a", (INPUT,)), ("b", (0,)), ("end", (0, 1))]
    assert leading_to(nodes, 0) == found[:1]
