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
_MOST_SIZES = 20


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
    counts, measured = passport["counts"], _of_classes(passport)
    names = passport["classes"] if _has_counts(passport) else []
    columns = [Column("Class" if names else "Examples", left=True)]
    for split in counts:
        columns += [Column(split.capitalize()), Column("", left=True, rank=1)]
        if split in measured:
            columns.append(Column(measured[split][0]))
    most = {split: max(of.values(), default=0) for split, of in counts.items()}
    rows = []
    for name in names[:_MAX_ROWS]:
        row = [name]
        for split, of in counts.items():
            row += [f"{of[name]:,}", bar(of[name] / most[split] if most[split] else 0)]
            if split in measured:
                row.append(measured[split][1][name])
        rows.append(tuple(row))
    total = ["Total"]
    for split in counts:
        total += [f"{passport['num_examples'][split]:,}", "", *([""] if split in measured else [])]
    left_out = len(names) - _MAX_ROWS
    if left_out > 0:
        rows.append((f"… and {left_out:,} more", *[""] * (len(columns) - 1)))
    return Grid(tuple(columns), rows, (tuple(total),))


def _of_classes(passport: dict[str, Any]) -> dict[str, tuple[str, dict[str, str]]]:
    """Return by split what else is told of each class, and how it is called: shares of pixels, numbers of objects."""
    found = {}
    for split, told in passport.get("targets", {}).items():
        if "pixels" in told:
            total = max(sum(told["pixels"].values()), 1)
            shares = {name: f"{100 * number / total:.2f} %" for name, number in told["pixels"].items()}
            found[split] = "Pixels", shares
        elif "objects" in told:
            found[split] = "Objects", {name: f"{number:,}" for name, number in told["objects"].items()}
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
    masks = {split: told for split, told in passport.get("targets", {}).items() if "pixels" in told}
    if masks:
        void = sum(told["void"]["num_images"] for told in masks.values())
        shares = ", ".join(f"{_ignored(told)} of {split}" for split, told in masks.items())
        yield Entry("Ignored", f"{shares}; {counted(void, 'mask')} in which no pixel counts")
    boxes = {split: told for split, told in passport.get("targets", {}).items() if "objects" in told}
    yield from _of_boxes(boxes, passport.get("bad_boxes"))
    within = sum(found["num_images"] for found in passport["duplicates"]["within"].values())
    across = sum(found["num_images"] for found in passport["duplicates"]["across"].values())
    near = sum(found["num_images"] for found in passport["near_duplicates"].values())
    yield Entry("Duplicates", f"{within:,} within splits, {across:,} across; {near:,} near-duplicates across")
    yield Entry("Contradictions", f"{passport['contradictions']['num_images']:,} equal images with different labels")
    bad, ignored = len(passport["bad_files"]), passport["ignored_files"]
    constant = passport["constant"]["num_images"]
    yield Entry("Files", f"{bad:,} unreadable, {ignored:,} ignored, {constant:,} of one colour")
    yield Entry("Hashes", f"content {passport['content_hash'][:16]}, split {passport['split_hash'][:16]}")


def _of_boxes(boxes: dict[str, dict[str, Any]], bad: dict[str, Any] | None) -> Iterator[Entry]:
    """Yield what is told of objects: how many an image has, how large they are, which are bad."""
    for split, told in boxes.items():
        each, empty = told["objects_per_image"], told["empty"]["num_images"]
        number = f"{sum(told['objects'].values()):,} in {split}, {each['min']:,} to {each['max']:,} an image"
        own = told.get("in_network")
        close = f"; {own['same_cell']:,} in the same {_times(own['stride'])} pixels" if own else ""
        yield Entry("Objects", f"{number}, median {each['median']:g}; {counted(empty, 'image')} without{close}")
    train = boxes.get("train", {})
    measured, resized = train.get("box_sizes", {}), train.get("in_network", {}).get("box_sizes", {})
    for name in list(measured)[:_MOST_SIZES]:
        sizes = _sizes(measured[name])
        named = ", ".join(f"{key} {size}" for key, size in sizes.items())
        inside = _sizes(resized[name]) if name in resized else sizes
        after = f"; resized {', '.join(inside.values())}" if inside != sizes else ""
        yield Entry("Boxes", f"{name}: {named}{after}")
    if len(measured) > _MOST_SIZES:
        yield Entry("Boxes", f"… and of {counted(len(measured) - _MOST_SIZES, 'more class')}")
    if "in_network" in train:
        yield Entry("Cells", _cells(train["in_network"]))
    if bad is not None:
        yield Entry("Bad boxes", f"{bad['num_dropped']:,} left out, {bad['num_clipped']:,} clipped")


def _cells(found: dict[str, Any]) -> str:
    """Return how large a network's cells are, how much each sees, and how many objects of training are larger."""
    size, field = _times(found["stride"]), found["field"]
    seen = "the image" if field is None else _times(field)
    return f"{size} pixels, each sees {seen}; {counted(found['larger_than_field'], 'object')} of train larger than that"


def _times(sides: list[float]) -> str:
    return "×".join(f"{side:.4g}" for side in sides)


def _sizes(measured: dict[str, list[float]]) -> dict[str, str]:
    """Return the smallest, the median and the largest size in words."""
    return {key: _rounded(measured[key]) for key in ("smallest", "median", "largest")}


def _rounded(size: list[float]) -> str:
    return f"{size[0]:,.0f} × {size[1]:,.0f}"


def _size(size: list[int]) -> str:
    return f"{size[0]:,} × {size[1]:,}"


def _counted(counts: dict[str, int]) -> str:
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    return ", ".join(f"{name} {number:,}" for name, number in ordered) or "none"


def _numbers(values: list[float]) -> str:
    return " ".join(f"{value:.3f}" for value in values)
