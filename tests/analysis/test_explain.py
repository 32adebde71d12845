"""The formulas come to the numbers that the layers state, and read as people write them."""

from __future__ import annotations

import ast
import re

import pytest

from cnncli.analysis.arithmetic import Ceiling, Floor, Number, Product, Sum, product
from cnncli.analysis.explain import Explanation, explain
from cnncli.config import zoo
from cnncli.config.load import load, loads
from cnncli.errors import CnnError
from cnncli.report.explanation import explanation_latex, explanation_markdown, explanation_page

MOST = """
name: most
data: {source: digits, image_size: [13, 10], channels: 1}
model:
  layers:
    - ZeroPadding2D: {padding: [[1, 2], [0, 3]]}
    - Conv2D: {filters: 8, kernel_size: [3, 2], dilation_rate: 2, padding: valid}
    - Conv2DTranspose: {filters: 4, kernel_size: 3, strides: 2}
    - Conv2DTranspose: {filters: 4, kernel_size: 3, strides: 2, padding: same}
    - Cropping2D: {cropping: 2}
    - UpSampling2D: {size: [1, 2]}
    - DepthwiseConv2D: {kernel_size: 3, depth_multiplier: 2}
    - SeparableConv2D: {filters: 6, kernel_size: 3, strides: 2, padding: same}
    - Parallel: [[{Conv2D: {filters: 3, kernel_size: 1}}], [{MaxPooling2D: {pool_size: 3, strides: 1, padding: same}}]]
    - Residual: {layers: [{Conv2D: {filters: 9, kernel_size: 3, padding: same, groups: 3}}]}
    - BatchNormalization
    - GlobalAveragePooling2D
    - Reshape: {target_shape: [9, 1]}
    - Conv1D: {filters: 2, kernel_size: 3, padding: causal}
    - Flatten
    - Dense: {units: 10, use_bias: false}
"""


def evaluate(text: str) -> int:
    """Compute a formula as it is printed, by Python's own arithmetic and without eval."""
    for sign, name in (("⌊", "floor"), ("⌈", "ceil")):
        close = {"floor": "⌋", "ceil": "⌉"}[name]
        text = re.sub(rf"{sign}(.*?) / (.*?){close}", rf"{name}(\1, \2)", text)
    code = text.replace(",", "_").replace("_ ", ", ").replace("·", "*").replace("−", "-")
    return _value(ast.parse(code, mode="eval").body)


def _value(node: ast.expr) -> int:
    if isinstance(node, ast.Constant):
        return int(node.value)
    if isinstance(node, ast.BinOp):
        left, right = _value(node.left), _value(node.right)
        return {ast.Add: left + right, ast.Sub: left - right, ast.Mult: left * right}[type(node.op)]
    assert isinstance(node, ast.Call)
    assert isinstance(node.func, ast.Name)
    numerator, denominator = map(_value, node.args)
    return numerator // denominator if node.func.id == "floor" else -(-numerator // denominator)


def layers() -> list[Explanation]:
    """Explain all layers of the zoo and of a network with most kinds of layers."""
    configs = [loads(MOST), *(load(name) for name in zoo.names())]
    return [layer for config in configs for layer in explain(config).layers]


def test_formulas_come_to_their_values() -> None:
    """Every formula, computed from its text by another calculator, gives its value."""
    found = [formula for layer in layers() for formula in layer.formulas]
    assert len(found) > 500
    for formula in found:
        assert evaluate(formula.expression.text()) == formula.value


def test_formulas_come_to_the_layers_numbers() -> None:
    """Shapes, parameters, MACs, dense equivalents and receptive fields are those of the summary."""
    for layer in layers():
        row = layer.row
        values = {formula.quantity: formula.value for formula in layer.formulas}
        assert values.get("parameters", 0) == row.params
        assert values.get("MACs", 0) == row.macs
        assert values.get("dense instead") == row.dense_params
        for axis, length in zip(("height", "width"), row.output_shape, strict=False):
            if len(row.output_shape) == 3:
                assert values.get(axis, values.get("height, width", length)) == length
        if "sees" in values:
            assert set(row.receptive_field) == {values["sees"]}


