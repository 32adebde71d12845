"""What the tests of masks share: folders of small images with their masks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cnncli import datasets

CLASSES = {"sky": 0, "road": 1, "car": 2}


@pytest.fixture
def make_masks(tmp_path, encode):
    """Return a function that writes images and masks of random classes, in {split}/images and /masks: {"train": 3}."""

    def make(counts, root=None, seed=0, size=(6, 8), masks=None):
        root = Path(root or tmp_path / "scenes")
        generator = np.random.default_rng(seed)
        for split, count in counts.items():
            for kind in ("images", "masks"):
                (root / split / kind).mkdir(parents=True, exist_ok=True)
            for number in range(count):
                image = generator.integers(0, 256, (*size, 3), np.uint8)
                mask = generator.integers(0, 3, size, np.uint8) if masks is None else masks
                (root / split / "images" / f"{number:02}.png").write_bytes(encode(image))
                (root / split / "masks" / f"{number:02}.png").write_bytes(encode(mask))
        return root

    return make


@pytest.fixture
def load_masks(make_config):
    """Return a function that loads the masks of a folder or archive as a config's data section says."""

    def load(path, inspect=False, **data):
        options = {"source": "masks", "channels": 3, "validation": 0.0, "classes": CLASSES, "image_size": (6, 8)}
        config = make_config(**{**options, "path": str(path), **data}).model_copy(update={"task": "segmentation"})
        return datasets.inspect(config) if inspect else datasets.load(config)

    return load
