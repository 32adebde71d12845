"""The tool from Python: what the commands do, with the same functions beneath, for scripts and notebooks.

    import cnncli

    print(cnncli.summary("lenet5"))
    run = cnncli.train("digits_lenet", **{"train.epochs": 5})
    run.evaluate("test")["accuracy"]
    run.predict(images)                                 # an array, or paths
    run.export("onnx")

TensorFlow is imported by what trains or computes, and by nothing else. Errors are `cnncli.CnnError`: a message, and a
hint that says what to do. Ctrl-C during training ends it after the step, saves, and raises KeyboardInterrupt;
`Run("latest").resume()` goes on.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from cnncli.errors import CnnError, ConfigError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from matplotlib.figure import Figure

    from cnncli.analysis.summary import Summary
    from cnncli.config.schema.schema import Config
    from cnncli.datasets.pictures import Picture as ImageFile
    from cnncli.engine.training.train import Result
    from cnncli.runs.events import Listener
    from cnncli.runs.run import Run as RunDirectory

ConfigLike: TypeAlias = "str | Path | Mapping[str, Any] | Config"
"""A file, the name of a network of the zoo, a config's plain data, or a config."""

Images: TypeAlias = "str | Path | Sequence[str | Path] | npt.NDArray[np.uint8]"
"""Image files and folders of them, or pixels: uint8 (number, height, width, channels), or without the last axis."""

DeviceName = Literal["auto", "cpu", "gpu"]


def load(config: ConfigLike, **values: Any) -> Config:
    """Return a checked config.

    Args:
        config: A file, the name of a network of the zoo, plain data, or a config.
        **values: Values to override, by their path: `**{"train.epochs": 5}`, as `--set` takes them.

    Raises:
        ConfigError: With all problems of the config.
    """
    from cnncli.config import load as reading
    from cnncli.config.schema.schema import Config

    overrides = [f"{path}={json.dumps(value, default=str)}" for path, value in values.items()]
    if isinstance(config, Config):
        return config if not overrides else reading.load_document(config.document, config.name, overrides)
    if isinstance(config, Mapping):
        return reading.load_document(dict(config), overrides=overrides)
    return reading.load(config, overrides)


@dataclass(frozen=True)
class NetworkSummary:
    """A network in numbers; a notebook shows it as a table.

    Attributes:
        numbers: Rows and totals.
    """

    numbers: Summary

    @property
    def total_params(self) -> int:
        """Values of all weights."""
        return self.numbers.total_params

    @property
    def macs(self) -> int:
        """Multiply-accumulate operations for one image."""
        return self.numbers.macs

    def to_json(self) -> dict[str, Any]:
        """Return what `cnn summary --json` prints."""
        return self.numbers.to_json()

    def __repr__(self) -> str:
        from cnncli.report.tables import summary_text

        return summary_text(self.numbers)

    def _repr_markdown_(self) -> str:
        from cnncli.report.tables import summary_markdown

        return summary_markdown(self.numbers)


def summary(config: ConfigLike, **values: Any) -> NetworkSummary:
    """Return the layers of a network with shapes, parameters, operations and receptive fields; without TensorFlow.

    Args:
        config: As for `load`.
        **values: As for `load`.

    Raises:
        ConfigError: With all problems of the config.
    """
    from cnncli.analysis.summary import summarize

    return NetworkSummary(summarize(load(config, **values)))


def train(
    config: ConfigLike,
    *,
    runs_dir: str | Path = "runs",
    device: DeviceName = "auto",
    **values: Any,
) -> Run:
    """Train a new run, with a line an epoch on stderr; return it when it is done.

    Args:
        config: As for `load`.
        runs_dir: Folder of all runs.
        device: Where to train.
        **values: As for `load`.

    Raises:
        ConfigError: With all problems of the config, before TensorFlow is imported.
        CnnError: If the data are missing, or training diverges; the run keeps what was reached.
        KeyboardInterrupt: After Ctrl-C, when the run is saved.
    """
    loaded = load(config, **values)
    _check(loaded)
    _choose(device)
    from cnncli.engine.training import train as engine

    return _ended(engine.train(loaded, Path(runs_dir), _listener()))


