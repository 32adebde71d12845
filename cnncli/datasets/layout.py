"""Which split and class the place of a file means: by folders, or by a CSV file."""

from __future__ import annotations

import csv
import os
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TextIO

import numpy as np
import numpy.typing as npt

from cnncli.datasets.store import Listing
from cnncli.errors import DataError
from cnncli.files.read import opener

SPLITS = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "test": "test",
    "testing": "test",
}
"""Folder names, in any case, that mean a split rather than a class."""

_EXPECTED = "Expected train/CLASS/image files (and validation/, test/), or CLASS/image files."


MAX_TABLE_BYTES = 2**28
"""Most bytes of a CSV file."""

MAX_LINE = 2**20
"""Most characters of a line of it: what has no end of a line is no table."""


@dataclass(frozen=True)
class Layout:
    """What a store's paths mean.

    Attributes:
        rows: Place in the listing of each file that is an example.
        splits: Split of each such file.
        classes: Class name of each such file.
        bad: Path, split and reason of what was listed as bad, within a split.
        train_classes: Names of the classes, in order: those of the training split.
        ignored: Number of files that belong to no class.
        ignored_folders: Folders beside the splits.
        groups: Value of the column that `data.group` names, of each such file; None where it names none.
    """

    rows: npt.NDArray[np.int64]
    splits: Sequence[str]
    classes: Sequence[str]
    bad: Sequence[tuple[str, str, str]]
    train_classes: tuple[str, ...]
    ignored: int
    ignored_folders: tuple[str, ...] = ()
    groups: Sequence[str] | None = None


def by_folders(listing: Listing, origin: str) -> Layout:
    """Read split and class from the folders that hold a file.

    A single folder around everything is stepped into. If there is a folder called train, the top
    folders are splits and those below are classes; otherwise the top folders are classes, and all
    files are training. Files below a class folder belong to it at any depth.

    Raises:
        DataError: If there are no class folders, or the splits contradict each other.
    """
    prefix = _common_prefix(listing)
    paths = [name[len(prefix) :].split("/") for name in listing.names]
    folders = [name[len(prefix) :].split("/") for name in listing.folders if name.startswith(prefix)]
    tops = sorted({parts[0] for parts in folders} | {parts[0] for parts in paths if len(parts) > 1})
    split_of = _split_folders(tops, origin)
    level = 1 if split_of else 0
    rows, splits, classes = [], [], []
    for row, parts in enumerate(paths):
        split = split_of.get(parts[0]) if split_of else "train"
        if split is not None and len(parts) > level + 1:
            rows.append(row)
            splits.append(split)
            classes.append(_normal(parts[level]))
    named = {
        _normal(parts[level])
        for parts in folders
        if len(parts) == level + 1 and (not split_of or split_of.get(parts[0]) == "train")
    }
    train = sorted(named | {name for name, split in zip(classes, splits, strict=True) if split == "train"})
    if not train:
        raise DataError(f"{origin} contains no class folders with images", hint=_EXPECTED)
    bad = []
    for name, reason in listing.bad:
        split = split_of.get(name[len(prefix) :].split("/")[0]) if split_of else "train"
        if split is not None:
            bad.append((name, split, reason))
    return Layout(
        rows=np.array(rows, np.int64),
        splits=splits,
        classes=classes,
        bad=bad,
        train_classes=tuple(train),
        ignored=listing.ignored + len(paths) - len(rows),
        ignored_folders=tuple(top for top in tops if split_of and top not in split_of),
    )


def _normal(name: str) -> str:
    """Return a class name in one form: systems store "é" as one character or as two."""
    return unicodedata.normalize("NFC", name)


def _common_prefix(listing: Listing) -> str:
    """Return the folders around everything, "cifar10/", or "" if there are none to step into."""
    prefix = ""
    while True:
        rest = [name[len(prefix) :].split("/") for name in listing.names]
        tops = {parts[0] for parts in rest}
        if len(tops) != 1 or min(len(parts) for parts in rest) < 3:
            return prefix
        top = tops.pop()
        if top.casefold() in SPLITS:
            return prefix
        prefix += top + "/"


def _split_folders(tops: Sequence[str], origin: str) -> dict[str, str]:
    """Return the split that each top folder means, or nothing if the top folders are classes."""
    named = {top: SPLITS[top.casefold()] for top in tops if top.casefold() in SPLITS}
    if "train" not in named.values():
        if named and len(named) == len(tops):
            raise DataError(f"{origin} has {', '.join(sorted(named))} but no train folder", hint=_EXPECTED)
        return {}
    for split in set(named.values()):
        folders = sorted(top for top, meant in named.items() if meant == split)
        if len(folders) > 1:
            raise DataError(f"{origin} has {' and '.join(folders)}, both of which name the {split} split")
    return named


def split_of(path: str) -> str:
    """Return the split that the innermost folder with the name of one means; without any, all are for training."""
    for part in reversed(path.split("/")[:-1]):
        if part.casefold() in SPLITS:
            return SPLITS[part.casefold()]
    return "train"


def by_csv(path: Path, group: str | None = None) -> tuple[list[str], list[str], list[str], list[str] | None]:
    """Read a table with the columns file, label and, if there are given splits, split.

    Args:
        path: The table.
        group: A further column, or None.

    Returns:
        Files (relative to the table's folder), class names, splits, values of the further column.

    Raises:
        DataError: If the table is missing, or a row has no file or label, or an unknown split.
    """
    files, labels, splits, groups = [], [], [], []
    try:
        with open(path, encoding="utf-8-sig", newline="", opener=opener()) as table:
            size = os.fstat(table.fileno()).st_size
            if size > MAX_TABLE_BYTES:
                raise DataError(f"{path} has {size:,} bytes; the limit is {MAX_TABLE_BYTES:,}")
            reader = csv.DictReader(_lines(table), strict=True)
            _check_columns(reader.fieldnames or (), path, *(() if group is None else (group,)))
            for row in reader:
                file, label, split = (row.get(key) or "" for key in ("file", "label", "split"))
                if not file or not label or None in row:
                    raise DataError(f"{path}, line {reader.line_num}: expected file, label[, split]")
                if split and split.casefold() not in SPLITS:
                    raise DataError(f'{path}, line {reader.line_num}: unknown split "{split}"')
                files.append(file)
                groups.append(row[group] if group is not None else "")
                labels.append(_normal(label))
                splits.append(SPLITS[split.casefold()] if split else "train")
    except (OSError, UnicodeError, csv.Error) as error:
        raise DataError(f"{path} is not a readable CSV file: {getattr(error, 'strerror', None) or error}") from error
    if "train" not in splits:
        raise DataError(f"{path} lists no training examples")
    return files, labels, splits, None if group is None else groups


def _lines(table: TextIO) -> Iterator[str]:
    while line := table.readline(MAX_LINE + 1):
        if len(line) > MAX_LINE:
            raise csv.Error(f"a line has more than {MAX_LINE:,} characters")
        yield line


def _check_columns(columns: Sequence[str], path: Path, *others: str) -> None:
    for needed in ("file", "label", *others):
        if needed not in columns:
            near = get_close_matches(needed, columns, 1) or [c for c in columns if c.casefold() == needed]
            hint = f'Did you mean "{needed}" by "{near[0]}"?' if near else None
            hint = hint or f'Name the column "{needed}".'
            raise DataError(f'{path} has the columns {", ".join(columns) or "—"}; "{needed}" is missing', hint=hint)
