"""From composites to nodes: order, inputs, names, paths, shapes."""

import pytest

from cnncli.layers import Conv2D, Dense, Dropout, Flatten, MaxPooling2D, ReLU
from cnncli.layers.composites import Block, Parallel, Repeat, Residual
from cnncli.layers.graph import INPUT, GraphError, NodeShapeError, flatten, shapes


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


def test_a_thousand_layers_are_laid_out_in_order():
    """A long chain stays a chain."""
    nodes = flatten([Repeat(times=1000, layers=(conv(),)), Flatten(), Dense(units=10)])
    assert len(nodes) == 1002
    assert shapes(nodes, (8, 8, 4))[-1] == (10,)
