"""The sizes at which a network can be applied to scaled images, with the weights that it has."""

from __future__ import annotations

from collections.abc import Sequence

from cnncli.analysis.walk import Step, walk
from cnncli.config.schema.schema import Config
from cnncli.config.schema.tasks import MASK
from cnncli.errors import CnnError, ShapeError

Size = tuple[int, int]

_FURTHEST = 32
"""Pixels that a side may be away from its scaled length, so that the network's strides divide it."""


def scaled_size(config: Config, scale: float) -> Size:
    """Return the height and width at which a config's network is applied to images of another scale.

    They are those nearest to the scaled ones at which the output has as many places a pixel as before: of a network
    that halves its image four times, multiples of 16.

    Args:
        config: The experiment.
        scale: By how much images are enlarged.

    Raises:
        CnnError: If there are none: if weights or an output belong to one size.
    """
    height, width = config.data.image_size
    plain = _steps(config, (height, width))
    rows = _nearest(config, plain, scale, [(length, width) for length in _lengths(height, scale)])[0]
    columns = _nearest(config, plain, scale, [(height, length) for length in _lengths(width, scale)])[1]
    return _nearest(config, plain, scale, [(rows, columns)])


def _lengths(length: int, scale: float) -> Sequence[int]:
    """Return the lengths about a scaled one, the nearest first; all are nearer to it than to the plain length."""
    wanted = length * scale
    furthest = min(_FURTHEST, int(abs(wanted - length) / 2))
    around = range(max(1, round(wanted) - furthest), round(wanted) + furthest + 1)
    return sorted(around, key=lambda found: abs(found - wanted))


def _steps(config: Config, size: Size) -> Sequence[Step]:
    return walk(config.nodes, (*size, config.data.channels))


def _nearest(config: Config, plain: Sequence[Step], scale: float, sizes: Sequence[Size]) -> Size:
    """Return the first size whose output fits exactly, else the first that is off by less than a place.

    Raises:
        CnnError: If there is none.
    """
    almost: Size | None = None
    problem = ""
    for size in sizes:
        try:
            steps = _steps(config, size)
        except ShapeError as error:
            problem = problem or error.message
            continue
        missing = _misfit(config, plain, steps, size)
        if isinstance(missing, str):
            problem = problem or missing
        elif missing == 0:
            return size
        else:
            almost = almost or size
    if almost is None:
        raise CnnError(
            f"the network cannot be applied to images scaled by {scale:g}: {problem}",
            "Leave this scale out. Scales require layers that take images of any size.",
        )
    return almost


def _misfit(config: Config, plain: Sequence[Step], steps: Sequence[Step], size: Size) -> str | float:
    """Return how many places the output is off at another size, at most 1; more, or other weights: what is wrong."""
    for before, after in zip(plain, steps, strict=True):
        if before.node.layer.num_params(before.input_shape) != after.node.layer.num_params(after.input_shape):
            return f"the weights of {before.node.name} are for images of {_shown(config.data.image_size)} pixels"
    ends = config.outputs
    furthest = 0.0
    for output in [ends[MASK]] if MASK in ends else list(ends.values()) or [len(steps) - 1]:
        made, was = steps[output].output_shape, plain[output].output_shape
        off = max(abs(made[axis] - was[axis] * size[axis] / config.data.image_size[axis]) for axis in (0, 1))
        if off >= 1:
            plainly = f"of {_shown(config.data.image_size)} pixels {_shown(was)}"
            return f"of {_shown(size)} pixels it makes {_shown(made)} places, {plainly}"
        furthest = max(furthest, off)
    return furthest


def _shown(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape[:2]))
