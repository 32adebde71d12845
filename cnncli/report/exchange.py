"""The exchange between workers as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cnncli.plural import counted
from cnncli.report.grid import Column, Grid

WORKERS = (Column("worker"), Column("address", left=True), Column("device", left=True))

EXCHANGES = (Column("values"), Column("ms"), Column("MB/s"), Column("through", left=True))


def exchange_lines(document: Mapping[str, Any]) -> list[str]:
    """Return the lines of what `cnn doctor --cluster … --json` prints."""
    workers, differences = document["workers"], document["differences"]
    who = Grid(WORKERS, [(str(each["rank"]), each["address"], each["device"]) for each in workers])
    versions = ", ".join(f"{name} {version}" for name, version in workers[0]["versions"].items())
    verdict = "All have the same versions, device and instruction set: nothing stands against bit-exact runs."
    if differences:
        verdict = f"A run with these workers would not be bit-exact: {counted(len(differences), 'difference')}"
    rows = [
        (
            f"{each['values']:,}",
            f"{each['milliseconds']:,.2f}",
            f"{each['megabytes_per_second']:,.0f}",
            "memory" if each["in_memory"] else "messages",
        )
        for each in document["exchanges"]
    ]
    return [
        *who.lines(),
        "",
        f"Worker 0 has {versions}.",
        verdict,
        *(f"  {difference}" for difference in differences),
        "",
        "To add up the gradients of a step, and what each worker sends or writes meanwhile:",
        *Grid(EXCHANGES, rows).lines(),
    ]
