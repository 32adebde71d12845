"""Figures of a sweep: its history, Pareto front, slices, parallel coordinates, and which keys mattered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cnncli.report.figures import AMOUNT, LINES, new_figure, shortened
from cnncli.report.key_names import short_names
from cnncli.report.sweep_plots.axis import Axis, Tick, aside
from cnncli.sweeps.landscape import Landscape, Variable
from cnncli.sweeps.results import none_done

if TYPE_CHECKING:
    from matplotlib.axes import Axes as Plot
    from matplotlib.figure import Figure

ACROSS = 4
"""Plots side by side."""
STYLES: Mapping[str, dict[str, Any]] = {
    "pruned": {"facecolors": "none", "edgecolors": "#777777"},
    "failed": {"marker": "x", "color": LINES[1], "linewidths": 1},
    "refused": {"marker": "|", "color": "#777777", "linewidths": 1},
}
"""How trials are drawn that are not done."""
STRIP = 0.1
"""Height of the strip for trials without a value, as a share of the axis above it."""
LOWER_EDGE = 0.04
"""Height at which they are drawn, as a share of the plot's."""
ROOM = 28
"""Characters for the names of all choices below a plot."""
MANY = 7
"""Choices from which on their names are smaller."""
LINE_STYLES: Mapping[str, dict[str, Any]] = {
    "refused": {"color": "#aaaaaa", "linestyle": ":", "linewidth": 0.8},
    "failed": {"color": LINES[1], "linestyle": "--", "linewidth": 0.8},
    "pruned": {"color": "#777777", "linestyle": "--", "linewidth": 0.8},
}
"""How their lines are drawn in parallel coordinates; each over those before it."""
ABSENT = -0.09
"""Height at which a key lies that a trial does not have; the axis itself is from 0 to 1."""


def sweep_figures(shown: Landscape) -> Iterator[tuple[str, Figure]]:
    """Yield the figures of a sweep with their names; those for which there is nothing to draw are left out.

    Raises:
        CnnError: If no trial is done yet.
    """
    if not shown.done:
        raise none_done(shown.found)
    yield "history", history_figure(shown)
    if shown.tradeoffs:
        yield "pareto", pareto_figure(shown)
    yield "slice", slice_figure(shown)
    yield "parallel", parallel_figure(shown)
    if shown.importance.shares:
        yield "importance", importance_figure(shown)


def history_figure(shown: Landscape) -> Figure:
    """Draw each objective over the trials' numbers, with the best value so far."""
    numbers = {trial.proposal.number: trial.proposal.number for trial in shown.found.trials}
    trials = Variable("trial", numbers, bounds=(0, max(numbers)), is_whole=True)
    figure, grid = _grid(len(shown.objectives), 1, (7, 3.2))
    for axes, objective in zip(grid, shown.objectives, strict=True):
        _scatter(axes, shown, trials, objective, "trial")
        steps = list(shown.history(objective))
        axes.step([s.number for s in steps], [s.best for s in steps], where="post", color=LINES[0], label="best so far")
    return _finish(figure, grid, shown)


def pareto_figure(shown: Landscape) -> Figure:
    """Draw the first objective against every other one and against what the networks cost, with the fronts."""
    pairs = shown.tradeoffs
    figure, grid = _grid(1, len(pairs), (5.2, 4))
    for axes, (first, other) in zip(grid, pairs, strict=True):
        _scatter(axes, shown, other, first, other.name)
        front = sorted((other.number(number), first.number(number)) for number in shown.front(first, other))
        drawn: tuple[list[float], list[float]] = ([x for x, _ in front], [y for _, y in front])
        axes.step(
            *drawn, where="pre" if other.direction == "max" else "post", color=LINES[0], label="Pareto front", zorder=1
        )
        axes.scatter(*drawn, s=70, facecolors="none", edgecolors=LINES[1], linewidths=1.5, zorder=3)
    return _finish(figure, grid, shown)


