"""What a passport tells that should be known before training on the data."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any, NamedTuple

from cnncli.config.schema.schema import BOXED, Config, Data
from cnncli.config.yaml.problems import problem
from cnncli.datasets.boxes.bad_boxes import what_to_do, what_was_done
from cnncli.datasets.image_statistics import differences
from cnncli.errors import Problem
from cnncli.plural import counted

_NAMED = 5
_RATIO = 10
_SHARED = 0.01
"""Share of objects that are not found, or not seen as a whole, from which on it is worth a warning."""
_LEAST_CELLS = 2
"""Cells along a side of a class's median object below which it is learned in the one cell of its centre."""
_NONE: dict[str, Any] = {"num_images": 0, "examples": []}


class Finding(NamedTuple):
    """One thing to know: number of its page, what was found, what to do, and the config's key it belongs to."""

    code: str
    message: str
    hint: str
    path: str = "data"


def problems(config: Config, passport: dict[str, Any]) -> tuple[Problem, ...]:
    """Return errors and warnings about the data of a config, errors first.

    Args:
        config: The experiment.
        passport: `datasets.inspect(config).passport`.
    """
    ordered = sorted([*_head(config, passport), *findings(config, passport)], key=lambda finding: finding.code)
    return tuple(problem(f.code, f.message, config.origins.nearest(f.path), hint=f.hint, path=f.path) for f in ordered)


def findings(config: Config, passport: dict[str, Any]) -> Iterator[Finding]:
    """Yield errors and warnings about the data, without places."""
    yield from _files(config, passport)
    yield from _classes(passport)
    yield from _masks(passport)
    yield from _boxes(config, passport)
    yield from _repetitions(passport)
    yield from _statistics(passport)


def _head(config: Config, passport: dict[str, Any]) -> Iterator[Finding]:
    if not config.nodes:
        return
    found = config.task_spec.check_output(config.output_shape, len(passport["classes"]), config.data.image_size)
    if found is not None:
        path = config.output_path(found.output) if found.output else config.nodes[-1].path
        yield Finding(found.code, found.message, found.hint, path)


def _files(config: Config, passport: dict[str, Any]) -> Iterator[Finding]:
    bad = passport["bad_files"]
    if bad:
        named = _some([f"{item['file']} ({item['reason']})" for item in bad])
        message = f"{counted(len(bad), 'file')} {cannot_be_used(config.data)}: {named}"
        if config.data.on_bad_image == "error":
            hint = "Fix or remove them, or skip them with data.on_bad_image: skip."
            yield Finding("E401", message, hint)
        else:
            yield Finding("W401", message, "They are skipped.")
    if passport["ignored_folders"]:
        named = _some(passport["ignored_folders"])
        hint = "Next to a train folder, only validation and test folders are read."
        yield Finding("W402", f"folders next to the splits are ignored: {named}", hint, "data.path")
    if passport["constant"]["num_images"]:
        examples = [item["id"] for item in passport["constant"]["examples"]]
        count = passport["constant"]["num_images"]
        message = f"{counted(count, 'image')} of one colour: {_some(examples, count)}"
        yield Finding("W403", message, "Check whether copying or conversion failed.")


def _classes(passport: dict[str, Any]) -> Iterator[Finding]:
    for split, missing in passport["missing_classes"].items():
        if missing:
            hint = (
                "Add images of these classes, or remove the classes."
                if split == "train"
                else ("Their accuracy cannot be measured: they are reported with no examples.")
            )
            yield Finding(
                "W404", f"the {split} split has no images of {counted(len(missing), 'class')}: {_some(missing)}", hint
            )
    counts = {name: number for name, number in passport["counts"]["train"].items() if number}
    if counts and max(counts.values()) > _RATIO * min(counts.values()):
        rare, common = min(counts, key=counts.__getitem__), max(counts, key=counts.__getitem__)
        yield Finding(
            "W405",
            f"the classes are imbalanced in training: {counts[common]:,} of {common}, {counts[rare]:,} of {rare}",
            "Look at the average precision of each class."
            if _has_objects(passport)
            else "Consider train.loss.class_weights: balanced, and look at the accuracy of each class.",
        )


def _has_objects(passport: dict[str, Any]) -> bool:
    """Say whether the targets are objects, for which the loss has no weights of classes."""
    return any("objects" in told for told in passport.get("targets", {}).values())


def _masks(passport: dict[str, Any]) -> Iterator[Finding]:
    for split, found in passport.get("targets", {}).items():
        void, turned = found.get("void", _NONE), found.get("turned_alone", _NONE)
        if void["num_images"]:
            number, named = _images(void)
            yield Finding(
                "W412",
                f"no pixel of the mask counts in {number} of the {split} split: {named}",
                "Nothing is learned from them and nothing is measured. Remove them, or check data.ignore.",
            )
        if turned["num_images"]:
            number, named = _images(turned)
            yield Finding(
                "W413",
                f"EXIF turns the image or its mask, but not both, in {number} of the {split} split: {named}",
                "Look at them with `cnn data --samples`; if they do not fit, remove the orientation from the file.",
            )


def _images(told: dict[str, Any]) -> tuple[str, str]:
    """Return how many images a passport tells of, and the names of some."""
    return counted(told["num_images"], "image"), _some(told["examples"], told["num_images"])


