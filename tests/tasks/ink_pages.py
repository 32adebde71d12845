"""What a throw-away task shows, and its paired test: what `pages.py` and a test's file hold in cnncli/tasks/<task>/."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from cnncli.report.html import Html, element, section
from cnncli.report.html_material import Material, Tile
from cnncli.report.html_page import Section
from cnncli.report.page import Page, Title
from cnncli.tasks.pages import EvaluatedSplit, Pages, Recalled, Score


class SignTest(NamedTuple):
    """How often each of two runs was nearer."""

    first: int
    second: int
    name: str = "sign_test"
    title: str = "Sign test"
    remark: str = "p is a coin's"

    def cells(self) -> dict[str, str]:
        """Return the counts."""
        return {"1st nearer": str(self.first), "2nd nearer": str(self.second)}

    def to_json(self) -> dict[str, Any]:
        """Return the counts."""
        return {"first_nearer": self.first, "second_nearer": self.second}


def draw_scatter(evaluated: EvaluatedSplit, count: int) -> Any:
    """Draw so many predictions over the truth."""
    from cnncli.report.figures import new_figure

    lines = evaluated.predictions_file.read_text(encoding="utf-8").splitlines()
    figure = new_figure(4, 4, f"{evaluated.document['num_examples']} examples of {evaluated.split}")
    figure.subplots().plot([float(line.split(",")[2]) for line in lines[1 : count + 1]])
    return figure


class InkPages(Pages):
    """What there is to see of numbers."""

    def page(self, document: Mapping[str, Any], width: int | None = None) -> Page:
        """Return the error."""
        return Page((Title(f"mean absolute error {document['mean_absolute_error']:.4f} on {document['split']}"),))

    def score(self, outputs: np.ndarray, classes: Sequence[str], label: str | None = None) -> Score:
        """Return the number itself."""
        return Score(
            np.ones_like(outputs), ["ink"] * len(outputs), [f"predicted {value:.2f}" for value in outputs[:, 0]]
        )

    def record(self, outputs: np.ndarray) -> dict[str, np.ndarray]:
        """Return the numbers."""
        return {"ink": outputs[:, 0]}

    def recall(self, recorded: Mapping[str, Any], truths: Sequence[str], classes: Sequence[str]) -> list[Recalled]:
        """Return the numbers, right where they round to the truth."""
        return [Recalled(f"{v:.2f} ink", f"{v:.2f}" == t) for v, t in zip(recorded["ink"], truths, strict=True)]

    def figures(self) -> dict[str, Any]:
        """Return a plot."""
        return {"scatter": draw_scatter}

    def sections(self) -> tuple[Section, ...]:
        """Return what `pictures` found, as a section with data for a script."""

        def make(material: Material) -> Html:
            return section("ink", "Ink", element("p", f"{material.pictures.examples} images with ink"))

        return (Section("ink", "Ink", make, lambda material: {"ink": material.pictures.examples}),)

    def tiles(self, document: Mapping[str, Any]) -> Iterator[Tile]:
        """Yield the error."""
        yield Tile("Mean absolute error", f"{document['mean_absolute_error']:.4f}", "of the share that is ink")

    def pictures(self, evaluated: EvaluatedSplit) -> int:
        """Return the number of examples."""
        return len(evaluated.examples)
