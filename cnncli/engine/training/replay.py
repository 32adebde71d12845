"""A training recorded epoch by epoch, to be played back: filters, feature maps and predictions for a few images."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from keras import tree

from cnncli.datasets.splits import Splits
from cnncli.datasets.splits import image as image_of
from cnncli.engine.input_pipeline.preprocessing import Preprocessing
from cnncli.engine.network import activations
from cnncli.engine.network.variables import model_variables
from cnncli.engine.training.setup import Setup
from cnncli.errors import RunError
from cnncli.files import durable
from cnncli.files.read import read_bytes
from cnncli.report.figures_network import FeatureMaps
from cnncli.report.figures_pixels import kernel_pixels, map_pixels
from cnncli.runs import limits
from cnncli.runs.run import Run
from cnncli.tasks.task import get_task

MOST_EXAMPLES = 10
MOST_DRAWN = 2
"""Examples whose feature maps are kept; of the others only the predictions."""
MOST_LAYERS = 4
MOST_CHANNELS = 8
MOST_FILTERS = 64
LARGEST = 32
"""Height and width beyond which feature maps are thinned out."""

MOST_WEIGHTS = 1_000_000
"""Values of a network up to which all its weights are kept after every epoch; of larger ones only the filters are."""

REMOVE = "Remove the run's replay/: the rest of its report needs no recording."

NAME = re.compile(r"epoch-(\d{4,})\.npz")
WEIGHTS = re.compile(r"weights-(\d{4,})\.npz")
EPOCH = "epoch"
"""Name of the array with the number of the epoch; files of earlier versions have none."""
Arrays = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Frame:
    """What was recorded after one epoch.

    Attributes:
        epoch: Number of the epoch; 0 is before the first step.
        layer: Name of the layer that the filters are of, or "" where the network has none.
        kernels: (height, width, channels seen, filters).
        maps: Feature maps by layer: (examples, height, width, channels).
        predictions: What the run's task keeps of the network's outputs for the examples, by name.
    """

    epoch: int
    layer: str
    kernels: npt.NDArray[np.float32]
    maps: dict[str, npt.NDArray[np.float16]]
    predictions: dict[str, npt.NDArray[Any]]

    def images(self) -> dict[str, npt.NDArray[np.uint8]]:
        """Return pictures by name, uint8 (height, width, 3): the filters, each layer's maps of the first example."""
        found = {f"kernels/{self.layer}": kernel_pixels(self.kernels)} if self.layer else {}
        return found | {f"feature_maps/{name}": map_pixels(maps[0]) for name, maps in self.maps.items()}


