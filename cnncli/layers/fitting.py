"""Planes of different size that meet: which sizes of the image avoid that, and which layer would."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from cnncli.layers.base import Layer, Shape
from cnncli.layers.graph import INPUT, INPUT_NAME, Node, NodeShapeError, measure
from cnncli.layers.merging import Concatenate
from cnncli.layers.resizing import UpSampling2D
from cnncli.layers.sliding import Sliding
from cnncli.layers.transpose import Conv2DTranspose

MOST_STRIDE = 1024
"""Largest total stride that is tried as a divisor of the image's size."""


def advice(nodes: Sequence[Node], input_shape: Shape, unfit: NodeShapeError) -> str | None:
    """Return what to do where planes of different height or width meet; None where their size is not the trouble.

    Args:
        nodes: The network.
        input_shape: Shape of the image.
        unfit: What `measure` found.
    """
    ends = [trail[-1] for trail in unfit.trails]
    if len({shape[:-1] for _, shape in ends}) < 2 or any(len(shape) != 3 for _, shape in ends):
        return None
    layer = _resizing(nodes, unfit.node, ends)
    divisor = _divisor(nodes, input_shape, unfit.node)
    if divisor is None:
        return layer and f"{unfit.hint}; or {layer}"
    odd = [str(length) for length in dict.fromkeys(input_shape[:2]) if length % divisor]
    sizes = [_rounded(input_shape, divisor, up) for up in (False, True)]
    written = " or ".join(f"[{height}, {width}]" for height, width, _ in sizes if min(height, width))
    remedies = f"use data.image_size: {written}" + (f", or {layer}" if layer else "")
    numbers = f"{odd[0]} is not a multiple" if len(odd) == 1 else f"{' and '.join(odd)} are not multiples"
    return f"{numbers} of {divisor}, the product of the strides: {remedies}"


def _resizing(nodes: Sequence[Node], node: Node, ends: Sequence[tuple[str, Shape]]) -> str | None:
    """Return how a plane becomes as large as the first of those that meet, an encoder's, if that one has a name."""
    if len({shape[-1] for _, shape in ends}) > 1 and not isinstance(node.layer, Concatenate):
        return None
    places = {each.name: index for index, each in enumerate(nodes)} | {INPUT_NAME: INPUT}
    (target, size), *others = sorted(ends, key=lambda end: places[end[0]])
    name = INPUT_NAME if target == INPUT_NAME else nodes[places[target]].layer.name
    if name is None or not node.named:
        return None
    other = next(end[0] for end in others if end[1][:-1] != size[:-1])
    place = "in place of" if isinstance(nodes[places[other]].layer, UpSampling2D) else "after"
    return f"put `Resizing: {{like: {name}}}` {place} {other}"


def _divisor(nodes: Sequence[Node], input_shape: Shape, node: Node) -> int | None:
    """Return the least product of strides so that the node takes its inputs at sizes which are multiples of it.

    One with which the whole network fits comes before one with which only this node does.
    """
    index = nodes.index(node)
    fitting: dict[int, bool] = {}
    for divisor in _products(nodes):
        sizes = [size for up in (False, True) if min(size := _rounded(input_shape, divisor, up))]
        found = [measure(nodes, size) for size in sizes]
        if all(outputs[index] is not None for outputs, _ in found):
            fitting[divisor] = not any(problems for _, problems in found)
    return next((d for d, whole in fitting.items() if whole), next(iter(fitting), None))


def _products(nodes: Sequence[Node]) -> list[int]:
    """Return the products of strides on the ways to all layers, least first; what enlarges takes some away."""
    strides: dict[int, Fraction] = {INPUT: Fraction(1)}
    for index, node in enumerate(nodes):
        before = max(strides.get(i, Fraction(1)) for i in node.inputs)
        strides[index] = strides.get(node.like, before) if node.like is not None else before * _stride(node.layer)
    return sorted({int(s) for s in strides.values() if 1 < s <= MOST_STRIDE and s.denominator == 1})


def _stride(layer: Layer) -> Fraction:
    if isinstance(layer, UpSampling2D):
        return Fraction(1, max(layer.size))
    if isinstance(layer, Conv2DTranspose):
        return Fraction(1, max(layer.strides))
    return Fraction(max((slide.stride for slide in layer.slides()), default=1) if isinstance(layer, Sliding) else 1)


def _rounded(input_shape: Shape, divisor: int, up: bool) -> Shape:
    """Return the shape of the next image whose height and width are multiples of the divisor."""
    height, width = ((length + up * (divisor - 1)) // divisor * divisor for length in input_shape[:2])
    return height, width, input_shape[-1]
