"""Artifacts as lines and as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cnncli.report.grid import Column, Grid
from cnncli.report.page import Page


def artifact_line(row: Mapping[str, Any]) -> str:
    """Return where an artifact is and what was proven of it.

    Args:
        row: One of the artifacts of `cnn export --json`.
    """
    size = f"{row['path']}  {row['bytes']:,} bytes"
    if row["tolerance"] is not None:
        return (
            f"{size}, same predictions as the run on {row['num_examples']:,} examples and edge cases "
            f"(largest difference {row['max_abs_diff']:.1e})"
        )
    return f"{size}, accuracy {row['accuracy']:.2%} on {row['num_examples']:,} examples, {drop(row)}"


def drop(row: Mapping[str, Any]) -> str:
    """Return an artifact's drop of accuracy and its interval, in points."""
    low, high = row["accuracy_drop_interval"]
    return f"{100 * row['accuracy_drop']:.2f} points below the run (95 % interval {100 * low:.2f} to {100 * high:.2f})"


def title(row: Mapping[str, Any]) -> str:
    """Return an artifact's format and how it is quantised."""
    return " ".join(filter(None, (row["format"], row["quantize"])))


def bench_page(rows: Sequence[Mapping[str, Any]]) -> Page:
    """Return what each artifact costs: size, accuracy, milliseconds of one and of 32 images, memory."""
    columns = (
        Column("format", left=True),
        Column("bytes"),
        Column("max |Δp|"),
        Column("agreement", rank=2),
        Column("examples", rank=3),
        Column("accuracy"),
        Column("1 image ms"),
        Column("p95", rank=1),
        Column("32 images ms"),
        Column("p95", rank=1),
        Column("peak MB"),
    )
    return Page((Grid(columns, [_cells(row) for row in rows]),))


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    one, many = row["latency"]["1"], row["latency"]["32"]
    memory = row["peak_memory_bytes"]
    return (
        title(row),
        f"{row['bytes']:,}",
        f"{row['max_abs_diff']:.1e}",
        f"{row['agreement']:.2%}",
        f"{row['num_examples']:,}",
        f"{row['accuracy']:.2%}",
        *(f"{1000 * batch[key]:.2f}" for batch in (one, many) for key in ("median", "p95")),
        "–" if memory is None else f"{memory / 1e6:,.0f}",
    )
