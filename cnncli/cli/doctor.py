"""`cnn doctor`: what this machine offers, and whether everything works together."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from cnncli.cli.console import loading_tensorflow, out, print_json, print_line
from cnncli.cli.options import Json
from cnncli.cli.workers import ClusterText, Crew, Rank, end_of_work
from cnncli.errors import CnnError

NumWorkers = Annotated[
    int | None,
    typer.Option("--workers", min=1, metavar="N", help="Try the exchange between N processes of this machine."),
]


def doctor_cli(
    as_json: Json = False,
    num_workers: NumWorkers = None,
    cluster: ClusterText = None,
    rank: Rank = None,
) -> None:
    """Show versions, devices and memory, and test one training step.

    With --cluster or --workers: join the other workers, compare what they compute with, and time their exchange.

    Example: cnn doctor
    """
    # Workers that compute in different ways are told, not refused.
    crew = Crew.of(num_workers, 0, cluster, rank, inexact=cluster is not None)
    if crew.num_workers is not None:
        _launch(crew, crew.num_workers, as_json)
    if crew.cluster is not None:
        _meet(crew, crew.cluster.address, as_json)
        return
    from cnncli.engine.doctor import examine

    findings = examine()
    if as_json:
        print_json(findings)
    else:
        _print_table(findings)


def _launch(crew: Crew, num_workers: int, as_json: bool) -> NoReturn:
    """Try the exchange between processes of this machine."""
    from cnncli.workers.cluster import require_power_of_two

    require_power_of_two(num_workers, "--workers")
    if num_workers == 1:
        raise _alone()
    with tempfile.TemporaryDirectory(prefix="cnn-doctor-") as folder:
        crew.launch(["doctor"], Path(folder), ["--json"] if as_json else [], None)


def _meet(crew: Crew, address: str, as_json: bool) -> None:
    """Try the exchange as one of its workers; the chief tells of it."""
    strategy = crew.strategy()
    if strategy is None:
        raise _alone()
    with loading_tensorflow():
        from cnncli.engine.exchange import meet

    found = meet(strategy, address).to_json()
    if not strategy.is_chief:
        end_of_work(None)
    if as_json:
        print_json(found)
        return
    from cnncli.report.exchange import exchange_lines

    for line in exchange_lines(found):
        print_line(line)


def _alone() -> CnnError:
    return CnnError("one worker has nobody to exchange anything with", "Take two: cnn doctor --workers 2.")


def _print_table(findings: dict[str, Any]) -> None:
    from rich.table import Table

    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for name, value in findings.items():
        shown = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else value
        shown = ", ".join(map(str, shown)) if isinstance(shown, list) else shown
        table.add_row(name.replace("_", " "), str(shown))
    out().print(table)
