"""The examples of an experiment: what trains, what selects, what measures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt

from cnncli.datasets.files import Files
from cnncli.errors import DataError

Images = npt.NDArray[np.uint8]
"""Images of one size: (number, height, width, channels), 0 to 255."""

Labels = npt.NDArray[np.int64]
"""Class numbers, one an example."""


@dataclass(frozen=True)
class Split:
    """Examples with one purpose.

    Attributes:
        name: "train", "validation" or "test".
        images: An array for a set in memory, `Files` for images that are decoded when needed.
        labels: Class number of each example.
        ids: What each example is called in reports: its file, or its number in the source.
        digests: 16 bytes for each example that are equal exactly where the decoded images are.
    """

    name: str
    images: Images | Files
    labels: Labels
    ids: Sequence[str]
    digests: Sequence[bytes] = field(repr=False)

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: npt.NDArray[np.int64], name: str) -> Split:
        """Return the examples at `indices`, in that order, as a split called `name`."""
        images = self.images.take(indices) if isinstance(self.images, Files) else self.images[indices]
        picked = indices.tolist()
        ids, digests = [self.ids[i] for i in picked], [self.digests[i] for i in picked]
        return Split(name, images, self.labels[indices], ids, digests)

    def renamed(self, name: str) -> Split:
        """Return the same examples under another name."""
        return replace(self, name=name)


@dataclass(frozen=True)
class Splits:
    """All examples of an experiment, and the class order that training fixed.

    Attributes:
        classes: Names of the classes; a label is a place in this tuple.
        passport: What `data.json` of a run holds.
    """

    classes: tuple[str, ...]
    train: Split
    validation: Split | None
    test: Split | None
    passport: dict[str, Any] = field(default_factory=dict)

    def present(self) -> tuple[Split, ...]:
        """Return the splits that there are, train first."""
        return tuple(split for split in (self.train, self.validation, self.test) if split is not None)

    def named(self, name: str) -> Split:
        """Return one split by its name.

        Raises:
            DataError: If the data have no such split.
        """
        for split in self.present():
            if split.name == name:
                return split
        names = ", ".join(split.name for split in self.present())
        raise DataError(f'there is no split "{name}" in the data', hint=f"The data have: {names}.")


def digest(image: npt.NDArray[np.uint8]) -> bytes:
    """Return 16 bytes that are equal exactly for images of the same shape and pixels."""
    shape = np.asarray(image.shape, dtype="<u4").tobytes()
    return blake2b(np.ascontiguousarray(image).data, digest_size=16, salt=shape[:12].ljust(16, b"\0")).digest()


def digests(images: Images) -> list[bytes]:
    """Return the `digest` of every image of an array."""
    return [digest(image) for image in images]


def held_out(labels: Labels, digests: Sequence[bytes], share: float, seed: int) -> npt.NDArray[np.bool_]:
    """Choose the examples that leave training for validation.

    The choice is stratified, follows from the seed and the images' content alone (not from their
    order or names), and keeps equal images together. Of each class with at least two different
    images, at least one is chosen and at least one stays.

    Args:
        labels: Class number of each example.
        digests: `digest` of each example.
        share: Share of each class to choose, from 0 to below 1.
        seed: The experiment's seed.

    Returns:
        True for each chosen example.
    """
    groups: dict[bytes, list[int]] = {}
    for index, key in enumerate(digests):
        groups.setdefault(key, []).append(index)
    by_class: dict[int, list[bytes]] = {}
    for key, members in groups.items():
        by_class.setdefault(int(min(labels[i] for i in members)), []).append(key)
    chosen = np.zeros(len(labels), dtype=np.bool_)
    for keys in by_class.values():
        size = sum(len(groups[key]) for key in keys)
        for key in _up_to(keys, groups, round(share * size), seed):
            chosen[groups[key]] = True
    return chosen


def _up_to(keys: list[bytes], groups: dict[bytes, list[int]], target: int, seed: int) -> list[bytes]:
    salt = seed.to_bytes(8, "little")
    ordered = sorted(keys, key=lambda key: blake2b(key, digest_size=16, salt=salt).digest())
    if len(ordered) < 2:
        return []
    picked, count = ordered[:1], len(groups[ordered[0]])
    for key in ordered[1:-1]:
        if count + len(groups[key]) <= target:
            picked.append(key)
            count += len(groups[key])
    return picked
