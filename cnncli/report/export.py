"""Artifacts as lines and as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table


def artifact_line(row: Mapping[str, Any]) -> str:
    """Return where an artifact is and what was proven of it.

    Args:
        row: One of the artifacts of `cnn export --json`.
    """
    size = f"{row['path']}  {row['bytes']:,} bytes"
    if row["tolerance"] is not None:
        return (
            f"{size}, same answers as the run on {row['num_examples']:,} examples and edge cases "
            f"(largest difference {row['max_abs_diff']:.1e})"
        )
    return f"{size}, accuracy {row['accuracy']:.2%} on {row['num_examples']:,} examples, {drop(row)}"


def drop(row: Mapping[str, Any]) -> str:
    """Return an artifact's drop of accuracy and its interval, in points."""
    low, high = row["accuracy_drop_interval"]
    return (
        f"{100 * row['accuracy_drop']:.2f} points below the run's (95 % interval {100 * low:.2f} to {100 * high:.2f})"
    )


def title(row: Mapping[str, Any]) -> str:
    """Return an artifact's format and how it is quantised."""
    return " ".join(filter(None, (row["format"], row["quantize"])))


def bench_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Return what each artifact costs: size, accuracy, time of one and of 32 images, memory."""
    table = Table(box=None, pad_edge=False)
    table.add_column("format")
    for name in ("bytes", "max |Δp|", "agree", "accuracy", "1 image ms", "p95", "32 images ms", "p95", "peak MB"):
        table.add_column(name, justify="right")
    for row in rows:
        one, many = row["latency"]["1"], row["latency"]["32"]
        table.add_row(
            title(row),
            f"{row['bytes']:,}",
            f"{row['max_abs_diff']:.1e}",
            f"{row['agreement']:.2%}",
            f"{row['accuracy']:.2%}",
            *(f"{1000 * batch[key]:.2f}" for batch in (one, many) for key in ("median", "p95")),
            "–" if row["peak_memory_bytes"] is None else f"{row['peak_memory_bytes'] / 1e6:,.0f}",
        )
    return table
