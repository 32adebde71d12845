"""An imported run beside the file that it came from: what both make of one image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from cnncli.datasets.images import decode
from cnncli.datasets.store import read_file
from cnncli.engine.evaluation.trained import Trained, load_trained
from cnncli.errors import CnnError
from cnncli.importing.check import Runtime
from cnncli.layers.graph import logits_nodes
from cnncli.runs.run import Run

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

LIMIT = 1e-4
"""Largest difference that counts as none.

Single precision adds up some thousand products with an error of about 1e-6 of the largest value, which many layers make
some ten times larger; a kernel that is turned the wrong way or a margin on the wrong side changes more than 1e-3.
"""


@dataclass(frozen=True)
class Comparison:
    """What an imported run and its source make of one image.

    Attributes:
        runtime: What computed the source.
        difference: The largest of any output, as a share of the source's largest value where that is above 1.
        top: Class that the run finds most likely; of planes, at the place where the two differ most.
        source_top: Class that the source finds so.
    """

    runtime: str
    difference: float
    top: str
    source_top: str

    @property
    def is_equal(self) -> bool:
        """Whether the two agree."""
        return self.difference <= LIMIT and self.top == self.source_top

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON."""
        return {
            "runtime": self.runtime,
            "difference": self.difference,
            "limit": LIMIT,
            "top": self.top,
            "source_top": self.source_top,
            "equal": self.is_equal,
        }


def compare(run: Run, source: Path, runtime: Runtime, image: Path) -> Comparison:
    """Compute one image by an imported run and by the runtime of the file that it came from.

    Both get the same values: the image in the network's size, from 0 to 1.

    Args:
        run: The imported run.
        source: The file.
        runtime: What computes it.
        image: An image file.

    Raises:
        CnnError: If the image cannot be read, or the runtime refuses the file.
    """
    trained = load_trained(run)
    pixels = decode(read_file(image, str(image)), int(trained.config.data.channels), str(image))
    sized = trained.preprocessing.resize_uint8(pixels[None])
    values: Array = np.asarray(trained.preprocessing.to_float(sized), np.float32)
    try:
        expected = _SOURCES[runtime](source, values)
    except CnnError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a runtime raises
        raise CnnError(f"{runtime} cannot run {source}: {str(error)[:200]}") from None
    found = _outputs(trained, values)
    if expected.shape != found.shape:
        raise CnnError(f"{source}: {runtime} returns values of shape {expected.shape}, the run of {found.shape}")
    return _compared(found, expected, trained.classes, runtime)


def _outputs(trained: Trained, values: Array) -> Array:
    """Return what the network ends in; a softmax at the end, which a run leaves out, included."""
    logits = trained.model(values, training=False)
    ends_in_softmax = len(logits_nodes(trained.config.nodes)) < len(trained.config.nodes)
    last = trained.config.nodes[-1].layer
    if ends_in_softmax or getattr(last, "activation", None) == "softmax":
        logits = tf.nn.softmax(logits)
    return np.asarray(logits, np.float64)


def _compared(found: Array, expected: Array, classes: tuple[str, ...], runtime: str) -> Comparison:
    size = max(1.0, float(np.abs(expected).max()))
    apart = np.abs(found - expected)
    # Of planes, the place of the largest difference is looked at.
    place = np.unravel_index(int(np.nan_to_num(apart, nan=np.inf).argmax()), apart.shape)[:-1]
    tops = [classes[int(array[place].argmax())] for array in (found, expected)]
    return Comparison(runtime, float(apart.max()) / size, tops[0], tops[1])


def _by_onnxruntime(path: Path, values: Array) -> Array:
    import onnxruntime

    from cnncli.importing.onnx.read import has_channels_last

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    given = next(value for value in session.get_inputs())
    dims = tuple(n if isinstance(n, int) else None for n in given.shape)
    kind = {"tensor(double)": np.float64, "tensor(float16)": np.float16}.get(given.type, np.float32)
    turned = values if has_channels_last(dims) else values.transpose(0, 3, 1, 2)
    if isinstance(dims[0], int):
        turned = np.repeat(turned, dims[0], axis=0)
    made: Array = np.asarray(session.run([session.get_outputs()[0].name], {given.name: turned.astype(kind)})[0])[:1]
    if made.ndim == 4:
        made = made.transpose(0, 2, 3, 1)
        if made.shape[1:3] == (1, 1):
            made = made[:, 0, 0]
    return made.astype(np.float64)


def _by_keras(path: Path, values: Array) -> Array:
    import keras

    model = keras.saving.load_model(path, compile=False, safe_mode=True)
    first = next((layer for layer in model.layers if type(layer).__name__ != "InputLayer"), None)
    # As the import does: what begins with Rescaling reads values from 0 to 255.
    scale = 255.0 if type(first).__name__ == "Rescaling" else 1.0
    return np.asarray(model(values * scale, training=False), np.float64)


_SOURCES: dict[Runtime, Callable[[Path, Array], Array]] = {"onnxruntime": _by_onnxruntime, "keras": _by_keras}
