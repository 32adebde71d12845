"""Everything that classification shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cnncli.errors import CnnError, RunError
from cnncli.tasks.pages import Draw, EvaluatedSplit, Pages, Recalled, Score

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from matplotlib.figure import Figure

    from cnncli.files.form import Form
    from cnncli.report.html_material import Tile
    from cnncli.report.html_page import Section
    from cnncli.report.page import Page
    from cnncli.tasks.classification.html import ExamplePictures

    Logits = npt.NDArray[np.floating[Any]]

MOST_CLASSES = 20
"""Names that an error lists."""


class ClassificationPages(Pages):
    """Confusions, mistakes, calibration: what there is to see of predictions that are one class each."""

    @property
    def form(self) -> Form:
        """An evaluation with all that is shown of it."""
        from cnncli.tasks.classification.form import EVALUATION

        return EVALUATION

    def page(self, document: Mapping[str, Any], width: int | None = None) -> Page:
        """Return totals, scores of each class, and the confusion matrix."""
        from cnncli.tasks.classification.page import evaluation_page

        return evaluation_page(document, width)

    def score(self, outputs: Logits, classes: Sequence[str], label: str | None = None) -> Score:
        """Return the logit of a class: of the most probable one, or of that asked about."""
        import numpy as np

        probabilities = _probabilities(outputs)
        if label is None:
            asked = probabilities.argmax(axis=1)
        elif label in classes:
            asked = np.full(len(probabilities), classes.index(label))
        else:
            raise CnnError(f'there is no class "{label}"', f"The classes: {', '.join(classes[:MOST_CLASSES])}")
        names = [_name(classes, number) for number in asked.tolist()]
        verb = "predicted" if label is None else "asked about"
        shares = zip(names, probabilities[np.arange(len(asked)), asked].tolist(), strict=True)
        weights = np.eye(probabilities.shape[1], dtype=np.float32)[asked]
        return Score(weights, names, [f"{verb} {_percent(name, share)}" for name, share in shares])

    def ranking(self, outputs: Logits, classes: Sequence[str], most: int) -> list[tuple[str, float]]:
        """Return the most probable classes."""
        import numpy as np

        (probabilities,) = _probabilities(outputs)
        order = np.argsort(-probabilities, kind="stable")[:most]
        return [(_name(classes, i), float(probabilities[i])) for i in order.tolist()]

    def record(self, outputs: Logits) -> dict[str, npt.NDArray[Any]]:
        """Return the probabilities, float32 (examples, classes)."""
        return {"probabilities": _probabilities(outputs).astype("float32")}

    def recall(
        self, recorded: Mapping[str, npt.NDArray[Any]], truths: Sequence[str], classes: Sequence[str]
    ) -> list[Recalled]:
        """Return the most probable class of each example with its probability."""
        probabilities = recorded.get("probabilities")
        if probabilities is None or probabilities.ndim != 2 or len(probabilities) != len(truths):
            raise RunError(
                f"the recorded training holds no probabilities of {len(truths)} examples",
                "Remove the run's replay/: the rest of its report needs no recording.",
            )
        names = [_name(classes, number) for number in probabilities.argmax(axis=1).tolist()]
        found = zip(names, probabilities.max(axis=1).tolist(), truths, strict=True)
        return [Recalled(_percent(name, share), name == truth) for name, share, truth in found]

    def figures(self) -> dict[str, Draw]:
        """Return confusion matrix, galleries, and the invariance profile."""
        return {"confusion": _confusion, "mistakes": _mistakes, "hits": _hits, "invariance": _invariance}

    def sections(self) -> tuple[Section, ...]:
        """Return the sections from the scores of each class to the invariance profile."""
        from cnncli.tasks.classification.html import SECTIONS

        return SECTIONS

    def tiles(self, document: Mapping[str, Any]) -> Iterator[Tile]:
        """Yield accuracy and loss."""
        from cnncli.report.html_material import Tile
        from cnncli.report.numbers import full

        low, high = document["accuracy_interval"]
        where = f"95 % interval {100 * low:.2f} to {100 * high:.2f} %, {full(document['num_examples'])} examples"
        yield Tile(f"Accuracy on {document['split']}", f"{100 * document['accuracy']:.2f} %", where)
        yield Tile(f"Loss on {document['split']}", f"{document['loss']:.4f}", f"checkpoint {document['checkpoint']}")

    def pictures(self, evaluated: EvaluatedSplit) -> ExamplePictures:
        """Return examples of every confusion, mistakes and hits."""
        from cnncli.tasks.classification.html_images import example_pictures

        return example_pictures(evaluated)


def _probabilities(outputs: Logits) -> npt.NDArray[np.float64]:
    import numpy as np

    from cnncli.tasks.classification.evaluator import log_softmax

    return np.exp(log_softmax(outputs))


def _name(classes: Sequence[str], number: int) -> str:
    """Return a class's name; of outputs that no class belongs to, the number."""
    return classes[number] if number < len(classes) else str(number)


def _percent(name: str, share: float) -> str:
    return f"{name} ({100 * share:.1f} %)"


def _confusion(evaluated: EvaluatedSplit, _: int) -> Figure:
    from cnncli.tasks.classification.figures import confusion_figure

    document = evaluated.document
    return confusion_figure(document, f"{_examples(evaluated, document)}, accuracy {document['accuracy']:.4f}")


def _mistakes(evaluated: EvaluatedSplit, count: int) -> Figure:
    from cnncli.report.numbers import full
    from cnncli.tasks.classification.figures import gallery_figure, pictured
    from cnncli.tasks.classification.html_images import predictions_of
    from cnncli.tasks.classification.predictions import worst

    named = _checkpoint(evaluated)
    found = predictions_of(evaluated)
    wrong = sum(not prediction.is_right for prediction in found)
    if not wrong:
        raise CnnError(
            f"there are no mistakes to show: {named} classifies all {full(len(found))} examples of {evaluated.split} "
            "correctly",
            "Look at another split with --split, or at the right predictions: cnn show RUN hits.",
        )
    title = f"{named}: the most confident of {full(wrong)} mistakes on {evaluated.split}"
    return gallery_figure(pictured(evaluated.examples, worst(found, count)), title)


def _hits(evaluated: EvaluatedSplit, count: int) -> Figure:
    from cnncli.tasks.classification.figures import gallery_figure, pictured
    from cnncli.tasks.classification.html_images import predictions_of
    from cnncli.tasks.classification.predictions import best

    title = f"{_checkpoint(evaluated)}: the most confident right predictions on {evaluated.split}, class by class"
    found = best(predictions_of(evaluated), count)
    return gallery_figure(pictured(evaluated.examples, found), title)


def _invariance(evaluated: EvaluatedSplit, _: int) -> Figure:
    from cnncli.tasks.invariance_figure import invariance_figure

    return invariance_figure(evaluated.invariance, _examples(evaluated, evaluated.invariance))


def _examples(evaluated: EvaluatedSplit, document: Mapping[str, Any]) -> str:
    from cnncli.report.numbers import full

    measured = f"{full(document['num_examples'])} examples of {evaluated.split}"
    return f"{evaluated.run.name}, {document['checkpoint']}: {measured}"


def _checkpoint(evaluated: EvaluatedSplit) -> str:
    """Return what was measured; asking for it makes the predictions that the galleries read."""
    return f"{evaluated.run.name}, {evaluated.document['checkpoint']}"
