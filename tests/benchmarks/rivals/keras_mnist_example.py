"""Two convolutions on MNIST for 15 epochs, the network and settings of Keras's introductory example.

Usage: python keras_mnist_example.py MNIST.npz SEED; prints the test accuracy.

Source of the settings: keras.io, "Simple MNIST convnet" (F. Chollet, 2015).
"""

import os
import sys

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(int(sys.argv[2]))
with np.load(sys.argv[1]) as data:
    x, y, x_test, y_test = (data[name] for name in ("x_train", "y_train", "x_test", "y_test"))
x, x_test = (images[..., None].astype("float32") / 255 for images in (x, x_test))
stack = [keras.Input((28, 28, 1))]
for filters in (32, 64):
    stack += [layers.Conv2D(filters, 3, activation="relu"), layers.MaxPooling2D(2)]
stack += [layers.Flatten(), layers.Dropout(0.5), layers.Dense(10, activation="softmax")]
model = keras.Sequential(stack)
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(x, y, batch_size=128, epochs=15, validation_split=0.1, verbose=0)
print(model.evaluate(x_test, y_test, verbose=0)[1])
