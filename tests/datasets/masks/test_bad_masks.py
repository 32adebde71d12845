"""What is wrong with images and masks, each beside its golden text: the file, the values, what to do.

`CNN_REGENERATE=1 pytest tests/datasets/masks` writes the texts anew; read the difference before it is committed.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from cnncli.config.yaml.parser import parse
from cnncli.datasets.problems import findings
from cnncli.errors import DataError

MASK = np.random.default_rng(1).integers(0, 3, (40, 60), np.uint8)
COLOURS = np.array([[128, 128, 128], [128, 64, 128], [64, 0, 128]], np.uint8)
BY_COLOUR = {"sky": (128, 128, 128), "road": (128, 64, 128), "car": (64, 0, 128)}


def smoothed(pixels):
    """Return a mask as a program enlarges and reduces photographs."""
    image = Image.fromarray(pixels)
    return image.resize((90, 60), Image.Resampling.BILINEAR).resize((60, 40), Image.Resampling.BILINEAR)


def with_pixel(value, dtype=np.uint8):
    """Return the mask with one pixel of another value."""
    mask = MASK.astype(dtype)
    mask[7, 11] = value
    return Image.fromarray(mask)


def with_alpha(opacity=255):
    """Return the mask in colours, with an alpha channel."""
    return Image.fromarray(np.dstack([COLOURS[MASK], np.full(MASK.shape, opacity, np.uint8)]))


def turned(image, orientation):
    """Return what is written beside a file, so that viewers turn it."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return {"image": image, "exif": exif}


OTHER, IMAGE = map(Image.fromarray, np.random.default_rng(2).integers(0, 256, (2, 40, 60, 3), np.uint8))
SQUARE = {"images": IMAGE.resize((40, 40)), "masks": Image.fromarray(MASK[:, :40])}
BIT = Image.fromarray(MASK > 1)

FILES = {
    "another size": {"masks/b.png": Image.fromarray(MASK[:, :50])},
    "a value without a class": {"masks/b.png": with_pixel(9)},
    "many values without a class": {"masks/b.png": Image.fromarray(MASK * 20)},
    "void that is not said": {"masks/b.png": with_pixel(255)},
    "0 and 255 for 0 and 1": {"masks/b.png": Image.fromarray((MASK > 1) * np.uint8(255))},
    "a colour without a class": {"masks/b.png": Image.fromarray(COLOURS[MASK] ^ np.uint8(MASK == 2)[..., None])},
    "smoothed indices": {"masks/b.png": smoothed(MASK * 20)},
    "smoothed colours": {"masks/b.png": smoothed(COLOURS[MASK])},
    "jpeg": {"masks/b.png": None, "masks/b.jpg": Image.fromarray(MASK)},
    "tiff with jpeg inside": {
        "masks/b.png": None,
        "masks/b.tif": {"image": Image.fromarray(MASK), "compression": "jpeg"},
    },
    "colours for indices": {"masks/b.png": Image.fromarray(COLOURS[MASK])},
    "grey as colours for indices": {"masks/b.png": Image.fromarray(MASK).convert("RGB")},
    "indices for colours": {"masks/b.png": Image.fromarray(MASK)},
    "one bit for colours": {"masks/b.png": BIT},
    "16 bits": {"masks/b.png": with_pixel(40_000, np.uint16)},
    "fractions": {"masks/b.png": None, "masks/b.tif": Image.fromarray(MASK.astype(np.float32))},
    "alpha": {"masks/b.png": with_alpha()},
    "grey with alpha": {"masks/b.png": Image.fromarray(MASK).convert("LA")},
    "an image without a mask": {"masks/b.png": None},
    "a mask without an image": {"images/b.png": None},
    "a mask that is cut off": {"masks/b.png": b"\x89PNG\r\n\x1a\n cut off"},
    "an empty mask": {"masks/b.png": b""},
    "a text": {"masks/b.png": b"sky, road"},
    "a damaged image": {"images/b.png": b"no image"},
    "an image turned on its side": {"images/b.png": turned(IMAGE, 6)},
    "a mask turned on its side": {"masks/b.png": turned(Image.fromarray(MASK), 8)},
    "both turned": {"images/b.png": turned(IMAGE, 6), "masks/b.png": turned(Image.fromarray(MASK), 6)},
    "an image on its side, its mask upright": {
        "images/b.png": turned(IMAGE, 6),
        "masks/b.png": Image.fromarray(MASK.T.copy()),
    },
    "an image upside down": {"images/b.png": turned(IMAGE, 3)},
    "a mirrored mask": {"masks/b.png": turned(Image.fromarray(MASK), 2)},
    "a square image on its side": {"images/b.png": turned(SQUARE["images"], 6), "masks/b.png": SQUARE["masks"]},
    "nothing counts": {"masks/b.png": Image.fromarray(np.full((40, 60), 7, np.uint8))},
    "a class that is nowhere": {"masks/a.png": Image.fromarray(MASK % 2), "masks/b.png": Image.fromarray(MASK % 2)},
}
"""By what is wrong: what replaces files of the training split; None for a file that is missing."""

IN_COLOUR = ("a colour without a class", "smoothed colours", "indices for colours", "one bit for colours")
OPTIONS = {name: {"classes": BY_COLOUR, "ignore": None} for name in IN_COLOUR}