def test_every_size_that_changes_is_explained() -> None:
    """A layer whose output has other axes than its input says where they come from."""
    silent = {"GlobalAveragePooling2D", "GlobalMaxPooling2D", "Reshape", "Dense"}
    for layer in layers():
        changed = layer.input_shapes[0][:-1] != layer.row.output_shape[:-1]
        assert layer.shape or not changed or layer.row.type in silent, layer.row


def test_first_convolution_of_convnetjs() -> None:
    """The formula reads as on the demo's page: 3·16·5·5 + 16 = 1,216."""
    text = explanation_page(explain(load("convnetjs_cifar10"), "conv2d")).text()
    assert "3·16·5·5 + 16 = 1,216" in text
    assert "channels · filters · kernel height · kernel width + filters" in text


def test_one_layer_as_text() -> None:
    """A layer is explained in a few lines; this is all of them."""
    assert explanation_page(explain(load("lenet5"), "c3")).text().rstrip().splitlines() == [
        "c3 (Conv2D): 14×14×6 → 10×10×16",
        "  Slide learned filters over an image.",
        "  height, width  ⌊(14 − 5) / 1⌋ + 1 = 10",
        "  parameters     6·16·5·5 + 16 = 2,416",
        "                 channels · filters · kernel height · kernel width + filters",
        "  MACs           10·10·6·16·5·5 = 240,000",
        "                 output height · output width · channels · filters · kernel height · kernel width",
        "  dense instead  14·14·6·10·10·16 + 10·10·16 = 1,883,200",
        "                 all inputs · all outputs + outputs",
        "  sees           6 + (5 − 1)·2 = 14",
        "                 what its input sees + (window − 1) · stride so far",
    ]


@pytest.mark.parametrize("width", [60, 80, 120])
def test_text_fits_the_width(width: int) -> None:
    """No line is longer than the terminal is wide."""
    text = explanation_page(explain(loads(MOST))).text(width)
    assert max(map(len, text.splitlines())) <= width


def test_latex_is_balanced() -> None:
    """Braces and environments close, and names are escaped."""
    text = explanation_latex(explain(loads(MOST)))
    assert text.count("{") == text.count("}")
    assert text.count(r"\begin{align*}") == text.count(r"\end{align*}") > 5
    assert text.count(r"\left") == text.count(r"\right")
    assert re.search(r"(?<!\\)_", text) is None


def test_markdown_has_a_heading_a_layer() -> None:
    """Each layer has its heading, and the total stands at the end."""
    text = explanation_markdown(explain(load("lenet5")))
    assert text.count("\n### ") + text.startswith("### ") == 8
    assert text.endswith("In all: 61,706 parameters; 416,520 MACs = 833 kFLOPs for one image.")


def test_layers_are_found_by_name_and_path() -> None:
    """A layer is asked for by its name or its place in the config; a misspelt name is answered."""
    config = load("lenet5")
    for reference in ("c3", "model.layers[2].Conv2D", "model.layers[2]"):
        (layer,) = explain(config, reference).layers
        assert layer.row.name == "c3"
    with pytest.raises(CnnError, match="no layer") as caught:
        explain(config, "c33")
    assert caught.value.hint is not None
    assert "c3" in caught.value.hint


def test_brackets_stand_where_they_are_needed() -> None:
    """A sum within a product or quotient is bracketed, a single number is not."""
    three = Sum((Number(5),), (Number(2),))
    assert Product((three, Number(1000))).text() == "(5 − 2)·1,000"
    assert Floor(three, Number(2)).text() == "⌊(5 − 2) / 2⌋"
    assert Ceiling(Number(3), Number(2)).latex() == r"\left\lceil \frac{3}{2} \right\rceil"
    assert product(7).text() == "7"
    assert Number(61706).latex() == "61{,}706"