@dataclass(frozen=True)
class Examples:
    """The images that a recording is of.

    Attributes:
        pixels: uint8 (examples, height, width, channels) of the network's size.
        ids: File or index of each.
        truths: The right answer for each, as `Targets.name` has it; None in a recording that has class numbers instead.
        labels: Class number of each, in recordings of older versions.
    """

    pixels: npt.NDArray[np.uint8]
    ids: npt.NDArray[np.str_]
    truths: npt.NDArray[np.str_] | None = None
    labels: npt.NDArray[np.int64] | None = None

    def named(self, classes: Sequence[str]) -> tuple[str, ...]:
        """Return the right answer for each example.

        Args:
            classes: Names of the classes, for class numbers.
        """
        if self.truths is not None:
            return tuple(self.truths.tolist())
        return () if self.labels is None else tuple(classes[label] for label in self.labels.tolist())

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return what a file of them holds."""
        return {name: array for name, array in vars(self).items() if array is not None}


class Replay:
    """Records a run in `replay/`, one file an epoch, each written in one step.

    Of a network with at most `MOST_WEIGHTS` values, all variables are kept too, those of each epoch in a file beside
    what the report replays: `cnn explore` puts them into its page. Nothing but the network decides about that, so that
    a run which is resumed for more epochs has them all.

    What is recorded follows from the weights alone, and every epoch has a file of its own: a run that goes on
    after a crash writes the epochs it trains again, and neither misses one nor has one twice.

    Args:
        run: The run.
        setup: What is trained; the first example of each class of the validation split is watched, else of training.
    """

    def __init__(self, run: Run, setup: Setup) -> None:
        self._directory = run.own(run.replay_dir)
        self._model = setup.model
        self._preprocessing = setup.loop.preprocessing
        self._task = get_task(setup.config.task)
        self._examples = _choose(setup.splits, self._preprocessing)
        try:
            durable.make_directories(self._directory)
        except OSError as error:
            raise _refused(self._directory, error) from error
        _write(self._directory / "examples.npz", self._examples.arrays())

    def save(self, epoch: int) -> None:
        """Record the network as it is now, after `epoch` epochs; the same epoch again replaces its file.

        To be called with the weights that evaluation uses, before the epoch's checkpoint is written: whatever
        crashes then, an epoch that a checkpoint knows of has its file.

        Raises:
            RunError: If the disk refuses.
        """
        arrays: dict[str, npt.NDArray[Any]] = {EPOCH: np.array(epoch)}
        kernels = next(activations.all_kernels(self._model), None)
        if kernels is not None:
            arrays[f"kernels/{kernels.layer}"] = kernels.weights[..., :MOST_FILTERS]
        for name, maps in self._maps().items():
            arrays[f"maps/{name}"] = maps.astype(np.float16)
        outputs = self._model(self._preprocessing.to_float(self._examples.pixels), training=False)
        arrays.update(self._task.pages.record(tree.map_structure(_plain, outputs)))
        _write(self._directory / f"epoch-{epoch:04d}.npz", arrays)
        if self._model.count_params() <= MOST_WEIGHTS:
            weights = {name: np.asarray(variable) for name, variable in model_variables(self._model).items()}
            _write(self._directory / f"weights-{epoch:04d}.npz", weights)

    def images(self, epoch: int) -> dict[str, npt.NDArray[np.uint8]]:
        """Return an epoch's pictures by name, uint8 (height, width, 3); none where it was not recorded."""
        path = self._directory / f"epoch-{epoch:04d}.npz"
        return _frame(epoch, path).images() if path.exists() else {}

    def _maps(self) -> dict[str, npt.NDArray[np.float32]]:
        """Return the feature maps of a few layers, spread from the first to the last that keeps the plane."""
        per_image = [
            [found for found in activations.feature_maps(self._model, self._preprocessing, image) if _is_plane(found)]
            for image in self._examples.pixels[:MOST_DRAWN]
        ]
        layers = per_image[0]
        most = min(MOST_LAYERS, len(layers))
        chosen = sorted({round(i * (len(layers) - 1) / max(most - 1, 1)) for i in range(most)})
        return {layers[i].layer: np.stack([_thinned(found[i].values) for found in per_image]) for i in chosen}


def read_examples(run: Run) -> Examples:
    """Return the images that a run's recording is of.

    Raises:
        RunError: If they cannot be read.
    """
    path = run.own(run.replay_dir) / "examples.npz"
    arrays = _arrays(path)
    pixels, ids, truths, labels = (arrays.get(name) for name in ("pixels", "ids", "truths", "labels"))
    if pixels is None or pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[3] not in (1, 3):
        raise _damaged(path, "pixels of several images")
    for name, found, kinds in (("ids", ids, "U"), ("truths", truths, "U"), ("labels", labels, "iu")):
        if found is None and name != "ids":
            continue
        if found is None or found.shape != pixels.shape[:1] or found.dtype.kind not in kinds:
            raise _damaged(path, f"{name} of {len(pixels)} images")
    return Examples(pixels, np.asarray(ids), truths, labels)


