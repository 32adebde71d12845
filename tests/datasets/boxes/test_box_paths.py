"""Paths to data with boxes: recognised by their files."""

from __future__ import annotations

import re

import pytest

from cnncli.datasets import inspect
from cnncli.datasets.data_path import config_of, source_of

FILES = {
    "voc": ("VOC/JPEGImages/a.png", "VOC/Annotations/a.xml"),
    "yolo": ("images/train/a.png", "labels/train/a.txt", "data.yaml"),
    "coco": ("train2017/a.png", "annotations/instances_train2017.json"),
    "masks": ("JPEGImages/a.png", "SegmentationClass/a.png", "Annotations/a.xml"),
    "voc beside": ("train/a.jpg", "train/a.xml", "train/b.jpg", "train/b.xml", "train/c.jpg", "README.txt"),
    "voc, two of a name": ("train/a.jpg", "train/a.png", "train/a.xml"),
    "folder, some XML": ("cat/a.jpg", "cat/a.xml", "cat/b.jpg", "cat/c.jpg", "dog/d.jpg"),
    "folder": ("annotations/a.png", "labels/b.png", "cat/instances.txt"),
}


@pytest.mark.parametrize("source", FILES)
def test_the_source_of_a_folder(source, write):
    """VOC's, YOLO's and COCO's own; masks come first where there are both, and classes may be called as they like."""
    assert source_of(write(dict.fromkeys(FILES[source], "content"))) == re.match("[a-z]+", source)[0]


@pytest.mark.usefixtures("detection")
def test_a_path_is_enough(write, encode, pixels):
    """What stands for a config has a network of two outputs; its size is none, so no cells are told."""
    folder = write(
        {"images/a.png": encode(pixels()), "labels/a.txt": "0 0.5 0.5 0.5 0.5\n", "data.yaml": "names: [cell]"}
    )
    passport = inspect(config_of(folder)).passport
    assert passport["targets"]["train"]["objects"] == {"cell": 1}
    assert "in_network" not in passport["targets"]["train"]
    assert config_of(folder, ["data.on_bad_box=clip"]).data.on_bad_box == "clip"