def _boxes(config: Config, passport: dict[str, Any]) -> Iterator[Finding]:
    bad = passport.get("bad_boxes", {"num_objects": 0})
    if bad["num_objects"]:
        named = _some([_bad_box(item) for item in bad["examples"]], bad["num_objects"])
        if config.data.on_bad_box == "error":
            message = f"{counted(bad['num_objects'], 'box')} cannot be used: {named}"
            yield Finding("E402", message, what_to_do(bad))
        else:
            how = f"data.on_bad_box is {config.data.on_bad_box}. {bad['advice']}".strip()
            yield Finding("W414", f"{what_was_done(bad)}: {named}", how)

    for split, found in passport.get("targets", {}).items():
        unclear, repeated = found.get("unclear", _NONE), found.get("repeated", _NONE)
        if repeated["num_images"]:
            number, named = _images(repeated)
            yield Finding(
                "W417",
                f"an object is there twice, with the same box and class, in {number} of the {split} split: {named}",
                "Remove one of the two: no network can find both, and the score counts each.",
            )
        if unclear["num_images"]:
            number, named = _images(unclear)
            yield Finding(
                "W415",
                f"EXIF turns {number} of the {split} split, and nothing tells whether the boxes are turned: {named}",
                "They are taken for boxes of the upright image. Look at them with `cnn data --samples`; if they do not "
                "fit, remove the orientation from the file.",
            )
        if "in_network" in found:
            yield from _in_network(split, found["in_network"])


def _in_network(split: str, found: dict[str, Any]) -> Iterator[Finding]:
    """Yield what a detector cannot learn of a split's objects: too close together, too small, too large."""
    cell, image, total = _times(found["stride"]), _times(found["image_size"]), found["num_objects"]
    if found["same_cell"] > _SHARED * total:
        yield Finding(
            "W416",
            f"the centres of {counted(found['same_cell'], 'object')} of the {split} split, of {total:,}, are in the "
            f"same {cell} pixels as another's, in images of {image}; {found['same_cell_and_class']:,} of them as one's "
            "of the same class",
            "A network with one object a cell cannot find both. Enlarge data.image_size, or give the heatmap a smaller "
            "stride.",
            "data.image_size",
        )
    if split != "train":  # What follows is much the same in the other splits.
        return
    least = _LEAST_CELLS**2 * prod(found["stride"])
    medians = {name: sizes["median"] for name, sizes in found["box_sizes"].items()}
    small = [f"{name} ({_times(median)})" for name, median in medians.items() if prod(median) < least]
    if small:
        yield Finding(
            "W418",
            f"the median object of {counted(len(small), 'class')} is smaller than {_LEAST_CELLS}×{_LEAST_CELLS} cells "
            f"of {cell} pixels, in images of {image}: {_some(small)}",
            "Each is learned in a single cell. Enlarge data.image_size, or give the heatmap a smaller stride.",
            "data.image_size",
        )
    if found["larger_than_field"] > _SHARED * total:
        yield Finding(
            "W419",
            f"{counted(found['larger_than_field'], 'object')} of the train split, of {total:,}, are larger than the "
            f"{_times(found['field'])} pixels that a cell sees, in images of {image}: their edges are guessed",
            "Add convolutions or a coarser plane before the heads, as a U-Net does, or reduce data.image_size.",
            "model",
        )


def _times(sizes: list[float]) -> str:
    """Return height×width: "4×4", "4×3.984"."""
    return "×".join(f"{size:.4g}" for size in sizes)


def _bad_box(item: dict[str, str]) -> str:
    return f"{item['file']}, {item['object']} ({item['reason']})"


def cannot_be_used(data: Data) -> str:
    """Return what is wrong with bad files in words: of masks and boxes, some can be read, but fit no image."""
    return "cannot be used" if data.source in ("masks", *BOXED) else "cannot be read"


def _repetitions(passport: dict[str, Any]) -> Iterator[Finding]:
    for pair, group in passport["duplicates"]["across"].items():
        if group["num_images"]:
            yield Finding(
                "W406",
                f"{counted(group['num_images'], 'image')} in two splits ({pair}): {_pairs(group, '=')}",
                "The measured accuracy is too high: remove them from one of the splits.",
            )
    for pair, group in passport["near_duplicates"].items():
        if group["num_images"]:
            yield Finding(
                "W407",
                f"{counted(group['num_images'], 'image')} similar to another split's ({pair}): {_pairs(group, '≈')}",
                "If they show the same thing, the measured accuracy is too high.",
            )
    contradictions = passport["contradictions"]
    if contradictions["num_images"]:
        first = contradictions["examples"][0]
        named = ", ".join(f"{item['id']} as {item['class']}" for item in first[:_NAMED])
        message = f"{counted(contradictions['num_images'], 'image')} with contradicting labels: {named}"
        yield Finding("W408", message, "At least one of the labels is wrong.")
    for split, group in passport["duplicates"]["within"].items():
        if group["num_images"]:
            message = f"{counted(group['num_images'], 'image')} repeated within the {split} split: {_pairs(group, '=')}"
            yield Finding("W409", message, "Each copy counts.")


def _statistics(passport: dict[str, Any]) -> Iterator[Finding]:
    trained = passport["looks"]["train"]
    for split, statistics in passport["looks"].items():
        if split != "train":
            for difference in differences(statistics, trained):
                hint = "Both splits should come from the same source, stored the same way."
                yield Finding("W410", f"{split}: {difference}", hint)


def _some(names: list[str], total: int | None = None) -> str:
    more = (len(names) if total is None else total) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more:,} more" if more > 0 else "")


def _pairs(found: dict[str, Any], sign: str) -> str:
    return _some([f" {sign} ".join(group[:3]) for group in found["examples"]], found["num_images"])
