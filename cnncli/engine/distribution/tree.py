"""Sums along one fixed binary tree: neighbours first, then pairs of these, to the root.

Floating-point sums depend on their order. Along a tree, any worker can add up the subtree of its own parts, and workers
then go on with the same tree: the bits are those of one process that has all parts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import tensorflow as tf

Structure = TypeVar("Structure")


def add_tree(parts: Sequence[Structure]) -> Structure:
    """Return the sum of a power of two of structures of tensors."""
    level = list(parts)
    while len(level) > 1:
        level = _pairs_added(level)
    return level[0]


# A function of its own for each level: a rewriter of graphs would make one sum of many terms out of a tree of
# additions, in an order of its own.
@tf.function(experimental_attributes={"_noinline": True})
def _pairs_added(parts: list[Structure]) -> list[Structure]:
    return [tf.nest.map_structure(tf.add, *pair) for pair in zip(parts[::2], parts[1::2], strict=True)]