@pytest.fixture
def scenes(tmp_path, monkeypatch):
    """Return a function that writes two images with masks, other files in their place, and tells the folder."""
    monkeypatch.chdir(tmp_path)

    def make(files, coloured=False):
        mask = Image.fromarray(COLOURS[MASK] if coloured else MASK)
        shutil.rmtree("scenes", ignore_errors=True)
        first = {"images/a.png": OTHER, "images/b.png": IMAGE, "masks/a.png": mask, "masks/b.png": mask}
        for name, content in {**first, **files}.items():
            path = Path("scenes", "train", name)
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, bytes):
                path.write_bytes(content)
            elif content is not None:
                options = dict(content) if isinstance(content, dict) else {"image": content}
                options.pop("image").save(path, **options) if isinstance(content, dict) else content.save(path)
        return "scenes"

    return make


def told(error):
    """Return an error as it is printed."""
    return f"{error.code or ''} {error.message}" + (f"\n  hint: {error.hint}" if error.hint else "")


def test_each_bad_input_has_its_text(scenes, load_masks, golden):
    """Training stops with it; with on_bad_image: skip both files are left out and counted; warnings name files too."""
    lines = []
    for name, files in FILES.items():
        folder = scenes(files, name in IN_COLOUR)
        options = {"ignore": 7, "image_size": (40, 60), **OPTIONS.get(name, {})}
        lines.append(f"== {name}")
        try:
            load_masks(folder, **options)
        except DataError as error:
            lines.append(told(error))
        skipped = load_masks(folder, on_bad_image="skip", **options)
        left_out = [item["file"] for item in skipped.passport["bad_files"]]
        lines.append(f"skipped: {', '.join(left_out) or 'nothing'}; {len(skipped.train)} left")
        found = findings(make_skipping(skipped), skipped.passport)
        lines += [f"{each.code} {each.message}\n    {each.hint}" for each in found if each.code != "W401"]
    golden("bad_masks", "\n".join(lines))


def make_skipping(splits):
    """Return as much of a config as findings need."""
    data = SimpleNamespace(source=splits.passport["source"], on_bad_image="skip")
    return SimpleNamespace(data=data, nodes=())


SETS = {
    "classes missing": ({}, {"classes": None}),
    "classes missing, masks of 0 and 255": (
        {"masks/a.png": BIT.convert("L"), "masks/b.png": BIT.convert("L")},
        {"classes": None},
    ),
    "classes missing, masks with a border": ({"masks/b.png": with_pixel(255)}, {"classes": None}),
    "classes missing, masks in colour": (
        {f"masks/{name}.png": Image.fromarray(COLOURS[MASK]) for name in "ab"},
        {"classes": None},
    ),
    "classes missing, masks of photographs": (
        {f"masks/{name}.png": Image.fromarray(np.arange(2400, dtype=np.uint8).reshape(40, 60)) for name in "ab"},
        {"classes": None},
    ),
    "a file of classes with a name twice": ({"../classes.txt": b"sky\nroad\nsky\n"}, {"classes": None}),
    "a file of classes that is empty": ({"../classes.txt": b"\n"}, {"classes": None}),
    "a file of classes that is no text": ({"../classes.txt": b"\xff\xfe\x00"}, {"classes": None}),
    "one class": ({}, {"classes": {"sky": 0}}),
    "a name twice": ({}, {"classes": ("sky", "road", "sky")}),
    "a value twice": ({}, {"classes": {"sky": 0, "road": 1, "car": 1}}),
    "a value that is ignored too": ({}, {"classes": {"sky": 0, "road": 1, "car": 2}, "ignore": 2}),
    "numbers and colours": ({}, {"classes": {"sky": 0, "road": (1, 1, 1)}}),
    "a colour ignored among numbers": ({}, {"classes": {"sky": 0, "road": 1}, "ignore": ((0, 0, 0),)}),
    "no pairs": ({"masks/a.png": None, "masks/b.png": None, "masks/c.png": BIT}, {}),
    "all masks unreadable": ({"masks/a.png": b"a", "masks/b.png": b"b"}, {}),
    "two masks of one image": ({"masks/a.bmp": BIT}, {}),
    "folders of other names": ({}, {"images": "{split}/photos", "masks": "{split}/masks"}),
    "nothing for training": (
        {
            **{f"{kind}/{name}.png": None for kind in ("images", "masks") for name in "ab"},
            "../test/images/a.png": IMAGE,
            "../test/masks/a.png": Image.fromarray(MASK),
        },
        {},
    ),
}
"""By what is wrong with all of the data: files as above, and how the data section differs."""


def test_what_is_wrong_with_a_whole_set_has_its_text(scenes, load_masks, golden):
    """No example is made; where classes are missing, the values of the masks are told as a line to copy."""
    lines = []
    for name, (files, data) in SETS.items():
        folder = scenes(files)
        lines.append(f"== {name}")
        with pytest.raises(DataError) as caught:
            load_masks(folder, on_bad_image="skip", **data)
        lines.append(told(caught.value))
    golden("bad_sets_of_masks", "\n".join(lines))


def test_classes_that_were_suggested_can_be_used(scenes, load_masks):
    """The line is YAML that reads the very masks from which it was made."""
    folder = scenes({"masks/b.png": with_pixel(255)})
    with pytest.raises(DataError) as caught:
        load_masks(folder, classes=None)
    line = re.search(r"data\.(classes: {.*})  and  data\.(ignore: 255)", caught.value.hint)
    data = parse(f"{{{line[1]}, {line[2]}}}", "line")
    read = {name: entry.value.value for name, entry in data.entries["classes"].value.entries.items()}
    splits = load_masks(folder, classes=read, ignore=255, image_size=(40, 60))
    assert (splits.train.targets.read(0) == MASK).all()
    assert splits.train.targets.pixels.sum(axis=0)[-1] == 1
