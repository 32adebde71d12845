"""How the trials of a sweep are told apart in its plots: by their state, and by colours for how much."""

from __future__ import annotations

from collections.abc import Sequence

from cnncli.report.html import Html, element
from cnncli.sweeps.landscape import Landscape

STEPS = 6
"""Colours for how much."""

MEANINGS = {
    "pruned": "pruned, with its value when it was stopped",
    "failed": "failed: the training diverged",
    "refused": "refused before training",
}
"""States besides done that are plotted; of all others there is nothing to plot yet."""

NO_RESULT = ("failed", "refused")
"""States of trials without a value."""


def shades(numbers: Sequence[int]) -> dict[int, str]:
    """Return the class of the colour of each trial, the first in the order the faintest."""
    return {number: f"r{place * STEPS // len(numbers)}" for place, number in enumerate(numbers)}


def legend(shown: Landscape, first: str, last: str, lines: bool = False, no_result: bool = True) -> Html:
    """Return what the colours and marks mean, with only the states that there are.

    Args:
        shown: The sweep.
        first: What the faintest colour means.
        last: What the strongest means.
        lines: Whether trials are lines instead of dots.
        no_result: Whether trials without a result are plotted.
    """
    draw = _line if lines else _dot
    states = {trial.state for trial in shown.found.trials}
    ramp = [element("rect", x=10 * i, width=10, height=10, class_=f"dot r{i}") for i in range(STEPS)]
    colours = element("svg", *ramp, class_="ramp", viewBox=f"0 0 {10 * STEPS} 10", aria_hidden="true")
    known = [state for state in MEANINGS if state in states and (no_result or state not in NO_RESULT)]
    entries = [element("li", draw(state), MEANINGS[state]) for state in known]
    return element("ul", element("li", first, colours, last), entries, class_="marks")


def _dot(state: str) -> Html:
    return element("svg", sign(state, 5, 5), class_="sign", viewBox="0 0 10 10", aria_hidden="true")


def _line(state: str) -> Html:
    drawn = element("g", element("polyline", points="0,5 30,5", class_="line"), class_=state)
    return element("svg", drawn, class_="sign lines", viewBox="0 0 30 10", aria_hidden="true")


def sign(state: str, x: float, y: float, trial: int | None = None) -> Html:
    """Return the mark of a trial that is not done.

    Args:
        state: Its state.
        x: Where it lies.
        y: Where it lies.
        trial: Its number, or None in a legend.
    """
    if state == "pruned":
        return element("circle", cx=f"{x:.1f}", cy=f"{y:.1f}", r=3.4, class_=state, data_trial=trial)
    arms = f"M{x - 3:.1f} {y - 3:.1f}l6 6m0-6l-6 6" if state == "failed" else f"M{x:.1f} {y - 4:.1f}v8"
    return element("path", d=arms, class_=state, data_trial=trial)
