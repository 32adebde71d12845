"""A sweep's figures as files, next to its trials and to what Optuna says of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cnncli.errors import CnnError
from cnncli.report.sweep_plots.figures import (
    history_figure,
    importance_figure,
    pareto_figure,
    slice_figure,
    sweep_figures,
)
from cnncli.sweeps.landscape import Landscape


def plots(figure: Figure) -> list[Axes]:
    """Return a figure's plots without its scale of colours."""
    return [axes for axes in figure.axes if axes.get_label() != "<colorbar>" and axes.get_visible()]


def dots(axes: Axes) -> np.ndarray:
    """Return where the trials lie that are done."""
    return np.asarray(axes.collections[0].get_offsets())


def test_history_goes_through_the_best_so_far(landscape: Landscape) -> None:
    """By a running maximum and a running minimum of NumPy."""
    running = {"max": np.maximum.accumulate, "min": np.minimum.accumulate}
    for axes, objective in zip(plots(history_figure(landscape)), landscape.objectives, strict=True):
        values = [objective.values[number] for number in landscape.done]
        assert np.array_equal(dots(axes), list(zip(landscape.done, values, strict=True)))
        assert np.array_equal(axes.lines[0].get_ydata(), running[objective.direction](values))


def test_front_goes_through_the_best_trials(landscape: Landscape) -> None:
    """Of the plot of both objectives."""
    first, second = (objective.values for objective in landscape.objectives)
    axes = plots(pareto_figure(landscape))[0]
    best = sorted((second[number], first[number]) for number in landscape.found.best)
    assert np.array_equal(axes.lines[0].get_xydata(), best)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("macs", "accuracy")


def test_slices_have_the_scales_of_their_keys(landscape: Landscape) -> None:
    """Logarithmic where the key is; a choice's names; dots of every trial that is done and has the key."""
    drawn = {axes.get_xlabel(): axes for axes in plots(slice_figure(landscape)) if axes.get_ylabel() == "accuracy"}
    assert drawn["batch_size"].get_xscale() == drawn["Adam.learning_rate"].get_xscale() == "log"
    assert drawn["momentum"].get_xscale() == "linear"
    assert [label.get_text() for label in drawn["ema"].get_xticklabels()] == ["null", "0.99"]
    key = next(key for key in landscape.keys if key.name.endswith("momentum"))
    expected = [(key.values[n], landscape.objectives[0].values[n]) for n in landscape.done if n in key.values]
    assert np.array_equal(dots(drawn["momentum"]), expected)
    # Choices stand in their columns, whatever is done that equal values do not hide each other.
    assert set(np.round(dots(drawn["ema"])[:, 0])) == {0, 1}


def test_importance_has_a_bar_for_each_share(landscape: Landscape) -> None:
    """In percent, the largest at the top."""
    axes = plots(importance_figure(landscape))[0]
    lengths = [bar.get_width() for bar in axes.patches]
    shares = [100 * share for own in landscape.importance.shares.values() for share in own.values()]
    assert sorted(lengths) == pytest.approx(sorted(shares))


def test_what_cannot_be_drawn_is_left_out(landscape: Landscape) -> None:
    """No front of one objective alone, nothing of what mattered without an answer; an error without any result."""
    one = replace(landscape, objectives=landscape.objectives[:1], counts=(), keys=landscape.keys[:1])
    bare = replace(one, importance=replace(one.importance, shares={}))
    assert [name for name, _ in sweep_figures(bare)] == ["history", "slice", "parallel"]
    with pytest.raises(CnnError, match="is done yet"):
        list(sweep_figures(replace(landscape, found=replace(landscape.found, trials=()))))
