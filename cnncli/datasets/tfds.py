"""Sets of TensorFlow Datasets, read image by image as they are stored; needs the extra `tfds`, not TensorFlow."""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cnncli.config.schema.schema import Data
from cnncli.datasets.collection import Collection
from cnncli.datasets.image_files import Classes, measured
from cnncli.datasets.layout import SPLITS, Layout
from cnncli.datasets.scan import Watch
from cnncli.datasets.stamps import Stamp, table
from cnncli.datasets.store import Listing
from cnncli.errors import DataError


class Records:
    """The splits of a prepared set as a store of encoded images, named "train/17".

    Args:
        name: Full name of the set with its version.
        sources: By split, a sequence of examples with an encoded image.
        key: The image's name in an example.
    """

    def __init__(self, name: str, sources: Mapping[str, Sequence[Mapping[str, Any]]], key: str) -> None:
        self._name = name
        self._sources = sources
        self._key = key

    @property
    def identity(self) -> str:
        """What the set is known by in the cache."""
        return f"tfds:{self._name}"

    def listing(self) -> Listing:
        """Return the examples of all splits; a version of a set never changes, so all stamps are alike."""
        names = [f"{split}/{number}" for split, source in self._sources.items() for number in range(len(source))]
        return Listing(names, table([self.stamp(name) for name in names]), folders=[], bad=[], ignored=0)

    def stamp(self, name: str) -> Stamp:  # noqa: ARG002 - as of every store
        """Return the same for every image."""
        return 0, 0

    def read(self, name: str) -> bytes:
        """Return one encoded image."""
        split, number = name.split("/")
        return bytes(self._sources[split][int(number)][self._key])


def collect(data: Data, classes: Classes | None, watch: Watch | None) -> Collection:
    """Return the examples of the set that `data.path` names, "cats_vs_dogs" or "imagenette/320px".

    Raises:
        DataError: If TensorFlow Datasets is not installed, does not know the set, cannot fetch it, or
            the set has no images with one class each.
    """
    try:
        tfds: Any = importlib.import_module("tensorflow_datasets")
    except ImportError as error:
        raise DataError("TensorFlow Datasets is not installed", hint='pip install "cnncli[tfds]"') from error
    try:
        with contextlib.redirect_stdout(sys.stderr):
            return _collect(tfds, tfds.builder(data.path), data, classes, watch)
    except DataError:
        raise
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DataError(f"the dataset {data.path} cannot be loaded from TensorFlow Datasets: {reason}") from error


def _collect(tfds: Any, builder: Any, data: Data, classes: Classes | None, watch: Watch | None) -> Collection:
    image, label = _keys(builder)
    builder.download_and_prepare(file_format="array_record")
    decoders = {image: tfds.decode.SkipDecoding()}
    sources = {
        SPLITS[name]: builder.as_data_source(split=name, decoders=decoders)
        for name in builder.info.splits
        if name in SPLITS
    }
    if "train" not in sources:
        raise DataError(f"the dataset {data.path} has the splits {', '.join(builder.info.splits)}; expected train")
    named = tuple(builder.info.features[label].names)
    labels = [named[int(example[label])] for source in sources.values() for example in source]
    store = Records(builder.info.full_name, sources, image)
    listing = store.listing()
    layout = Layout(
        rows=np.arange(len(labels)),
        splits=[split for split, source in sources.items() for _ in range(len(source))],
        classes=labels,
        bad=[],
        train_classes=named,
        ignored=0,
        ignored_folders=tuple(name for name in builder.info.splits if name not in SPLITS),
    )
    return measured(store, listing, layout, data, classes, watch)


def _keys(builder: Any) -> tuple[str, str]:
    """Return the names of the image and of the class in an example."""
    features = builder.info.features
    image, label = builder.info.supervised_keys or ("image", "label")
    if type(features[image]).__name__ != "Image" or type(features[label]).__name__ != "ClassLabel":
        raise DataError(f"the dataset {builder.info.name} has no images with one class label each")
    return image, label
