"""A plot of one variable of a sweep against another: a dot a trial."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from cnncli.report.html import Html, element
from cnncli.report.html_chart import BOTTOM, HEIGHT, RIGHT, TOP, WIDTH, path, short
from cnncli.report.sweep_plots.axis import Axis, aside
from cnncli.report.sweep_plots.marks import NO_RESULT, sign
from cnncli.sweeps.landscape import Landscape, Variable

LEFT = 74
"""Where the y axis stands: room for 1.25 M and the axis's name."""
STRIP = 18
"""Height of the strip above the x axis for trials without a value."""
ROOM = 42
"""Characters for the names of all choices below an axis; where there are more, every name is cut."""


@dataclass(frozen=True)
class Scatter:
    """What is plotted.

    Attributes:
        title: The plot's title.
        x: Axis to the right.
        y: Axis upwards.
        across: The variable on the x axis.
        up: The variable on the y axis.
        shades: Class of the colour of each trial that is done.
        lines: (class, points): lines in values of both variables.
        strong: Numbers of trials with larger dots.
    """

    title: str
    x: Axis
    y: Axis
    across: Variable
    up: Variable
    shades: Mapping[int, str]
    lines: Sequence[tuple[str, Sequence[tuple[float, float]]]] = ()
    strong: Sequence[int] = ()


def stairs(points: Sequence[tuple[float, float]], early: bool = False) -> list[tuple[float, float]]:
    """Return the corners of steps through points from left to right.

    Args:
        points: The points.
        early: Whether the line takes the next point's height where it leaves a point, instead of where it reaches the
            next.
    """
    corners = list(points[:1])
    for before, after in pairwise(points):
        corners += [(before[0], after[1]) if early else (after[0], before[1]), after]
    return corners


def scatter_plot(plot: Scatter, shown: Landscape) -> Html:
    """Return a plot as a figure.

    Trials that are done are dots, pruned ones circles; those without a value lie in a strip at the bottom, where their
    key's value is.
    """
    without = (trial.proposal.number for trial in shown.found.trials if trial.state in NO_RESULT)
    frame = _Frame(plot, STRIP if any(number in plot.across.values for number in without) else 0)
    lines = [
        element("polyline", points=path([frame.place(x, y) for x, y in points]), class_=f"line {kind}")
        for kind, points in plot.lines
    ]
    picture = element(
        "svg",
        *frame.draw(),
        lines,
        list(_marks(plot, shown, frame.place)),
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        aria_label=f"{plot.title}: {plot.up.name} against {plot.across.name}",
    )
    return element("figure", element("figcaption", plot.title), picture, class_="chart")


def _marks(plot: Scatter, shown: Landscape, place: Callable[..., tuple[float, float]]) -> Iterator[Html]:
    for trial in shown.found.trials:
        number = trial.proposal.number
        if number not in plot.across.values:
            continue
        shift = aside(number) / len(plot.x.choices) if plot.x.choices else 0.0
        x, y = place(plot.across.values[number], plot.up.values.get(number), shift)
        if trial.state in NO_RESULT:
            yield sign(trial.state, x, y, number)
        elif number in plot.up.values and number in plot.shades:
            size, kind = (5, "strong") if number in plot.strong else (3.4, "dot")
            class_ = f"{kind} {plot.shades[number]}"
            yield element("circle", cx=short(x), cy=short(y), r=size, class_=class_, data_trial=number)
        elif number in plot.up.values:
            yield sign("pruned", x, y, number)


@dataclass(frozen=True)
class _Frame:
    """The axes of a plot, and where values lie in it."""

    plot: Scatter
    strip: float

    @property
    def floor(self) -> float:
        """The y at which the lowest value lies."""
        return HEIGHT - BOTTOM - self.strip

    def place(self, x: float | str, y: float | str | None, shift: float = 0.0) -> tuple[float, float]:
        """Return where a point lies; one without y lies in the strip."""
        left = LEFT + (self.plot.x.place(x) + shift) * (WIDTH - LEFT - RIGHT)
        if y is None:
            return left, HEIGHT - BOTTOM - self.strip / 2
        return left, self.floor - self.plot.y.place(y) * (self.floor - TOP)

    def draw(self) -> Iterator[Html]:
        """Yield grid lines, numbers and the names of the axes."""
        bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
        for tick in self.plot.y.ticks(5):
            y = self.floor - tick.place * (self.floor - TOP)
            yield element("line", x1=LEFT, x2=right, y1=short(y), y2=short(y), class_="grid")
            yield element("text", tick.text, x=LEFT - 6, y=short(y + 5), text_anchor="end")
        room = max(2, ROOM // max(1, len(self.plot.x.choices)))
        for tick in self.plot.x.ticks(5, room):
            x = LEFT + tick.place * (right - LEFT)
            yield element("line", x1=short(x), x2=short(x), y1=bottom, y2=bottom + 4, class_="axis")
            yield element("text", tick.text, x=short(x), y=bottom + 20, text_anchor="middle")
        yield element("line", x1=LEFT, x2=right, y1=bottom, y2=bottom, class_="axis")
        middle = (LEFT + right) / 2
        yield element("text", self.plot.x.title, x=middle, y=HEIGHT - 5, text_anchor="middle", class_="name")
        turned = f"rotate(-90) translate(-{(TOP + bottom) / 2} 13)"
        yield element("text", self.plot.y.title, text_anchor="middle", transform=turned, class_="name")
