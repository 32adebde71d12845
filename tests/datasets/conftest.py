"""What the tests of the datasets share: configs of data alone, folders of small images, a cache of their own."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnncli.config.schema.schema import Config, Data
from cnncli.config.yaml.origins import Origins
from cnncli.config.yaml.parser import parse


@pytest.fixture(autouse=True)
def cache_folder(tmp_path_factory, monkeypatch):
    """Keep the cache of each test apart from the user's and from other tests'."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder


@pytest.fixture
def make_config():
    """Return a function that makes a config of a data section alone."""

    def make(seed=0, **data):
        section = Data(**{"image_size": (8, 8), **data})
        return Config.model_construct(
            name="test", seed=seed, nodes=(), data=section, origins=Origins(parse("{}", "test"))
        )

    return make


@pytest.fixture
def encode():
    """Return a function that encodes pixels or a Pillow image as a file's bytes."""

    def encode(image, file_format="PNG", **options):
        if isinstance(image, np.ndarray):
            image = Image.fromarray(image)
        content = io.BytesIO()
        image.save(content, file_format, **options)
        return content.getvalue()

    return encode


@pytest.fixture
def make_folder(tmp_path, encode):
    """Return a function that writes a folder of different small PNG images: {"train/cat": 3, …}."""

    def make(counts, root=None, seed=0):
        root = Path(root or tmp_path / "images")
        generator = np.random.default_rng(seed)
        for folder, count in counts.items():
            (root / folder).mkdir(parents=True, exist_ok=True)
            for number in range(count):
                pixels = generator.integers(0, 256, (9, 7, 3), np.uint8)
                (root / folder / f"{number:03}.png").write_bytes(encode(pixels))
        return root

    return make


@pytest.fixture
def settled(monkeypatch):
    """Believe the stamps of files that were written just now, as those of older files are believed."""
    monkeypatch.setattr("cnncli.datasets.stamps.MARGIN", 0)
