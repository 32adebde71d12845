"""Small real runs for the tests of the engine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SMALL = """
name: small
seed: 3
data: {source: digits, image_size: [8, 8], channels: 1, validation: 0.2}
model:
  layers:
    - Conv2D: {filters: 4, kernel_size: 3, use_bias: false}
    - BatchNormalization
    - ReLU
    - MaxPooling2D: {pool_size: 2}
    - Flatten
    - Dropout: {rate: 0.2}
    - Dense: {units: 10}
train: {epochs: 3, batch_size: 100}
"""


@pytest.fixture
def small_config(tmp_path: Path) -> Callable[..., Any]:
    """Return a function that loads the small config with `--set` overrides."""

    def load(*overrides: str) -> Any:
        from cnncli.config.load import load

        path = tmp_path / "small.yaml"
        path.write_text(SMALL, encoding="utf-8")
        return load(path, overrides)

    return load
