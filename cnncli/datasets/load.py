"""A config's `data` section → `Splits`."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import numpy as np

from cnncli.config.schema import Config
from cnncli.datasets import builtin
from cnncli.datasets.arrays import Arrays
from cnncli.datasets.splits import Split, Splits, digests, held_out
from cnncli.errors import DataError


def load(config: Config) -> Splits:
    """Return the examples that a config names, split as it says.

    Raises:
        DataError: If they are missing, damaged, or not what the config says.
    """
    data = config.data
    if data.source not in builtin.CLASSES:
        raise DataError(f"data.source {data.source} is not supported yet")
    classes = builtin.CLASSES[data.source]
    found = _splits(builtin.load(data.source, data.path))
    for split in found.values():
        if len(split) and int(split.labels.max()) >= len(classes):
            raise DataError(
                f"{split.name} has the label {split.labels.max()}; {data.source} has {len(classes)} classes"
            )
    train, validation = _validation(found, data.validation, config.seed)
    splits = Splits(classes, train, validation, found.get("test"))
    return Splits(classes, train, validation, found.get("test"), _passport(data.source, splits))


def _splits(arrays: Arrays) -> dict[str, Split]:
    found = {}
    for name, images in arrays.images.items():
        ids = [str(index) for index in range(len(images))]
        found[name] = Split(name, images, arrays.labels[name], ids, digests(images))
    return found


def _validation(found: dict[str, Split], validation: float | str, seed: int) -> tuple[Split, Split | None]:
    train = found["train"]
    if isinstance(validation, str):
        if validation in ("train", "test") or validation not in found:
            raise DataError(
                f'data.validation is "{validation}"; expected a share or the name of a validation split',
                hint="The test split is never used for validation." if validation == "test" else None,
            )
        return train, found[validation].renamed("validation")
    if not 0 <= validation < 1:
        raise DataError(f"data.validation is {validation}; expected a share from 0 to below 1")
    if validation == 0:
        return train, None
    if "validation" in found:
        return train, found["validation"]
    mask = held_out(train.labels, train.digests, validation, seed)
    return train.take(np.flatnonzero(~mask), "train"), train.take(np.flatnonzero(mask), "validation")


def _passport(source: str, splits: Splits) -> dict[str, Any]:
    content, division = sha256(), sha256()
    for key in sorted(key for split in splits.present() for key in split.digests):
        content.update(key)
    for split in splits.present():
        division.update(split.name.encode())
        for key in sorted(split.digests):
            division.update(key)
    return {
        "source": source,
        "classes": list(splits.classes),
        "counts": {
            split.name: np.bincount(split.labels, minlength=len(splits.classes)).tolist() for split in splits.present()
        },
        "content_hash": content.hexdigest(),
        "split_hash": division.hexdigest(),
    }
