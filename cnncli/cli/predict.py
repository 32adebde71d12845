"""`cnn predict`: what a run's network says of images."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cnncli.api.prediction import load_network
from cnncli.cli.console import (
    Count,
    err,
    out,
    print_json_list,
    print_line,
    print_note,
    print_page,
    telling,
)
from cnncli.cli.moved import MovedSet, moved_path
from cnncli.cli.options import CheckpointOption, Json, RunOrArtifact, RunsDir, Trust
from cnncli.cli.terminal import TERMINAL

if TYPE_CHECKING:
    from cnncli.serving.predict import Network
    from cnncli.serving.prediction_files import Kind
    from cnncli.tasks.detection.counts import ObjectCounts
    from cnncli.tasks.predictions import PredictedFile

MOST_DRAWN = 4
MOST_NAMED = 10
"""Classes in the legend of a small image."""
MOST_NOTED = 10
MOST_TOGETHER = 1000
"""Files in one table; of a larger folder, the next table follows when it is known."""
MOST_CLASSES = 5
"""Classes whose thresholds are told one by one."""

_NEEDED = {
    "--masks": "reads_masks",
    "--tiles": "reads_masks",
    "--overlays": "has_places",
    "--threshold": "reads_boxes",
    "--counts": "reads_boxes",
    "--coco": "reads_boxes",
    "--yolo": "reads_boxes",
}
"""By option that is not for every task: what is true of those that it is for."""


def predict_cli(
    run: RunOrArtifact,
    files: Annotated[
        list[str], typer.Argument(metavar="FILE…", help="Image files, folders, 'patterns*.png', or - for stdin.")
    ],
    top: Annotated[int, typer.Option(min=1, help="Number of classes to list for each image.")] = 3,
    csv: Annotated[Path | None, typer.Option(help="Also write the predictions to this file.")] = None,
    masks: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Segmentation: write each image's mask into this folder, a PNG file of class numbers in the image's "
            "size, named like the image. classes.csv names the classes.",
        ),
    ] = None,
    overlays: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Segmentation and detection: write each image, with the classes' colours laid over it or the boxes "
            "drawn on it, into this folder. classes.csv names the colours.",
        ),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            metavar="SCORE",
            min=0,
            max=1,
            help="Detection: the score from which on an object counts. By default that of each class with the highest "
            "F1, if `cnn eval --split validation` has measured it; otherwise 0.3.",
        ),
    ] = None,
    counts: Annotated[
        Path | None,
        typer.Option(
            metavar="CSV", help="Detection: also write the number of objects of each class in each image to this file."
        ),
    ] = None,
    coco: Annotated[
        Path | None,
        typer.Option(
            metavar="JSON",
            help="Detection: also write the boxes to this file, as results of COCO; the numbers of images and classes "
            "into a file beside it, NAME_images.json. For AP add --threshold 0.",
        ),
    ] = None,
    yolo: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Detection: write each image's boxes as YOLO's lines, with scores, into the folder labels of this "
            "one; data.yaml names the classes.",
        ),
    ] = None,
    tiles: Annotated[
        bool,
        typer.Option(
            "--tiles",
            help="Segmentation: compute each image at its own size, in overlapping tiles, instead of resizing it to "
            "the network's input: for images larger than that, of objects as large as those of training.",
        ),
    ] = False,
    checkpoint: CheckpointOption = "best",
    draw: Annotated[
        bool | None,
        typer.Option("--draw/--no-draw", help="Show small images in the terminal; by default the first few."),
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="As for the other commands; predicting does not need the run's examples.")
    ] = None,
    sets: MovedSet = None,
    trust: Trust = False,
    runs_dir: RunsDir = Path("runs"),
    as_json: Json = False,
) -> None:
    """Predict for images with a run's network; warn about those unlike the training images.

    Example: cnn predict latest photo.jpg photos/ --top 5 --csv predictions.csv
    Example: cnn predict latest photos/ --masks masks/ --overlays overlays/
    Example: cnn predict latest frames/ --overlays drawn/ --counts counts.csv --threshold 0.4
    Example: find . -name '*.png' | cnn predict latest -
    """
    from cnncli.datasets.pictures import pictures

    moved_path(data, sets)
    with telling("listing the files"):
        named = pictures(files, sys.stdin.buffer)
    network = _network(run, runs_dir, checkpoint, trust, tiles)
    asked = {"--masks": masks, "--overlays": overlays, "--counts": counts, "--coco": coco, "--yolo": yolo}
    _require_task(network.task, {**asked, "--threshold": threshold})
    _note_missing_detector(network)
    least = _threshold(network, threshold)
    from cnncli.serving.predict import predict
    from cnncli.serving.prediction_files import PredictionFiles
    from cnncli.serving.prediction_tables import prediction_tables

    draw = draw or (draw is None and not as_json and out().is_terminal and len(named) <= MOST_DRAWN)
    notes, count = _Notes(), Count("predicting", "predicted")
    with ExitStack() as stack:
        stack.callback(count.hide)
        found = predict(network, named, top, least, thumbnails=draw)
        every: dict[Kind, Path | None] = {"mask": masks, "overlay": overlays, "labels": yolo}
        folders = {kind: folder for kind, folder in every.items() if folder is not None}
        if folders:
            found = PredictionFiles(network.task, named, folders).written(named, found)
        found = _counted(found, len(named), count)
        tables = stack.enter_context(prediction_tables(csv, counts, coco, named, network.classes))
        total = _object_counts(network)
        found = _heard(found, [*tables, *([] if total is None else [total.add])])
        if as_json:
            print_json_list(file.to_json() for part in _parts(found, count) for file in notes.heard(part))
            count.hide()
        else:
            for part in _parts(found, count):
                _print([file for file in part if file.error is None], network.task, draw)
                notes.heard(part)
                notes.print()
            _print_counts(total)
    notes.print()
    notes.print_rest()
    if notes.num_errors:
        raise typer.Exit(1)


def _parts(found: Iterator[PredictedFile], count: Count) -> Iterator[list[PredictedFile]]:
    """Yield the files in parts that are shown together, without the bar."""
    while part := list(islice(found, MOST_TOGETHER)):
        count.hide()
        yield part


def _counted(found: Iterable[PredictedFile], total: int, count: Count) -> Iterator[PredictedFile]:
    for number, file in enumerate(found, 1):
        yield file
        count(number, total)


def _heard(
    found: Iterable[PredictedFile], listeners: Sequence[Callable[[PredictedFile], None]]
) -> Iterator[PredictedFile]:
    for file in found:
        for hear in listeners:
            hear(file)
        yield file


def _network(reference: str, runs_dir: Path, checkpoint: str, trust: bool, tiles: bool) -> Network:
    """Return what a reference means: a run's network or an exported one; only a run's computes tiles."""
    from cnncli.errors import CnnError
    from cnncli.serving.kinds import kind_of

    if kind_of(Path(reference)) is not None:
        if tiles:
            raise CnnError(
                "--tiles requires a run: an exported network reads images of one size", "Give the run it was made of."
            )
        from cnncli.cli.artifact import open_artifact
        from cnncli.serving.predict import ArtifactNetwork

        with telling(f"loading {reference}"):
            return ArtifactNetwork(open_artifact(Path(reference), trust=trust))
    from cnncli.runs.find import find

    run = find(reference, runs_dir)
    if tiles:
        _require_task(run.config().task, {"--tiles": tiles})
    return load_network(run, checkpoint, TERMINAL, tiles=tiles)


def _require_task(task: str, asked: Mapping[str, object]) -> None:
    """Refuse an option that is given but not for the task."""
    from cnncli.config.schema.tasks import TASKS
    from cnncli.errors import CnnError

    for option, value in asked.items():
        able = [name for name, spec in TASKS.items() if getattr(spec, _NEEDED[option])]
        if value is not None and task not in able:
            raise CnnError(
                f"{option} is for {' and '.join(able)}; this network was trained for {task}", "Leave the option out."
            )


def _threshold(network: Network, given: float | None) -> float | Sequence[float]:
    """Return the score from which on an object counts, of all classes or of each; say it where nobody chose it."""
    from cnncli.config.schema.tasks import TASKS
    from cnncli.serving.predict import least_score

    least = least_score(network) if given is None else given
    if given is not None or not TASKS[network.task].reads_boxes:
        return least
    if isinstance(least, float):
        print_note(f"objects count from a score of {least:g} (cnn help detection; --threshold sets another)")
        return least
    scores = [f"{score:.2f}" for score in least]
    by_class = ", ".join(f"{score} {name}" for name, score in zip(network.classes, scores, strict=True))
    told = by_class if len(scores) <= MOST_CLASSES else f"{min(scores)} to {max(scores)}, by class"
    print_note(f"objects count from the score with the highest F1 on the validation split: {told}")
    return least


def _object_counts(network: Network) -> ObjectCounts | None:
    """Return what counts objects, for a network that finds some."""
    from cnncli.config.schema.tasks import TASKS

    if not TASKS[network.task].reads_boxes:
        return None
    from cnncli.tasks.detection.counts import ObjectCounts

    return ObjectCounts(network.classes)


def _print_counts(counts: ObjectCounts | None) -> None:
    """Print the objects of all images together, where there are several."""
    from cnncli.report.page import Page

    if counts is not None and counts.num_images > 1:
        print_line("")
        print_page(Page((counts.table(),)))


def _note_missing_detector(network: Network) -> None:
    """Say so where images unlike those of training cannot be told, though they could be for such a task."""
    from cnncli.tasks.task import get_task

    if network.detector is not None or not get_task(network.task).detects_ood:
        return
    first = "no warnings about images unlike the training images: this checkpoint has no thresholds for them"
    print_note(f"{first} (cnn help unlike-images)")


def _print(files: Sequence[PredictedFile], task: str, draw: bool) -> None:
    if not files:
        return
    from cnncli.report.half_blocks import picture
    from cnncli.report.page import Page
    from cnncli.tasks.predictions import predictions_table

    if draw:
        for file in files:
            out().print(picture(file.pixels, out()))
            _print_legend(file, task)
            out().print(file.file, markup=False, soft_wrap=True)
            out().print()
    print_page(Page((predictions_table(files),)))


def _print_legend(file: PredictedFile, task: str) -> None:
    """Print the colour of each class that is laid over an image, where the terminal has colours."""
    from rich.text import Text

    from cnncli.tasks.task import get_task

    drawing = None if file.prediction is None else get_task(task).drawing(file.prediction)
    if drawing is None or out().color_system is None or out().no_color:
        return
    legend = [(f"■ {name}", f"rgb({red},{green},{blue})") for name, (red, green, blue) in drawing.legend()]
    out().print(Text("  ").join(Text(text, style) for text, style in legend[:MOST_NAMED]))


class _Notes:
    """What is told on stderr: files that could not be read, and files that look unlike the training images."""

    def __init__(self) -> None:
        self.num_errors = 0
        self._num_unusual = 0
        self._waiting: list[tuple[str, str]] = []

    def heard(self, files: Sequence[PredictedFile]) -> Sequence[PredictedFile]:
        """Take notice of files, and return them."""
        bad = [file for file in files if file.error is not None]
        unusual = [file for file in files if file.doubts]
        noted = unusual[: max(0, MOST_NOTED - self._num_unusual)]
        self._waiting += [(f"error: {file.file}: {file.error}", "red") for file in bad]
        self._waiting += [(f"warning: {file.file}: {'; '.join(file.doubts)}", "yellow") for file in noted]
        self.num_errors += len(bad)
        self._num_unusual += len(unusual)
        return files

    def print(self) -> None:
        """Print what has been noticed since the last time."""
        for text, style in self._waiting:
            err().print(text, style=style, markup=False, soft_wrap=True)
        self._waiting.clear()

    def print_rest(self) -> None:
        """Print how many warnings there were besides."""
        if self._num_unusual > MOST_NOTED:
            print_note(f"… and {self._num_unusual - MOST_NOTED:,} more files look unlike the training images")
