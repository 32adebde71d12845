"""From images of any size to what the network reads: the same in training, evaluation, prediction and export."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from cnncli.config.schema.schema import Data

_LUMA = (19595, 38470, 7471)
"""ITU-R 601 weights of red, green, blue in 1/65536: Pillow's own rule for grey."""


class Preprocessing:
    """Channels, size and scale of images, as the config's `data` says.

    Everything is TensorFlow operations, so that an exported graph holds the very same arithmetic.
    The resized image is rounded to whole numbers from 0 to 255: a set that is resized once and kept
    as bytes gives the same numbers as a graph that resizes each image when it comes.

    Rules: colour becomes grey by ITU-R 601 luma; grey becomes colour by repeating the channel;
    values are multiplied by 1/255.

    Args:
        data: The config's `data` section.
    """

    def __init__(self, data: Data) -> None:
        self.data = data
        self.height, self.width = data.image_size
        self.channels = data.channels
        self.method = data.resize.method
        self.fit = data.resize.fit

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        """Return what the network reads: (number, height, width, channels) float32 in 0 to 1.

        Args:
            images: (number, any height, any width, 1 or 3) uint8.
        """
        return self.to_float(self.resize_uint8(images))

    def resize_uint8(self, images: tf.Tensor, most_read: bool | None = None) -> tf.Tensor:
        """Return the images in the config's channels and size, still uint8.

        Args:
            images: (number, any height, any width, 1 or 3) uint8.
            most_read: What `reads_most_of` says of them, where their shape does not tell.
        """
        images = self._to_channels(tf.convert_to_tensor(images))
        if images.shape[1:3] == (self.height, self.width):
            return images
        resized = self._resize(images, most_read)
        return tf.cast(tf.round(resized), tf.uint8)

    def to_float(self, images: tf.Tensor) -> tf.Tensor:
        """Return uint8 images as float32 in 0 to 1."""
        # A graph turns a division into this product; written out, single calls give the same bits.
        return tf.cast(images, tf.float32) * (1 / 255)

    def _to_channels(self, images: tf.Tensor) -> tf.Tensor:
        channels = images.shape[-1]
        if channels == self.channels:
            return images
        if channels == 1:
            return tf.repeat(images, self.channels, axis=-1)
        weighted = tf.reduce_sum(tf.cast(images, tf.int32) * tf.constant(_LUMA), axis=-1, keepdims=True)
        return tf.cast((weighted + 32768) // 65536, tf.uint8)

    def _resize(self, images: tf.Tensor, most_read: bool | None) -> tf.Tensor:
        size = (self.height, self.width)
        if self.fit == "stretch":
            return self._scale(images, size, most_read)
        shape = tf.shape(images)
        height, width = shape[1], shape[2]
        if self.fit == "crop":
            kept_height = tf.clip_by_value(width * self.height // self.width, 1, height)
            kept_width = tf.clip_by_value(height * self.width // self.height, 1, width)
            top, left = (height - kept_height) // 2, (width - kept_width) // 2
            return self._scale(images[:, top : top + kept_height, left : left + kept_width], size, most_read)
        fitted_height = tf.clip_by_value(height * self.width // width, 1, self.height)
        fitted_width = tf.clip_by_value(width * self.height // height, 1, self.width)
        fitted_height = tf.where(height * self.width >= width * self.height, self.height, fitted_height)
        fitted_width = tf.where(width * self.height >= height * self.width, self.width, fitted_width)
        scaled = self._scale(images, tf.stack([fitted_height, fitted_width]), most_read)
        top, left = (self.height - fitted_height) // 2, (self.width - fitted_width) // 2
        margins = [[0, 0], [top, self.height - fitted_height - top], [left, self.width - fitted_width - left], [0, 0]]
        padded = tf.pad(scaled, margins)
        return tf.ensure_shape(padded, (None, self.height, self.width, self.channels))

    def _scale(self, images: tf.Tensor, size: tf.Tensor | tuple[int, int], most_read: bool | None = None) -> tf.Tensor:
        height, width = images.shape[1:3]
        if most_read is None:
            most_read = None in (height, width) or self.reads_most_of(height, width)
        if most_read:
            images = tf.cast(images, tf.float32)
        scaled = tf.cast(tf.image.resize(images, size, method=self.method), tf.float32)
        return tf.clip_by_value(scaled, 0.0, 255.0) if self.method == "bicubic" else scaled

    def reads_most_of(self, height: Any, width: Any) -> Any:
        """Say whether so many pixels are read that the kernels are faster on float32; the result is the same.

        Args:
            height: Of the images, a number or a tensor.
            width: Of the images.
        """
        return height * width < 3 * self.height * self.width
