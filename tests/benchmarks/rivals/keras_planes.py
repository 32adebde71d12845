"""Networks that end in planes, in plain Keras: that of segmentation, and that of detection with its loss."""

import keras
import numpy as np
import tensorflow as tf
from box_planes import NUM_CLASSES, STRIDE
from keras import layers


def conv(inputs, filters, size, strides=1, relu=True):
    """Apply a convolution, batch normalization and ReLU."""
    outputs = layers.Conv2D(filters, size, strides, padding="same", use_bias=False)(inputs)
    outputs = layers.BatchNormalization(momentum=0.9)(outputs)
    return layers.ReLU()(outputs) if relu else outputs


def residual(inputs, filters):
    """Apply a residual block."""
    outputs = conv(conv(inputs, filters, 3), filters, 3, relu=False)
    return layers.ReLU()(layers.Add()([inputs, outputs]))


def up(small, large, filters):
    """Double the size, and add the plane of the encoder that has it."""
    big = layers.UpSampling2D(2, interpolation="bilinear")(small)
    joined = layers.ReLU()(layers.Add()([conv(large, filters, 1, relu=False), big]))
    return conv(joined, filters, 3)


def segnet(images):
    """Apply the network of segnet.yaml; return a logit per class for every fourth pixel along an axis."""
    fourth = residual(conv(conv(images, 32, 3, 2), 64, 3, 2), 64)
    eighth = residual(residual(conv(fourth, 128, 3, 2), 128), 128)
    sixteenth = residual(residual(conv(eighth, 256, 3, 2), 256), 256)
    joined = conv(up(conv(sixteenth, 128, 1), eighth, 128), 64, 1)
    return layers.Conv2D(11, 1, dtype="float32")(up(joined, fourth, 64))


def detector(images):
    """Apply the network of detector.yaml; return logits, and logarithms of the distances to the box's edges."""
    fourth = residual(conv(conv(images, 32, 3, 2), 64, 3, 2), 64)
    eighth = residual(conv(fourth, 128, 3, 2), 128)
    sixteenth = residual(residual(conv(eighth, 160, 3, 2), 160), 160)
    joined = up(conv(up(conv(sixteenth, 128, 1), eighth, 128), 64, 1), fourth, 64)
    rare = keras.initializers.Constant(-4.6)  # a probability of 0.01: most places are no object's centre
    centres = conv(joined, 64, 3)
    heatmap = layers.Conv2D(NUM_CLASSES, 1, bias_initializer=rare, dtype="float32")(centres)
    edges = conv(joined, 64, 3)
    box = layers.Conv2D(4, 1, dtype="float32")(edges)
    return layers.Concatenate(dtype="float32")([heatmap, box])


def detection_loss(planes, outputs):
    """Return each image's focal loss of the centres, and 5 · (1 − GIoU) of the boxes of the cells around them.

    Args:
        planes: As `box_planes.painted` makes them.
        outputs: What the detector ends in.
    """
    heatmap, corners, weights = planes[..., :NUM_CLASSES], planes[..., NUM_CLASSES:-1], planes[..., -1]
    logits, edges = outputs[..., :NUM_CLASSES], outputs[..., NUM_CLASSES:]
    yes, no = tf.math.log_sigmoid(logits), tf.math.log_sigmoid(-logits)
    is_centre = heatmap == 1
    focal = tf.where(is_centre, tf.exp(2 * no) * yes, (1 - heatmap) ** 4 * tf.exp(2 * yes) * no)
    number = tf.maximum(tf.reduce_sum(tf.cast(is_centre, tf.float32), axis=(1, 2, 3)), 1)
    boxes = tf.reduce_sum((1 - giou(boxes_of(edges), corners)) * weights, axis=(1, 2))
    weight = tf.reduce_sum(weights, axis=(1, 2))
    return -tf.reduce_sum(focal, axis=(1, 2, 3)) / number + 5 * boxes / (weight + 1e-4)


def boxes_of(edges):
    """Return each cell's box in pixels: xmin, ymin, xmax, ymax."""
    rows, columns = edges.shape[1:3]
    x, y = np.meshgrid(np.arange(columns) + 0.5, np.arange(rows) + 0.5)
    middles = STRIDE * np.stack([x, y, x, y], axis=-1).astype("float32")
    signs = np.array([-STRIDE, -STRIDE, STRIDE, STRIDE], "float32")
    return middles + signs * tf.exp(tf.clip_by_value(edges, -6, 6))


def giou(boxes, others):
    """Return the generalized IoU of boxes."""
    smaller, larger = tf.minimum(boxes, others), tf.maximum(boxes, others)
    shared = area(tf.maximum(smaller[..., 2:] - larger[..., :2], 0))
    union = area(boxes[..., 2:] - boxes[..., :2]) + area(others[..., 2:] - others[..., :2]) - shared
    hull = area(larger[..., 2:] - smaller[..., :2])
    return shared / union - (hull - union) / hull


def area(sides):
    """Return width times height."""
    return sides[..., 0] * sides[..., 1]
