"""The sizes at which a network is applied to scaled images, and networks that are bound to one size."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cnncli.analysis.scaling import scaled_size
from cnncli.config.load import load
from cnncli.config.schema.schema import Config
from cnncli.errors import CnnError

CONFIG = """
name: tiny
task: segmentation
data: {{source: digit_scenes, image_size: [{height}, {width}], channels: 3}}
model: {{layers: [{layers}]}}
train: {{epochs: 1}}
"""

CONV = "{{Conv2D: {{filters: 11, kernel_size: 3, padding: {}, strides: {}}}}}"
SKIP = (
    "{Conv2D: {filters: 4, kernel_size: 1, name: fine}}, {MaxPooling2D: {pool_size: 8}}, "
    "{UpSampling2D: {size: 8, name: up}}, {Concatenate: {inputs: [fine, up]}}, {Conv2D: {filters: 11, kernel_size: 1}}"
)
BOUND = (
    "{Conv2D: {filters: 4, kernel_size: 1}}, Flatten, {Dense: {units: 704, name: all}}, "
    "{Reshape: {target_shape: [8, 8, 11]}}"
)


@pytest.fixture
def config_with(tmp_path: Path) -> Callable[..., Config]:
    """Return a function that makes a config with some layers."""

    def make(layers: str, height: int, width: int) -> Config:
        path = tmp_path / "tiny.yaml"
        path.write_text(CONFIG.format(layers=layers, height=height, width=width), encoding="utf-8")
        return load(path)

    return make


@pytest.mark.parametrize(
    ("layers", "size", "scale", "expected"),
    [
        (CONV.format("same", 1), (16, 24), 0.75, (12, 18)),
        (CONV.format("same", 1), (15, 24), 1.5, (22, 36)),
        (CONV.format("same", 8), (360, 480), 0.75, (272, 360)),
        (CONV.format("same", 16), (360, 480), 0.75, (270, 352)),
        (SKIP, (32, 48), 0.8, (24, 40)),
        (SKIP, (32, 48), 1.25, (40, 56)),
        (SKIP, (32, 48), 0.1, (8, 8)),
    ],
)
def test_sizes_are_those_that_the_strides_divide(
    config_with: Callable[..., Config], layers: str, size: tuple[int, int], scale: float, expected: tuple[int, int]
) -> None:
    """The nearest ones; where the plain size itself is none, the scaled size as it is."""
    assert scaled_size(config_with(layers, *size), scale) == expected


@pytest.mark.parametrize(
    ("layers", "problem"),
    [
        (BOUND, "the weights of all are for images of 16×16 pixels"),
        (CONV.format("same", 1) + ", {Resizing: {height: 16, width: 16}}", "makes 16×16 places, of 16×16 pixels 16×16"),
        (CONV.format("valid", 1), "makes 30×14 places, of 16×16 pixels 14×14"),
    ],
)
def test_networks_of_one_size_are_refused(config_with: Callable[..., Config], layers: str, problem: str) -> None:
    """With the layer whose weights are in the way, or the sizes that the output has."""
    with pytest.raises(CnnError, match="cannot be applied to images scaled by 2: .*" + problem):
        scaled_size(config_with(layers, 16, 16), 2)
