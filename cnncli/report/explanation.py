"""An explained network as text, Markdown or LaTeX."""

from __future__ import annotations

from collections.abc import Iterator

from cnncli.analysis.arithmetic import Number, latex_number
from cnncli.analysis.explain import Explanation, NetworkExplanation
from cnncli.analysis.formulas import Formula
from cnncli.report.numbers import full, short, size
from cnncli.report.page import Entry, Page, Title


def explanation_page(explanation: NetworkExplanation) -> Page:
    """Return the explained layers for a console; what numbers count is explained where it comes up first."""
    parts: list[str | Title | Entry] = []
    explained: set[str] = set()
    for layer in explanation.layers:
        parts += [Title(_heading(layer)), f"  {layer.purpose}"]
        parts += [Entry("reads", text) for text in _sources(layer)]
        for formula in layer.formulas:
            result, *legend = _lines(formula)
            parts.append(Entry(formula.quantity, result, *(text for text in legend if text not in explained)))
            explained.update(legend)
        parts += [Entry("sees", text) for text in _sight(layer)]
        parts.append("")
    return Page((*parts, *_totals(explanation)))


def explanation_markdown(explanation: NetworkExplanation) -> str:
    """Return the explained layers in Markdown, formulas as text."""
    blocks = []
    for layer in explanation.layers:
        entries = [f"- reads: {text}" for text in _sources(layer)]
        entries += [f"- {f.quantity}: {' — '.join(_lines(f))}" for f in layer.formulas]
        entries += [f"- sees: {text}" for text in _sight(layer)]
        blocks.append("\n".join([f"### {_heading(layer)}", "", layer.purpose, "", *entries]).rstrip())
    return "\n\n".join([*blocks, *_totals(explanation)])


def explanation_latex(explanation: NetworkExplanation) -> str:
    """Return the explained layers for LaTeX with the amsmath package."""
    return "\n\n".join(_latex(layer) for layer in explanation.layers)


def _heading(layer: Explanation) -> str:
    taken = " and ".join(size(shape) for shape in layer.input_shapes)
    return f"{layer.row.name} ({layer.row.type}): {taken} → {size(layer.row.output_shape)}"


def _lines(formula: Formula) -> tuple[str, ...]:
    text = formula.expression.text()
    result = text if isinstance(formula.expression, Number) else f"{text} = {full(formula.value)}"
    return (result, formula.legend) if formula.legend else (result,)


def _sources(layer: Explanation) -> Iterator[str]:
    """Yield the layers that a layer reads, where they are not just the one above."""
    if layer.row.reads:
        yield ", ".join(layer.row.reads)


def _sight(layer: Explanation) -> Iterator[str]:
    """Yield the receptive field as a sentence where no formula gives it."""
    if layer.row.sees_all:
        yield f"the whole {size(layer.row.receptive_field)} image"
    elif len(layer.input_shapes) > 1:
        yield f"{size(layer.row.receptive_field)} pixels, what its branches see together"


def _totals(explanation: NetworkExplanation) -> list[str]:
    summary = explanation.summary
    if len(explanation.layers) < len(summary.rows):
        return []
    work = f"{full(summary.macs)} MACs = {short(summary.flops, 'FLOPs')}"
    return [f"In all: {full(summary.total_params)} parameters; {work} for one image."]


def _latex(layer: Explanation) -> str:
    arrow = rf"{_latex_shape(layer.input_shapes[0])} \to {_latex_shape(layer.row.output_shape)}"
    name = layer.row.name.replace("_", r"\_")
    head = rf"\paragraph{{{name} ({layer.row.type})}} ${arrow}$"
    lines = [_latex_formula(formula) for formula in layer.formulas]
    if not lines:
        return head
    body = " \\\\\n".join(lines)
    return f"{head}\n\\begin{{align*}}\n{body}\n\\end{{align*}}"


def _latex_formula(formula: Formula) -> str:
    result = "" if isinstance(formula.expression, Number) else f" = {latex_number(formula.value)}"
    return rf"\text{{{formula.quantity}}} &= {formula.expression.latex()}{result}"


def _latex_shape(shape: tuple[int, ...]) -> str:
    return r" \times ".join(map(str, shape))
