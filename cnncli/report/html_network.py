"""Sections of the report about the network: its layers with their arithmetic, its filters, how they came about."""

from __future__ import annotations

from typing import Any

from cnncli.analysis.arithmetic import Number
from cnncli.analysis.explain import Explanation
from cnncli.analysis.formulas import Formula
from cnncli.report.html import Html, data_uri, definitions, element, joined, section, table
from cnncli.report.html_material import Heat, Material, Replay
from cnncli.report.html_parts import caption, gallery, image, note, wide_picture
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
    caption = f"From a {size(summary.input_shape)} image to the output; open a layer for its arithmetic"
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


def attribution(material: Material) -> Html | None:
    """Return the attribution of some predictions, or None where it could not be drawn."""
    heats = material.pictures.heats
    if not heats:
        return None
    how = (
        "Grad-CAM, in the middle: what speaks for the prediction, yellow most. "
        "Saliency, at the right: the pixels that would move it most."
    )
    classes = len(material.passport.get("classes", ()))
    if len(heats) < classes and not material.task.has_places:  # Of images with several classes these are the first.
        how += f" One example of each of {len(heats)} classes, of {classes}."
    figures = [element("figure", _heat(heat), caption(heat.caption)) for heat in heats]
    return section("reasons", "Attribution", element("p", how), element("div", figures, class_="heats"))


def _heat(heat: Heat) -> list[Html]:
    shown = (heat.original, heat.gradcam, heat.saliency)
    return [image(found) for found in shown if found is not None]


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
    return section("replay", "Replay of the training", controls, box, _predictions(found), remark)


def _predictions(found: Replay) -> Html:
    rows = [
        (image(example), truth, element("span", text, class_="prediction"))
        for example, truth, (text, _) in zip(found.examples, found.truths, found.frames[-1].predictions, strict=True)
    ]
    header = "Example", "Ground truth", "Prediction"
    inside = table(header, rows, "Predictions for a few images", numbers=False)
    return element("div", inside, id="replay-predictions")


def replay_data(material: Material) -> dict[str, list[dict[str, Any]]]:
    """Return what the page's script needs of every frame."""
    found = material.pictures.replay
    frames = [
        {
            "epoch": frame.epoch,
            "pictures": [data_uri(shown.content) for shown in frame.pictures],
            "predictions": [{"text": text, "right": is_right} for text, is_right in frame.predictions],
        }
        for frame in (found.frames if found is not None else ())
    ]
    return {"replay": frames}
