"""Which examples leave training for validation and test."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from cnncli.config.schema.schema import Data
from cnncli.datasets.collection import Part
from cnncli.datasets.duplicates import group_numbers
from cnncli.datasets.related import fold_numbers, held_out_groups, related
from cnncli.datasets.targets import Labels
from cnncli.errors import DataError


def divide(parts: Mapping[str, Part], data: Data, seed: int) -> dict[str, Part]:
    """Return train, validation and test.

    A source's own test and validation splits are used as they are, whatever share is named; a share of 0 means no
    validation, and no test split but the source's own. The test split is never used for validation. The test share is
    taken first.

    Args:
        parts: The source's own splits.
        data: The config's `data` section: shares, folds, and what belongs together.
        seed: The experiment's seed.

    Raises:
        DataError: If there is no such split, or the share leaves nothing to train on.
    """
    if data.train_on_validation:
        parts = _joined(parts)
    if data.test and "test" not in parts:
        train = parts["train"]
        chosen = held_out_groups(_strata(train), related(train), _ranks(train.facts.digests, seed), data.test)
        kept, test = _taken(train, chosen, "test", "data.test: 0")
        parts = {**parts, "train": kept, "test": test}
    if data.folds is not None:
        return _with_fold(parts, data.folds, data.fold, seed)
    return _with_validation(parts, data, seed)


def _joined(parts: Mapping[str, Part]) -> dict[str, Part]:
    """Return the source's splits, those for training and for validation made one.

    Raises:
        DataError: If the source has no validation split.
    """
    if "validation" not in parts:
        raise DataError(
            f"data.train_on_validation is true, but the data has only {', '.join(parts)}",
            hint="Remove data.train_on_validation: a source without a validation split trains on all it has.",
        )
    others = {name: part for name, part in parts.items() if name != "validation"}
    return {**others, "train": parts["train"].joined(parts["validation"])}


def _with_fold(parts: Mapping[str, Part], folds: int, fold: int | None, seed: int) -> dict[str, Part]:
    """Return train, validation and test, where validation is one fold of the training examples."""
    if "validation" in parts:
        raise DataError("the data has a validation split of its own, so there are no folds", hint="Remove data.folds.")
    if fold is None:
        raise DataError(
            f"data.folds is {folds}, but no fold is chosen for validation",
            hint=f"Choose one from 1 to {folds}: --fold 1 (cnn train, cnn data), or --set data.fold=1.",
        )
    train = parts["train"]
    numbers = fold_numbers(_strata(train), related(train), _ranks(train.facts.digests, seed), folds)
    kept, validation = _taken(train, numbers == fold - 1, "validation", "fewer data.folds")
    return {**parts, "train": kept, "validation": validation}


def _with_validation(parts: Mapping[str, Part], data: Data, seed: int) -> dict[str, Part]:
    """Return train, validation and test, where validation is a share of the training examples or the source's own."""
    validation = data.validation
    train = parts["train"]
    fixed = {"train": train} | ({"test": parts["test"]} if "test" in parts else {})
    if isinstance(validation, str):
        return fixed | {"validation": _own(parts, validation)}
    if not 0 <= validation < 1:
        raise DataError(f"data.validation is {validation}; expected a fraction from 0 to below 1")
    if validation == 0:
        return fixed
    if "validation" in parts:
        return fixed | {"validation": parts["validation"]}
    if not data.test and data.group is None:
        chosen = held_out(_strata(train), train.facts.digests, validation, seed)
    else:
        chosen = held_out_groups(_strata(train), related(train), _ranks(train.facts.digests, seed), validation)
    kept, held = _taken(train, chosen, "validation", "data.validation: 0")
    return fixed | {"train": kept, "validation": held}


def _strata(part: Part) -> Labels:
    strata = part.split.targets.strata()
    return np.zeros(len(part), np.int64) if strata is None else strata


def _taken(train: Part, chosen: npt.NDArray[np.bool_], name: str, without: str) -> tuple[Part, Part]:
    """Return what stays in training, and what leaves it for another split; `without` is how to do without that.

    Raises:
        DataError: If either is empty.
    """
    if not chosen.any():
        raise DataError(
            f"no class has two different images: nothing can be held out for {name} ({len(train):,} in all)",
            hint=f"Add images, or set {without}.",
        )
    if chosen.all():
        raise DataError(f"all {len(train):,} examples belong together, so nothing is left to train on")
    return train.take(np.flatnonzero(~chosen), "train"), train.take(np.flatnonzero(chosen), name)


def _own(parts: Mapping[str, Part], name: str) -> Part:
    if name in ("train", "test"):
        raise DataError(
            f'data.validation is "{name}"; expected a fraction or a separate validation split',
            hint="The test split is never used for validation: a network selected by it would look better than it is.",
        )
    if name not in parts:
        raise DataError(
            f'data.validation is "{name}", but the data has only {", ".join(parts)}',
            hint="Set a fraction, such as data.validation: 0.1.",
        )
    return parts[name]


def held_out(labels: Labels, digests: npt.NDArray[np.uint8], share: float, seed: int) -> npt.NDArray[np.bool_]:
    """Choose the examples that leave training for validation.

    The choice is stratified, follows from the seed and the images' content alone (not from their
    order or names), and keeps equal images together. Of each class with at least two different
    images, at least one is chosen and at least one stays.

    Args:
        labels: Class number of each example.
        digests: (number, 16) as in `Facts`.
        share: Share of each class to choose, from 0 to below 1.
        seed: The experiment's seed.

    Returns:
        True for each chosen example.
    """
    groups = group_numbers(digests)
    num_groups = int(groups.max()) + 1 if len(groups) else 0
    sizes = np.bincount(groups, minlength=num_groups)
    group_label = np.full(num_groups, np.iinfo(np.int64).max)
    np.minimum.at(group_label, groups, labels)
    member = np.zeros(num_groups, np.int64)
    member[groups] = np.arange(len(groups))
    ranks = _ranks(digests[member], seed)
    chosen = np.zeros(num_groups, np.bool_)
    for label in np.unique(group_label):
        of_class = np.flatnonzero(group_label == label)
        ordered = of_class[np.argsort(ranks[of_class], kind="stable")]
        chosen[_up_to(ordered, sizes, round(share * int(sizes[ordered].sum())))] = True
    return chosen[groups]


def _ranks(digests: npt.NDArray[np.uint8], seed: int) -> npt.NDArray[np.uint64]:
    salt = seed.to_bytes(8, "little")
    mixed = b"".join(blake2b(digest.tobytes(), digest_size=8, salt=salt).digest() for digest in digests)
    return np.frombuffer(mixed, "<u8").astype(np.uint64)


def _up_to(ordered: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64], target: int) -> list[int]:
    """Take groups in order while they fit into `target` examples; at least one, and never all."""
    if len(ordered) < 2:
        return []
    picked, count = [int(ordered[0])], int(sizes[ordered[0]])
    for group in ordered[1:-1].tolist():
        if count + int(sizes[group]) <= target:
            picked.append(group)
            count += int(sizes[group])
    return picked