def read_frames(run: Run) -> Iterator[Frame]:
    """Yield what was recorded of a run, in the order of the epochs, none beyond those that its metrics know."""
    trained = max((line["epoch"] for line in run.metrics()), default=0)
    names = sorted(path for path in run.own(run.replay_dir).glob("epoch-*.npz") if NAME.fullmatch(path.name))
    for path in names:
        match = NAME.fullmatch(path.name)
        if match and int(match[1]) <= trained:
            yield _frame(int(match[1]), path)


def weighed_epochs(run: Run) -> list[int]:
    """Return the epochs of which a recording has all weights, in order, none beyond those that the metrics know."""
    trained = max((line["epoch"] for line in run.metrics()), default=0)
    found = (WEIGHTS.fullmatch(path.name) for path in run.own(run.replay_dir).glob("weights-*.npz"))
    return sorted(epoch for match in found if match and (epoch := int(match[1])) <= trained)


def read_weights(run: Run, epoch: int) -> dict[str, npt.NDArray[Any]]:
    """Return the weights after an epoch, by the names of `model_variables`.

    Raises:
        RunError: If they cannot be read.
    """
    return _arrays(run.own(run.replay_dir) / f"weights-{epoch:04d}.npz")


def _frame(epoch: int, path: Path) -> Frame:
    stored = _arrays(path)
    recorded = stored.pop(EPOCH, None)
    if recorded is not None and recorded.tolist() != epoch:
        raise _damaged(path, f"epoch {epoch}, not that of another file")
    kernels = next((name for name in stored if name.startswith("kernels/")), None)
    maps = {name.removeprefix("maps/"): array for name, array in stored.items() if name.startswith("maps/")}
    weights = np.empty((0, 0, 0, 0), np.float32) if kernels is None else stored[kernels]
    others = {name: array for name, array in stored.items() if not name.startswith(("kernels/", "maps/"))}
    drawn = [*maps.values(), *([] if kernels is None else [weights])]
    if any(array.ndim != 4 or array.dtype.kind != "f" or not array.size for array in drawn):
        raise _damaged(path, "filters and feature maps of four axes")
    return Frame(epoch, (kernels or "").removeprefix("kernels/"), weights, maps, others)


def _arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of a file.

    Raises:
        RunError: If it cannot be read.
    """
    try:
        content = io.BytesIO(read_bytes(path, limits.ARRAYS, follow=False))
        with np.load(content, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except MemoryError:
        raise
    except Exception as error:  # NumPy, zipfile and zlib each have their own.
        raise RunError(f"{path} cannot be read: {error}", REMOVE) from error


def _damaged(path: Path, expected: str) -> RunError:
    return RunError(f"{path} cannot be read: expected {expected}", REMOVE)


def _choose(splits: Splits, preprocessing: Preprocessing) -> Examples:
    split = splits.validation or splits.train
    rows = split.first_of_each(MOST_EXAMPLES)
    resized = [preprocessing.resize_uint8(image_of(split, row)[None])[0].numpy() for row in rows]
    truths = [split.targets.name(row, splits.classes) for row in rows]
    return Examples(np.stack(resized), np.array([split.ids[row] for row in rows]), np.array(truths))


def _plain(output: Any) -> npt.NDArray[np.float32]:
    return np.asarray(output, np.float32)


def _is_plane(found: FeatureMaps) -> bool:
    return found.values.ndim == 3 and min(found.values.shape[:2]) > 1


def _thinned(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    step = -(-max(values.shape[:2]) // LARGEST)
    return values[::step, ::step, :MOST_CHANNELS]


def _write(path: Path, arrays: Arrays) -> None:
    """Write arrays in one step: a reader sees the old file or the new one."""
    content = io.BytesIO()
    np.savez(content, **arrays)  # type: ignore[arg-type]  # the stubs see allow_pickle among them
    try:
        durable.replace_file(path, content.getbuffer())
    except OSError as error:
        raise _refused(path, error) from error


def _refused(path: Path, error: OSError) -> RunError:
    return RunError(f"{path} cannot be written: {error.strerror}", "Free disk space, then continue with `cnn resume`.")
