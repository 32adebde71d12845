"""Everything that segmentation shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cnncli.errors import CnnError, RunError
from cnncli.tasks.pages import Draw, EvaluatedSplit, LegendEntry, Pages, Recalled, Score

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from matplotlib.figure import Figure

    from cnncli.files.form import Form
    from cnncli.report.html_material import Tile
    from cnncli.report.html_page import Section
    from cnncli.report.page import Page
    from cnncli.tasks.segmentation.examples import SegmentedExample
    from cnncli.tasks.segmentation.html import ExamplePictures

    Logits = npt.NDArray[np.floating[Any]]

MOST_CLASSES = 20
"""Names that an error lists."""

_RIGHT = 0.9
"""Share of pixels from which a small picture of the replay counts as right."""


class SegmentationPages(Pages):
    """Scores of classes, confusions, masks laid over images."""

    @property
    def form(self) -> Form:
        """An evaluation with all that is shown of it."""
        from cnncli.tasks.segmentation.form import EVALUATION

        return EVALUATION

    def page(self, document: Mapping[str, Any], width: int | None = None) -> Page:  # noqa: ARG002 - no wide table
        """Return totals and the scores of each class."""
        from cnncli.tasks.segmentation.page import evaluation_page

        return evaluation_page(document)

    def score(self, outputs: Logits, classes: Sequence[str], label: str | None = None) -> Score:
        """Return the mean logit of a class over the pixels predicted to be of it: by default the largest class's."""
        import numpy as np

        predicted = outputs.argmax(axis=-1)
        if label is not None and label not in classes:
            raise CnnError(f'there is no class "{label}"', f"The classes: {', '.join(classes[:MOST_CLASSES])}")
        weights, names, captions = np.zeros(outputs.shape, np.float32), [], []
        for row, plane in enumerate(predicted):
            counts = np.bincount(plane.ravel(), minlength=outputs.shape[-1])
            asked = int(counts.argmax()) if label is None else classes.index(label)
            where = plane == asked if counts[asked] else np.ones_like(plane, bool)
            weights[row, ..., asked] = where / where.sum()
            names.append(classes[asked])
            captions.append(f"{classes[asked]}: {100 * counts[asked] / plane.size:.1f} % of the pixels")
        return Score(weights, names, captions)

    def record(self, outputs: Logits) -> dict[str, npt.NDArray[Any]]:
        """Return the class of each place, uint8 (examples, rows, columns)."""
        return {"masks": outputs.argmax(axis=-1).astype("uint8")}

    def recall(
        self, recorded: Mapping[str, npt.NDArray[Any]], truths: Sequence[str], classes: Sequence[str]
    ) -> list[Recalled]:
        """Return the largest class of each example, right where it is the truth's largest."""
        import numpy as np

        masks = recorded.get("masks")
        if masks is None or masks.ndim != 3 or len(masks) != len(truths):
            raise RunError(
                f"the recorded training holds no masks of {len(truths)} examples",
                "Remove the run's replay/: the rest of its report needs no recording.",
            )
        found = []
        for mask, truth in zip(masks, truths, strict=True):
            counts = np.bincount(mask.ravel(), minlength=len(classes))
            name = classes[int(counts.argmax())]
            found.append(Recalled(f"{name} {100 * counts.max() / mask.size:.0f} %", truth.startswith(name)))
        return found

    def laid_over(
        self, images: npt.NDArray[Any], targets: npt.NDArray[Any], classes: Sequence[str]
    ) -> tuple[npt.NDArray[Any], list[LegendEntry]]:
        """Return images with their masks laid over them, and the colours of the classes that are in these."""
        import numpy as np

        from cnncli.tasks.colours import colour_legend, overlaid

        shape = targets.shape[:-2]
        laid = np.empty((*targets.shape, 3), np.uint8)
        for place in np.ndindex(shape):
            laid[place] = overlaid(images[place], targets[place], len(classes), share=0.4)
        return laid, colour_legend(targets[targets < len(classes)], classes)

    def progress_picture(
        self, images: npt.NDArray[Any], targets: npt.NDArray[Any], outputs: Any, classes: Sequence[str]
    ) -> npt.NDArray[Any]:
        """Return each image, its mask and the prediction side by side."""
        from cnncli.tasks.segmentation.progress_picture import progress_picture

        return progress_picture(images, targets, outputs, len(classes))

    def figures(self) -> dict[str, Draw]:
        """Return confusion matrix, examples with their masks, and how uncertain predictions are."""
        return {"confusion": _confusion, "masks": _masks, "worst": _worst, "uncertainty": _uncertainty}

    def sections(self) -> tuple[Section, ...]:
        """Return the sections from the scores of each class to the calibration."""
        from cnncli.tasks.segmentation.html import SECTIONS

        return SECTIONS

    def pictures(self, evaluated: EvaluatedSplit) -> ExamplePictures:
        """Return examples with their masks laid over them."""
        from cnncli.tasks.segmentation.html_images import example_pictures

        return example_pictures(evaluated)

    def tiles(self, document: Mapping[str, Any]) -> Iterator[Tile]:
        """Yield mean IoU, pixel accuracy, loss, and the Dice coefficient where there are two classes."""
        from cnncli.report.html_material import Tile
        from cnncli.report.numbers import full

        low, high = document["mean_iou_interval"]
        where = f"95 % interval {100 * low:.2f} to {100 * high:.2f} %, {full(document['num_examples'])} images"
        yield Tile(f"Mean IoU on {document['split']}", f"{100 * document['mean_iou']:.2f} %", where)
        accuracy = f"{100 * document['pixel_accuracy']:.2f} %"
        yield Tile(f"Pixel accuracy on {document['split']}", accuracy, f"{full(document['num_pixels'])} pixels")
        if document.get("dice") is not None:
            error = document.get("adapted_rand_error")
            of_objects = "over all pixels" if error is None else f"adapted Rand error of its objects {error:.4f}"
            yield Tile(
                f"Dice of {document['foreground']} on {document['split']}", f"{document['dice']:.4f}", of_objects
            )
        yield Tile(f"Loss on {document['split']}", f"{document['loss']:.4f}", f"checkpoint {document['checkpoint']}")


