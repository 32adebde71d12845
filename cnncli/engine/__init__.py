"""TensorFlow and Keras: the only floor that names them.

Importing any module of this package imports TensorFlow, so what has to be arranged before that
is arranged here.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cnncli.interrupts import leaving_at_once
from cnncli.resources import require_address_space
from cnncli.serving.quiet import quiet

OPTIONAL = ("sklearn", "pandas", "scipy", "matplotlib", "matplotlib.pyplot")
"""Packages that Keras loads if they are installed, for wrappers and plots that cnncli does not use.

Without them the import takes two thirds of the time and 100 MB less.
"""


@contextmanager
def _without(packages: tuple[str, ...]) -> Iterator[None]:
    """Let imports of some packages fail while a block runs, as if they were not installed."""
    hidden = [name for name in packages if name not in sys.modules]
    modules: dict[str, Any] = sys.modules  # None is how an absent module is marked
    modules.update(dict.fromkeys(hidden))
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


@contextmanager
def _nothing_collected() -> Iterator[None]:
    """Do not look for garbage while a block runs, nor ever among what it left.

    An import leaves hundreds of thousands of objects and no garbage: looking at them again and again took an eighth of
    TensorFlow's import.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if enabled:
            gc.enable()


NO_HOME = f"{os.devnull}/keras"
"""A folder that cannot be there: with it for a home, Keras finds no keras.json of the user, and writes none."""


@contextmanager
def _keras_by_its_defaults() -> Iterator[None]:
    """Import Keras without the settings of the user, which would decide what every config means.

    ~/.keras/keras.json sets the type of numbers, the epsilon and the order of axes of all programs, variables more.
    """
    settings = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("KERAS_")}
    os.environ.update(KERAS_HOME=NO_HOME, KERAS_BACKEND="tensorflow")
    try:
        yield
    finally:
        del os.environ["KERAS_HOME"]
        os.environ.update(settings)
        os.environ["KERAS_BACKEND"] = "tensorflow"


os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# By default TensorFlow makes oneDNN's primitive for the gradient of a convolution's weights anew at every call, to save
# memory: 40 µs each, and a few MB. A training of LeNet-5 gains 9 % by keeping them, and no bit changes.
os.environ.setdefault("TF_MKL_OPTIMIZE_PRIMITIVE_MEMUSE", "0")
with _keras_by_its_defaults():
    if "tensorflow" not in sys.modules:
        require_address_space()
        with leaving_at_once(), quiet(), _without(OPTIONAL), _nothing_collected():
            import keras
            import tensorflow  # noqa: F401 - for its effect: loaded under these conditions
    # Who uses cnncli as a library may have imported Keras with other settings before.
    import keras

    keras.config.set_floatx("float32")
    keras.config.set_epsilon(1e-7)
    keras.config.set_image_data_format("channels_last")
