"""What the tests of boxes share: folders of small images with VOC's annotations, and what loads them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cnncli import datasets
from cnncli.config.schema.tasks import TASKS, Metric, TaskSpec


@pytest.fixture
def load_boxes(make_config):
    """Return a function that loads the boxes of a folder or archive as a config's data section says."""

    def load(path, inspect=False, **data):
        options = {"source": "voc", "channels": 3, "validation": 0.0, "image_size": (32, 32)}
        options["path"] = None if path is None else str(path)
        config = make_config(**{**options, **data}).model_copy(update={"task": "detection"})
        return datasets.inspect(config) if inspect else datasets.load(config)

    return load


@pytest.fixture
def pixels():
    """Return a function that makes a random image of some height and width, another one each time."""
    generator = np.random.default_rng(0)
    return lambda height=40, width=60: generator.integers(0, 256, (height, width, 3), np.uint8)


@pytest.fixture
def write(tmp_path):
    """Return a function that writes files below a folder, bytes or text by path, and returns the folder."""

    def write(files, root="boxes"):
        for name, content in files.items():
            path = Path(tmp_path, root, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return tmp_path / root

    return write


@pytest.fixture
def detection(monkeypatch):
    """Have a config know the task, whether or not there is more of it."""
    if "detection" not in TASKS:
        monkeypatch.setitem(TASKS, "detection", _Spec())


class _Spec(TaskSpec):
    """A task of boxes, where there is none yet."""

    metrics = (Metric("loss", False), Metric("ap", True, primary=True))
    output_names = ("boxes",)

    def check_output(self, shape, num_classes, image_size):
        """Take every network."""
