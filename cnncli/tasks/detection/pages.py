"""Everything that detection shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cnncli.errors import CnnError, RunError
from cnncli.tasks.pages import Draw, EvaluatedSplit, LegendEntry, Pages, Recalled, Score

if TYPE_CHECKING:
    import numpy.typing as npt
    from matplotlib.figure import Figure

    from cnncli.datasets.splits import Split
    from cnncli.files.form import Form
    from cnncli.report.html_material import Image, Tile
    from cnncli.report.html_page import Section
    from cnncli.report.page import Page
    from cnncli.tasks.detection.html import ExamplePictures

MOST_HEATMAPS = 12
"""Images whose heatmap is drawn."""

MOST_CLASSES = 20
"""Names that an error lists."""


class DetectionPages(Pages):
    """Scores of classes, counting, confusions, boxes on images.

    Args:
        nms: How boxes that overlap are suppressed: as the config's `model.nms`.
    """

    def __init__(self, nms: str = "none") -> None:
        self._nms = nms

    @property
    def form(self) -> Form:
        """An evaluation with all that is shown of it."""
        from cnncli.tasks.detection.form import EVALUATION

        return EVALUATION

    def page(self, document: Mapping[str, Any], width: int | None = None) -> Page:  # noqa: ARG002 - no wide table
        """Return totals, the scores of each class, and how well it is counted."""
        from cnncli.tasks.detection.page import evaluation_page

        return evaluation_page(document)

    def score(self, outputs: Any, classes: Sequence[str], label: str | None = None) -> Score:
        """Return the logit of the cell with the highest one of a class: by default the highest of all.

        Args:
            outputs: Logits by the names of the outputs; the weights of the sum have the same names.
            classes: Names of the classes.
            label: Name of the class to explain.

        Raises:
            CnnError: If there is no such class.
        """
        import numpy as np

        from cnncli.config.schema.tasks.detection import HEATMAP
        from cnncli.tasks.detection.decoding import sigmoid

        if label is not None and label not in classes:
            raise CnnError(f'there is no class "{label}"', f"The classes: {', '.join(classes[:MOST_CLASSES])}")
        weights = {name: np.zeros(np.shape(values), np.float32) for name, values in outputs.items()}
        planes = {name: np.array(values, np.float32) for name, values in outputs.items() if name.startswith(HEATMAP)}
        if label is not None:
            for plane in planes.values():
                plane[..., np.arange(len(classes)) != classes.index(label)] = -np.inf
        names, captions = [], []
        for row in range(len(next(iter(planes.values())))):
            name, plane = max(((name, plane[row]) for name, plane in planes.items()), key=lambda pair: pair[1].max())
            i, j, number = map(int, np.unravel_index(int(plane.argmax()), plane.shape))
            weights[name][row, i, j, number] = 1
            names.append(classes[number])
            captions.append(f"{names[-1]}: score {float(sigmoid(plane[i, j, number])):.2f}")
        return Score(weights, names, captions)

    def record(self, outputs: Any) -> dict[str, npt.NDArray[Any]]:
        """Return the number of objects of each class that are detected, int64 (examples, classes)."""
        import numpy as np

        from cnncli.tasks.detection.decoding import peaks, scales, sigmoid
        from cnncli.tasks.predictions import LEAST_SCORE

        counts = [(sigmoid(peaks(scale.heatmap)) >= LEAST_SCORE).sum(axis=(1, 2)) for scale in scales(outputs)]
        return {"counts": np.sum(counts, axis=0).astype(np.int64)}

    def recall(
        self, recorded: Mapping[str, npt.NDArray[Any]], truths: Sequence[str], classes: Sequence[str]
    ) -> list[Recalled]:
        """Return the number of objects of each class, right where all numbers are the truth's."""
        import numpy as np

        from cnncli.plural import counted

        counts = recorded.get("counts")
        if counts is None or counts.shape != (len(truths), len(classes)):
            raise RunError(
                f"the recorded training holds no counts of {len(truths)} examples",
                "Remove the run's replay/: the rest of its report needs no recording.",
            )
        found = []
        for row, truth in zip(counts, truths, strict=True):
            order = np.argsort(-row, kind="stable").tolist()
            parts = [f"{row[label]} {classes[label]}" for label in order if row[label]]
            found.append(Recalled(", ".join(parts) or counted(0, "object"), sorted(parts) == sorted(_parts(truth))))
        return found

    def laid_over(
        self, images: npt.NDArray[Any], targets: npt.NDArray[Any], classes: Sequence[str]
    ) -> tuple[npt.NDArray[Any], list[LegendEntry]]:
        """Return images with their objects drawn on them, and the colours of the classes that are in these."""
        import numpy as np

        from cnncli.tasks.colours import class_colours
        from cnncli.tasks.detection.marks import drawn
        from cnncli.tasks.detection.progress_picture import object_marks

        shape = targets.shape[:-2]
        laid = np.empty((*images.shape[:-1], 3), np.uint8)
        for place in np.ndindex(shape):
            laid[place] = drawn(images[place], object_marks(targets[place], len(classes)), least_side=1)
        colours = class_colours(len(classes)).tolist()
        labels = np.unique(targets[..., 4]).astype(np.int64).tolist()
        return laid, [(classes[label], (*colours[label],)) for label in labels if label >= 0]

    def progress_picture(
        self, images: npt.NDArray[Any], targets: npt.NDArray[Any], outputs: Any, classes: Sequence[str]
    ) -> npt.NDArray[Any]:
        """Return each image with its objects, and with what is detected, side by side."""
        from cnncli.tasks.detection.progress_picture import progress_picture

        return progress_picture(images, targets, outputs, len(classes), self._nms)

    def figures(self) -> dict[str, Draw]:
        """Return confusion matrix, precision against recall, and examples with their boxes and heatmaps."""
        return {
            "confusion": _confusion,
            "precision_recall": _curves,
            "boxes": _boxes,
            "worst": _worst,
            "heatmap": _heatmap,
        }

    def sections(self) -> tuple[Section, ...]:
        """Return the sections from the scores of each class to the examples."""
        from cnncli.tasks.detection.html import SECTIONS

        return SECTIONS

    def pictures(self, evaluated: EvaluatedSplit) -> ExamplePictures:
        """Return examples with their boxes."""
        from cnncli.tasks.detection.html_images import example_pictures

        return example_pictures(evaluated)

    def labels(self, split: Split, classes: Sequence[str]) -> Image:
        """Return where the objects are, how large, and how many of each class."""
        from cnncli.tasks.detection.html_images import label_picture

        return label_picture(split, tuple(classes))

    def tiles(self, document: Mapping[str, Any]) -> Iterator[Tile]:
        """Yield AP50, AP and loss."""
        from cnncli.report.html_material import Tile
        from cnncli.report.numbers import full

        images = f"{full(document['num_examples'])} images"
        interval = document["ap50_interval"]
        certain = "" if interval is None else "95 % interval {:.4f} to {:.4f}, ".format(*interval)
        split = document["split"]
        yield Tile(f"AP50 on {split}", _score(document["ap50"]), certain + images)
        yield Tile(
            f"AP on {split}", _score(document["ap"]), f"{full(document['num_objects'])} objects, IoU 0.5 to 0.95"
        )
        if document["loss"] is not None:
            yield Tile(f"Loss on {split}", _score(document["loss"]), f"checkpoint {document['checkpoint']}")


