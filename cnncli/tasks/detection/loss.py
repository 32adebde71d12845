"""The loss of one image, in NumPy: what the objective computes in TensorFlow, and is checked against.

Every object paints an ellipse into the heatmap of its class, a Gaussian around the cell in which its centre lies; all
cells of the ellipse learn its box.

Reference: Liu et al., Training-Time-Friendly Network for Real-Time Object Detection, AAAI 2020; the focal loss is that
of Zhou et al., Objects as Points, 2019.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from cnncli.config.schema.schema import Loss
from cnncli.datasets.boxes.targets import Corners
from cnncli.tasks.detection.decoding import Scale, box_corners, scales
from cnncli.tasks.detection.overlap import Flags, Floats, Numbers, areas

ELLIPSE = 0.54
"""Width and height of an ellipse, as a share of its object's."""

LEAST_HALF = 0.5
"""Least half-axis in cells: of an object smaller than a cell, the ellipse is the cell of its centre."""

LEAST_AREA = 2.0
"""Area in pixels of the network below which an object weighs no less: the logarithm of the area is its weight."""

FALL = 4.5
"""A half-axis is three standard deviations: exp(−4.5) is what is left of a Gaussian at its end."""

UNCHANGED = Loss()
"""The config's `train.loss` where it says nothing."""

CELLS_ACROSS = 8.0
"""Of several scales, an object is found at the coarsest on which it is as many cells large; else at the finest."""

LEAST_WEIGHT = 1e-4
"""Added to the weights of an image's boxes, of which there may be none."""


class Painted(NamedTuple):
    """What the planes of an image should be.

    Attributes:
        heatmap: 1 in the cell of each object's centre, less around it: (rows, columns, classes).
        corners: The box that each cell learns, in the network's pixels: (rows, columns, 4). Where ellipses overlap,
            that of the smaller object.
        weights: How much each cell's box counts: (rows, columns). Of an ellipse that no other covers, they sum up to
            the logarithm of the object's area.
    """

    heatmap: Floats
    corners: Corners
    weights: Floats


def paint(corners: Corners, labels: Numbers, shape: tuple[int, int, int], image_size: tuple[int, int]) -> Painted:
    """Return what the planes of an image should be.

    Args:
        corners: The objects' boxes in the network's pixels, (objects, 4).
        labels: Their classes.
        shape: Rows, columns and classes of the planes.
        image_size: Height and width that the network reads.
    """
    rows, columns, _ = shape
    strides = np.array([image_size[1] / columns, image_size[0] / rows])
    found = Painted(np.zeros(shape), np.zeros((rows, columns, 4)), np.zeros((rows, columns)))
    own_areas = areas(corners)
    for number in np.argsort(-own_areas, kind="stable"):
        left_top, right_bottom = corners[number, :2], corners[number, 2:]
        half = np.maximum(ELLIPSE * (right_bottom - left_top) / strides / 2, LEAST_HALF)
        centre = np.floor((left_top + right_bottom) / 2 / strides).clip(0, (columns - 1, rows - 1))
        first = np.ceil(centre - half).clip(0).astype(np.int64)
        last = np.floor(centre + half).astype(np.int64)
        x, y = (np.arange(first[k], min(last[k] + 1, (columns, rows)[k])) - centre[k] for k in (0, 1))
        distances = (x / half[0]) ** 2 + (y[:, None] / half[1]) ** 2
        inside = distances <= 1
        gaussian = np.where(inside, np.exp(-FALL * distances), 0.0)
        window = slice(first[1], first[1] + len(y)), slice(first[0], first[0] + len(x))
        plane = found.heatmap[window][..., labels[number]]
        np.maximum(plane, gaussian, out=plane)
        found.corners[window][inside] = corners[number]
        weight = np.log(max(own_areas[number], LEAST_AREA))
        found.weights[window][inside] = gaussian[inside] / gaussian.sum() * weight
    return found


def crowded(corners: Corners, labels: Numbers, shape: tuple[int, int, int], image_size: tuple[int, int]) -> Flags:
    """Return which cells have their centre in a crowd of each class: (rows, columns, classes).

    Args:
        corners: The crowds' boxes in the network's pixels, (crowds, 4).
        labels: Their classes.
        shape: Rows, columns and classes of the planes.
        image_size: Height and width that the network reads.
    """
    rows, columns, _ = shape
    inside = np.zeros(shape, np.bool_)
    y, x = ((np.arange(n) + 0.5) * side / n for n, side in zip((rows, columns), image_size, strict=True))
    for (left, top, right, bottom), label in zip(corners.tolist(), labels.tolist(), strict=True):
        inside[..., label] |= ((y >= top) & (y <= bottom))[:, None] & (x >= left) & (x <= right)
    return inside


