"""Which mask belongs to which image, by folders and names."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from cnncli.datasets.layout import SPLITS
from cnncli.datasets.pictures import is_something_else
from cnncli.errors import DataError

PATTERNS = (
    ("{split}/images", "{split}/masks"),
    ("{split}/images", "{split}/labels"),
    ("{split}", "{split}annot"),
    ("{split}", "{split}_labels"),
    ("images/{split}", "masks/{split}"),
    ("images/{split}", "labels/{split}"),
    ("images/{split}", "annotations/{split}"),
    ("img_dir/{split}", "ann_dir/{split}"),
    ("leftImg8bit/{split}", "gtFine/{split}"),
    ("images", "masks"),
    ("images", "labels"),
    ("images", "annotations"),
    ("JPEGImages", "SegmentationClass"),
)
"""Folders of images and of masks that are looked for where the config names none."""

_SPLIT = "{split}"
_SUFFIXES = (
    r"(?:[_-](?:mask|masks|label|labels|labelIds|gt|gtFine_labelIds|gtFine_labelTrainIds|L|annotation|seg|matte))?"
)
_IMAGE_SUFFIXES = r"(?:_leftImg8bit)?"
_EXPECTED = (
    'Name them: data.images: "{split}/images", data.masks: "{split}/masks", where {split} is train, validation or '
    "test; without {split} all images are for training."
)
_OTHER_CODINGS = ("_gtFine_color", "_gtFine_instanceIds", "_gtFine_instanceTrainIds")
_NUMBERING, _SECOND_NUMBERING = "_gtFine_labelIds", "_gtFine_labelTrainIds"
"""Ends of the names of what Cityscapes keeps for each image."""


@dataclass(frozen=True)
class Pair:
    """An image and its mask, by their places in the listing."""

    split: str
    image: int
    mask: int


@dataclass(frozen=True)
class Pairs:
    """What a store's paths mean.

    Attributes:
        found: Images with their masks.
        unpaired: Path, split and reason of each image without a mask and each mask without an image.
        images: The pattern of the images' folders.
        masks: The pattern of the masks' folders.
        ignored: Number of files that are neither in an image's folder nor in a mask's, or no images by their names.
    """

    found: Sequence[Pair]
    unpaired: Sequence[tuple[str, str, str]]
    images: str
    masks: str
    ignored: int


def pairs(names: Sequence[str], origin: str, images: str | None, masks: str | None) -> Pairs:
    """Pair images and masks by the rest of their paths, without suffix, and without "_mask", "_L" and the like.

    Args:
        names: Paths of all files.
        origin: What errors call the store.
        images: Pattern of the images' folder, "{split}/images", or None to look for one.
        masks: Likewise of the masks.

    Raises:
        DataError: If there are no such folders, or one image has two masks.
    """
    found: list[Pair] = []
    unpaired: list[tuple[str, str, str]] = []
    chosen = _folders(names, origin, images, masks)
    for split in dict.fromkeys((*chosen.images, *chosen.masks)):
        own = chosen.masks.get(split, {})
        by_key = _by_key(own, names, origin)
        paired = set()
        for place, rest in chosen.images.get(split, {}).items():
            mask = by_key.get(_key(rest, _IMAGE_SUFFIXES))
            if mask is None:
                folder = _folder(chosen.mask_pattern, names, own)
                unpaired.append((names[place], split, f"no mask for this image in {folder}"))
                continue
            paired.add(mask)
            found.append(Pair(split, place, mask))
        unpaired += [(names[place], split, "no image for this mask") for place in own if place not in paired]
    used = sum(len(of) for kind in (chosen.images, chosen.masks) for of in kind.values())
    return Pairs(found, unpaired, chosen.image_pattern, chosen.mask_pattern, len(names) - used)


def has_masks(names: Sequence[str]) -> bool:
    """Say whether paths are those of images and masks in folders that are known by name."""
    # One file of each folder: there can be a million files, and a hundred ways to read each path.
    of_folders = {posixpath.dirname(name): name for name in names if not is_something_else(name)}
    try:
        _folders(list(of_folders.values()), "", None, None)
    except DataError:
        return False
    return True


class _Folders(NamedTuple):
    """The patterns that fit a store, and by split the files below their folders: place, and rest of the path."""

    image_pattern: str
    mask_pattern: str
    images: Mapping[str, dict[int, str]]
    masks: Mapping[str, dict[int, str]]


def _folders(names: Sequence[str], origin: str, images: str | None, masks: str | None) -> _Folders:
    """Return the folders of images and of masks: as they are named, or below a single folder around everything.

    Raises:
        DataError: If there are none.
    """
    for start in _starts(names):
        inner = [name[len(start) :] if name.startswith(start) else "" for name in names]
        for image_pattern, mask_pattern in _candidates(images, masks):
            of_images, of_masks = below(inner, image_pattern), below(inner, mask_pattern)
            of_masks = {split: _without_other_codings(own) for split, own in of_masks.items()}
            if any(of_images.values()) and any(of_masks.values()):
                return _Folders(image_pattern, mask_pattern, of_images, of_masks)
    raise DataError(_missing(origin, names, images, masks), hint=_EXPECTED)


def _candidates(images: str | None, masks: str | None) -> Iterator[tuple[str, str]]:
    if images is not None and masks is not None:
        yield images.strip("/"), masks.strip("/")
        return
    for pair in PATTERNS:
        if images in (None, pair[0]) and masks in (None, pair[1]):
            yield pair


def below(names: Sequence[str], pattern: str) -> Mapping[str, dict[int, str]]:
    """Return by split the files below a pattern's folder: place in the listing, and the rest of the path."""
    matcher = re.compile(_expression(pattern.strip("/")) + "/(?P<rest>.+)", re.IGNORECASE)
    found: dict[str, dict[int, str]] = {}
    for place, name in enumerate(names):
        match = matcher.fullmatch(name)
        if match is None or is_something_else(name):
            continue
        split = SPLITS[match["split"].casefold()] if _SPLIT in pattern else "train"
        found.setdefault(split, {})[place] = match["rest"]
    return found


