"""What can be doubted about a config before it is run."""

from __future__ import annotations

from cnncli.analysis.rules import flow, geometry, head, size, training
from cnncli.analysis.rules.rule import Doubt, Subject
from cnncli.analysis.walk import walk
from cnncli.config.schema.schema import Config
from cnncli.config.yaml.problems import problem
from cnncli.errors import Problem

RULES = (
    *head.RULES,
    *training.RULES,
    *flow.RULES,
    *geometry.RULES,
    *size.RULES,
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
