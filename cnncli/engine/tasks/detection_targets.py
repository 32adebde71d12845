"""What the planes of a detector should be for an image's objects: Gaussians around their centres, and their boxes.

References: Zhou et al., Objects as Points, 2019 (arXiv 1904.07850); Liu et al., Training-Time-Friendly Network for
Real-Time Object Detection, AAAI 2020 (arXiv 1909.00700), section 3.
"""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from cnncli.tasks.detection.loss import ELLIPSE, FALL, LEAST_AREA, LEAST_HALF


class Grid(NamedTuple):
    """The cells of a plane.

    Attributes:
        rows: Number of rows.
        columns: Number of columns.
        strides: Pixels between neighbouring cells across and down.
    """

    rows: int
    columns: int
    strides: tuple[float, float]


class Objects(NamedTuple):
    """The objects of a batch of images, as many for each: those of fewer are filled up with ones that do not count.

    Attributes:
        corners: Edges in the network's pixels, xmin, ymin, xmax, ymax: float32 (batch, objects, 4).
        labels: Class numbers, int32 (batch, objects).
        counted: Which count, bool (batch, objects).
    """

    corners: tf.Tensor
    labels: tf.Tensor
    counted: tf.Tensor

    @property
    def areas(self) -> tf.Tensor:
        """Areas in pixels: float32 (batch, objects)."""
        return tf.reduce_prod(self.corners[..., 2:] - self.corners[..., :2], axis=-1)

    def only(self, chosen: tf.Tensor) -> Objects:
        """Return those that are chosen, bool (batch, objects), the smallest first; those of equal size as they come.

        As many as the image with most has: what fills up the others costs nothing.
        """
        chosen &= self.counted
        order = tf.argsort(tf.where(chosen, self.areas, self.areas.dtype.max), axis=1, stable=True)
        places = order[:, : tf.reduce_max(tf.reduce_sum(tf.cast(chosen, tf.int32), axis=1))]
        corners, labels, counted = (
            tf.gather(values, places, axis=1, batch_dims=1) for values in (self.corners, self.labels, chosen)
        )
        return Objects(corners, labels, counted)

    def cells(self, grid: Grid) -> tf.Tensor:
        """Return the column and row of the cell in which each object's centre lies: float32 (batch, objects, 2)."""
        middle = (self.corners[..., :2] + self.corners[..., 2:]) / 2 / grid.strides
        return tf.clip_by_value(tf.floor(middle), 0.0, (grid.columns - 1.0, grid.rows - 1.0))


def objects_of(targets: tf.Tensor) -> tuple[Objects, Objects]:
    """Return the objects that are learned and the crowds, of targets as `Boxes.fit` makes them.

    The smallest come first; of those of equal size the last of the targets, as if it were painted over the others.
    """
    backwards = targets[:, ::-1]
    corners, labels = backwards[..., :4], tf.cast(backwards[..., 4], tf.int32)
    is_there, is_learned = labels >= 0, backwards[..., 5] > 0
    known = Objects(corners, tf.maximum(labels, 0), is_there)
    return known.only(is_learned), known.only(~is_learned)


class Painted(NamedTuple):
    """What the outputs of a plane should be.

    Attributes:
        heatmap: 1 in the cell of each object's centre, less around it: float32 (batch, rows, columns, classes).
        corners: The box that each cell learns, in the network's pixels: float32 (batch, rows, columns, 4). Where
            ellipses overlap, that of the smaller object; where there is none, that of a cell.
        weights: How much each cell's box counts: float32 (batch, rows, columns).
    """

    heatmap: tf.Tensor
    corners: tf.Tensor
    weights: tf.Tensor


