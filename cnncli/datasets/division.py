"""Which examples leave training for validation."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from cnncli.datasets.collection import Part
from cnncli.datasets.duplicates import group_numbers
from cnncli.datasets.targets import Labels
from cnncli.errors import DataError


def divide(parts: Mapping[str, Part], validation: float | str, seed: int) -> dict[str, Part]:
    """Return train, validation and test.

    A source's own validation split is used as it is, whatever share is named; a share of 0 means no
    validation. The test split is never used for it.

    Args:
        parts: The source's own splits.
        validation: Share of each training class, or the name of one of the source's splits.
        seed: The experiment's seed.

    Raises:
        DataError: If there is no such split, or the share leaves nothing to train on.
    """
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
    strata = train.split.targets.strata()
    alike = np.zeros(len(train), np.int64) if strata is None else strata
    chosen = held_out(alike, train.facts.digests, validation, seed)
    if not chosen.any():
        raise DataError(
            f"no class has two different images: nothing can be held out for validation ({len(train):,} in all)",
            hint="Add images, or set data.validation: 0.",
        )
    kept = train.take(np.flatnonzero(~chosen), "train")
    return fixed | {"train": kept, "validation": train.take(np.flatnonzero(chosen), "validation")}


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
