"""A plain Keras script, as its users write it: the network, batch and epochs of a config, `compile` and `fit`.

Usage: python keras_fit.py NETWORK DATA.npz EPOCHS PRECISION
"""

import os
import sys

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import statistics
import time

import keras
import numpy as np
from keras import layers

network, path, epochs, precision = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
keras.utils.set_random_seed(0)
keras.config.set_dtype_policy(precision)

with np.load(path) as data:
    x, y, x_test, y_test = (data[name] for name in ("x_train", "y_train", "x_test", "y_test"))
masks, batch = network == "segnet", 8 if network == "segnet" else 128
# Of a mask, the network tells every fourth pixel along an axis.
y, y_test = (labels[:, 2::4, 2::4] if masks else labels.reshape(-1) for labels in (y, y_test))
if x.ndim == 3:
    x, x_test = x[..., None], x_test[..., None]
x, x_test = x.astype("float32") / 255, x_test.astype("float32") / 255
size = len(x) // 10
x_validation, y_validation, x, y = x[-size:], y[-size:], x[:-size], y[:-size]


def conv(inputs, filters, size, strides=1, relu=True):
    """Apply a convolution, batch normalization and ReLU."""
    outputs = layers.Conv2D(filters, size, strides, padding="same", use_bias=False)(inputs)
    outputs = layers.BatchNormalization(momentum=0.9)(outputs)
    return layers.ReLU()(outputs) if relu else outputs


def residual(inputs, filters):
    """Apply a residual block."""
    outputs = conv(conv(inputs, filters, 3), filters, 3, relu=False)
    return layers.ReLU()(layers.Add()([inputs, outputs]))


def segnet(images):
    """Apply the network of segnet.yaml; return a logit per class for every fourth pixel along an axis."""

    def up(small, large, filters):
        big = layers.UpSampling2D(2, interpolation="bilinear")(small)
        joined = layers.ReLU()(layers.Add()([conv(large, filters, 1, relu=False), big]))
        return conv(joined, filters, 3)

    fourth = residual(conv(conv(images, 32, 3, 2), 64, 3, 2), 64)
    eighth = residual(residual(conv(fourth, 128, 3, 2), 128), 128)
    sixteenth = residual(residual(conv(eighth, 256, 3, 2), 256), 256)
    joined = conv(up(conv(sixteenth, 128, 1), eighth, 128), 64, 1)
    return layers.Conv2D(11, 1, dtype="float32")(up(joined, fourth, 64))


STACKS = {
    "lenet5": lambda: [
        layers.Conv2D(6, 5, padding="same", activation="relu"),
        layers.MaxPooling2D(2),
        layers.Conv2D(16, 5, activation="relu"),
        layers.MaxPooling2D(2),
        layers.Flatten(),
        layers.Dense(120, activation="relu"),
        layers.Dense(84, activation="relu"),
        layers.Dense(10, dtype="float32"),
    ],
    "cifar_net": lambda: [
        layers.Conv2D(32, 3, padding="same", activation="relu"),
        layers.Conv2D(32, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(2),
        layers.Conv2D(64, 3, padding="same", activation="relu"),
        layers.Conv2D(64, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(2),
        layers.Flatten(),
        layers.Dense(512, activation="relu"),
        layers.Dense(10, dtype="float32"),
    ],
    "small_alexnet": lambda: [
        layers.Conv2D(64, 5, padding="same", activation="relu"),
        layers.MaxPooling2D(3, 2, padding="same"),
        layers.Conv2D(64, 5, padding="same", activation="relu"),
        layers.MaxPooling2D(3, 2, padding="same"),
        layers.Flatten(),
        layers.Dense(384, activation="relu"),
        layers.Dense(192, activation="relu"),
        layers.Dense(10, dtype="float32"),
    ],
}
if masks:
    images = keras.Input(x.shape[1:])
    model = keras.Model(images, segnet(images))
else:
    model = keras.Sequential([keras.Input(x.shape[1:]), *STACKS[network]()])
steps = epochs * -(-len(x) // batch)
schedule = keras.optimizers.schedules.CosineDecay(2e-3, steps)
model.compile(
    optimizer=keras.optimizers.Adam(schedule),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=255 if masks else None),
    metrics=["accuracy"],
)


class TrainingTime(keras.callbacks.Callback):
    """Measures each epoch up to its validation."""

    def __init__(self):
        super().__init__()
        self.seconds = []

    def on_epoch_begin(self, epoch, logs=None):
        """Start the watch."""
        self.begun = time.perf_counter()

    def on_test_begin(self, logs=None):
        """Stop it."""
        self.seconds.append(time.perf_counter() - self.begun)


watch = TrainingTime()
validation = (x_validation, y_validation)
model.fit(x, y, batch_size=batch, epochs=epochs, validation_data=validation, verbose=2, callbacks=[watch])
seconds = statistics.median(watch.seconds[1:] or watch.seconds)
_, accuracy = model.evaluate(x_test, y_test, batch_size=batch, verbose=0)
print(f"RESULT accuracy {accuracy:.4f} epoch_seconds {seconds:.2f} images_per_second {len(x) / seconds:.0f}")
