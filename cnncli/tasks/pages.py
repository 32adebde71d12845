"""What a task shows for its networks: on the terminal, in figures, in the report."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

from cnncli.files.form import Form, anything

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt
    from matplotlib.figure import Figure

    from cnncli.datasets.splits import Split
    from cnncli.report.html_material import Image, Tile
    from cnncli.report.html_page import Section
    from cnncli.report.page import Page
    from cnncli.runs.run import Run
    from cnncli.tasks.outputs import NamedOutputs

    Array = npt.NDArray[Any]

NETWORK_KINDS = ("kernels", "activations", "gradcam", "saliency")
"""What can be drawn for any network."""

CONFIG_KINDS = ("augmentation", "schedule", "receptive_field")
"""What can be drawn for any config."""


@dataclass(frozen=True)
class Choice:
    """What of a network is to be shown.

    Attributes:
        image: A file of the user's, or None for an example of the data.
        index: Place of an example in its split, or None.
        split: Name of a split, or None for the usual one.
        layer: Name of a layer, or None.
        label: Name of the class asked about, or None for what the network predicts.
        count: Number of examples in a gallery.
    """

    image: str | Path | None = None
    index: int | None = None
    split: str | None = None
    layer: str | None = None
    label: str | None = None
    count: int = 24


class ReadExamples(NamedTuple):
    """Examples as a network reads them.

    Attributes:
        pixels: uint8 (examples, height, width, channels) of the network's size.
        targets: As training has them, (examples, …).
        logits: What the network ends in.
    """

    pixels: npt.NDArray[np.uint8]
    targets: npt.NDArray[Any]
    logits: Any


class EvaluatedSplit(Protocol):
    """A run's network evaluated on a split; each part is read, or made, when it is first needed."""

    @property
    def run(self) -> Run:
        """The run."""
        ...

    @property
    def split(self) -> str:
        """Name of the split."""
        ...

    @property
    def document(self) -> Mapping[str, Any]:
        """What evaluation-<split>.json holds."""
        ...

    @property
    def predictions_file(self) -> Path:
        """File with a line for each example: predictions-<split>.csv."""
        ...

    @property
    def invariance(self) -> Mapping[str, Any]:
        """What invariance-<split>.json holds."""
        ...

    @property
    def examples(self) -> Split:
        """The examples themselves."""
        ...

    def outputs(self, rows: Sequence[int]) -> NamedOutputs:
        """Return what the run's network computes for the examples at `rows`, by the names of its task's outputs."""
        ...

    def as_read(self, rows: Sequence[int]) -> ReadExamples:
        """Return the examples at `rows` in the network's size, and what the run's network ends in for them."""
        ...


Draw: TypeAlias = "Callable[[EvaluatedSplit, int], Figure]"
"""Draws a figure of an evaluation; the number is that of the examples in a gallery."""


LegendEntry = tuple[str, tuple[int, int, int]]
"""What a colour of a picture stands for, and its red, green and blue."""


class Score(NamedTuple):
    """One number for each image, whose gradient attribution shows: a weighted sum of what the network ends in.

    Attributes:
        weights: Weights of the sum, of the outputs' shape.
        names: What the number stands for, for each image: a class's name.
        captions: What the network predicted for each image, in a few words.
    """

    weights: Any
    names: Sequence[str]
    captions: Sequence[str]


class Recalled(NamedTuple):
    """What the network predicted for an example when the replay was recorded.

    Attributes:
        text: The prediction, in a few words.
        is_right: Whether it was right.
    """

    text: str
    is_right: bool


class Pages(ABC):
    """Everything that a task shows. What is slow to import is imported by the method that needs it."""

    @property
    def form(self) -> Form:
        """What a stored evaluation must look like to be shown."""
        return anything

    @abstractmethod
    def page(self, document: Mapping[str, Any], width: int | None = None) -> Page:
        """Return the page of an evaluation on the terminal.

        Args:
            document: What `cnn eval --json` prints.
            width: Characters to fit into, or None where there is no limit.
        """

    @abstractmethod
    def score(self, outputs: Array, classes: Sequence[str], label: str | None = None) -> Score:
        """Return the number that attribution explains for each image.

        Args:
            outputs: What the network ends in for the images.
            classes: Names of the classes.
            label: Name of the class to explain; by default the one that the network predicts.

        Raises:
            CnnError: If there is no such class.
        """

    @abstractmethod
    def record(self, outputs: Array) -> Mapping[str, Array]:
        """Return what the replay keeps of the network's outputs, by name."""

    @abstractmethod
    def recall(
        self, recorded: Mapping[str, Array], truths: Sequence[str], classes: Sequence[str]
    ) -> Sequence[Recalled]:
        """Return the prediction for each example from what `record` kept.

        Args:
            recorded: Arrays by name.
            truths: The target of each example, as `Targets.name` writes it.
            classes: Names of the classes.
        """

    def ranking(self, outputs: Array, classes: Sequence[str], most: int) -> list[tuple[str, float]]:  # noqa: ARG002
        """Return the most probable classes of one image and their probabilities; none where there are no classes.

        Args:
            outputs: What the network ends in for a batch of this image alone.
            classes: Names of the classes.
            most: Largest number of them.
        """
        return []

    def laid_over(self, images: Array, targets: Array, classes: Sequence[str]) -> tuple[Array, list[LegendEntry]]:  # noqa: ARG002
        """Return images with their targets drawn over them, and what the colours mean.

        Args:
            images: uint8 (…, height, width, channels).
            targets: As training has them, (…, and what they are of each).
            classes: Names of the classes.
        """
        return images, []

    def progress_picture(self, images: Array, targets: Array, outputs: Any, classes: Sequence[str]) -> Array | None:  # noqa: ARG002
        """Return what a network makes of a few images while it learns, uint8 (height, width, 3); None if not drawn.

        Args:
            images: uint8 (images, height, width, channels).
            targets: As training has them.
            outputs: What the network ends in for them.
            classes: Names of the classes.
        """
        return None

    def figures(self) -> Mapping[str, Draw]:
        """Return the task's own figures by their name in `cnn show`."""
        return {}

    def sections(self) -> Sequence[Section]:
        """Return the sections of the report between the curves and the layers."""
        return ()

    def tiles(self, document: Mapping[str, Any]) -> Iterable[Tile]:  # noqa: ARG002 - for tasks that have some
        """Return the numbers that the report begins with."""
        return ()

    def pictures(self, evaluated: EvaluatedSplit) -> Any:  # noqa: ARG002 - for tasks that draw some
        """Return the examples drawn for `sections`, which find them in the report's material."""
        return None

    def labels(self, split: Split, classes: Sequence[str]) -> Image | None:  # noqa: ARG002
        """Return a picture of what a split's targets are as a whole; None for a task without one."""
        return None

    def kinds(self) -> tuple[str, ...]:
        """Return everything that `cnn show` draws for a network of this task."""
        return (*NETWORK_KINDS, *self.figures(), *CONFIG_KINDS)
