"""Line charts as SVG that takes the page's colours, with their numbers in a table for those who cannot see them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

from cnncli.report.html import Html, element, joined, table

WIDTH, HEIGHT = 420, 250
LEFT, RIGHT, TOP, BOTTOM = 66, 14, 12, 50


@dataclass(frozen=True)
class Series:
    """A curve.

    Attributes:
        name: What it shows.
        points: (x, y) from left to right; None where y is not known.
        kind: Class of its colour: "first", "second" (dashed), or "guide" for a line to compare with.
    """

    name: str
    points: Sequence[tuple[float, float | None]]
    kind: str


@dataclass(frozen=True)
class Axes:
    """What a chart shows over what.

    Attributes:
        title: The chart's name.
        x: What runs to the right.
        y: What runs upwards; "" where the title says it.
        y_range: Lowest and highest y, or None to fit the curves.
        whole: Whether x are whole numbers.
    """

    title: str
    x: str
    y: str
    y_range: tuple[float, float] | None = None
    whole: bool = False


def line_chart(axes: Axes, series: Sequence[Series], band: Sequence[tuple[float, float, float]] = ()) -> Html:
    """Return a figure with curves, a legend, and their numbers behind a disclosure.

    Args:
        axes: What is shown.
        series: The curves.
        band: (x, low, high): an interval around the first curve.
    """
    scale = _Scale.fitted(axes, series, band)
    drawn = [
        *_frame(axes, scale),
        _band(scale, band),
        *(_curve(scale, curve) for curve in series),
    ]
    view = f"0 0 {WIDTH} {HEIGHT}"
    picture = element("svg", *drawn, viewBox=view, role="img", aria_label=_spoken(axes, series))
    legend = element("ul", [element("li", curve.name, class_=curve.kind) for curve in series], class_="legend")
    caption = element("figcaption", axes.title)
    return element("figure", caption, picture, legend, _numbers(axes, series), class_="chart")


@dataclass(frozen=True)
class _Scale:
    """Where values lie in the picture."""

    x: tuple[float, float]
    y: tuple[float, float]

    @classmethod
    def fitted(cls, axes: Axes, series: Sequence[Series], band: Sequence[tuple[float, float, float]]) -> _Scale:
        xs = [x for curve in series for x, _ in curve.points]
        ys = [y for curve in series for _, y in curve.points if y is not None]
        ys += [bound for _, *bounds in band for bound in bounds]
        low, high = axes.y_range or (min([0.0, *ys]), max(ys, default=1.0))
        return cls(widened(min(xs, default=0.0), max(xs, default=1.0)), widened(low, high))

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Return where a point lies."""
        across = (x - self.x[0]) / (self.x[1] - self.x[0])
        up = (y - self.y[0]) / (self.y[1] - self.y[0])
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)


def widened(low: float, high: float) -> tuple[float, float]:
    """Return a range that is no point."""
    largest = max(abs(low), abs(high))
    # Numbers that differ by a rounding error, or by less than can be divided, are drawn as equal.
    if high - low > max(1e-12 * largest, 1e-290):
        return low, high
    margin = max(0.5, 1e-3 * largest)
    return low - margin, low + margin


def ticks(low: float, high: float, most: int, whole: bool = False) -> list[float]:
    """Return round numbers from `low` to `high`, at most about so many."""
    rough = (high - low) / max(most, 1)
    power = 10.0 ** floor(log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)
    step = max(1.0, round(step)) if whole else step
    first = ceil(low / step - 1e-9)
    count = floor(high / step + 1e-9) - first + 1
    return [round((first + i) * step, 12) for i in range(count)]


def _frame(axes: Axes, scale: _Scale) -> list[Html]:
    """Return grid lines, their numbers and the names of the axes."""
    parts = []
    bottom = HEIGHT - BOTTOM
    for value in ticks(*scale.y, 5):
        y = scale.place(scale.x[0], value)[1]
        parts.append(element("line", x1=LEFT, x2=WIDTH - RIGHT, y1=short(y), y2=short(y), class_="grid"))
        parts.append(element("text", number_text(value), x=LEFT - 6, y=short(y + 5), text_anchor="end"))
    for value in ticks(*scale.x, 6, axes.whole):
        x = scale.place(value, scale.y[0])[0]
        parts.append(element("line", x1=short(x), x2=short(x), y1=bottom, y2=bottom + 4, class_="axis"))
        parts.append(element("text", number_text(value), x=short(x), y=bottom + 20, text_anchor="middle"))
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(element("line", x1=LEFT, x2=WIDTH - RIGHT, y1=bottom, y2=bottom, class_="axis"))
    parts.append(element("text", axes.x, x=middle, y=HEIGHT - 5, text_anchor="middle", class_="name"))
    if not axes.y:
        return parts
    turned = f"rotate(-90) translate(-{(TOP + bottom) / 2} 15)"
    parts.append(element("text", axes.y, text_anchor="middle", transform=turned, class_="name"))
    return parts


def _band(scale: _Scale, band: Sequence[tuple[float, float, float]]) -> Html | None:
    if len(band) < 2:
        return None
    upper = [scale.place(x, high) for x, _, high in band]
    lower = [scale.place(x, low) for x, low, _ in reversed(band)]
    return element("polygon", points=path(upper + lower), class_="band")


def _curve(scale: _Scale, curve: Series) -> Html:
    places = [scale.place(x, y) for x, y in curve.points if y is not None]
    line = element("polyline", points=path(places), class_=f"line {curve.kind}")
    if curve.kind == "guide" or len(places) > 40:
        return line
    dots = [element("circle", cx=short(x), cy=short(y), r=2.5, class_=f"dot {curve.kind}") for x, y in places]
    return joined(line, dots)


def path(places: Sequence[tuple[float, float]]) -> str:
    """Return the points of a line."""
    return " ".join(f"{short(x)},{short(y)}" for x, y in places)


def short(value: float) -> str:
    """Return a coordinate in as few characters as it takes."""
    return f"{value:.1f}".removesuffix(".0")


def number_text(value: float) -> str:
    """Return a number as it stands at an axis."""
    return f"{value:.4g}".replace("-", "−")


def _spoken(axes: Axes, series: Sequence[Series]) -> str:
    """Return the chart in a sentence: where each curve begins and ends."""
    told = []
    for curve in series:
        known = [(x, y) for x, y in curve.points if y is not None]
        if known and curve.kind != "guide":
            (x0, y0), (x1, y1) = known[0], known[-1]
            told.append(f"{curve.name} from {y0:.4g} at {x0:.4g} to {y1:.4g} at {x1:.4g}")
    return f"{axes.title}: {axes.y or axes.title.lower()} over {axes.x}; {'; '.join(told)}"


def _numbers(axes: Axes, series: Sequence[Series]) -> Html:
    shown = [curve for curve in series if curve.kind != "guide"]
    known = [dict(curve.points) for curve in shown]
    places = sorted({x for points in known for x in points})
    rows = [(number_text(x), *(_cell(points.get(x)) for points in known)) for x in places]
    inside = table((axes.x, *(curve.name for curve in shown)), rows, f"{axes.title} in numbers")
    return element("details", element("summary", "Numbers"), inside)


def _cell(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}".replace("-", "−")