def slice_figure(shown: Landscape) -> Figure:
    """Draw each objective against each key."""
    names = short_names([key.name for key in shown.keys])
    columns = min(ACROSS, len(shown.keys))
    rows = -(-len(shown.keys) // columns)
    figure, grid = _grid(rows * len(shown.objectives), columns, (3.1, 2.5))
    places = iter(grid)
    for objective in shown.objectives:
        for key in shown.keys:
            _scatter(next(places), shown, key, objective, names[key.name])
        for _ in range(rows * columns - len(shown.keys)):
            next(places).set_visible(False)
    return _finish(figure, grid, shown)


def parallel_figure(shown: Landscape) -> Figure:
    """Draw a line a trial through its values of all keys and objectives, coloured by the first objective."""
    from matplotlib import colormaps

    names = short_names([key.name for key in shown.keys])
    variables = (*shown.keys, *shown.objectives)
    titles = [*names.values(), *(f"{each.name} ({each.direction})" for each in shown.objectives)]
    own = [Axis.of(variable, shortened(title, 22)) for variable, title in zip(variables, titles, strict=True)]
    lines = {trial.proposal.number: _line(variables, own, trial.proposal.number) for trial in shown.found.trials}
    figure = new_figure(1.35 * len(variables) + 1, 4.6)
    axes = figure.add_subplot()
    ranked = sorted(shown.done, key=shown.objectives[0].score)
    colours = {number: colormaps[AMOUNT](place / max(1, len(ranked) - 1)) for place, number in enumerate(ranked)}
    for state, style in LINE_STYLES.items():
        for number in (trial.proposal.number for trial in shown.found.trials if trial.state == state):
            axes.plot(*lines[number], alpha=0.7, **style)
    for number in ranked:
        width = 2.6 if number in shown.found.best else 1.0
        axes.plot(*lines[number], color=colours[number], linewidth=width, alpha=0.85)
    for index, (variable, axis) in enumerate(zip(variables, own, strict=True)):
        _draw_axis(axes, index, axis, variable.direction is None and len(variable.values) < len(lines))
    axes.set_axis_off()
    axes.set_xlim(-0.6, len(variables) - 0.8)
    axes.set_ylim(ABSENT - 0.03, 1.16)
    _add_scale(figure, axes, (0, 1), f"{shown.objectives[0].name}, by rank", ("worst", "best"))
    return figure


def importance_figure(shown: Landscape) -> Figure:
    """Draw how much each key mattered, a group of bars a key."""
    shares = shown.importance.shares
    keys = list(next(iter(shares.values())))[::-1]
    names = short_names([key.name for key in shown.keys])
    thick = 0.8 / len(shares)
    figure = new_figure(7, 0.35 * len(keys) * max(1, 0.6 * len(shares)) + 1.2)
    axes = figure.add_subplot()
    for place, (objective, own) in enumerate(shares.items()):
        heights = [index + 0.4 - thick * (place + 0.5) for index in range(len(keys))]
        axes.barh(heights, [100 * own[key] for key in keys], thick * 0.9, color=LINES[place % 7], label=objective)
    axes.set_yticks(range(len(keys)), [shortened(names[key], 30) for key in keys], parse_math=False)
    axes.set_xlabel(f"importance ({shown.importance.method.full_name}), %")
    axes.grid(axis="x", alpha=0.3)
    if len(shares) > 1:
        axes.legend(frameon=False)
    return figure


def _grid(rows: int, columns: int, size: tuple[float, float]) -> tuple[Figure, Sequence[Plot]]:
    """Return a figure with plots of a size in inches, row by row."""
    figure = new_figure(columns * size[0] + 0.6, rows * size[1] + 0.5)
    return figure, list(figure.subplots(rows, columns, squeeze=False).reshape(-1))


def _scatter(axes: Plot, shown: Landscape, across: Variable, up: Variable, title: str) -> None:
    """Draw a dot for each trial: coloured by its number, hollow if it was pruned, at the lower edge without a value."""
    place = {n: across.number(n) + (aside(n) if across.choices else 0) for n in across.values}
    done = [number for number in shown.done if number in place]
    colours: dict[str, Any] = {"c": done, "cmap": AMOUNT, "vmin": 0, "vmax": max(1, *shown.done)}
    axes.scatter([place[n] for n in done], [up.number(n) for n in done], s=18, zorder=2, **colours)
    for state, style in STYLES.items():
        numbers = [t.proposal.number for t in shown.found.trials if t.state == state and t.proposal.number in place]
        has_values = all(number in up.values for number in numbers)
        heights = [up.number(number) if has_values else LOWER_EDGE for number in numbers]
        transform = axes.transData if has_values else axes.get_xaxis_transform()
        if numbers:
            axes.scatter([place[n] for n in numbers], heights, s=18, transform=transform, label=state, **style)
    x, y = Axis.of(across, title), Axis.of(up, up.name)
    axes.set(xscale=_scale(x), xlim=(x.number(0), x.number(1)), yscale=_scale(y), ylim=(y.number(-STRIP), y.number(1)))
    axes.minorticks_off()
    axes.tick_params(labelsize=9 if len(x.choices) < MANY else 7)
    axes.set_xticks(*_labelled(x), parse_math=False)
    axes.set_yticks(*_labelled(y), parse_math=False)
    axes.set_xlabel(x.title, parse_math=False)
    axes.set_ylabel(y.title, parse_math=False)
    axes.grid(alpha=0.3)


def _scale(axis: Axis) -> str:
    return "log" if axis.is_log else "linear"


def _labelled(axis: Axis) -> tuple[list[float], list[str]]:
    """Return where ticks stand and what they say; the names of many choices are cut."""
    ticks = axis.ticks(5, max(3, ROOM // max(1, len(axis.choices))))
    return [tick.value for tick in ticks], [tick.text for tick in ticks]


def _line(variables: Sequence[Variable], own: Sequence[Axis], number: int) -> tuple[list[int], list[float]]:
    """Return where a trial's line crosses the axes; without a result it ends before the objectives."""
    heights = {
        index: axis.place(variable.values[number]) if number in variable.values else ABSENT
        for index, (variable, axis) in enumerate(zip(variables, own, strict=True))
        if variable.direction is None or number in variable.values
    }
    return list(heights), list(heights.values())


def _draw_axis(axes: Plot, index: int, axis: Axis, has_absent: bool) -> None:
    """Draw one of the axes of parallel coordinates; titles stand in two rows, so that neighbours do not overlap."""
    axes.plot([index, index], [0, 1], color="#333333", linewidth=1)
    height = 1.12 if index % 2 else 1.04
    axes.text(index, height, axis.title, ha="center", fontsize=9, parse_math=False)
    labels = [*axis.ticks(5, 12), *([Tick(ABSENT, "absent", ABSENT)] if has_absent else [])]
    for tick in labels:
        text = axes.text(index - 0.05, tick.place, tick.text, ha="right", va="center", fontsize=8, parse_math=False)
        text.set_bbox({"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.6})


def _add_scale(figure: Figure, axes: Any, ends: tuple[float, float], title: str, names: tuple[str, str]) -> None:
    """Add what the colours mean."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    bar = figure.colorbar(ScalarMappable(Normalize(*ends), AMOUNT), ax=axes, shrink=0.8, ticks=list(ends))
    bar.set_label(title, labelpad=-8, parse_math=False)
    bar.ax.set_yticklabels(names)


def _finish(figure: Figure, grid: Sequence[Plot], shown: Landscape) -> Figure:
    """Add a legend of the marks, each once, and what the colours of the dots mean."""
    entries: dict[str, Any] = {}
    for axes in grid:
        handles, labels = axes.get_legend_handles_labels()
        entries |= dict(zip(labels, handles, strict=True))
    if entries:
        marks = {"handles": list(entries.values()), "labels": list(entries)}
        figure.legend(**marks, loc="outside lower center", ncols=len(entries), fontsize=9, frameon=False)
    last = max(1, *shown.done)
    _add_scale(figure, list(grid), (0, last), "trial", ("0", str(last)))
    return figure
