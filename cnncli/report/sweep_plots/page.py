"""The page of a sweep: one file that needs nothing else."""

from __future__ import annotations

from typing import Any

from cnncli.report.html_document import Made, document
from cnncli.report.key_names import short_names
from cnncli.report.sweep import value_text
from cnncli.report.sweep_plots import sections
from cnncli.sweeps.directory import Trial
from cnncli.sweeps.landscape import Landscape

SECTIONS = (
    ("glance", "At a glance", sections.glance),
    ("history", "History", sections.history),
    ("front", "Pareto front", sections.tradeoffs),
    ("importance", "Importance", sections.importance),
    ("parallel", "Parallel coordinates", sections.parallel),
    ("slices", "Slices", sections.slices),
    ("trials", "Trials", sections.trials),
    ("config", "Best config", sections.config),
    ("sweep", "Sweep", sections.sweep),
)
"""Where the navigation leads to, what it calls that, and what draws it; None where there is nothing to say."""


def sweep_page(shown: Landscape) -> str:
    """Return the page as HTML: no request leaves it."""
    drawn = ((identity, title, make(shown)) for identity, title, make in SECTIONS)
    made = [Made(identity, title, found) for identity, title, found in drawn if found is not None]
    names = short_names([key.name for key in shown.keys])
    data = {"trials": [_told(trial, names) for trial in shown.found.trials]}
    return document(f"Sweep {shown.found.sweep.name}", made, data, "sweep.js", ("sweep.css",))


def _told(trial: Trial, names: dict[str, str]) -> dict[str, Any]:
    """Return what the page says of a trial that is pointed at."""
    values = [f"{name} {value_text(value)}" for name, value in (trial.values or {}).items()]
    params = [f"{names[key]} {value_text(value)}" for key, value in trial.proposal.params.items()]
    state = [trial.state] if trial.state != "done" else []
    return {"number": trial.proposal.number, "result": ", ".join((*state, *values)), "params": ", ".join(params)}