class Run:
    """A run: its directory, and what can be done with its network.

    Args:
        run: "latest", a name, an id or a path, as the commands take it.
        runs_dir: Folder of all runs.

    Raises:
        CnnError: If there is no such run.
    """

    def __init__(self, run: str | Path = "latest", runs_dir: str | Path = "runs") -> None:
        from cnncli.runs.find import find

        self._run: RunDirectory = find(str(run), Path(runs_dir))

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    @property
    def path(self) -> Path:
        """Directory of the run."""
        return self._run.path

    @property
    def status(self) -> str:
        """running, done, interrupted, failed or diverged."""
        return str(self._run.status)

    @property
    def config(self) -> Config:
        """What it trains, and how."""
        return self._run.config()

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """One entry an epoch: loss, metrics, learning rate, images a second, as in metrics.jsonl."""
        return self._run.metrics()

    def resume(self, *, device: DeviceName = "auto", **values: Any) -> Run:
        """Go on with a stopped run where it was saved; with `train.epochs` beyond its end.

        Args:
            device: Where to train.
            **values: As for `load`.

        Raises:
            CnnError: If there is nothing to go on from, another process trains it, or training diverges.
            KeyboardInterrupt: After Ctrl-C, when the run is saved.
        """
        with self._run.lock():
            config = load(self.config, **values)
            _check(config)
            _choose(device)
            from cnncli.engine.training import train as engine

            result = engine.resume(self._run, config, _listener())
        return _ended(result)

    def evaluate(
        self,
        split: str = "test",
        *,
        checkpoint: str = "best",
        data: str | Path | None = None,
        tta: bool = False,
    ) -> dict[str, Any]:
        """Measure the network, keep the result in the run, and return what `cnn eval --json` prints.

        Args:
            split: train, validation or test.
            checkpoint: best, last, or a checkpoint's path.
            data: Other examples, or None for the run's own.
            tta: Whether to average over views of each example.

        Raises:
            CnnError: If the checkpoint or the examples are missing or damaged.
        """
        from cnncli.engine.evaluation.evaluate import EvaluationOptions, evaluate_run

        options = EvaluationOptions(checkpoint, split, None if data is None else Path(data), tta)
        return evaluate_run(self._run, options)[1]

    def predict(self, images: Images, *, top: int = 3, checkpoint: str = "best") -> list[dict[str, Any]]:
        """Return what the network says of images, an entry each, as `cnn predict --json` prints it.

        Args:
            images: Files and folders, or pixels: uint8 (number, height, width, channels), or without the last axis.
                Pixels of another size than the network's are resized as files are.
            top: Classes to name for each image.
            checkpoint: best, last, or a checkpoint's path.

        Raises:
            CnnError: If a path leads to nothing, or the pixels have another type or shape.
        """
        pictures = list(_pictures(images))
        from cnncli.engine.evaluation.predict import RunNetwork
        from cnncli.engine.evaluation.trained import load_trained
        from cnncli.serving.predict import least_score, predict

        network = RunNetwork(load_trained(self._run, checkpoint))
        found = predict(network, pictures, top, least_score(network))
        return [file.to_json() for file in found]

    def keras_model(self, checkpoint: str = "best") -> Any:
        """Return a `keras.Model` of uint8 images (number, height, width, channels), with preprocessing and softmax.

        Args:
            checkpoint: best, last, or a checkpoint's path.

        Raises:
            CnnError: If the checkpoint is missing, or Keras's own layers cannot say the network.
        """
        from cnncli.engine.evaluation.trained import load_trained
        from cnncli.engine.exporting.keras_file import obstacles, portable_model
        from cnncli.engine.exporting.source import Source

        source = Source.of(self._run, load_trained(self._run, checkpoint))
        for obstacle in obstacles(source):
            raise CnnError(f"{self.path}: a Keras model has no {obstacle}", "Use predict, or export to ONNX.")
        return portable_model(source)

    def export(
        self,
        kind: Literal["keras", "saved_model", "onnx", "litert", "python", "web"] = "keras",
        *,
        quantize: Literal["float16", "int8"] | None = None,
        checkpoint: str = "best",
    ) -> Path:
        """Write the network in a format under the run's `export/`, prove that it answers as the run does; return it.

        Args:
            kind: The format.
            quantize: How a LiteRT artifact is made smaller.
            checkpoint: best, last, or a checkpoint's path.

        Raises:
            CnnError: If the format cannot hold the network, its packages are missing, or it answers differently.
        """
        from cnncli.engine.exporting.export import Wanted, export

        (kept,) = export(self._run, Wanted((kind,), quantize, checkpoint), _tell)
        return kept.path

    def show(
        self,
        kind: str,
        *,
        image: str | Path | None = None,
        index: int | None = None,
        split: str | None = None,
        layer: str | None = None,
        label: str | None = None,
        count: int = 24,
        checkpoint: str = "best",
    ) -> Picture:
        """Return a picture of the network or of what it does, as `cnn show` draws it.

        Args:
            kind: kernels, activations, gradcam and so on: see `cnn show --help`.
            image: A file.
            index: Number of an example of the split.
            split: train, validation or test.
            layer: Name of a layer.
            label: Class asked about; by default the predicted one.
            count: Examples in a gallery.
            checkpoint: best, last, or a checkpoint's path.

        Raises:
            CnnError: If there is no such picture of this network.
        """
        from cnncli.tasks.task import all_kinds

        if kind not in all_kinds():
            raise CnnError(f"there is no picture {kind!r}", f"There are: {', '.join(all_kinds())}.")
        from cnncli.engine.inspection.figures import Choice, draw
        from cnncli.engine.inspection.network import InspectedNetwork

        network = InspectedNetwork(self.config, self._run, checkpoint, None)
        choice = Choice(None if image is None else Path(image), index, split, layer, label, count)
        return Picture(draw(kind, network, choice))


