"""What can be doubted about a config before it is run."""

from __future__ import annotations

from cnncli.analysis import doubts_of_flow, doubts_of_geometry, doubts_of_head, doubts_of_size, doubts_of_training
from cnncli.analysis.doubt import Doubt, Subject
from cnncli.analysis.walk import walk
from cnncli.config.places import problem
from cnncli.config.schema import Config
from cnncli.errors import Problem

RULES = (
    *doubts_of_head.RULES,
    *doubts_of_training.RULES,
    *doubts_of_flow.RULES,
    *doubts_of_geometry.RULES,
    *doubts_of_size.RULES,
)
"""Every rule takes a `Subject` and yields its doubts."""


def check(config: Config) -> tuple[Problem, ...]:
    """Return what is wrong or doubtful about a valid config: errors first, then warnings, in the file's order.

    Raises:
        ShapeError: If a layer cannot take its input.
    """
    subject = Subject(config, walk(config.nodes, config.input_shape))
    doubts: dict[tuple[str, str], Doubt] = {}
    for rule in RULES:
        for doubt in rule(subject):  # a layer written once and used many times is doubted once
            doubts.setdefault((doubt.code, doubt.path), doubt)
    found = [_problem(config, doubt) for doubt in doubts.values()]
    return tuple(sorted(found, key=lambda p: (p.severity, p.file or "", p.line or 0, p.column or 0)))


def _problem(config: Config, doubt: Doubt) -> Problem:
    return problem(doubt.code, doubt.message, config.origins.nearest(doubt.path), doubt.hint, doubt.path)
