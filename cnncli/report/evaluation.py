"""An evaluation as a table on the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text


def evaluation_table(document: Mapping[str, Any]) -> RenderableType:
    """Return the totals and a row for each class of what `cnn eval --json` prints."""
    low, high = document["accuracy_interval"]
    totals = Text.assemble(
        (f"accuracy {document['accuracy']:.4f}", "bold"),
        f"  (95 % interval {low:.4f} to {high:.4f})  loss {document['loss']:.4f}\n",
        f"{document['num_examples']:,} examples of {document['split']}",
    )
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("class")
    for name in ("precision", "recall", "F1", "support"):
        table.add_column(name, justify="right")
    for row in document["per_class"]:
        numbers = [f"{row[name]:.4f}" for name in ("precision", "recall", "f1")]
        table.add_row(Text(row["class"]), *numbers, f"{row['support']:,}")
    return Group(totals, Text(), table)
