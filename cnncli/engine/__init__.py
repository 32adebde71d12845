"""TensorFlow and Keras: the only floor that names them.

Importing any module of this package imports TensorFlow, so the settings that TensorFlow reads
once, when it is loaded, are made here.
"""

import os

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
