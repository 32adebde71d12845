"""Runs: training one, and what can be done with its network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, Unpack

from cnncli.api.configs import ConfigLike, load, overrides_of
from cnncli.api.evaluation import Evaluation, evaluate
from cnncli.api.exporting import export
from cnncli.api.pictures import ChoiceOptions, Picture, Subject, draw
from cnncli.api.prediction import Images, load_network, pictures_of
from cnncli.api.surroundings import STDERR
from cnncli.api.training import Training, check, go_on, start
from cnncli.errors import CnnError

if TYPE_CHECKING:
    from cnncli.config.schema.schema import Config
    from cnncli.engine.training.train import Result
    from cnncli.runs.run import Run as RunDirectory

DeviceName: TypeAlias = Literal["auto", "cpu", "gpu"]
FormatName: TypeAlias = Literal["keras", "saved_model", "onnx", "litert", "python", "web"]
Quantization: TypeAlias = Literal["float16", "int8"]


def train(
    config: ConfigLike,
    *,
    runs_dir: str | Path = "runs",
    device: DeviceName = "auto",
    stop_after: int | None = None,
    **values: Any,
) -> Run:
    """Train a new run, with a line an epoch on stderr; return it when it is done.

    Args:
        config: As for `load`.
        runs_dir: Folder of all runs.
        device: Where to train.
        stop_after: Number of the epoch after which it stops, to be resumed; None to train to its end.
        **values: As for `load`.

    Raises:
        ConfigError: With all problems of the config, before TensorFlow is imported.
        CnnError: If the data are missing, or training diverges; the run keeps what was reached.
        KeyboardInterrupt: After Ctrl-C, when the run is saved.
    """
    loaded = load(config, **values)
    check(loaded, STDERR)
    return _ended(start(loaded, Path(runs_dir), Training(device, stop_after)))


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

    def resume(self, *, device: DeviceName = "auto", stop_after: int | None = None, **values: Any) -> Run:
        """Go on with a stopped run where it was saved; with `train.epochs` beyond its end.

        Args:
            device: Where to train.
            stop_after: As for `train`.
            **values: As for `load`.

        Raises:
            CnnError: If there is nothing to go on from, another process trains it, or training diverges.
            KeyboardInterrupt: After Ctrl-C, when the run is saved.
        """
        return _ended(go_on(self._run, overrides_of(values), Training(device, stop_after)))

    def evaluate(
        self,
        split: str = "test",
        *,
        checkpoint: str = "best",
        data: str | Path | None = None,
        tta: bool = False,
        scales: Sequence[float] = (),
    ) -> Evaluation:
        """Measure the network, keep the result in the run, and return what `cnn eval --json` prints.

        Args:
            split: train, validation or test.
            checkpoint: best, last, or a checkpoint's path.
            data: Other examples, or None for the run's own.
            tta: Whether to average over views of each example.
            scales: Segmentation and detection: factors by which images are enlarged, over which to average as well.

        Raises:
            CnnError: If the checkpoint or the examples are missing or damaged.
        """
        from cnncli.tasks.measurement import EvaluationOptions

        path = None if data is None else Path(data)
        return evaluate(self._run, EvaluationOptions(checkpoint, split, path, tta, scales=tuple(scales)), STDERR)

    def predict(
        self,
        images: Images,
        *,
        top: int = 3,
        threshold: float | None = None,
        tiles: bool = False,
        checkpoint: str = "best",
    ) -> list[dict[str, Any]]:
        """Return what the network says of images, an entry each, as `cnn predict --json` prints it.

        Args:
            images: Files and folders, or pixels: uint8 (number, height, width, channels), or without the last axis.
                Pixels of another size than the network's are resized as files are.
            top: Classes to name for each image.
            threshold: Detection: the score from which on an object counts; by default as `cnn predict` chooses it.
            tiles: Segmentation: whether each image is computed at its own size, in overlapping tiles.
            checkpoint: best, last, or a checkpoint's path.

        Raises:
            CnnError: If a path leads to nothing, or the pixels have another type or shape.
        """
        found = list(pictures_of(images))
        from cnncli.serving.predict import least_score, predict

        network = load_network(self._run, checkpoint, STDERR, tiles=tiles)
        least = least_score(network) if threshold is None else threshold
        return [file.to_json() for file in predict(network, found, top, least)]

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
        self, kind: FormatName = "keras", *, quantize: Quantization | None = None, checkpoint: str = "best"
    ) -> Path:
        """Write the network in a format under the run's `export/`, prove that it answers as the run does; return it.

        Args:
            kind: The format.
            quantize: How a LiteRT artifact is made smaller.
            checkpoint: best, last, or a checkpoint's path.

        Raises:
            CnnError: If the format cannot hold the network, its packages are missing, or it answers differently.
        """
        from cnncli.serving.wanted import Wanted

        (kept,) = export(self._run, Wanted((kind,), quantize, checkpoint), STDERR)
        return kept.path

    def show(self, kind: str, *, checkpoint: str = "best", **options: Unpack[ChoiceOptions]) -> Picture:
        """Return a picture of the network or of what it does, as `cnn show` draws it.

        Args:
            kind: kernels, activations, gradcam and so on: see `cnn show --help`.
            checkpoint: best, last, or a checkpoint's path.
            **options: What of it: image, index, split, layer, label, count.

        Raises:
            CnnError: If there is no such picture of this network.
        """
        from cnncli.tasks.pages import Choice

        subject = Subject(self.config, self._run, checkpoint)
        return draw(kind, subject, Choice(**options), STDERR)


def _ended(result: Result) -> Run:
    """Return a run that training has left; KeyboardInterrupt if a signal stopped it."""
    if result.signal is not None:
        raise KeyboardInterrupt(f"stopped after {result.epochs} epochs; Run({result.run!r}).resume() goes on")
    return Run(result.run)
