"""Every picture that `cnn show` can draw."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from cnncli.analysis.walk import walk
from cnncli.engine.input_pipeline.augmentation import augmentation
from cnncli.engine.inspection import attribution
from cnncli.engine.inspection.measured import evaluation, invariance_profile, pictured, usual_split
from cnncli.engine.inspection.subject import Shown, Subject
from cnncli.engine.network import activations
from cnncli.errors import CnnError
from cnncli.report import figures_config, figures_heat, figures_network
from cnncli.report.figures_config import Field
from cnncli.report.figures_heat import Heated
from cnncli.report.numbers import full
from cnncli.runs.run import Run
from cnncli.tasks import invariance_figure
from cnncli.tasks.classification import figures
from cnncli.tasks.classification.predictions import answers, best, worst

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_HEATED = 10


@dataclass(frozen=True)
class Choice:
    """What of a network is to be shown.

    Attributes:
        image: A file of the user's, or None for an example of the data.
        index: Place of an example in its split, or None.
        split: Name of a split, or None for the usual one.
        layer: Name of a layer, or None.
        label: Name of the class asked about, or None for the network's own answer.
        count: Number of examples in a gallery.
    """

    image: Path | None = None
    index: int | None = None
    split: str | None = None
    layer: str | None = None
    label: str | None = None
    count: int = 24


def draw(kind: str, subject: Subject, choice: Choice) -> Figure:
    """Return a picture.

    Raises:
        CnnError: If there is nothing to draw, such as mistakes of a network that was never trained.
    """
    return KINDS[kind](subject, choice)


def _kernels(subject: Subject, choice: Choice) -> Figure:
    model = subject.trained.model
    if choice.layer is not None:
        found = activations.kernels(activations.find_layer(model, choice.layer))
    else:
        found = next(activations.all_kernels(model), None)
    if found is None:
        raise CnnError(
            f'layer "{choice.layer}" has no filters' if choice.layer else "the network has no filters",
            "Choose a Conv2D, DepthwiseConv2D, SeparableConv2D or Conv2DTranspose with --layer.",
        )
    return figures_network.kernels_figure(found)


def _activations(subject: Subject, choice: Choice) -> Figure:
    shown = _images(subject, choice, 1)
    trained = subject.trained
    maps = activations.feature_maps(trained.model, trained.preprocessing, shown.pixels[0])
    title = f"{subject.title}: {_named(shown, 0)}"
    if choice.layer is not None:
        activations.find_layer(trained.model, choice.layer)
        for found in maps:
            if found.layer == choice.layer:
                return figures_network.layer_figure(found, f"{title}, {found.layer} {found.kind}")
        raise CnnError(f'layer "{choice.layer}" does nothing at inference', "Show the layer before it.")
    probabilities = subject.probabilities(shown)[0]
    order = np.argsort(-probabilities, kind="stable")[:5].tolist()
    answer = [(_class(subject, i), float(probabilities[i])) for i in order]
    return figures_network.activations_figure(shown.pixels[0], maps, answer, title)


def _gradcam(subject: Subject, choice: Choice) -> Figure:
    shown, asked, captions = _asked(subject, choice)
    trained = subject.trained
    heat = attribution.gradcam(trained.model, trained.preprocessing, shown.pixels, asked, choice.layer)
    layer = choice.layer or attribution.last_plane(trained.model).name
    title = f"{subject.title}: Grad-CAM of {layer}"
    return figures_heat.heat_figure(_heated(shown, heat, captions), title, "supports the class")


def _saliency(subject: Subject, choice: Choice) -> Figure:
    shown, asked, captions = _asked(subject, choice)
    trained = subject.trained
    heat = attribution.saliency(trained.model, trained.preprocessing, shown.pixels, asked)
    return figures_heat.heat_figure(
        _heated(shown, heat, captions), f"{subject.title}: saliency", "influences the prediction"
    )


def _confusion(subject: Subject, choice: Choice) -> Figure:
    run = _run(subject)
    split = choice.split or usual_split(run, subject.checkpoint)
    document = evaluation(run, split, subject.checkpoint)
    title = (
        f"{run.name}, {document['checkpoint']}: {full(document['num_examples'])} examples of {split}, "
        f"accuracy {document['accuracy']:.4f}"
    )
    return figures.confusion_figure(document, title)


def _mistakes(subject: Subject, choice: Choice) -> Figure:
    run = _run(subject)
    split = choice.split or usual_split(run, subject.checkpoint)
    document = evaluation(run, split, subject.checkpoint)
    found = answers(run, split)
    wrong = sum(not answer.is_right for answer in found)
    title = f"{run.name}, {document['checkpoint']}: the most confident of {full(wrong)} mistakes on {split}"
    return figures.gallery_figure(pictured(subject.splits.named(split), worst(found, choice.count)), title)


def _hits(subject: Subject, choice: Choice) -> Figure:
    run = _run(subject)
    split = choice.split or usual_split(run, subject.checkpoint)
    document = evaluation(run, split, subject.checkpoint)
    found = best(answers(run, split), choice.count)
    title = f"{run.name}, {document['checkpoint']}: the most confident correct predictions on {split}, by class"
    return figures.gallery_figure(pictured(subject.splits.named(split), found), title)


def _invariance(subject: Subject, choice: Choice) -> Figure:
    run = _run(subject)
    split = choice.split or usual_split(run, subject.checkpoint)
    document = invariance_profile(run, split, subject.checkpoint)
    title = f"{run.name}, {document['checkpoint']}: {full(document['num_examples'])} examples of {split}"
    return invariance_figure.invariance_figure(document, title)


def _schedule(subject: Subject, _: Choice) -> Figure:
    return figures_config.schedule_figure(subject.config, subject.run.metrics() if subject.run else ())


def _augmentation(subject: Subject, _: Choice) -> Figure:
    if not subject.config.data.augmentation:
        raise CnnError("the config has no augmentation", "See data.augmentation.")
    rows = augmentation.samples(subject.config, subject.splits.train)
    names = ", ".join(change.type_name() for change in subject.config.data.augmentation)
    return figures_config.augmentation_figure(rows, f"{subject.config.name}: {names}")


def _receptive_field(subject: Subject, choice: Choice) -> Figure:
    shown = _images(subject, choice, 1)
    found = fields(subject, choice.layer)
    if not found:
        raise CnnError(
            "every layer sees the whole image", "Only convolutions and poolings have a limited receptive field."
        )
    title = f"{subject.config.name}: receptive field at the centre of each layer's output"
    return figures_config.fields_figure(shown.pixels[0], found, title)


def fields(subject: Subject, layer: str | None) -> list[Field]:
    """Return what the middle of each layer's output sees of the image: of those layers that see more than all before.

    Args:
        subject: The network.
        layer: Name of a layer to show alone, or None.
    """
    found: list[Field] = []
    for step in walk(subject.config.nodes, subject.config.input_shape):
        if step.field is None or len(step.field) != 2 or (layer is not None and step.node.name != layer):
            continue
        starts = [
            reach.start + int((length // 2) * reach.stride)
            for reach, length in zip(step.field, step.output_shape, strict=False)
        ]
        field = Field(step.node.name, *starts, *(reach.size for reach in step.field))
        before = max((seen.height + seen.width for seen in found), default=2 if layer is None else 0)
        if field.height + field.width > before:
            found.append(field)
    return found


def _images(subject: Subject, choice: Choice, count: int) -> Shown:
    """Return the user's image, the example asked for, or the first example of each class."""
    if choice.image is not None:
        return subject.file(choice.image)
    names = [split.name for split in subject.splits.present()]
    split = choice.split or ("test" if "test" in names else names[-1])
    return subject.examples(split, choice.index, count)


