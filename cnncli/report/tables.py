"""A network's summary as a table for the terminal, for a text file and for Markdown."""

from __future__ import annotations

import re

from cnncli.analysis.summary import Row, Summary
from cnncli.plural import counted
from cnncli.report.grid import Column, Grid
from cnncli.report.numbers import full, short, size
from cnncli.report.outline import marks
from cnncli.report.page import Page, Title

COLUMNS = (
    Column("Layer", left=True, cut=True),
    Column("Output"),
    Column("Parameters"),
    Column("MACs"),
    Column("Sees", rank=2),
    Column("Dense instead", rank=3),
)
"""Ranks: at 80 columns the dense equivalents go, at 60 what a layer sees goes as well."""


def summary_table(summary: Summary) -> Page:
    """Return the summary for a console."""
    return Page((Title(heading(summary)), "", grid(summary), "", *totals(summary)))


def summary_text(summary: Summary, width: int | None = None) -> str:
    """Return the summary as plain lines, without a line break at the end.

    Args:
        summary: The network in numbers.
        width: Characters to fit into, or None for as many as it takes.
    """
    return summary_table(summary).text(width)


def summary_markdown(summary: Summary) -> str:
    """Return the summary in Markdown."""
    facts = "\n".join(f"- {line}" for line in totals(summary))
    return f"### {heading(summary)}\n\n{grid(summary).markdown()}\n\n{facts}"


def heading(summary: Summary) -> str:
    """Return the line above a summary."""
    return f"{summary.name}: {size(summary.input_shape)} input, {counted(len(summary.rows), 'layer')}"


def grid(summary: Summary) -> Grid:
    """Return the layer table."""
    outline = marks([row.path for row in summary.rows])
    rows = [
        (
            mark + label(row),
            size(row.output_shape),
            full(row.params),
            full(row.macs),
            sees(row),
            "" if row.dense_params is None else full(row.dense_params),
        )
        for mark, row in zip(outline, summary.rows, strict=True)
    ]
    return Grid(COLUMNS, rows, [("Total", "", full(summary.total_params), full(summary.macs), "", "")])


def label(row: Row) -> str:
    """Return a layer's name, its type where the name does not tell it, what it reads, and what output it is."""
    automatic = re.sub(r"[^a-z0-9]", "", row.name).startswith(row.type.lower())
    reads = f" ← {', '.join(row.reads)}" if row.reads else ""
    outputs = f" → {', '.join(row.outputs)}" if row.outputs else ""
    return (row.name if automatic else f"{row.name} {row.type}") + reads + outputs


def sees(row: Row) -> str:
    """Return the receptive field: a size in pixels, or "all" where every output sees the same."""
    return "all" if row.sees_all else size(row.receptive_field)


def totals(summary: Summary) -> list[str]:
    """Return the lines below the table."""
    memory, trainable, rest = summary.memory, summary.trainable_params, summary.non_trainable_params
    at_once = f", {short(memory.peak, 'B')} at once" if any(row.reads for row in summary.rows) else ""
    return [
        f"Parameters  {full(summary.total_params)}: {full(trainable)} trainable, {full(rest)} not",
        f"One image   {short(summary.macs, 'MACs')} = {short(summary.flops, 'FLOPs')}; 2 FLOPs per MAC",
        f"Memory      {short(memory.weights, 'B')} weights, {short(memory.activations, 'B')} activations per image"
        + at_once,
        f"Training    about {short(memory.training, 'B')} at batch size {full(memory.batch_size)}",
    ]
