"""TensorFlow and Keras: the only floor that names them.

Importing any module of this package imports TensorFlow, so what has to be arranged before that
is arranged here.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cnncli.interrupts import leaving_at_once

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
def _quiet() -> Iterator[None]:
    """Hold back what C++ code writes to stderr while a block runs; let it out if the block fails.

    TensorFlow greets with several lines that no setting turns off.
    """
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(stderr, held.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
if "tensorflow" not in sys.modules:
    with leaving_at_once(), _quiet(), _without(OPTIONAL):
        import keras  # noqa: F401 - for its effect: loaded under these conditions
        import tensorflow  # noqa: F401
