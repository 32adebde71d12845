"""Everything that a report is made of, collected before any of it is drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from cnncli.analysis.explain import NetworkExplanation
from cnncli.analysis.summary import Summary
from cnncli.config.schema.tasks import TaskSpec


@dataclass(frozen=True)
class Image:
    """An encoded picture.

    Attributes:
        content: PNG or JPEG file.
        caption: What it shows, in words.
    """

    content: bytes
    caption: str


class Tile(NamedTuple):
    """A number that the report begins with.

    Attributes:
        term: What it is.
        value: The number.
        remark: What else there is to know of it.
    """

    term: str
    value: str
    remark: str


@dataclass(frozen=True)
class Heat:
    """An example with the attribution of what was predicted for it.

    Attributes:
        original: The image.
        gradcam: The image with Grad-CAM laid over it.
        saliency: The image's saliency.
        caption: Which image it is, and what the network predicted.
    """

    original: Image
    gradcam: Image | None
    saliency: Image
    caption: str


@dataclass(frozen=True)
class Frame:
    """One epoch of the replay.

    Attributes:
        epoch: Number of the epoch; 0 is before training.
        pictures: The filters and feature maps, the same ones in every frame.
        predictions: What the network predicted for each watched example, and whether it was right.
    """

    epoch: int
    pictures: tuple[Image, ...]
    predictions: tuple[tuple[str, bool], ...]


@dataclass(frozen=True)
class Replay:
    """A recorded training.

    Attributes:
        examples: The watched examples.
        truths: The right answer for each.
        frames: One for each epoch shown, in order.
    """

    examples: tuple[Image, ...]
    truths: tuple[str, ...]
    frames: tuple[Frame, ...]


@dataclass(frozen=True)
class Pictures:
    """What needs the network or the examples themselves; empty where these are not at hand.

    Attributes:
        kernels: The first layer's filters.
        example: The image that the feature maps are of.
        maps: Feature maps, layer by layer.
        examples: What the run's task draws of the examples for its sections, or None.
        labels: What the training split's targets are as a whole, or None.
        heats: Attribution of some predictions.
        replay: The recorded training, or None.
        missing: Why something is not there, a sentence each.
    """

    kernels: Image | None = None
    example: Image | None = None
    maps: tuple[Image, ...] = ()
    examples: Any = None
    labels: Image | None = None
    heats: tuple[Heat, ...] = ()
    replay: Replay | None = None
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Material:
    """What a report is made of.

    Attributes:
        name: The experiment's name.
        identity: The run's start, as its directory is called.
        path: The run's directory.
        record: What run.json holds.
        status: The run's status now.
        config_text: What config.yaml holds.
        task: What the run's task says of itself.
        summary: The network in numbers.
        explanation: The network's arithmetic.
        metrics: Lines of metrics.jsonl.
        passport: What data.json holds; empty where it is missing.
        evaluation: What evaluation-<split>.json holds, or None.
        tiles: The evaluation's first numbers.
        invariance: What invariance-<split>.json holds, or None.
        pictures: What needs the network or the examples.
        checkpoint: The checkpoint that was asked for: "best", "last", or a name.
    """

    name: str
    identity: str
    path: str
    record: Mapping[str, Any]
    status: str
    config_text: str
    task: TaskSpec
    summary: Summary
    explanation: NetworkExplanation
    metrics: Sequence[Mapping[str, Any]]
    passport: Mapping[str, Any]
    evaluation: Mapping[str, Any] | None
    tiles: Sequence[Tile]
    invariance: Mapping[str, Any] | None
    pictures: Pictures
    checkpoint: str = "best"
