"""Examples that must stay on one side of a split: equal images, near-duplicates, files of one person or place."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from cnncli.datasets.collection import Part
from cnncli.datasets.duplicates import group_numbers, near_pairs
from cnncli.datasets.targets import Labels

Groups = npt.NDArray[np.int64]
"""Number of the group of each example, from 0 without gaps."""


def related(part: Part) -> Groups:
    """Number the groups of examples that belong together, directly or by way of others.

    Images of one colour have no near-duplicates: they all look alike.
    """
    rows = np.flatnonzero(~part.facts.flat)
    thumbs = part.facts.thumbs[rows]
    pairs = rows[near_pairs(thumbs, thumbs)]
    groups = _joined(group_numbers(part.facts.digests), pairs)
    if part.groups is None:
        return groups
    _, named = np.unique(np.asarray(part.groups), return_inverse=True)
    order = np.argsort(named, kind="stable")
    same = named[order][1:] == named[order][:-1]
    return _joined(groups, np.stack([order[1:][same], order[:-1][same]], axis=1))


def _joined(groups: Groups, pairs: npt.NDArray[np.int64]) -> Groups:
    """Return groups of which those are one that a pair of examples connects."""
    parent = list(range(int(groups.max()) + 1 if len(groups) else 0))

    def root(number: int) -> int:
        while parent[number] != number:
            parent[number] = parent[parent[number]]
            number = parent[number]
        return number

    for first, second in groups[pairs].tolist():
        low, high = sorted((root(first), root(second)))
        parent[high] = low
    roots = np.array([root(number) for number in range(len(parent))], np.int64)
    numbers: Groups = np.unique(roots[groups], return_inverse=True)[1] if len(groups) else groups
    return numbers


def held_out_groups(
    labels: Labels, groups: Groups, ranks: npt.NDArray[np.uint64], share: float
) -> npt.NDArray[np.bool_]:
    """Choose whole groups for another split, stratified: in the order of their ranks, as long as they fit.

    Of each class with at least two groups at least one is chosen, the smallest where none fits, and at least one stays.
    A group of several classes counts with the first of them.

    Args:
        labels: Class number of each example.
        groups: Its group.
        ranks: A number that orders examples by chance.
        share: Share of each class to choose, above 0 and below 1.

    Returns:
        True for each chosen example.
    """
    label, sizes, rank = _facts_of(labels, groups, ranks)
    chosen = np.zeros(len(sizes), np.bool_)
    for value in np.unique(label):
        own = np.flatnonzero(label == value)
        own = own[np.argsort(rank[own], kind="stable")]
        chosen[_fitting(own.tolist(), sizes, round(share * int(sizes[own].sum())))] = True
    return chosen[groups]


def fold_numbers(labels: Labels, groups: Groups, ranks: npt.NDArray[np.uint64], folds: int) -> npt.NDArray[np.int64]:
    """Deal whole groups to folds, so that each has about the same number of examples of each class.

    Args:
        labels: Class number of each example.
        groups: Its group.
        ranks: A number that orders examples by chance.
        folds: Number of folds.

    Returns:
        Number of the fold of each example, from 0.
    """
    label, sizes, rank = _facts_of(labels, groups, ranks)
    fold = np.zeros(len(sizes), np.int64)
    total = np.zeros(folds, np.int64)
    for value in np.unique(label):
        own = np.flatnonzero(label == value)
        of_class = np.zeros(folds, np.int64)
        for group in own[np.lexsort((rank[own], -sizes[own]))].tolist():
            # The largest first, to the fold with the fewest of the class, of several to the smallest fold.
            emptiest = int(np.lexsort((total, of_class))[0])
            fold[group] = emptiest
            of_class[emptiest] += sizes[group]
            total[emptiest] += sizes[group]
    return fold[groups]


def _facts_of(
    labels: Labels, groups: Groups, ranks: npt.NDArray[np.uint64]
) -> tuple[Labels, npt.NDArray[np.int64], npt.NDArray[np.uint64]]:
    """Return of each group its first class, its number of examples, and its lowest rank."""
    number = int(groups.max()) + 1 if len(groups) else 0
    label = np.full(number, np.iinfo(np.int64).max)
    np.minimum.at(label, groups, labels)
    rank = np.full(number, np.iinfo(np.uint64).max, np.uint64)
    np.minimum.at(rank, groups, ranks)
    return label, np.bincount(groups, minlength=number), rank


def _fitting(ordered: Sequence[int], sizes: npt.NDArray[np.int64], target: int) -> list[int]:
    if len(ordered) < 2:
        return []
    picked: list[int] = []
    count = 0
    for group in ordered:
        if count + int(sizes[group]) <= target and len(picked) < len(ordered) - 1:
            picked.append(group)
            count += int(sizes[group])
    return picked or [min(ordered, key=lambda group: int(sizes[group]))]
