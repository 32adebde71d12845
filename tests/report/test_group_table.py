"""The table of the runs of one command."""

from __future__ import annotations

from pathlib import Path

import pytest

from cnncli.report.grid import Grid
from cnncli.report.group import group_lines
from cnncli.runs.group import Member
from cnncli.runs.outcomes import Outcome, spreads
from cnncli.runs.run import Run

SEEDS = """\
group 20260101-120000

run    seed  best epoch  validation accuracy  validation loss  test accuracy
────────────────────────────────────────────────────────────────────────────
net/1     3           2               0.5000           0.2500         0.7500
net/2     4           –               0.7500           0.5000         0.5000
────────────────────────────────────────────────────────────────────────────
mean                                  0.6250           0.3750         0.6250
± sd                                  0.1768           0.1768         0.1768
n                                          2                2              2

There is no interval of the mean: it takes at least 3 runs."""

FOLDS = """\
group 20260101-120000

run            status   seed  fold  best epoch  validation accuracy
───────────────────────────────────────────────────────────────────
net/1          done        3   1/4           2               0.5000
net/2          done        3   2/4           2               0.5000
net/3          done        3   3/4           2               0.5000
–              missing     3   4/4           –                    –
───────────────────────────────────────────────────────────────────
mean                                                         0.5000
± sd                                                         0.0000
n                                                                 3
95 % interval                                         0.5000–0.5000

The interval is one of the mean over runs: bootstrap, percentiles of 10,000 resamples.
Folds share most of their training examples, so it may be too narrow."""


def outcome(number: int, member: Member, best: int | None = 2, **metrics: dict[str, float | None]) -> Outcome:
    """Return what a run came to."""
    return Outcome(member, Run(Path("runs/net") / str(number)), "done", "accuracy", best, metrics)


def text(outcomes: list[Outcome]) -> str:
    """Return what is printed."""
    parts = group_lines("20260101-120000", outcomes, spreads(outcomes))
    lines = "\n".join("\n".join(part.lines()) if isinstance(part, Grid) else part for part in parts)
    return "\n".join(line.rstrip() for line in lines.splitlines())


@pytest.mark.parametrize("expected", [SEEDS, FOLDS], ids=["seeds", "folds"])
def test_the_table_has_a_row_a_run(expected: str) -> None:
    """Two seeds; four folds of which one is missing. A status is told where not all are done."""
    seeds = [
        outcome(1, Member(3), validation={"accuracy": 0.5, "loss": 0.25}, test={"accuracy": 0.75}),
        outcome(2, Member(4), None, validation={"accuracy": 0.75, "loss": 0.5}, test={"accuracy": 0.5, "loss": None}),
    ]
    folds = [outcome(i, Member(3, i, 4), validation={"accuracy": 0.5}) for i in (1, 2, 3)]
    assert text(seeds if expected is SEEDS else [*folds, Outcome(Member(3, 4, 4))]) == expected


def test_nothing_but_failures() -> None:
    """No mean of nothing."""
    assert text([Outcome(Member(3))]).splitlines()[-1].split() == ["–", "missing", "3", "–"]
