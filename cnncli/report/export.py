"""Artifacts as lines and as a table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cnncli.report.grid import Column, Grid
from cnncli.report.page import Page


@dataclass(frozen=True, slots=True)
class Score:
    """What an artifact's task measures of it.

    Attributes:
        name: As the fields of `cnn export --json` have it.
        is_share: Whether it is a share, told in percent.
    """

    name: str = "accuracy"
    is_share: bool = True

    @property
    def title(self) -> str:
        """The name in words."""
        return self.name.replace("_", " ")

    def text(self, row: Mapping[str, Any]) -> str:
        """Return an artifact's score."""
        value: float = row[self.name]
        return f"{value:.2%}" if self.is_share else f"{value:.4g}"

    def drop(self, row: Mapping[str, Any]) -> str:
        """Return how much worse an artifact is than its run, and the interval; of a share, in points."""
        drop, (low, high) = row[f"{self.name}_drop"], row[f"{self.name}_drop_interval"]
        if self.is_share:
            return f"{100 * drop:.2f} points below the run (95 % interval {100 * low:.2f} to {100 * high:.2f})"
        return f"worse than the run by {drop:.4g} (95 % interval {low:.4g} to {high:.4g})"


ACCURACY = Score()


def artifact_line(row: Mapping[str, Any], score: Score = ACCURACY) -> str:
    """Return where an artifact is and what was proven of it.

    Args:
        row: One of the artifacts of `cnn export --json`.
        score: What its task measures.
    """
    kept = " kept" if row.get("kept_examples") else ""
    size = f"{row['path']}  {row['bytes']:,} bytes"
    pixels = f", {_most(row['pixel_agreement'])} of the pixels alike" if "pixel_agreement" in row else ""
    if row["tolerance"] is not None:
        return (
            f"{size}, same predictions as the run on {row['num_examples']:,}{kept} examples and edge cases "
            f"(largest difference {row['max_abs_diff']:.1e}{pixels})"
        )
    return (
        f"{size}, {score.title} {score.text(row)} on {row['num_examples']:,}{kept} examples, {score.drop(row)}{pixels}"
    )


def _most(share: float) -> str:
    """Return a share in percent; only the whole is 100 %."""
    return "100 %" if share == 1 else f"{math.floor(1e6 * share) / 1e4:.4f} %"


def title(row: Mapping[str, Any]) -> str:
    """Return an artifact's format and how it is quantised."""
    return " ".join(filter(None, (row["format"], row["quantize"])))


def bench_page(rows: Sequence[Mapping[str, Any]], score: Score = ACCURACY) -> Page:
    """Return what each artifact costs: size, score, milliseconds of one and of 32 images, memory."""
    columns = (
        Column("format", left=True),
        Column("bytes"),
        Column("max |Δp|"),
        Column("agreement", rank=2),
        Column("examples", rank=3),
        Column(score.title),
        Column("1 image ms"),
        Column("p95", rank=1),
        Column("32 images ms"),
        Column("p95", rank=1),
        Column("peak MB"),
    )
    return Page((Grid(columns, [_cells(row, score) for row in rows]),))


def _cells(row: Mapping[str, Any], score: Score) -> tuple[str, ...]:
    one, many = row["latency"]["1"], row["latency"]["32"]
    memory = row["peak_memory_bytes"]
    return (
        title(row),
        f"{row['bytes']:,}",
        f"{row['max_abs_diff']:.1e}",
        f"{row['agreement']:.2%}",
        f"{row['num_examples']:,}",
        score.text(row),
        *(f"{1000 * batch[key]:.2f}" for batch in (one, many) for key in ("median", "p95")),
        "–" if memory is None else f"{memory / 1e6:,.0f}",
    )
