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
from box_planes import painted
from keras import layers
from keras_planes import detection_loss, detector, segnet

network, path, epochs, precision = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
keras.utils.set_random_seed(0)
keras.config.set_dtype_policy(precision)

with np.load(path) as data:
    x, y, x_test, y_test = (data[name] for name in ("x_train", "y_train", "x_test", "y_test"))
masks, boxes = network == "segnet", network == "detector"
batch = 8 if masks or boxes else 128
if boxes:
    y, y_test = (painted(objects, x.shape[1:3]) for objects in (y, y_test))
else:
    # Of a mask, the network tells every fourth pixel along an axis.
    y, y_test = (labels[:, 2::4, 2::4] if masks else labels.reshape(-1) for labels in (y, y_test))
if x.ndim == 3:
    x, x_test = x[..., None], x_test[..., None]
x, x_test = x.astype("float32") / 255, x_test.astype("float32") / 255
size = len(x) // 10
x_validation, y_validation, x, y = x[-size:], y[-size:], x[:-size], y[:-size]


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
if masks or boxes:
    images = keras.Input(x.shape[1:])
    model = keras.Model(images, segnet(images) if masks else detector(images))
else:
    model = keras.Sequential([keras.Input(x.shape[1:]), *STACKS[network]()])
steps = epochs * -(-len(x) // batch)
schedule = keras.optimizers.schedules.CosineDecay(2e-3, steps)
model.compile(
    optimizer=keras.optimizers.Adam(schedule),
    loss=detection_loss
    if boxes
    else keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=255 if masks else None),
    metrics=[] if boxes else ["accuracy"],
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
measured = model.evaluate(x_test, y_test, batch_size=batch, verbose=0)
score = f"loss {measured:.4f}" if boxes else f"accuracy {measured[1]:.4f}"
print(f"RESULT {score} epoch_seconds {seconds:.2f} images_per_second {len(x) / seconds:.1f}")
