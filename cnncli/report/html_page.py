"""The report of a run: one file that needs nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from cnncli.report import html_network, html_run
from cnncli.report.html import Html
from cnncli.report.html_document import Made, document
from cnncli.report.html_material import Material


class Section(NamedTuple):
    """A part of the report.

    Attributes:
        identity: Where the navigation leads to.
        title: What the navigation calls it.
        make: Draws it; None where there is nothing to say.
        data: Returns what the page's script needs of it, by name.
    """

    identity: str
    title: str
    make: Callable[[Material], Html | None]
    data: Callable[[Material], Mapping[str, Any]] = lambda _: {}


OF_THE_TRAINING = (
    Section("glance", "At a glance", html_run.glance),
    Section("curves", "Curves", html_run.curves),
)
"""What the report begins with; the sections of the run's task follow."""

ATTRIBUTION = Section("reasons", "Attribution", html_network.attribution)
"""For a task to place among its own."""

OF_THE_NETWORK = (
    Section("layers", "Layers", html_network.layers),
    Section("inside", "Filters", html_network.inside),
    Section("replay", "Replay", html_network.replay, html_network.replay_data),
    Section("data", "Data", html_run.data),
    Section("config", "Config", html_run.config),
    Section("environment", "Environment", html_run.environment),
    Section("commands", "Commands", html_run.commands),
)
"""What the report ends with."""


def report_page(material: Material, of_the_task: Sequence[Section]) -> str:
    """Return the report as HTML: no request leaves the page, and its policy forbids any.

    Args:
        material: What it is made of.
        of_the_task: The sections of the run's task.
    """
    sections = (*OF_THE_TRAINING, *of_the_task, *OF_THE_NETWORK)
    drawn = ((part, part.make(material)) for part in sections)
    made = [Made(part.identity, part.title, found) for part, found in drawn if found is not None]
    data = {name: found for part in sections for name, found in part.data(material).items()}
    return document(f"{material.name} {material.identity}", made, data, "report.js")
