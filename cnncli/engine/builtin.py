"""Built-in sets, downloaded through `keras.datasets`."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from cnncli.errors import DataError


def download(source: str) -> dict[str, npt.NDArray[np.generic]]:
    """Return x_train, y_train, x_test and y_test of a set; Keras keeps the file and checks its hash.

    Args:
        source: Name of a module of `keras.datasets`.

    Raises:
        DataError: If there is no network, or what came is damaged.
    """
    import keras

    module: Any = getattr(keras.datasets, source)
    try:
        (x_train, y_train), (x_test, y_test) = module.load_data()
    except Exception as error:
        raise DataError(
            f"{source} could not be downloaded: {error}",
            hint="Set data.path to a local copy, an .npz file with x_train, y_train, x_test and y_test, "
            "or use data.source digits, which needs no download.",
        ) from error
    return {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}