def split_files(names: Sequence[str], pattern: str) -> dict[str, int]:
    """Return by split the file that a pattern names: its place in the listing."""
    matcher = re.compile(_expression(pattern.strip("/")), re.IGNORECASE)
    found: dict[str, int] = {}
    for place, name in enumerate(names):
        match = matcher.fullmatch(name)
        if match is not None:
            found.setdefault(SPLITS[match["split"].casefold()] if _SPLIT in pattern else "train", place)
    return found


def _expression(pattern: str) -> str:
    """Return the regular expression of a pattern."""
    split_name = f"(?P<split>{'|'.join(SPLITS)})"
    # A pattern may have {split} twice, "{split}/{split}_images": both stand for the same.
    return re.escape(pattern).replace(re.escape(_SPLIT), split_name, 1).replace(re.escape(_SPLIT), "(?P=split)")


def _key(rest: str, suffixes: str) -> str:
    """Return what an image's path and its mask's have in common."""
    stem = posixpath.splitext(rest)[0]
    return re.sub(suffixes + "$", "", stem, count=1)


def _by_key(own: Mapping[int, str], names: Sequence[str], origin: str) -> dict[str, int]:
    """Return the mask of each key; a name that is taken as it stands comes before one without its suffix."""
    by_key: dict[str, int] = {}
    for place, rest in own.items():
        other = by_key.setdefault(_key(rest, ""), place)
        if other != place:
            raise DataError(f"{origin}: {names[other]} and {names[place]} are masks of the same image")
    for place, rest in own.items():
        by_key.setdefault(_key(rest, _SUFFIXES), place)
    return by_key


def _without_other_codings(own: Mapping[int, str]) -> dict[int, str]:
    """Leave out what is kept beside each mask: colours, instances, and a second numbering where there are two."""
    keys = {place: _key(rest, "") for place, rest in own.items()}
    others = _OTHER_CODINGS + ((_SECOND_NUMBERING,) if any(key.endswith(_NUMBERING) for key in keys.values()) else ())
    return {place: rest for place, rest in own.items() if not keys[place].endswith(others)}


def _starts(names: Sequence[str]) -> list[str]:
    """Return where patterns may begin: at the top, and below each single folder around everything, "camvid/"."""
    starts = [""]
    while True:
        tops = {name[len(starts[-1]) :].split("/", 1)[0] for name in names if "/" in name[len(starts[-1]) :]}
        if len(tops) != 1:
            return starts
        starts.append(f"{starts[-1]}{tops.pop()}/")


def _folder(pattern: str, names: Sequence[str], own: Mapping[int, str]) -> str:
    """Return the folder that a pattern stands for in one split."""
    for place, rest in own.items():
        return names[place][: -len(rest)]
    return pattern + "/"


def _missing(origin: str, names: Sequence[str], images: str | None, masks: str | None) -> str:
    asked = " and ".join(f'"{pattern}"' for pattern in (images, masks) if pattern)
    folders = sorted({posixpath.dirname(name) for name in names} - {""})
    seen = f"; it has {', '.join(folders[:6])}{', …' if len(folders) > 6 else ''}" if folders else "; it has no folders"
    if asked:
        return f"{origin} has no folders of images and masks that match {asked}{seen}"
    return f"{origin} has no folders of images and masks that are known by name{seen}"
