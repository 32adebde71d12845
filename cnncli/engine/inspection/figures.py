"""Every picture that `cnn show` can draw."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from cnncli.analysis.walk import walk
from cnncli.engine.input_pipeline.augmentation import augmentation
from cnncli.engine.inspection import attribution
from cnncli.engine.inspection.measured import EvaluatedRun, trained_run, usual_split
from cnncli.engine.inspection.network import InspectedNetwork, ShownImages
from cnncli.engine.network import activations
from cnncli.engine.tasks.objective import make_objective
from cnncli.errors import CnnError
from cnncli.report import figures_config, figures_heat, figures_network
from cnncli.report.figures_config import Field
from cnncli.report.figures_heat import Heated
from cnncli.tasks.pages import CONFIG_KINDS, NETWORK_KINDS, Choice, LegendEntry, Score

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_HEATED = 10
MOST_RANKED = 5


def draw(kind: str, network: InspectedNetwork, choice: Choice) -> Figure:
    """Return a picture.

    Raises:
        CnnError: If the network's task has no such picture, or there is nothing to draw, such as mistakes of a network
            that was never trained.
    """
    if kind in GENERAL:
        return GENERAL[kind](network, choice)
    of_the_task = network.pages.figures()
    if kind not in of_the_task:
        kinds = ", ".join(network.pages.kinds())
        raise CnnError(f'there is no picture "{kind}" of {network.config.task}', f"There are: {kinds}.")
    split = choice.split or usual_split(trained_run(network), network.checkpoint)
    return of_the_task[kind](EvaluatedRun(network, split), choice.count)


def hint(kind: str, network: InspectedNetwork, choice: Choice) -> str | None:
    """Return what could make a picture better, or None."""
    finer = attribution.finer_layer(network.trained.model) if kind == "gradcam" and choice.layer is None else None
    if finer is None:
        return None
    size, layer = finer
    return f"the map has only {size} places; --layer {layer} gives a finer one, of an earlier layer"


def _kernels(network: InspectedNetwork, choice: Choice) -> Figure:
    model = network.trained.model
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


def _activations(network: InspectedNetwork, choice: Choice) -> Figure:
    shown = _images(network, choice, 1)
    trained = network.trained
    maps = activations.feature_maps(trained.model, trained.preprocessing, shown.pixels[0])
    title = f"{network.title}: {_named(shown, 0)}"
    if choice.layer is not None:
        activations.find_layer(trained.model, choice.layer)
        for found in maps:
            if found.layer == choice.layer:
                return figures_network.layer_figure(found, f"{title}, {found.layer} {found.kind}")
        raise CnnError(f'layer "{choice.layer}" does nothing at inference', "Show the layer before it.")
    ranking = network.pages.ranking(network.outputs(shown), network.classes, MOST_RANKED)
    return figures_network.activations_figure(shown.pixels[0], maps, ranking, title)


def _gradcam(network: InspectedNetwork, choice: Choice) -> Figure:
    shown, score, captions = _scored(network, choice)
    trained = network.trained
    heat = attribution.gradcam(trained.model, trained.preprocessing, shown.pixels, score.weights, choice.layer)
    layer = attribution.gradcam_layer(trained.model, score.weights, choice.layer).name
    title = f"{network.title}: Grad-CAM of {layer}"
    meaning = f"supports the {'prediction' if choice.label is None else 'class'}"
    return figures_heat.heat_figure(_heated(shown, heat, captions), title, meaning)


def _saliency(network: InspectedNetwork, choice: Choice) -> Figure:
    shown, score, captions = _scored(network, choice)
    trained = network.trained
    heat = attribution.saliency(trained.model, trained.preprocessing, shown.pixels, score.weights)
    return figures_heat.heat_figure(
        _heated(shown, heat, captions), f"{network.title}: saliency", "influences the prediction"
    )


def _schedule(network: InspectedNetwork, _: Choice) -> Figure:
    return figures_config.schedule_figure(network.config, network.run.metrics() if network.run else ())


def _augmentation(network: InspectedNetwork, _: Choice) -> Figure:
    if not network.config.data.augmentation:
        raise CnnError("the config has no augmentation", "See data.augmentation.")
    config, splits = network.config, network.splits
    # Targets that have places in the image are moved with it, which is worth a look.
    changes = make_objective(config) if config.task_spec.has_places else None
    found = augmentation.samples(config, splits.train, changes)
    rows, legend = found.images, list[LegendEntry]()
    if found.targets is not None:
        rows, legend = network.pages.laid_over(rows, found.targets, splits.classes)
    names = ", ".join(change.type_name() for change in config.data.augmentation)
    return figures_config.augmentation_figure(rows, f"{config.name}: {names}", legend)


def _receptive_field(network: InspectedNetwork, choice: Choice) -> Figure:
    shown = _images(network, choice, 1)
    found = fields(network, choice.layer)
    if not found:
        raise CnnError(
            "every layer sees the whole image", "Only convolutions and poolings have a limited receptive field."
        )
    title = f"{network.config.name}: receptive field at the centre of each layer's output"
    return figures_config.fields_figure(shown.pixels[0], found, title)


def fields(network: InspectedNetwork, layer: str | None) -> list[Field]:
    """Return what the middle of each layer's output sees of the image: of those layers that see more than all before.

    Args:
        network: The network.
        layer: Name of a layer to show alone, or None.
    """
    found: list[Field] = []
    for step in walk(network.config.nodes, network.config.input_shape):
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


def _images(network: InspectedNetwork, choice: Choice, count: int) -> ShownImages:
    """Return the user's image, the example asked for, or the first example of each class."""
    if choice.image is not None:
        return network.file(Path(choice.image))
    names = [split.name for split in network.splits.present()]
    split = choice.split or ("test" if "test" in names else names[-1])
    return network.examples(split, choice.index, count)


def _scored(network: InspectedNetwork, choice: Choice) -> tuple[ShownImages, Score, list[str]]:
    """Return images, the score whose attribution is drawn, and a caption for each image."""
    shown = _images(network, choice, MOST_HEATED)
    score = network.score(shown, choice.label)
    return shown, score, [f"{_named(shown, i)}, {caption}" for i, caption in enumerate(score.captions)]


def _named(shown: ShownImages, place: int) -> str:
    truth = shown.truths[place]
    return shown.names[place] + (f", true {truth}" if truth is not None else "")


def _heated(shown: ShownImages, heat: npt.NDArray[np.float32], captions: list[str]) -> list[Heated]:
    return [Heated(*parts) for parts in zip(shown.pixels, heat, captions, strict=True)]


_DRAWN = _kernels, _activations, _gradcam, _saliency, _augmentation, _schedule, _receptive_field
GENERAL = dict(zip((*NETWORK_KINDS, *CONFIG_KINDS), _DRAWN, strict=True))
"""What draws each picture that there is whatever the task."""
