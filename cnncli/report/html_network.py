"""Sections of the report about the network: its layers with their arithmetic, its filters, how they came about."""

from __future__ import annotations

from typing import Any

from cnncli.analysis.arithmetic import Number
from cnncli.analysis.explain import Explanation
from cnncli.analysis.formulas import Formula
from cnncli.report.html import Html, data_uri, definitions, element, joined, section, table
from cnncli.report.html_material import Material, Replay
from cnncli.report.html_parts import gallery, image, note, wide_picture
from cnncli.report.numbers import full, short, size
from cnncli.report.tables import label, sees


def layers(material: Material) -> Html:
    """Return the layer table, with the arithmetic of each layer behind its name."""
    summary = material.summary
    rows = [
        (
            _arithmetic(layer),
            size(layer.row.output_shape),
            full(layer.row.params),
            full(layer.row.macs),
            sees(layer.row),
        )
        for layer in material.explanation.layers
    ]
    rows.append((element("strong", "Total"), "", full(summary.total_params), full(summary.macs), ""))
    header = "Layer", "Output", "Parameters", "MACs", "Sees"
    memory = summary.memory
    totals = (
        f"{full(summary.trainable_params)} of the parameters are trainable. One image takes "
        f"{short(summary.macs, 'MACs')} = {short(summary.flops, 'FLOPs')}, {short(memory.weights, 'B')} of weights and "
        f"{short(memory.activations, 'B')} of activations; training about {short(memory.training, 'B')} "
        f"at batch size {full(memory.batch_size)}."
    )
    caption = f"From a {size(summary.input_shape)} image to the prediction; open a layer for its arithmetic"
    return section("layers", "Layers", table(header, rows, caption), element("p", totals))


def _arithmetic(layer: Explanation) -> Html:
    formulas = [(formula.quantity, _formula(formula)) for formula in layer.formulas]
    inside = element("p", layer.purpose), definitions(formulas)
    return element("details", element("summary", label(layer.row)), inside)


def _formula(formula: Formula) -> Html:
    text = formula.expression.text()
    result = text if isinstance(formula.expression, Number) else f"{text} = {full(formula.value)}"
    return joined(element("span", result, class_="formula"), formula.legend and element("small", f" {formula.legend}"))


def inside(material: Material) -> Html | None:
    """Return the filters and the feature maps, or None where neither could be drawn."""
    pictures = material.pictures
    if pictures.kernels is None and not pictures.maps:
        return None
    parts = []
    if pictures.kernels is not None:
        parts += [element("h3", "Filters of the first layer with filters"), wide_picture(pictures.kernels)]
    if pictures.example is not None:
        parts += [element("h3", "Feature maps of one image"), gallery([pictures.example])]
        parts += [wide_picture(found) for found in pictures.maps]
    return section("inside", "Filters and feature maps", parts)


def replay(material: Material) -> Html | None:
    """Return the training to be played back, or None where it was not recorded."""
    found = material.pictures.replay
    if found is None or not found.frames:
        return None
    last = len(found.frames) - 1
    slider = element(
        "input", type="range", id="replay-slider", min=0, max=last, value=last, step=1, aria_describedby="replay-epoch"
    )
    controls = element(
        "div",
        element("label", "Epoch", for_="replay-slider"),
        slider,
        element("output", f"after epoch {found.frames[-1].epoch}", id="replay-epoch", for_="replay-slider"),
        element("button", "Play", type="button", id="replay-play"),
        class_="controls",
    )
    pictures = [
        element("figure", image(shown), element("figcaption", shown.caption)) for shown in found.frames[-1].pictures
    ]
    box = element("div", pictures, id="replay-pictures", class_="replay")
    remark = note("The filters have one colour scale for all epochs, each feature map has its own.")
    return section("replay", "Replay of the training", controls, box, _answers(found), remark)


def _answers(found: Replay) -> Html:
    rows = [
        (image(example), truth, element("span", _answer(answer), class_="answer"))
        for example, truth, answer in zip(found.examples, found.truths, found.frames[-1].answers, strict=True)
    ]
    inside = table(("Example", "True class", "Prediction"), rows, "Predictions for a few images", numbers=False)
    return element("div", inside, id="replay-answers")


def _answer(answer: tuple[str, float]) -> str:
    return f"{answer[0]} ({100 * answer[1]:.1f} %)"


def replay_data(found: Replay | None) -> list[dict[str, Any]]:
    """Return what the page's script needs of every frame."""
    if found is None:
        return []
    return [
        {
            "epoch": frame.epoch,
            "pictures": [data_uri(shown.content) for shown in frame.pictures],
            "answers": [
                {"text": _answer(answer), "right": answer[0] == truth}
                for answer, truth in zip(frame.answers, found.truths, strict=True)
            ],
        }
        for frame in found.frames
    ]