def _asked(subject: Subject, choice: Choice) -> tuple[Shown, npt.NDArray[np.int64], list[str]]:
    """Return images, the class asked about for each, and a caption for each."""
    shown = _images(subject, choice, MOST_HEATED)
    probabilities = subject.probabilities(shown)
    if choice.label is None:
        asked = probabilities.argmax(axis=1)
    else:
        if choice.label not in subject.classes:
            raise CnnError(f'no class "{choice.label}"', f"Classes: {', '.join(subject.classes[:20])}")
        asked = np.full(len(shown.names), subject.classes.index(choice.label))
    said = [f"{_class(subject, c)} ({100 * p[c]:.1f} %)" for c, p in zip(asked.tolist(), probabilities, strict=True)]
    verb = "predicted" if choice.label is None else "target"
    return shown, asked, [f"{_named(shown, i)}, {verb} {text}" for i, text in enumerate(said)]


def _named(shown: Shown, place: int) -> str:
    truth = shown.truths[place]
    return shown.names[place] + (f", true {truth}" if truth is not None else "")


def _class(subject: Subject, number: int) -> str:
    return subject.classes[number] if number < len(subject.classes) else str(number)


def _heated(shown: Shown, heat: npt.NDArray[np.float32], captions: list[str]) -> list[Heated]:
    return [Heated(*parts) for parts in zip(shown.pixels, heat, captions, strict=True)]


def _run(subject: Subject) -> Run:
    if subject.run is None:
        raise CnnError("this requires a trained run, not a config", "Train it with `cnn train`, then give the run.")
    return subject.run


KINDS: dict[str, Callable[[Subject, Choice], Figure]] = {
    "kernels": _kernels,
    "activations": _activations,
    "gradcam": _gradcam,
    "saliency": _saliency,
    "confusion": _confusion,
    "mistakes": _mistakes,
    "hits": _hits,
    "invariance": _invariance,
    "augmentation": _augmentation,
    "schedule": _schedule,
    "receptive_field": _receptive_field,
}
"""What each picture is drawn by."""
