"""Boxes as the targets of a task, and as a part of a run's passport."""

from __future__ import annotations

import json

import numpy as np
import pytest

from cnncli import datasets
from cnncli.datasets.load import incoming
from cnncli.errors import DataError
from cnncli.files.form import Unexpected
from cnncli.runs.documents import PASSPORT
from tests.datasets.boxes.annotations import voc_xml


@pytest.fixture
def folder(write, encode, pixels):
    """Write two images with an object and one without."""
    files = {f"JPEGImages/{name}.png": encode(pixels()) for name in "abc"}
    files |= {f"Annotations/{name}.xml": voc_xml([("cell", 1, 1, 9, 9)], filename=f"{name}.png") for name in "ab"}
    return write(files | {"Annotations/c.xml": voc_xml([], filename="c.png")})


def test_each_task_refuses_the_targets_of_another(folder, make_config, load_boxes):
    """And says which task the data are for, or which sources a detection reads."""
    boxes = make_config(source="voc", path=str(folder), validation=0.0)
    for task in ("classification", "segmentation"):
        with pytest.raises(DataError, match="the data has boxes of objects") as caught:
            datasets.load(boxes.model_copy(update={"task": task}))
        assert caught.value.hint == "Set task: detection."
    for source, each in {"digits": "image", "digit_scenes": "pixel"}.items():
        with pytest.raises(DataError, match=f"a class for each {each}; detection needs the boxes of objects") as caught:
            load_boxes(None, source=source)
        assert "voc, coco or yolo" in caught.value.hint


def test_the_passport_of_boxes_can_be_read(folder, load_boxes):
    """That of a run is checked when it is read; one whose numbers are texts is refused."""
    passport = json.loads(json.dumps(load_boxes(folder).passport))
    PASSPORT(passport)
    for path in (("targets", "train", "objects", "cell"), ("targets", "train", "empty"), ("bad_boxes", "num_dropped")):
        broken = json.loads(json.dumps(passport))
        place = broken
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = "many"
        with pytest.raises(Unexpected):
            PASSPORT(broken)


def test_parts_of_a_source_fit_together(folder, load_boxes):
    """All have rows for as many objects as the fullest image of the source has; the content tells boxes apart."""
    targets = load_boxes(folder).train.targets
    part = targets.take(np.array([2]))
    assert part.capacity == targets.capacity == 1
    assert part.digests().tolist() == targets.digests()[2:].tolist()
    assert len({bytes(digest) for digest in targets.digests()}) == 2
    assert targets.name(0, ("cell",)) == "1 cell"
    assert targets.name(2, ("cell",)) == "0 objects"


def test_the_classes_of_a_run_are_imposed(folder, load_boxes, make_config):
    """Other data of a run have its classes in its order; an object of another class is bad."""
    config = make_config(source="voc", path=str(folder), validation=0.0, channels=3)
    config = config.model_copy(update={"task": "detection"})
    assert datasets.load(config, classes=("disc", "cell")).train.targets.read(0).labels.tolist() == [1]
    passport = {**load_boxes(folder).passport, "classes": ["disc", "cell"], "content_hash": None}
    found = incoming(folder, config, passport)
    assert (len(found.split), found.split.targets.read(1).labels.tolist()) == (3, [1])
    with pytest.raises(DataError, match='it has the class "cell"; the classes are disc'):
        incoming(folder, config, {**passport, "classes": ["disc"]})
