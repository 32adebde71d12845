"""Sections of a sweep's page."""

from __future__ import annotations

from collections.abc import Iterator

from cnncli.config.dump import dump_document
from cnncli.plural import counted
from cnncli.report.html import Html, element, scrolling, section, table
from cnncli.report.html_parts import note, share_bar
from cnncli.report.key_names import short_names
from cnncli.report.numbers import percent
from cnncli.report.sweep import value_text
from cnncli.report.sweep_plots.axis import Axis
from cnncli.report.sweep_plots.marks import legend, shades
from cnncli.report.sweep_plots.parallel import parallel_plot
from cnncli.report.sweep_plots.scatter import Scatter, scatter_plot, stairs
from cnncli.report.sweep_plots.trials import trials_table
from cnncli.sweeps.landscape import Landscape, Variable
from cnncli.sweeps.results import trial_config

OPEN = ("waiting", "running", "interrupted", "paused")
"""States of trials that are not finished."""


def glance(shown: Landscape) -> Html:
    """Return the few numbers that matter most."""
    states = [trial.state for trial in shown.found.trials]
    settings = shown.found.sweep.settings
    tiles = [*_best_tiles(shown)]
    others = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states) if state != "done")
    tiles.append(("Trials done", str(len(shown.done)), others))
    remark = f"seed {settings.seed}, {counted(settings.parallel, 'trial')} at once"
    tiles.append(("Sampler", settings.sampler, remark))
    drawn = [
        element("div", element("dt", term), element("dd", value, element("small", remark) if remark else None))
        for term, value, remark in tiles
    ]
    open_trials = sum(state in OPEN for state in states)
    going_on = note(f"Not finished yet: {counted(open_trials, 'trial')}.") if open_trials else None
    return section("glance", "At a glance", element("dl", drawn, class_="tiles"), going_on)


def _best_tiles(shown: Landscape) -> Iterator[tuple[str, str, str]]:
    for objective in shown.objectives:
        steps = list(shown.history(objective))
        if steps:
            best = next(step for step in steps if step.value == steps[-1].best)
            yield f"Best {objective.name}", value_text(objective.values[best.number]), f"trial {best.number}"
    if len(shown.objectives) > 1:
        yield "Pareto front", counted(len(shown.found.best), "trial"), "no other is better in every respect"


def history(shown: Landscape) -> Html | None:
    """Return each objective over the trials' numbers, with the best so far."""
    if not shown.done:
        return None
    numbers = {trial.proposal.number: trial.proposal.number for trial in shown.found.trials}
    trials = Variable("trial", numbers, bounds=(0, max(numbers)), is_whole=True)
    plots = [_history_plot(shown, trials, objective) for objective in shown.objectives]
    marks = legend(shown, "first trials", "last trials")
    line = note("The line is the best value so far.")
    return section("history", "History", marks, element("div", plots, class_="charts"), line)


def _history_plot(shown: Landscape, trials: Variable, objective: Variable) -> Html:
    steps = list(shown.history(objective))
    x, y = Axis.of(trials, "trial"), Axis.of(objective, objective.name)
    line = ("first", stairs([(float(step.number), step.best) for step in steps]))
    return scatter_plot(
        Scatter(f"{objective.name} by trial", x, y, trials, objective, shades(shown.done), [line]), shown
    )


def tradeoffs(shown: Landscape) -> Html | None:
    """Return the first objective against every other one, and against what the networks cost."""
    plots = [_tradeoff_plot(shown, first, other) for first, other in shown.tradeoffs]
    if not plots or not shown.done:
        return None
    beaten = note("No trial beats one on the line in both variables of its plot.")
    known = note("Parameters and multiply-accumulate operations are known of all trials: they need not be sought.")
    marks = legend(shown, "first trials", "last trials", no_result=False)
    charts = element("div", plots, class_="charts")
    return section("front", "Pareto front", marks, charts, beaten, known if shown.counts else None)


