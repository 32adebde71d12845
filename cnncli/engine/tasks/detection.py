"""Detection: focal loss of a heatmap of the objects' centres, and generalized IoU or L1 loss of their boxes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, cast

import keras
import tensorflow as tf

from cnncli.config.schema.augmentation import Augmentation
from cnncli.config.schema.schema import Config, Loss
from cnncli.config.schema.tasks.detection import Pair, pairs
from cnncli.datasets.boxes.targets import NUM_FITTED, Boxes
from cnncli.datasets.splits import Splits
from cnncli.engine.input_pipeline.augmentation.boxes import move
from cnncli.engine.input_pipeline.augmentation.mixing import Mixed
from cnncli.engine.input_pipeline.augmentation.random_draws import Draws
from cnncli.engine.tasks.detection_outputs import corners_of, decode, logs_of
from cnncli.engine.tasks.detection_targets import Grid, Objects, crowded, objects_of, paint
from cnncli.engine.tasks.objective import Objective, Sums
from cnncli.errors import CnnError
from cnncli.tasks.detection.loss import CELLS_ACROSS, LEAST_WEIGHT, UNCHANGED

FEW = 16
"""Objects of an image where there are no examples that tell: what a benchmark of the step counts with."""

_MIRRORED = {1: (0, 3, 2, 1), 2: (2, 1, 0, 3)}
"""Channels of a box mirrored along an axis of the images: what was its left edge is its right one."""


class CenterHeatmap(Objective):
    """Focal loss of the centres' heatmap, and 1 − GIoU or the L1 loss of the boxes of the cells around them.

    Each image's loss is divided by its own number of objects, so that it does not depend on the batch.

    References: as for `detection_targets`; Lin et al., Focal Loss for Dense Object Detection, ICCV 2017; Rezatofighi et
    al., Generalized Intersection over Union, CVPR 2019.

    Args:
        shapes: Shape of each output for a whole image, by name.
        image_size: Height and width that the network reads.
        capacity: Most objects of an image.
        nms: How boxes that overlap are suppressed: as the config's `model.nms`.
        loss: The config's `train.loss`.
    """

    def __init__(
        self,
        shapes: Mapping[str, tuple[int, ...]],
        image_size: tuple[int, int],
        capacity: int = FEW,
        nms: str = "none",
        loss: Loss = UNCHANGED,
    ) -> None:
        self.target_spec = tf.TensorSpec([None, capacity, NUM_FITTED], tf.float32)
        self.sum_specs = {
            "box_iou": tf.TensorSpec([], tf.float64),
            "center_score": tf.TensorSpec([], tf.float64),
            "num_objects": tf.TensorSpec([], tf.int64),
        }
        self._image_size, self._nms, self._loss = image_size, nms, loss
        self._pairs = pairs(shapes)
        self._num_classes = shapes[self._pairs[0].heatmap][-1]
        # Parts of images have fewer cells, not others.
        self._cells = {pair: (shapes[pair.heatmap][0], shapes[pair.heatmap][1]) for pair in self._pairs}
        self._strides = {pair: _strides(cells, image_size) for pair, cells in self._cells.items()}

    @classmethod
    def of(cls, config: Config, splits: Splits | None) -> CenterHeatmap:
        """Return the objective of a config.

        Raises:
            CnnError: If its network is not a detector.
        """
        shapes, size = config.output_shape, config.data.image_size
        problem = config.task_spec.check_output(shapes, None, size)
        if problem is not None:
            raise CnnError(problem.message, problem.hint, problem.code)
        targets = None if splits is None else splits.train.targets
        capacity = targets.capacity if isinstance(targets, Boxes) else FEW
        return cls(cast("Mapping[str, tuple[int, ...]]", shapes), size, capacity, config.nms, config.train.loss)

    def loss(self, targets: tf.Tensor, outputs: Any) -> tf.Tensor:
        """Return the loss of each image.

        Args:
            targets: As `Boxes.fit` makes them, float32 (batch, capacity, 6).
            outputs: Planes by their names, any float type; the loss is computed in float32.
        """
        learned, crowds = objects_of(targets)
        centres = boxes = num_centres = weights = 0.0
        for pair, grid, objects in self._divided(learned, outputs):
            painted = paint(objects, grid, self._num_classes)
            ignored = crowded(crowds, grid, self._num_classes)
            logits = tf.cast(outputs[pair.heatmap], tf.float32)
            centres += self._focal_loss(logits, painted.heatmap, ignored)
            num_centres += tf.reduce_sum(tf.cast(painted.heatmap == 1.0, tf.float32), axis=(1, 2, 3))
            predicted = corners_of(outputs[pair.box], grid.strides)
            by_cell = self._box_losses(predicted, painted.corners, grid.strides)
            boxes += tf.reduce_sum(by_cell * painted.weights, axis=(1, 2))
            weights += tf.reduce_sum(painted.weights, axis=(1, 2))
        return centres / tf.maximum(num_centres, 1.0) + self._loss.box_weight * boxes / (weights + LEAST_WEIGHT)

    def _focal_loss(self, logits: tf.Tensor, heatmap: tf.Tensor, ignored: tf.Tensor) -> tf.Tensor:
        """Return the focal loss of each image's cells, added up: float32 (batch,)."""
        alpha, beta = self._loss.focal_alpha, self._loss.focal_beta
        yes, no = tf.math.log_sigmoid(logits), tf.math.log_sigmoid(-logits)
        background = tf.pow(1.0 - heatmap, beta) * tf.exp(alpha * yes) * no
        background = tf.where(ignored, 0.0, background)
        return -tf.reduce_sum(tf.where(heatmap == 1.0, tf.exp(alpha * no) * yes, background), axis=(1, 2, 3))

    def _box_losses(self, corners: tf.Tensor, others: tf.Tensor, strides: tuple[float, float]) -> tf.Tensor:
        """Return the loss of each cell's box: float32 (batch, rows, columns)."""
        if self._loss.box == "giou":
            return 1.0 - giou(corners, others)
        units = (*strides, *strides)  # of left and top, right and bottom
        return tf.reduce_mean(tf.abs(corners - others) / units, axis=-1)

    def sums(self, targets: tf.Tensor, outputs: Any) -> Sums:
        """Return IoU and score of the objects at the cells of their centres, added up, and their number."""
        learned, _ = objects_of(targets)
        ious, scores, number = tf.zeros([], tf.float64), tf.zeros([], tf.float64), tf.zeros([], tf.int64)
        for pair, grid, objects in self._divided(learned, outputs):
            columns, rows = tf.unstack(tf.cast(objects.cells(grid), tf.int32), axis=-1)
            corners = tf.gather_nd(corners_of(outputs[pair.box], grid.strides), tf.stack([rows, columns], -1), 1)
            places = tf.stack([rows, columns, objects.labels], axis=-1)
            logits = tf.gather_nd(tf.cast(outputs[pair.heatmap], tf.float32), places, 1)
            ious += _added(iou(corners, objects.corners), objects.counted)
            scores += _added(tf.sigmoid(logits), objects.counted)
            number += tf.math.count_nonzero(objects.counted)
        return {"box_iou": ious, "center_score": scores, "num_objects": number}

    def means(self, sums: Mapping[str, Any], num_examples: int) -> dict[str, float]:  # noqa: ARG002
        """Return the mean IoU of the boxes at the objects' centres, and the mean score there; 0 without objects."""
        number = max(sums["num_objects"], 1)
        return {"box_iou": sums["box_iou"] / number, "center_score": sums["center_score"] / number}

    def transform(self, change: Augmentation, draws: Draws, targets: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
        """Return boxes moved as their images are."""
        return move(change, targets, size, draws)

    def mix(self, targets: tf.Tensor, mixed: Mixed) -> tf.Tensor:  # noqa: ARG002
        """Refuse to mix.

        Raises:
            CnnError: Always: a pasted part would show objects without their boxes.
        """
        raise CnnError("MixUp and CutMix do not move boxes", "Leave them out of data.augmentation, or use Mosaic.")

    def undo(self, view: Any, outputs: Any) -> Any:
        """Return what the network ends in for mirrored images, mirrored back."""
        boxes = {pair.box for pair in self._pairs}
        for axis in view.mirrored:
            turned = {name: tf.reverse(plane, [axis]) for name, plane in outputs.items()}
            order = _MIRRORED[axis]
            outputs = {
                name: tf.gather(plane, order, axis=-1) if name in boxes else plane for name, plane in turned.items()
            }
        return outputs

    def to_image_size(self, outputs: Any) -> Any:
        """Return planes for images of another size as planes for the images that it reads.

        Corners of boxes are interpolated, not distances: those are others for every cell of an object.
        """
        found: dict[str, tf.Tensor] = {}
        for pair in self._pairs:
            heatmap, box = outputs[pair.heatmap], outputs[pair.box]
            if tuple(heatmap.shape[1:3]) != self._cells[pair]:
                corners = corners_of(box, _strides(box.shape[1:3], self._image_size))
                heatmap, corners = (tf.image.resize(plane, self._cells[pair]) for plane in (heatmap, corners))
                box = logs_of(corners, self._strides[pair])
            found |= {pair.heatmap: heatmap, pair.box: box}
        return found

    def outputs(self, logits: Any) -> dict[str, tf.Tensor]:
        """Return the boxes, classes and scores of the heatmap's peaks, the highest first."""
        return decode(logits, self._pairs, self._strides, self._nms)

    def output_layers(self) -> Mapping[str, Callable[..., Callable[[Any], Any]]]:
        """Return models of Keras's operations, one for each output."""

        def layer_of(output: str, logits: Any, name: str) -> Any:
            given = {key: keras.Input(plane.shape[1:], dtype="float32", name=key) for key, plane in logits.items()}
            decoded = decode(given, self._pairs, self._strides, self._nms)
            return keras.Model(given, decoded[output], name=name)(logits)

        return {
            output: lambda name, output=output: partial(layer_of, output, name=name)
            for output in ("boxes", "classes", "scores")
        }

    def _divided(self, objects: Objects, outputs: Any) -> Iterator[tuple[Pair, Grid, Objects]]:
        """Yield each pair of planes with its cells and the objects that are to be found there."""
        strides = [max(self._strides[pair]) for pair in self._pairs]
        # Strides that are small enough for an object's size; the finest plane takes what is too small for all.
        sizes = tf.sqrt(objects.areas)[..., tf.newaxis]
        fitting = tf.where(sizes >= CELLS_ACROSS * tf.constant(strides), tf.constant(strides), min(strides))
        chosen = tf.reduce_max(fitting, axis=-1)
        for pair, stride in zip(self._pairs, strides, strict=True):
            rows, columns = outputs[pair.heatmap].shape[1:3]
            own = objects if len(strides) == 1 else objects.only(chosen == stride)
            yield pair, Grid(rows, columns, self._strides[pair]), own


def _strides(cells: tuple[int, int], image_size: tuple[int, int]) -> tuple[float, float]:
    """Return the pixels between neighbouring cells of a plane across and down."""
    return image_size[1] / cells[1], image_size[0] / cells[0]


def iou(corners: tf.Tensor, others: tf.Tensor) -> tf.Tensor:
    """Return the IoU of boxes with the others at the same places, (…, 4): from 0 to 1."""
    shared, union, _ = _overlap(corners, others)
    return shared / union


def giou(corners: tf.Tensor, others: tf.Tensor) -> tf.Tensor:
    """Return the generalized IoU of boxes with the others at the same places, (…, 4): from −1 to 1."""
    shared, union, hull = _overlap(corners, others)
    return shared / union - (hull - union) / hull


def _overlap(corners: tf.Tensor, others: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Return what boxes share, what they cover together, and the area of the box around both."""
    left, top, right, bottom = tf.unstack(corners, axis=-1)
    other_left, other_top, other_right, other_bottom = tf.unstack(others, axis=-1)
    across = tf.minimum(right, other_right) - tf.maximum(left, other_left)
    down = tf.minimum(bottom, other_bottom) - tf.maximum(top, other_top)
    shared = tf.maximum(across, 0.0) * tf.maximum(down, 0.0)
    areas = (right - left) * (bottom - top) + (other_right - other_left) * (other_bottom - other_top)
    wide = tf.maximum(right, other_right) - tf.minimum(left, other_left)
    tall = tf.maximum(bottom, other_bottom) - tf.minimum(top, other_top)
    return shared, areas - shared, wide * tall


def _added(values: tf.Tensor, counted: tf.Tensor) -> tf.Tensor:
    """Return the sum of the values that count: float64."""
    return tf.reduce_sum(tf.cast(tf.where(counted, values, 0.0), tf.float64))
