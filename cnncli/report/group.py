"""The runs of a group as a table: a row a run, and below it the mean with how certain it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from cnncli.report.grid import Column, Grid
from cnncli.report.runs import NOTHING, value_cell
from cnncli.runs.outcomes import FEWEST, NUM_RESAMPLES, Outcome, Spread

SD = "± sd"
INTERVAL = "95 % interval"


def group_lines(group: str, outcomes: Sequence[Outcome], spreads: Mapping[str, Spread]) -> Iterator[Grid | str]:
    """Yield what `cnn train --seeds` shows at its end: a title, a table, and what the interval is.

    Args:
        group: The group's id.
        outcomes: What each run came to.
        spreads: What all came to, by metric.
    """
    yield f"group {group}\n"
    yield _table(outcomes, spreads)
    if any(spread.interval is not None for spread in spreads.values()):
        yield f"\nThe interval is one of the mean over runs: bootstrap, percentiles of {NUM_RESAMPLES:,} resamples."
        if any(outcome.member.fold for outcome in outcomes):
            yield "Folds share most of their training examples, so it may be too narrow."
    elif spreads:
        yield f"\nThere is no interval of the mean: it takes at least {FEWEST} runs."


def _table(outcomes: Sequence[Outcome], spreads: Mapping[str, Spread]) -> Grid:
    has_folds = any(outcome.member.fold for outcome in outcomes)
    is_whole = all(outcome.status == "done" for outcome in outcomes)
    columns = (
        Column("run", left=True),
        *(() if is_whole else (Column("status", left=True),)),
        Column("seed"),
        *((Column("fold"),) if has_folds else ()),
        Column("best epoch", rank=1),
        *(Column(name.replace("_", " ")) for name in spreads),
    )
    between = len(columns) - 1 - len(spreads)
    return Grid(
        columns,
        [_row(outcome, list(spreads), has_folds, is_whole) for outcome in outcomes],
        [(title, *[""] * between, *cells) for title, cells in _footer(list(spreads.values()))],
    )


def _row(outcome: Outcome, names: Sequence[str], has_folds: bool, is_whole: bool) -> tuple[str, ...]:
    values, member = dict(outcome.values()), outcome.member
    return (
        NOTHING if outcome.run is None else f"{outcome.run.name}/{outcome.run.id}",
        *(() if is_whole else (outcome.status,)),
        str(member.seed),
        *((f"{member.fold}/{member.folds}" if member.fold else NOTHING,) if has_folds else ()),
        NOTHING if outcome.best_epoch is None else str(outcome.best_epoch),
        *(value_cell(values.get(name)) for name in names),
    )


def _footer(spreads: Sequence[Spread]) -> Iterator[tuple[str, list[str]]]:
    """Yield the rows below the runs: title, and a cell for each metric."""
    if not spreads:
        return
    yield "mean", [value_cell(spread.mean) for spread in spreads]
    yield SD, [value_cell(spread.sd) for spread in spreads]
    yield "n", [str(spread.n) for spread in spreads]
    if any(spread.interval for spread in spreads):
        yield INTERVAL, ["–".join(map(value_cell, spread.interval or ())) or NOTHING for spread in spreads]