def paint(objects: Objects, grid: Grid, num_classes: int) -> Painted:
    """Return what the outputs of a plane should be.

    Args:
        objects: What is learned there, the smallest first.
        grid: The plane's cells.
        num_classes: Number of classes.
    """
    sides = objects.corners[..., 2:] - objects.corners[..., :2]
    halves = tf.maximum(ELLIPSE * sides / grid.strides / 2, LEAST_HALF)
    middles = objects.cells(grid)
    across = tf.square((tf.range(grid.columns, dtype=tf.float32) - middles[..., :1]) / halves[..., :1])
    down = tf.square((tf.range(grid.rows, dtype=tf.float32) - middles[..., 1:]) / halves[..., 1:])
    inside = down[..., tf.newaxis] + across[..., tf.newaxis, :] <= 1.0
    inside &= objects.counted[..., tf.newaxis, tf.newaxis]
    # A Gaussian of two axes is a product of two of one: far fewer exponentials.
    gaussians = tf.exp(-FALL * down)[..., tf.newaxis] * tf.exp(-FALL * across)[..., tf.newaxis, :]
    gaussians = tf.where(inside, gaussians, 0.0)
    return Painted(
        highest_by_class(gaussians, objects.labels, num_classes),
        *_boxes(objects, inside, gaussians),
    )


def highest_by_class(values: tf.Tensor, labels: tf.Tensor, num_classes: int) -> tf.Tensor:
    """Return the highest value of each class's objects at each place; 0 where there is none.

    Args:
        values: float32 (batch, objects, rows, columns), 0 or more.
        labels: Class numbers, int32 (batch, objects).
        num_classes: Number of classes.

    Returns:
        float32 (batch, rows, columns, classes).
    """
    images, (rows, columns) = tf.shape(labels)[0], values.shape[2:]
    segments = tf.range(images)[:, tf.newaxis] * num_classes + labels
    flat = tf.reshape(values, [-1, rows, columns])
    highest = tf.math.unsorted_segment_max(flat, tf.reshape(segments, [-1]), images * num_classes)
    by_class = tf.reshape(tf.maximum(highest, 0.0), [-1, num_classes, rows, columns])
    return tf.transpose(by_class, [0, 2, 3, 1])


def _boxes(objects: Objects, inside: tf.Tensor, gaussians: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the box that each cell learns, and how much it counts: that of the first object around it."""
    number = tf.shape(inside)[1]
    places = tf.range(number)[:, tf.newaxis, tf.newaxis]
    # No object is at the place after the last: there lies a box of one pixel that weighs nothing.
    owners = tf.minimum(tf.reduce_min(tf.where(inside, places, number), axis=1), number)
    weights = tf.math.log(tf.maximum(objects.areas, LEAST_AREA))
    shares = tf.math.divide_no_nan(weights, tf.reduce_sum(gaussians, axis=(2, 3)))
    nothing = tf.constant([[0.0, 0.0, 1.0, 1.0, 0.0]])
    known = tf.concat([objects.corners, shares[..., tf.newaxis]], axis=-1)
    known = tf.concat([known, tf.tile(nothing[tf.newaxis], [tf.shape(known)[0], 1, 1])], axis=1)
    found = tf.gather(known, owners, axis=1, batch_dims=1)
    own = tf.reduce_sum(tf.where(places == owners[:, tf.newaxis], gaussians, 0.0), axis=1)
    return found[..., :4], found[..., 4] * own


def crowded(crowds: Objects, grid: Grid, num_classes: int) -> tf.Tensor:
    """Return which cells lie in a crowd of each class: bool (batch, rows, columns, classes)."""
    x, y = (
        (tf.range(length, dtype=tf.float32) + 0.5) * stride
        for length, stride in zip((grid.columns, grid.rows), grid.strides, strict=True)
    )
    left, top, right, bottom = tf.split(crowds.corners, 4, axis=-1)
    across, down = (x >= left) & (x <= right), (y >= top) & (y <= bottom)
    inside = down[..., tf.newaxis] & across[..., tf.newaxis, :] & crowds.counted[..., tf.newaxis, tf.newaxis]
    return highest_by_class(tf.cast(inside, tf.float32), crowds.labels, num_classes) > 0