def focal_losses(logits: npt.NDArray[Any], heatmap: Floats, settings: Loss = UNCHANGED) -> Floats:
    """Return the focal loss of each cell and class of an image."""
    x = logits.astype(np.float64)
    with np.errstate(invalid="ignore"):  # A network that diverges has a loss that is not finite, and no warning.
        yes, no = -np.logaddexp(0, -x), -np.logaddexp(0, x)
        background = (1 - heatmap) ** settings.focal_beta * np.exp(settings.focal_alpha * yes) * no
        losses: Floats = -np.where(heatmap == 1, np.exp(settings.focal_alpha * no) * yes, background)
    return losses


def giou(corners: Corners, others: Corners) -> Floats:
    """Return the generalized IoU of boxes with the others at the same places, (…, 4): from −1 to 1.

    Reference: Rezatofighi et al., Generalized Intersection over Union, CVPR 2019.
    """
    sides = np.minimum(corners[..., 2:], others[..., 2:]) - np.maximum(corners[..., :2], others[..., :2])
    shared = np.maximum(sides, 0).prod(axis=-1)
    union = areas(corners) + areas(others) - shared
    around = np.maximum(corners[..., 2:], others[..., 2:]) - np.minimum(corners[..., :2], others[..., :2])
    hull = around.prod(axis=-1)
    found: Floats = shared / union - (hull - union) / hull
    return found


def box_losses(corners: Corners, others: Corners, strides: Floats, kind: str) -> Floats:
    """Return the loss of each of some boxes.

    The L1 loss is the mean absolute error of the distances to the four edges, in strides; those of both boxes are from
    the same point, the middle of the cell. CenterNet has it of width and height, in the same unit.

    Args:
        corners: The boxes in the network's pixels, (…, 4).
        others: What they should be.
        strides: Pixels between neighbouring cells, across and down.
        kind: As the config's `train.loss.box`.
    """
    if kind == "giou":
        return 1 - giou(corners, others)
    found: Floats = (np.abs(corners - others) / np.tile(strides, 2)).mean(axis=-1)
    return found


class Learned(NamedTuple):
    """The objects of an image, as training sees them.

    Attributes:
        corners: Their boxes in the network's pixels, (objects, 4).
        labels: Their classes.
        crowd: Which stand for many objects: no cell learns these, nor that nothing is there.
    """

    corners: Corners
    labels: Numbers
    crowd: Flags

    def take(self, chosen: Flags) -> Learned:
        """Return some of them."""
        return Learned(self.corners[chosen], self.labels[chosen], self.crowd[chosen])


def loss(
    logits: Mapping[str, Any],
    image: int,
    objects: Learned,
    image_size: tuple[int, int],
    settings: Loss = UNCHANGED,
) -> float:
    """Return the loss of one image: that of its heatmap, and `box_weight` times that of its boxes.

    The heatmap's is divided by the number of the objects' centres, at least 1; the boxes' is the mean of 1 − GIoU or of
    the L1 loss over all cells, as they weigh. Of several scales, each object belongs to one, and all cells are added
    up.

    Args:
        logits: What the network ends in for a batch.
        image: Number of the image in it.
        objects: What is in the image.
        image_size: Height and width that the network reads.
        settings: The config's `train.loss`.
    """
    every, crowds = objects.take(~objects.crowd), objects.take(objects.crowd)
    planes = scales(logits)
    strides = np.array([_strides(scale, image_size).max() for scale in planes])
    chosen = _chosen_strides(areas(every.corners), strides)
    centres = number = boxes = weights = 0.0
    for scale, stride in zip(planes, strides, strict=True):
        rows, columns, num_classes = scale.heatmap.shape[1:]
        own, shape = every.take(chosen == stride), (rows, columns, num_classes)
        painted = paint(own.corners, own.labels, shape, image_size)
        spared = crowded(crowds.corners, crowds.labels, shape, image_size) & (painted.heatmap < 1)
        centres += float(focal_losses(scale.heatmap[image], painted.heatmap, settings)[~spared].sum())
        number += int((painted.heatmap == 1).sum())
        inside = painted.weights > 0
        found = box_corners(scale.box[image : image + 1], image_size)[0][inside].astype(np.float64)
        by_cell = box_losses(found, painted.corners[inside], _strides(scale, image_size), settings.box)
        boxes += float((by_cell * painted.weights[inside]).sum())
        weights += float(painted.weights.sum())
    return centres / max(number, 1.0) + settings.box_weight * boxes / (weights + LEAST_WEIGHT)


def _strides(scale: Scale, image_size: tuple[int, int]) -> Floats:
    """Return the pixels between neighbouring cells, across and down."""
    rows, columns = scale.heatmap.shape[1:3]
    return np.array([image_size[1] / columns, image_size[0] / rows])


def _chosen_strides(sizes: Floats, strides: Floats) -> Floats:
    """Return the stride at which each object is found: the coarsest on which it is 8 cells large, else the finest.

    Args:
        sizes: The objects' areas in pixels.
        strides: Those of all scales.
    """
    fitting = np.sqrt(sizes)[:, None] >= CELLS_ACROSS * strides
    found: Floats = np.where(fitting, strides, strides.min()).max(axis=1)
    return found
