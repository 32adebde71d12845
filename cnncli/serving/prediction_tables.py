"""Files that hold the predictions for all images: CSV, numbers of objects, COCO's results."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from cnncli.datasets.pictures import Pictures
from cnncli.report.files import text_file, write_text
from cnncli.tasks.predictions import PredictedFile, PredictionsCsv

Add = Callable[[PredictedFile], None]
"""Writes what is predicted for one image."""


@contextmanager
def prediction_tables(
    csv: Path | None, counts: Path | None, coco: Path | None, pictures: Pictures, classes: Sequence[str]
) -> Iterator[list[Add]]:
    """Open those files that are wanted; each gets its name when all predictions are in it.

    Args:
        csv: File for a line of each prediction.
        counts: File for a line of each image, with the number of objects of each class.
        coco: File for the boxes as COCO's results.
        pictures: All images that will come, in their order.
        classes: Names of the classes.

    Raises:
        CnnError: If the disk refuses.
    """
    with ExitStack() as stack:
        adds = []
        if csv is not None:
            adds.append(stack.enter_context(_csv(csv)))
        if counts is not None:
            adds.append(stack.enter_context(_counts(counts, classes)))
        if coco is not None:
            adds.append(stack.enter_context(_coco(coco, pictures, classes)))
        yield adds


@contextmanager
def _csv(path: Path) -> Iterator[Add]:
    with text_file(path) as file:
        table = PredictionsCsv(file)
        yield table.add
        table.close()


@contextmanager
def _counts(path: Path, classes: Sequence[str]) -> Iterator[Add]:
    from cnncli.tasks.detection.counts import CountsCsv

    with text_file(path) as file:
        yield CountsCsv(file, classes).add


@contextmanager
def _coco(path: Path, pictures: Pictures, classes: Sequence[str]) -> Iterator[Add]:
    from cnncli.tasks.detection.coco_results import CocoResults

    with text_file(path) as file:
        results = CocoResults(file, [picture.name for picture in pictures], classes)
        yield results.add
        results.close()
        write_text(path.with_name(f"{path.stem}_images.json"), results.images_json())