@dataclass(frozen=True)
class Picture:
    """A drawing; a notebook shows it.

    Attributes:
        figure: Matplotlib's figure.
    """

    figure: Figure

    def save(self, path: str | Path) -> Path:
        """Write it as a PNG file."""
        from cnncli.report.figures import save

        return save(self.figure, Path(path))

    def _repr_png_(self) -> bytes:
        from cnncli.report.figures import to_png

        return to_png(self.figure)


def _check(config: Config) -> None:
    """Tell the warnings of the static check; ConfigError for what it refuses."""
    from cnncli.analysis.check import check

    problems = check(config)
    if any(problem.severity == "error" for problem in problems):
        raise ConfigError(problems)
    for problem in problems:
        _tell(f"warning: {problem.message}")


def _choose(device: DeviceName) -> None:
    if device != "auto":
        from cnncli.engine.runtime import choose_device

        choose_device(device)


def _tell(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def _listener() -> Listener:
    """Return what shows progress: plain lines, which notebooks and logs keep."""
    from rich.console import Console

    from cnncli.report.progress import PlainLines

    return PlainLines(Console(stderr=True, force_jupyter=False))


def _ended(result: Result) -> Run:
    """Return a run that training has left; KeyboardInterrupt if a signal stopped it."""
    if result.signal is not None:
        raise KeyboardInterrupt(f"stopped after {result.epochs} epochs; Run({result.run!r}).resume() goes on")
    return Run(result.run)


def _pictures(images: Images) -> Iterable[ImageFile]:
    """Return images as predictions take them."""
    from cnncli.datasets.pictures import pictures

    if isinstance(images, str | Path):
        return pictures([str(images)])
    if isinstance(images, Sequence):
        return pictures([str(path) for path in images])
    return _encoded(images)


def _encoded(pixels: npt.NDArray[np.uint8]) -> Iterator[ImageFile]:
    """Yield pixels as PNG files, which lose nothing."""
    import numpy as np
    from PIL import Image

    from cnncli.datasets.pictures import Picture as ImageFile

    if pixels.dtype != np.uint8 or pixels.ndim not in (3, 4) or (pixels.ndim == 4 and pixels.shape[-1] not in (1, 3)):
        raise CnnError(
            f"the images are {pixels.dtype} {pixels.shape}",
            "Give uint8 (number, height, width, channels) with 1 or 3 channels, or (number, height, width).",
        )
    for number, image in enumerate(pixels):
        content = io.BytesIO()
        Image.fromarray(image[..., 0] if image.ndim == 3 and image.shape[-1] == 1 else image).save(content, "PNG")
        yield ImageFile(f"image {number}", content.getvalue())
