"""The report of a run: one file that needs nothing else."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from string import Template
from typing import NamedTuple

from cnncli.report import html_network, html_run
from cnncli.report.html import Html, element, joined, json_script
from cnncli.report.html_material import Material
from cnncli.tasks.classification import html


class Section(NamedTuple):
    """A part of the report.

    Attributes:
        identity: Where the navigation leads to.
        title: What the navigation calls it.
        make: Draws it; None where there is nothing to say.
    """

    identity: str
    title: str
    make: Callable[[Material], Html | None]


SECTIONS = (
    Section("glance", "At a glance", html_run.glance),
    Section("curves", "Curves", html_run.curves),
    Section("classes", "Classes", html.classes),
    Section("confusion", "Confusion matrix", html.confusion),
    Section("mistakes", "Mistakes", html.mistakes),
    Section("reasons", "Attribution", html.reasons),
    Section("calibration", "Calibration", html.calibration),
    Section("invariance", "Invariance", html.distortions),
    Section("layers", "Layers", html_network.layers),
    Section("inside", "Filters", html_network.inside),
    Section("replay", "Replay", html_network.replay),
    Section("data", "Data", html_run.data),
    Section("config", "Config", html_run.config),
    Section("environment", "Environment", html_run.environment),
    Section("commands", "Commands", html_run.commands),
)
"""What the report consists of, in this order."""


def report_page(material: Material) -> str:
    """Return the report as HTML: no request leaves the page, and its policy forbids any."""
    made = [(part, found) for part in SECTIONS if (found := part.make(material)) is not None]
    links = [element("li", element("a", part.title, href=f"#{part.identity}")) for part, _ in made]
    data = {
        "cells": html.cell_data(material.pictures.cells),
        "replay": html_network.replay_data(material.pictures.replay),
    }
    return Template(_read("report.html")).substitute(
        title=joined(f"{material.name} {material.identity}"),
        style=_read("report.css"),
        script=_read("report.js"),
        links=joined(links),
        sections=joined(found for _, found in made),
        data=json_script("report-data", data),
    )


def _read(name: str) -> str:
    return (files("cnncli.report") / "templates" / name).read_text(encoding="utf-8")
