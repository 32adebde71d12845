"""Pictures of networks and of what they do."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

from cnncli.api.configs import ConfigLike, load
from cnncli.api.surroundings import STDERR, Surroundings
from cnncli.errors import CnnError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from cnncli.config.schema.schema import Config
    from cnncli.runs.run import Run
    from cnncli.tasks.pages import Choice


class ChoiceOptions(TypedDict, total=False):
    """What of a network is to be shown.

    Attributes:
        image: An image file; by default an example of the data.
        index: Number of an example of its split, from 0.
        split: train, validation or test.
        layer: Name of a layer.
        label: Name of the class asked about; by default the predicted one.
        count: Examples in a gallery, 24 by default.
    """

    image: str | Path | None
    index: int | None
    split: str | None
    layer: str | None
    label: str | None
    count: int


@dataclass(frozen=True)
class Subject:
    """A network that is shown.

    Attributes:
        config: Its config.
        run: The run that trained it, or None for one with initial weights.
        checkpoint: best, last, or a checkpoint's path.
        data: Where a run's examples are now, or None where its config says it.
    """

    config: Config
    run: Run | None = None
    checkpoint: str = "best"
    data: Path | None = None


@dataclass(frozen=True)
class Picture:
    """A drawing; a notebook shows it.

    Attributes:
        figure: Matplotlib's figure.
        hint: What could make it better, or None.
    """

    figure: Figure
    hint: str | None = field(default=None, repr=False)

    def save(self, path: str | Path) -> Path:
        """Write it as a PNG file."""
        from cnncli.report.figures import save

        return save(self.figure, Path(path))

    def _repr_png_(self) -> bytes:
        from cnncli.report.figures import to_png

        return to_png(self.figure)


def show(config: ConfigLike, kind: str, **options: Unpack[ChoiceOptions]) -> Picture:
    """Return a picture of a network with initial weights, as `cnn show` draws it.

    Args:
        config: As for `load`.
        kind: kernels, activations, receptive_field, schedule and so on: see `cnn show --help`.
        **options: What of it: image, index, split, layer, label, count.

    Raises:
        ConfigError: With all problems of the config.
        CnnError: If there is no such picture of this network.
    """
    from cnncli.tasks.pages import Choice

    return draw(kind, Subject(load(config)), Choice(**options), STDERR)


def draw(kind: str, subject: Subject, choice: Choice, around: Surroundings) -> Picture:
    """Return a picture.

    Args:
        kind: What is drawn.
        subject: The network.
        choice: What of it.
        around: What hears of it.

    Raises:
        CnnError: If there is no such picture of this network.
    """
    from cnncli.tasks.task import all_kinds

    if kind not in all_kinds():
        raise CnnError(f"there is no picture {kind!r}", f"There are: {', '.join(all_kinds())}.")
    with around.importing():
        from cnncli.engine.inspection import figures
        from cnncli.engine.inspection.network import InspectedNetwork
    network = InspectedNetwork(subject.config, subject.run, subject.checkpoint, subject.data)
    with around.doing(f"reading what is shown, and drawing {kind}"):
        return Picture(figures.draw(kind, network, choice), figures.hint(kind, network, choice))
