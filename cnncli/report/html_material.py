"""Everything that a report is made of, collected before any of it is drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cnncli.analysis.explain import NetworkExplanation
from cnncli.analysis.summary import Summary


@dataclass(frozen=True)
class Image:
    """An encoded picture.

    Attributes:
        content: PNG or JPEG file.
        caption: What it shows, in words.
    """

    content: bytes
    caption: str


@dataclass(frozen=True)
class Cell:
    """Examples of one cell of the confusion matrix.

    Attributes:
        images: Some of them.
        count: Number of all of them.
    """

    images: tuple[Image, ...]
    count: int


@dataclass(frozen=True)
class Heat:
    """An example with what the answer hangs on.

    Attributes:
        original: The image.
        gradcam: The image with Grad-CAM laid over it.
        saliency: The image's saliency.
        caption: Which image it is, and what the network says.
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
        answers: What the network said of each watched example: class and probability.
    """

    epoch: int
    pictures: tuple[Image, ...]
    answers: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Replay:
    """A recorded training.

    Attributes:
        examples: The watched examples.
        truths: Class of each.
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
        cells: Examples by true and predicted class.
        mistakes: The most confident mistakes.
        hits: The most confident correct predictions.
        heats: What some answers hang on.
        replay: The recorded training, or None.
        missing: Why something is not there, a sentence each.
    """

    kernels: Image | None = None
    example: Image | None = None
    maps: tuple[Image, ...] = ()
    cells: Mapping[tuple[str, str], Cell] = field(default_factory=dict)
    mistakes: tuple[Image, ...] = ()
    hits: tuple[Image, ...] = ()
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
        summary: The network in numbers.
        explanation: The network's arithmetic.
        metrics: Lines of metrics.jsonl.
        passport: What data.json holds; empty where it is missing.
        evaluation: What evaluation-<split>.json holds, or None.
        invariance: What invariance-<split>.json holds, or None.
        pictures: What needs the network or the examples.
    """

    name: str
    identity: str
    path: str
    record: Mapping[str, Any]
    status: str
    config_text: str
    summary: Summary
    explanation: NetworkExplanation
    metrics: Sequence[Mapping[str, Any]]
    passport: Mapping[str, Any]
    evaluation: Mapping[str, Any] | None
    invariance: Mapping[str, Any] | None
    pictures: Pictures
