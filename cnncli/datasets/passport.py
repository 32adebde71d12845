"""The passport of the data: what a run was trained on, as `data.json` holds it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha256
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from cnncli.analysis.cells import Cells
from cnncli.config.schema.schema import Data
from cnncli.datasets import cache
from cnncli.datasets.boxes.statistics import in_network
from cnncli.datasets.boxes.targets import Boxes
from cnncli.datasets.collection import Collection, Part
from cnncli.datasets.duplicates import group_numbers, near_pairs
from cnncli.datasets.image_statistics import image_statistics
from cnncli.datasets.rehash import current

_EXAMPLES = 20
"""Most groups or pairs that are listed by name; their number is always whole."""


def passport(
    data: Data, collection: Collection, parts: Mapping[str, Part], cells: Cells | None = None
) -> dict[str, Any]:
    """Return the passport of divided data, as plain data for JSON.

    Args:
        data: The config's `data` section.
        collection: What the source holds.
        parts: The splits that the config makes of it.
        cells: Those of the network, where it is a detector.

    Returns:
        source, path, classes, counts {split: {class: number}}, num_examples {split: number},
        missing_classes {split: [class]}, content_hash, split_hash, sizes, modes and formats {name: number},
        mean and deviation (of the training pixels, by channel, 0 to 1), looks {split: …},
        duplicates, near_duplicates, contradictions, constant, bad_files, ignored_files, ignored_folders;
        bad_boxes where there are boxes; targets {split: …} where they have more to tell than their counts.
    """
    ordered = {name: parts[name] for name in ("train", "validation", "test") if name in parts}
    key = _key(collection.classes, ordered)
    measured = cache.load_document(key) if current() is None else None
    if measured is None:
        measured = _measured(collection.classes, ordered)
        cache.save_document(key, measured)
    return {
        "source": data.source,
        "path": data.path,
        "channels": data.channels,
        **measured,
        "bad_files": [{"file": bad.file, "split": bad.split, "reason": bad.reason} for bad in collection.bad_files],
        "ignored_files": collection.ignored_files,
        "ignored_folders": list(collection.ignored_folders),
        **({} if collection.bad_boxes is None else {"bad_boxes": collection.bad_boxes.to_json()}),
        **_of_targets(collection.classes, ordered, data, cells),
    }


def _of_targets(classes: tuple[str, ...], parts: Mapping[str, Part], data: Data, cells: Cells | None) -> dict[str, Any]:
    """Return what targets tell besides their counts; it is not kept, for it is quickly found."""
    told = {name: part.split.targets.passport(classes, part.split.ids) for name, part in parts.items()}
    for name, part in parts.items():
        if isinstance(part.split.targets, Boxes) and cells is not None:
            told[name]["in_network"] = in_network(part.split.targets.fit(data), data, classes, cells)
    return {"targets": told} if any(told.values()) else {}


def _key(classes: tuple[str, ...], parts: Mapping[str, Part]) -> str:
    """Hash all that the measured part of a passport follows from."""
    total = sha256("\0".join(classes).encode())
    for name, part in parts.items():
        total.update(f"\0{name} {len(part)}\0".encode())
        total.update(np.ascontiguousarray(part.facts.digests).tobytes())
        total.update(part.facts.kinds.tobytes() + part.facts.grey.tobytes())
        total.update(part.split.targets.content())
        total.update("\0".join(part.split.ids).encode())
    return total.hexdigest()


def _measured(classes: tuple[str, ...], ordered: Mapping[str, Part]) -> dict[str, Any]:
    counts = {name: part.split.targets.counts(classes) for name, part in ordered.items()}
    statistics = {name: image_statistics(part.facts) for name, part in ordered.items()}
    return {
        "classes": list(classes),
        "num_examples": {name: len(part) for name, part in ordered.items()},
        "counts": counts,
        "missing_classes": {name: [c for c, number in of.items() if not number] for name, of in counts.items()},
        "content_hash": content_hash(ordered.values()),
        "split_hash": _split_hash(ordered),
        "sizes": _sizes(ordered.values()),
        **_kinds(ordered.values()),
        "mean": statistics["train"]["mean"],
        "deviation": statistics["train"]["deviation"],
        "looks": statistics,
        **_repetitions(ordered, classes),
        "near_duplicates": _near_duplicates(ordered),
        "constant": _constant(ordered),
    }


def _records(part: Part) -> npt.NDArray[np.void]:
    """Return the digests of image and target of each example as bytes, in an order that follows from their values."""
    rows = np.concatenate([part.facts.digests, part.split.targets.digests()], axis=1)
    return np.sort(np.ascontiguousarray(rows).view(f"S{rows.shape[1]}").reshape(-1))


def content_hash(parts: Iterable[Part]) -> str:
    """Hash images and labels whatever their order, names and splits."""
    return sha256(np.sort(np.concatenate([_records(part) for part in parts])).tobytes()).hexdigest()


def content_change(trained: dict[str, Any], content_hash: str) -> str | None:
    """Say how the content of examples differs from what a run was trained on, or return None where it is the same.

    Args:
        trained: The run's passport; that of an early version has no hash.
        content_hash: Hash of the examples.
    """
    before = trained.get("content_hash")
    if before in (None, content_hash):
        return None
    return f"their content_hash is {content_hash[:12]}…, that of the run's examples {before[:12]}…"


def data_change(trained: dict[str, Any], now: dict[str, Any]) -> str | None:
    """Say in a line how examples differ from those of a run in number, content or division, or return None.

    Args:
        trained: The run's passport; that of an early version has no hashes.
        now: That of the examples.
    """
    before, after = (passport.get("num_examples", {}) for passport in (trained, now))
    numbers = [
        f"{name} has {after.get(name, 0):,} examples instead of {number:,}"
        for name, number in before.items()
        if after.get(name, 0) != number
    ]
    change = ", ".join(numbers) or content_change(trained, now["content_hash"])
    if change is not None:
        return f"these are not the examples that the run was trained with: {change}"
    if trained.get("split_hash") not in (None, now["split_hash"]):
        return "the run's examples are divided into other splits than those that it was trained with"
    return None


def _split_hash(parts: Mapping[str, Part]) -> str:
    """Hash which images and labels are in which split."""
    total = sha256()
    for name, part in parts.items():
        total.update(f"{name} {len(part)} ".encode())
        total.update(_records(part).tobytes())
    return total.hexdigest()


def _sizes(parts: Iterable[Part]) -> dict[str, Any]:
    sizes = np.concatenate([part.facts.sizes for part in parts])
    distinct, numbers = np.unique(sizes, axis=0, return_counts=True)
    common = np.argsort(-numbers, kind="stable")[:10]
    area = distinct.prod(axis=1, dtype=np.int64)
    return {
        "num_distinct": len(distinct),
        "smallest": distinct[area.argmin()].tolist(),
        "largest": distinct[area.argmax()].tolist(),
        "most_common": [{"size": distinct[i].tolist(), "num_images": int(numbers[i])} for i in common],
    }


def _kinds(parts: Iterable[Part]) -> dict[str, dict[str, int]]:
    modes: dict[str, int] = {}
    formats: dict[str, int] = {}
    for part in parts:
        numbers = np.bincount(part.facts.kinds, minlength=len(part.facts.vocabulary)).tolist()
        for kind, number in zip(part.facts.vocabulary, numbers, strict=True):
            if number:
                file_format, _, mode = kind.partition(" ")
                formats[file_format] = formats.get(file_format, 0) + number
                modes[mode or file_format] = modes.get(mode or file_format, 0) + number
    return {"modes": modes, "formats": formats}


def _repetitions(parts: Mapping[str, Part], classes: tuple[str, ...]) -> dict[str, Any]:
    """Find equal images: within a split, across splits, and with different labels."""
    names = list(parts)
    groups = group_numbers(np.concatenate([part.facts.digests for part in parts.values()]))
    targets = np.concatenate([part.split.targets.digests() for part in parts.values()])
    ids = [example for part in parts.values() for example in part.split.ids]
    owner = np.repeat(np.arange(len(parts)), [len(part) for part in parts.values()])
    order = np.argsort(groups, kind="stable")
    bounds = np.flatnonzero(np.diff(groups[order])) + 1
    repeated = [members for members in np.split(order, bounds) if len(members) > 1]
    within: dict[str, list[list[str]]] = {name: [] for name in names}
    across: dict[str, list[list[str]]] = {f"{a}/{b}": [] for a, b in combinations(names, 2)}
    contradictions = []
    extra = dict.fromkeys(names, 0)
    first = np.cumsum([0, *map(len, parts.values())]).tolist()

    def named(place: int) -> str:
        """Return the target at a place among all splits, in words."""
        number = int(owner[place])
        return list(parts.values())[number].split.targets.name(place - first[number], classes)

    for members in repeated:
        by_owner = {i: members[owner[members] == i] for i in np.unique(owner[members]).tolist()}
        for i, own in by_owner.items():
            if len(own) > 1:
                within[names[i]].append([ids[m] for m in own])
                extra[names[i]] += len(own) - 1
        for a, b in combinations(sorted(by_owner), 2):
            across[f"{names[a]}/{names[b]}"].append([ids[by_owner[a][0]], ids[by_owner[b][0]]])
        if len(np.unique(targets[members], axis=0)) > 1:
            contradictions.append([{"split": names[owner[m]], "id": ids[m], "class": named(m)} for m in members])
    return {
        "duplicates": {
            "within": {n: {"num_images": extra[n], "examples": within[n][:_EXAMPLES]} for n in names},
            "across": {key: {"num_images": len(g), "examples": g[:_EXAMPLES]} for key, g in across.items()},
        },
        "contradictions": {
            "num_images": sum(len(group) for group in contradictions),
            "examples": contradictions[:_EXAMPLES],
        },
    }


def _near_duplicates(parts: Mapping[str, Part]) -> dict[str, Any]:
    """Find images of different splits that look the same without being equal."""
    duplicates = {}
    for first, second in combinations(parts, 2):
        a, b = parts[first], parts[second]
        rows = np.flatnonzero(~a.facts.flat), np.flatnonzero(~b.facts.flat)
        pairs = near_pairs(a.facts.thumbs[rows[0]], b.facts.thumbs[rows[1]])
        left, right = rows[0][pairs[:, 0]], rows[1][pairs[:, 1]]
        differ = (a.facts.digests[left] != b.facts.digests[right]).any(axis=1)
        left, right = left[differ], right[differ]
        examples = [[a.split.ids[i], b.split.ids[j]] for i, j in zip(left[:_EXAMPLES], right[:_EXAMPLES], strict=True)]
        duplicates[f"{first}/{second}"] = {"num_images": len(np.unique(right)), "examples": examples}
    return duplicates


def _constant(parts: Mapping[str, Part]) -> dict[str, Any]:
    named = [
        {"split": name, "id": part.split.ids[i]}
        for name, part in parts.items()
        for i in np.flatnonzero(part.facts.flat).tolist()
    ]
    return {"num_images": len(named), "examples": named[:_EXAMPLES]}