def _parts(truth: str) -> list[str]:
    return truth.split(", ") if truth[:2] != "0 " else []


def _score(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _confusion(evaluated: EvaluatedSplit, _: int) -> Figure:
    from cnncli.tasks.detection.figures import confusion_figure

    return confusion_figure(evaluated)


def _curves(evaluated: EvaluatedSplit, _: int) -> Figure:
    from cnncli.tasks.detection.figures import precision_recall_figure

    return precision_recall_figure(evaluated)


def _boxes(evaluated: EvaluatedSplit, count: int) -> Figure:
    from cnncli.tasks.detection.examples import DetectedSplit
    from cnncli.tasks.detection.figures import boxes_figure

    named = _named(evaluated)
    split = DetectedSplit(evaluated)
    shown = list(split.at(range(min(count, len(split)))))
    return boxes_figure(shown, f"{named}: the first examples of {evaluated.split}")


def _worst(evaluated: EvaluatedSplit, count: int) -> Figure:
    from cnncli.tasks.detection.examples import DetectedSplit
    from cnncli.tasks.detection.figures import boxes_figure

    named = _named(evaluated)
    split = DetectedSplit(evaluated)
    return boxes_figure(
        list(split.at(split.worst(count))), f"{named}: the lowest F1 of the images of {evaluated.split}"
    )


def _heatmap(evaluated: EvaluatedSplit, count: int) -> Figure:
    from cnncli.tasks.detection.heatmap import heat_examples, heatmap_figure

    named = _named(evaluated)
    rows = range(min(count, MOST_HEATMAPS, len(evaluated.examples)))
    found = heat_examples(evaluated, rows)
    title = f"{named}: objects and heatmap of the first examples of {evaluated.split}"
    return heatmap_figure(found, evaluated.document["classes"], title)


def _named(evaluated: EvaluatedSplit) -> str:
    """Return what was measured; asking for it makes the predictions that the galleries read."""
    return f"{evaluated.run.name}, {evaluated.document['checkpoint']}"