def _confusion(evaluated: EvaluatedSplit, _: int) -> Figure:
    from cnncli.tasks.segmentation.figures import confusion_figure

    return confusion_figure(evaluated)


def _masks(evaluated: EvaluatedSplit, count: int) -> Figure:
    from cnncli.tasks.segmentation.figures import masks_figure

    examples, named = _examples(evaluated, count), _named(evaluated)
    return masks_figure(examples, evaluated.document["classes"], f"{named}: the first examples of {evaluated.split}")


def _worst(evaluated: EvaluatedSplit, count: int) -> Figure:
    from cnncli.tasks.segmentation.examples import image_ious, segmented, worst
    from cnncli.tasks.segmentation.figures import masks_figure

    named, ious = _named(evaluated), image_ious(evaluated)
    examples = list(segmented(evaluated, worst(ious, count), ious))
    return masks_figure(
        examples, evaluated.document["classes"], f"{named}: the lowest IoU of the images of {evaluated.split}"
    )


def _uncertainty(evaluated: EvaluatedSplit, count: int) -> Figure:
    from cnncli.tasks.segmentation.figures import uncertainty_figure

    examples, named = _examples(evaluated, count), _named(evaluated)
    return uncertainty_figure(
        examples, evaluated.document["classes"], f"{named}: how uncertain predictions on {evaluated.split} are"
    )


def _examples(evaluated: EvaluatedSplit, count: int) -> list[SegmentedExample]:
    from cnncli.tasks.segmentation.examples import image_ious, segmented

    ious = image_ious(evaluated)
    return list(segmented(evaluated, range(min(count, len(ious))), ious))


def _named(evaluated: EvaluatedSplit) -> str:
    """Return what was measured; asking for it makes the predictions that the galleries read."""
    return f"{evaluated.run.name}, {evaluated.document['checkpoint']}"
