"""The cells of detectors, against the windows of their layers added up by hand."""

from __future__ import annotations

import pytest

from cnncli.analysis.cells import Cells, cells_of
from cnncli.config.load import load, loads


def conv(filters: int, size: int, strides: int = 1) -> str:
    """Return a convolution as a config writes it."""
    return f"Conv2D: {{filters: {filters}, kernel_size: {size}, strides: {strides}, padding: same}}"


def cells(trunk: list[str], heads: dict[str, list[str]], size: tuple[int, int] = (64, 96)) -> Cells | None:
    """Return the cells of a detector of three classes."""
    written = ", ".join(f"{name}: [{', '.join(layers)}]" for name, layers in heads.items())
    text = f"name: x\ntask: detection\ndata: {{source: voc, path: x, image_size: {list(size)}}}\n"
    return cells_of(loads(f"{text}model:\n  layers: [{', '.join(trunk)}]\n  heads: {{{written}}}\n"))


def test_of_class_and_box_the_one_that_sees_less_counts() -> None:
    """Windows of 5, then 3 at a stride of 2, then 7 or 1 at a stride of 4: 5 + 2·2 = 9, and 9 + 6·4 = 33."""
    trunk = [conv(4, 5, 2), conv(4, 3, 2)]
    assert cells(trunk, {"heatmap": [conv(3, 7)], "box": [conv(4, 1)]}) == Cells((4.0, 4.0), (9, 9))
    assert cells(trunk, {"heatmap": [conv(3, 1)], "box": [conv(4, 7)]}) == Cells((4.0, 4.0), (9, 9))
    assert cells(trunk, {"heatmap": [conv(3, 7)], "box": [conv(4, 7)]}) == Cells((4.0, 4.0), (33, 33))


def test_of_several_planes_the_finest_cells_and_the_largest_field() -> None:
    """An object that is too large for the fine cells is found by the coarse ones."""
    heads = {"heatmap": [conv(3, 1)], "box": [conv(4, 1)], "heatmap_8": [conv(3, 3, 2)], "box_8": [conv(4, 3, 2)]}
    assert cells([conv(4, 5, 2), conv(4, 3, 2)], heads) == Cells((4.0, 4.0), (17, 17))


def test_sizes_that_do_not_come_out_even() -> None:
    """Cells are as far apart as the objective divides the image among them."""
    found = cells([conv(4, 3, 4)], {"heatmap": [conv(3, 1)], "box": [conv(4, 1)]}, (62, 101))
    assert found is not None
    assert found.stride == (62 / 16, 101 / 26)


def test_cells_that_see_everything() -> None:
    """A gate that looks at the whole image shows it to every cell."""
    gate = ["GlobalAveragePooling2D: {keepdims: true, name: b}", "Multiply: {inputs: [a, b]}"]
    trunk = ["Conv2D: {filters: 4, kernel_size: 3, strides: 4, padding: same, name: a}", *gate]
    assert cells(trunk, {"heatmap": [conv(3, 1)], "box": [conv(4, 1)]}) == Cells((4.0, 4.0), None)


@pytest.mark.parametrize("heads", [{"heatmap": ["Flatten"], "box": [conv(4, 1)]}, {"a": ["ReLU"], "b": ["ReLU"]}])
def test_what_is_no_detector(heads: dict[str, list[str]]) -> None:
    """Its outputs are an error elsewhere; cells it has none."""
    assert cells([conv(4, 3, 4)], heads) is None
    assert cells_of(load("configs/digits_lenet.yaml")) is None
