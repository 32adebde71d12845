"""A config's `data` section → `Splits`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cnncli.analysis.cells import cells_of
from cnncli.config.location import located, moved
from cnncli.config.schema.schema import Config, Data
from cnncli.datasets.boxes.bad_boxes import BadBoxes, what_to_do
from cnncli.datasets.collection import BadFile, Collection, Part
from cnncli.datasets.division import divide
from cnncli.datasets.image_statistics import differences, image_statistics, training_look
from cnncli.datasets.passport import content_change, content_hash, passport
from cnncli.datasets.problems import cannot_be_used
from cnncli.datasets.scan import Watch
from cnncli.datasets.sources import collect, from_path
from cnncli.datasets.splits import Split, Splits
from cnncli.datasets.targets import TARGETS
from cnncli.errors import DataError
from cnncli.plural import counted

TRAINED_WITH = (
    "these are the examples that the network was trained with, so it does worse on others; "
    "`cnn eval RUN` measures its run's test split alone"
)
"""What is told of examples that are a run's own, training split and all."""

_NAMED = 20
"""Most bad files or boxes that an error names one by one."""


def load(config: Config, classes: Sequence[str] | None = None, watch: Watch | None = None) -> Splits:
    """Return the examples that a config names, split as it says.

    Args:
        config: The experiment.
        classes: Class order to impose, that of a run's passport; None lets the training split fix it.
        watch: Hears how many files of how many are measured; files known from an earlier run are not.

    Raises:
        DataError: If they are missing, damaged, or not what the config says; if a file is bad and
            `data.on_bad_image` is error, or a box and `data.on_bad_box` is error; if a split has a class that training
            has not; if a network that is to be trained has not one output for each class.
    """
    splits, bad_files, bad_boxes = _load(config, classes, watch)
    if bad_files and config.data.on_bad_image == "error":
        raise DataError(
            _list(bad_files, config.data),
            hint="Fix or remove them, or skip them with data.on_bad_image: skip. `cnn data` lists them all.",
            code="E401",
        )
    _refuse_bad_boxes(bad_boxes, config.data)
    if config.nodes and classes is None:
        # A run's own network was checked before its first step; older versions let it have outputs to spare.
        splits.require_output(config)
    return splits


def inspect(config: Config, watch: Watch | None = None) -> Splits:
    """Return the same as `load`, bad files and boxes left out whatever the config says; the passport names them."""
    return _load(config, None, watch)[0]


def _load(
    config: Config, classes: Sequence[str] | None, watch: Watch | None
) -> tuple[Splits, Sequence[BadFile], BadBoxes | None]:
    collection, parts = _divided(config, classes, watch)
    splits = {name: part.split.renamed(name) for name, part in parts.items()}
    document = passport(config.data, collection, parts, cells_of(config))
    found = Splits(collection.classes, splits["train"], splits.get("validation"), splits.get("test"), document)
    return found, collection.bad_files, collection.bad_boxes


def _divided(
    config: Config, classes: Sequence[str] | None, watch: Watch | None
) -> tuple[Collection, Mapping[str, Part]]:
    """Return what a config's source holds, and its parts divided as the config says."""
    collection = collect(located(config), tuple(classes) if classes is not None else None, watch)
    ready = {name: _for_task(part, config.task) for name, part in collection.parts.items()}
    return collection, divide(ready, config.data, config.seed)


def own(config: Config, trained: dict[str, Any], path: Path | None = None) -> Splits:
    """Return the examples that a run was trained on, split as they were.

    Args:
        config: The run's config.
        trained: The run's passport.
        path: Where the examples are now, or None where the config says it.

    Raises:
        DataError: If they cannot be loaded, or a path is given and its examples are others.
    """
    splits = load(config if path is None else moved(config, path), trained["classes"])
    change = content_change(trained, splits.passport["content_hash"])
    if path is not None and change is not None:
        raise DataError(f"{path} does not hold the run's own examples: {change}", "Give the path of the same examples.")
    return splits


def recognized(config: Config, trained: dict[str, Any], path: Path) -> Splits | None:
    """Return a run's own examples if a path holds them, by their content; None if it holds anything else."""
    try:
        _, parts = _divided(moved(config, path), trained["classes"], None)
    except DataError:
        return None
    return own(config, trained, path) if content_hash(parts.values()) == trained.get("content_hash") else None


def _for_task(part: Part, task: str) -> Part:
    """Return a part whose targets are those of a task."""
    return replace(part, split=replace(part.split, targets=TARGETS[task](part.split)))


def _list(bad_files: Sequence[BadFile], data: Data) -> str:
    return _first(
        f"{counted(len(bad_files), 'file')} {cannot_be_used(data)}:", [f"{bad.file}: {bad.reason}" for bad in bad_files]
    )


def _refuse_bad_boxes(bad: BadBoxes | None, data: Data) -> None:
    """Refuse objects that cannot be used, where the config says nothing else.

    Raises:
        DataError: If there are such; names the file and the object.
    """
    if bad is not None and len(bad) and data.on_bad_box == "error":
        title = f"{counted(len(bad), 'box')} cannot be used:"
        raise DataError(_first(title, [box.to_text() for box in bad.boxes]), what_to_do(bad.to_json()), code="E402")


def _first(title: str, lines: Sequence[str]) -> str:
    """Return a title and the first lines below it."""
    more = [f"… and {len(lines) - _NAMED:,} more"] if len(lines) > _NAMED else []
    return "\n  ".join([title, *lines[:_NAMED], *more])


@dataclass(frozen=True)
class Incoming:
    """Examples from elsewhere, labelled in a run's class order.

    Attributes:
        split: The examples.
        doubts: How they differ from what the run was trained on, a sentence each.
        bad_files: Path and reason of what could not be read.
    """

    split: Split
    doubts: tuple[str, ...]
    bad_files: Sequence[BadFile]


def incoming(path: Path, config: Config, trained: dict[str, Any], watch: Watch | None = None) -> Incoming:
    """Return the examples at a path for the evaluation of a run.

    A folder or .zip of class folders, an .npz file or a CSV table. Of a source with splits, the
    test split is taken. Classes are the run's: one it does not know is an error, one that is
    missing has no examples.

    Args:
        path: Where the examples are.
        config: The run's config.
        trained: The run's passport.
        watch: Hears how many files of how many are measured.

    Raises:
        DataError: If they cannot be read, or have an unknown class.
    """
    collection = from_path(path, config.data, tuple(trained["classes"]), watch)
    if collection.bad_files and config.data.on_bad_image == "error":
        raise DataError(_list(collection.bad_files, config.data), code="E401")
    _refuse_bad_boxes(collection.bad_boxes, config.data)
    ready = {name: _for_task(part, config.task) for name, part in collection.parts.items()}
    part = ready.get("test", ready["train"])
    doubts = differences(image_statistics(part.facts), training_look(trained))
    if "test" not in ready and content_hash(ready.values()) == trained.get("content_hash"):
        doubts = (TRAINED_WITH, *doubts)
    return Incoming(part.split.renamed("test"), doubts, collection.bad_files)
