"""Which mask belongs to which image, by folders and names."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from cnncli.datasets.layout import SPLITS
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
_SUFFIXES = r"(?:[_-](?:mask|masks|label|labels|labelIds|gt|gtFine_labelIds|L|annotation|seg|matte))?"
_IMAGE_SUFFIXES = r"(?:_leftImg8bit)?"


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
    """

    found: Sequence[Pair]
    unpaired: Sequence[tuple[str, str, str]]
    images: str
    masks: str


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
    prefix = _common_prefix(names)
    inner = [name[len(prefix) :] for name in names]
    for image_pattern, mask_pattern in _candidates(images, masks):
        of_images, of_masks = _below(inner, image_pattern), _below(inner, mask_pattern)
        if any(of_images.values()) and any(of_masks.values()):
            break
    else:
        raise DataError(_missing(origin, inner, images, masks), hint=_expected())
    found: list[Pair] = []
    unpaired: list[tuple[str, str, str]] = []
    for split in dict.fromkeys((*of_images, *of_masks)):
        own = of_masks.get(split, {})
        by_key = _by_key(own, names, origin)
        paired = set()
        for place, rest in of_images.get(split, {}).items():
            mask = by_key.get(_key(rest, _IMAGE_SUFFIXES))
            if mask is None:
                unpaired.append(
                    (names[place], split, f"no mask for this image in {prefix}{_folder(mask_pattern, inner, own)}")
                )
                continue
            paired.add(mask)
            found.append(Pair(split, place, mask))
        for place in own:
            if place not in paired:
                unpaired.append((names[place], split, "no image for this mask"))
    return Pairs(found, unpaired, image_pattern, mask_pattern)


def _candidates(images: str | None, masks: str | None) -> Iterator[tuple[str, str]]:
    if images is not None and masks is not None:
        yield images.strip("/"), masks.strip("/")
        return
    for pair in PATTERNS:
        if images in (None, pair[0]) and masks in (None, pair[1]):
            yield pair


def _below(names: Sequence[str], pattern: str) -> Mapping[str, dict[int, str]]:
    """Return by split the files below a pattern's folder: place in the listing, and the rest of the path."""
    parts = pattern.split("/")
    expression = "/".join(
        re.escape(part).replace(re.escape(_SPLIT), f"(?P<split>{'|'.join(SPLITS)})") for part in parts
    )
    matcher = re.compile(expression + "/(?P<rest>.+)", re.IGNORECASE)
    found: dict[str, dict[int, str]] = {}
    for place, name in enumerate(names):
        match = matcher.fullmatch(name)
        if match is None:
            continue
        split = SPLITS[match["split"].casefold()] if _SPLIT in pattern else "train"
        found.setdefault(split, {})[place] = match["rest"]
    return found


def _key(rest: str, suffixes: str) -> str:
    """Return what an image's path and its mask's have in common."""
    stem = posixpath.splitext(rest)[0]
    return re.sub(suffixes + "$", "", stem, count=1)


def _by_key(own: Mapping[int, str], names: Sequence[str], origin: str) -> dict[str, int]:
    """Return the mask of each key; a name that is taken as it stands comes before one without its suffix."""
    by_key: dict[str, int] = {}
    for place, rest in own.items():
        for key in dict.fromkeys((_key(rest, ""), _key(rest, _SUFFIXES))):
            other = by_key.setdefault(key, place)
            if other != place and key == _key(rest, "") == _key(own[other], ""):
                raise DataError(f"{origin}: {names[other]} and {names[place]} are masks of the same image")
    return by_key


def _common_prefix(names: Sequence[str]) -> str:
    """Return the folder around everything, "camvid/", or "" where there is none to step into."""
    prefix = ""
    while True:
        tops = {name[len(prefix) :].split("/", 1)[0] for name in names if "/" in name[len(prefix) :]}
        if len(tops) != 1 or (top := tops.pop()).casefold() in SPLITS or top.casefold() == "images":
            return prefix
        prefix += top + "/"


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


def _expected() -> str:
    return (
        'Name them: data.images: "{split}/images", data.masks: "{split}/masks", where {split} is train, validation or '
        "test; without {split} all images are for training."
    )
