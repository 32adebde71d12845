"""What is wrong with a config, as far as it can be known before it runs."""

from __future__ import annotations

from cnncli.analysis.rules import flow, geometry, head, parts, planes, size, training
from cnncli.analysis.rules.rule import CheckedNetwork, Finding
from cnncli.analysis.walk import walk
from cnncli.config.schema.schema import Config
from cnncli.config.yaml.problems import problem
from cnncli.errors import Problem

RULES = (
    *head.RULES,
    *training.RULES,
    *flow.RULES,
    *geometry.RULES,
    *parts.RULES,
    *planes.RULES,
    *size.RULES,
)
"""Every rule takes a `CheckedNetwork` and yields its findings."""


def check(config: Config) -> tuple[Problem, ...]:
    """Return errors and warnings about a valid config: errors first, then warnings, in the file's order.

    Raises:
        ShapeError: If a layer cannot take its input.
    """
    network = CheckedNetwork(config, walk(config.nodes, config.input_shape))
    findings: dict[tuple[str, str], Finding] = {}
    for rule in RULES:
        for finding in rule(network):  # a layer written once and used many times is reported once
            findings.setdefault((finding.code, finding.path), finding)
    problems = [_problem(config, finding) for finding in findings.values()]
    return tuple(sorted(problems, key=lambda p: (p.severity, p.file or "", p.line or 0, p.column or 0)))


def _problem(config: Config, finding: Finding) -> Problem:
    return problem(finding.code, finding.message, config.origins.nearest(finding.path), finding.hint, finding.path)
