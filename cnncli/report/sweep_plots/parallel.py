"""Parallel coordinates: a line a trial, through its value of every key and every objective."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cnncli.report.figures import shortened
from cnncli.report.html import Html, element, scrolling
from cnncli.report.html_chart import path, short
from cnncli.report.key_names import short_names
from cnncli.report.sweep_plots.axis import Axis
from cnncli.report.sweep_plots.marks import shades
from cnncli.sweeps.landscape import Landscape, Variable

GAP, SIDE = 112, 66
"""Pixels between two axes, and beside the outer ones."""
TOP, BOTTOM, HEIGHT = 48, 332, 366
"""Where the axes begin and end, and the height of the picture."""
TITLES = (34, 16)
"""Where the titles of every other axis stand, so that neighbours do not overlap."""
ABSENT = 352
"""Where a key lies that a trial does not have."""
LONGEST = 20
"""Characters of an axis's title, and of a choice."""
ORDER = ("refused", "failed", "pruned", "done")
"""States whose lines are drawn one over the other; of the others there is nothing to draw yet."""


@dataclass(frozen=True)
class _Column:
    """An axis of the picture, the variable on it, and its number from the left."""

    variable: Variable
    axis: Axis
    index: int

    @property
    def x(self) -> float:
        """Where it stands."""
        return SIDE + GAP * self.index

    def place(self, number: int) -> tuple[float, float]:
        """Return where a trial's line crosses the axis."""
        if number not in self.variable.values:
            return self.x, ABSENT
        return self.x, BOTTOM - self.axis.place(self.variable.values[number]) * (BOTTOM - TOP)


def parallel_plot(shown: Landscape) -> Html:
    """Return the plot as wide as it needs to be, in a box that scrolls by itself.

    Colours tell how good the first objective is. A key that a trial does not have lies below its axis; the line of a
    trial without a result ends before the objectives.
    """
    names = short_names([key.name for key in shown.keys])
    titles = [names[key.name] for key in shown.keys]
    titles += [f"{each.name} ({each.direction})" for each in shown.objectives]
    columns = [
        _Column(variable, Axis.of(variable, title), index)
        for index, (variable, title) in enumerate(zip((*shown.keys, *shown.objectives), titles, strict=True))
    ]
    width = 2 * SIDE + GAP * (len(columns) - 1)
    picture = element(
        "svg",
        list(_lines(shown, columns)),
        [part for column in columns for part in _axis(column, shown)],
        viewBox=f"0 0 {width} {HEIGHT}",
        role="img",
        aria_label=f"{len(shown.found.trials)} trials as lines over {', '.join(titles)}",
        class_="parallel lines",
        style=f"min-width:{width}px;max-width:{1.3 * width:.0f}px",
    )
    return scrolling(picture, "Trials as lines")


def _lines(shown: Landscape, columns: Sequence[_Column]) -> Iterator[Html]:
    """Yield the lines, the best trials last, so that they lie on top."""
    first = shown.objectives[0]
    ranked = sorted(shown.done, key=first.score)
    colours, place = shades(ranked), {number: place for place, number in enumerate(ranked)}
    trials = [trial for trial in shown.found.trials if trial.state in ORDER]
    for trial in sorted(trials, key=lambda each: (ORDER.index(each.state), place.get(each.proposal.number, 0))):
        number = trial.proposal.number
        reached = [each for each in columns if each.variable.direction is None or number in each.variable.values]
        points = path([column.place(number) for column in reached])
        best = " best" if number in shown.found.best else ""
        kind = f"done {colours[number]}{best}" if trial.state == "done" else trial.state
        # The wide line cannot be seen: it is what a pointer hits.
        lines = element("polyline", points=points, class_="hit"), element("polyline", points=points, class_="line")
        yield element("g", *lines, class_=kind, data_trial=number)


def _axis(column: _Column, shown: Landscape) -> Iterator[Html]:
    x = short(column.x)
    yield element("line", x1=x, x2=x, y1=TOP, y2=BOTTOM, class_="axis")
    for tick in column.axis.ticks(5, LONGEST):
        y = BOTTOM - tick.place * (BOTTOM - TOP)
        yield element("line", x1=short(column.x - 4), x2=x, y1=short(y), y2=short(y), class_="axis")
        yield element("text", tick.text, x=short(column.x - 7), y=short(y + 4), text_anchor="end")
    if column.variable.direction is None and len(column.variable.values) < len(shown.found.trials):
        yield element("text", "absent", x=short(column.x - 7), y=ABSENT + 4, text_anchor="end")
    yield element(
        "text",
        shortened(column.axis.title, LONGEST),
        x=x,
        y=TITLES[column.index % 2],
        text_anchor="middle",
        class_="name",
    )
