"""The passport of the data as a table: classes by split with small bars, then what was found."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cnncli.plural import counted
from cnncli.report.grid import Column, Grid
from cnncli.report.page import Entry, Page, Title

_BAR = 12
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_MAX_ROWS = 100


def passport_page(name: str, passport: dict[str, Any]) -> Page:
    """Return a passport as a page.

    Args:
        name: Name of the config.
        passport: As `datasets.passport` makes it.
    """
    origin = passport["source"] + (f" {passport['path']}" if passport["path"] else "")
    total = sum(passport["num_examples"].values())
    classes = f" of {counted(len(passport['classes']), 'class')}" if _has_counts(passport) else ""
    title = f"{name}: {counted(total, 'image')}{classes} from {origin}"
    return Page((Title(title), "", _grid(passport), "", *_entries(passport)))


def bar(share: float, width: int = _BAR) -> str:
    """Return a bar of block characters; `share` 1 fills the width."""
    eighths = round(share * width * 8)
    if share > 0:
        eighths = max(eighths, 1)
    text = _EIGHTHS[8] * (eighths // 8) + (_EIGHTHS[eighths % 8] if eighths % 8 else "")
    return text.ljust(width)


def _has_counts(passport: dict[str, Any]) -> bool:
    """Say whether the examples are counted by class; those of some tasks are of none."""
    return any(passport["counts"].values())


def _grid(passport: dict[str, Any]) -> Grid:
    counts, shares = passport["counts"], _pixel_shares(passport)
    names = passport["classes"] if _has_counts(passport) else []
    columns = [Column("Class" if names else "Examples", left=True)]
    for split in counts:
        columns += [Column(split.capitalize()), Column("", left=True, rank=1)]
        if split in shares:
            columns.append(Column("Pixels"))
    most = {split: max(of.values(), default=0) for split, of in counts.items()}
    rows = []
    for name in names[:_MAX_ROWS]:
        row = [name]
        for split, of in counts.items():
            row += [f"{of[name]:,}", bar(of[name] / most[split] if most[split] else 0)]
            if split in shares:
                row.append(f"{100 * shares[split].get(name, 0):.2f} %")
        rows.append(tuple(row))
    total = ["Total"]
    for split in counts:
        total += [f"{passport['num_examples'][split]:,}", "", *([""] if split in shares else [])]
    left_out = len(names) - _MAX_ROWS
    if left_out > 0:
        rows.append((f"… and {left_out:,} more", *[""] * (len(columns) - 1)))
    return Grid(tuple(columns), rows, (tuple(total),))


def _pixel_shares(passport: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Return by split the share of each class in the pixels that count; empty where pixels have no classes."""
    found = {}
    for split, told in passport.get("targets", {}).items():
        if told:
            total = max(sum(told["pixels"].values()), 1)
            found[split] = {name: number / total for name, number in told["pixels"].items()}
    return found


def _ignored(told: dict[str, Any]) -> str:
    """Return the share of a split's pixels that belong to no class."""
    total = told["ignored_pixels"] + sum(told["pixels"].values())
    return f"{100 * told['ignored_pixels'] / max(total, 1):.2f} %"


def _entries(passport: dict[str, Any]) -> Iterator[Entry]:
    sizes = passport["sizes"]
    smallest, largest = _size(sizes["smallest"]), _size(sizes["largest"])
    span = "" if smallest == largest else f" to {largest}, {sizes['num_distinct']:,} different"
    yield Entry("Sizes", smallest + span)
    yield Entry("Stored as", f"{_counted(passport['formats'])}; modes {_counted(passport['modes'])}")
    pixels = f"mean {_numbers(passport['mean'])}, deviation {_numbers(passport['deviation'])}"
    yield Entry("Pixels", f"{pixels} (training, 0 to 1, by channel)")
    masks = {split: told for split, told in passport.get("targets", {}).items() if told}
    if masks:
        void = sum(told["void"]["num_images"] for told in masks.values())
        shares = ", ".join(f"{_ignored(told)} of {split}" for split, told in masks.items())
        yield Entry("Ignored", f"{shares}; {counted(void, 'mask')} in which no pixel counts")
    within = sum(found["num_images"] for found in passport["duplicates"]["within"].values())
    across = sum(found["num_images"] for found in passport["duplicates"]["across"].values())
    near = sum(found["num_images"] for found in passport["near_duplicates"].values())
    yield Entry("Duplicates", f"{within:,} within splits, {across:,} across; {near:,} near-duplicates across")
    yield Entry("Contradictions", f"{passport['contradictions']['num_images']:,} equal images with different labels")
    bad, ignored = len(passport["bad_files"]), passport["ignored_files"]
    constant = passport["constant"]["num_images"]
    yield Entry("Files", f"{bad:,} unreadable, {ignored:,} ignored, {constant:,} of one colour")
    yield Entry("Hashes", f"content {passport['content_hash'][:16]}, split {passport['split_hash'][:16]}")


def _size(size: list[int]) -> str:
    return f"{size[0]:,} × {size[1]:,}"


def _counted(counts: dict[str, int]) -> str:
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    return ", ".join(f"{name} {number:,}" for name, number in ordered) or "none"


def _numbers(values: list[float]) -> str:
    return " ".join(f"{value:.3f}" for value in values)