def _tradeoff_plot(shown: Landscape, first: Variable, other: Variable) -> Html:
    front = shown.front(first, other)
    x, y = Axis.of(other, other.name), Axis.of(first, first.name)
    points = sorted((other.number(number), first.number(number)) for number in front)
    line = ("first", stairs(points, early=other.direction == "max"))
    title = f"{first.name} against {other.name}"
    return scatter_plot(Scatter(title, x, y, other, first, shades(shown.done), [line], front), shown)


def importance(shown: Landscape) -> Html | None:
    """Return how much each key mattered for each objective."""
    found = shown.importance
    if not found.shares:
        return None
    shares, names = list(found.shares.values()), short_names([key.name for key in shown.keys])
    rows = [
        (
            element("span", names[key], title=key),
            *(element("span", percent(share[key]), share_bar(share[key])) for share in shares),
        )
        for key in shares[0]
    ]
    meaning = {
        "ped-anova": "which keys decide whether a trial is among the best tenth",
        "fanova": "how much of the variance each key explains by itself, over the whole space",
    }[found.method]
    left_out = note(f"It cannot judge keys that some trials do not have: {', '.join(found.left_out)}.")
    return section(
        "importance",
        "Importance of the keys",
        table(("Key", *found.shares), rows, f"{found.method.full_name}: {meaning}"),
        left_out if found.left_out else None,
    )


def slices(shown: Landscape) -> Html | None:
    """Return each objective against each key."""
    if not shown.done:
        return None
    parts: list[Html] = [legend(shown, "first trials", "last trials")]
    for objective in shown.objectives:
        plots = [_slice_plot(shown, key, objective) for key in shown.keys]
        parts += [element("h3", objective.name), element("div", plots, class_="charts")]
    return section("slices", "Slices", parts, note("The numbers are in the table of all trials."))


def _slice_plot(shown: Landscape, key: Variable, objective: Variable) -> Html:
    name = short_names([each.name for each in shown.keys])[key.name]
    x, y = Axis.of(key, name), Axis.of(objective, objective.name)
    return scatter_plot(Scatter(f"{objective.name} by {name}", x, y, key, objective, shades(shown.done)), shown)


def parallel(shown: Landscape) -> Html | None:
    """Return all trials as lines over all keys and objectives, with what picks one of them."""
    if not shown.found.trials:
        return None
    last = len(shown.found.trials) - 1
    slider = element(
        "input", type="range", id="trial-slider", min=0, max=last, value=0, step=1, aria_describedby="trial-chosen"
    )
    controls = element(
        "div",
        element("label", "Trial", for_="trial-slider"),
        slider,
        element("output", "all", id="trial-chosen", for_="trial-slider"),
        element("button", "Show all", type="button", id="trial-clear"),
        class_="controls",
    )
    marks = legend(shown, f"worst {shown.objectives[0].name}", "best", lines=True)
    how = note("Point at a line, a dot or a row, or choose a trial here: it stands out in every plot.")
    return section("parallel", "Parallel coordinates", marks, parallel_plot(shown), controls, how)


def trials(shown: Landscape) -> Html:
    """Return all trials as a table."""
    return section("trials", "Trials", trials_table(shown))


def config(shown: Landscape) -> Html | None:
    """Return the config of the best trial, of several objectives those of all on the Pareto front."""
    if not shown.found.best:
        return None
    return section("config", "Best config", [_config_of(shown, number) for number in shown.found.best])


def _config_of(shown: Landscape, number: int) -> Html:
    """Return a trial's config; of several trials only the first one's is open."""
    text = element("pre", element("code", trial_config(shown.found, number)))
    inside = element("summary", f"Trial {number}"), scrolling(text, f"Config of trial {number}", tall=True)
    return element("details", *inside, open=number == shown.found.best[0])


def sweep(shown: Landscape) -> Html:
    """Return the section of the config that makes it a sweep."""
    text = dump_document({"sweep": shown.found.sweep.document["sweep"]})
    return section("sweep", "Sweep", scrolling(element("pre", element("code", text)), "The sweep", tall=True))
