"""A measurement of speed as a table on the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text


def bench_table(document: Mapping[str, Any]) -> RenderableType:
    """Return the totals and a row for each layer of what `cnn bench --json` prints."""
    totals = Text.assemble(
        (f"{document['images_per_second']:,.0f} images/s in training", "bold"),
        f" ({document['step_ms']:.2f} ms per step of {document['batch_size']}), ",
        f"{document['inference_images_per_second']:,.0f} in inference\n",
        _near_the_peak(document),
    )
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("layer", overflow="fold")
    table.add_column("type", overflow="ellipsis", no_wrap=True)
    for name in ("forward ms", "backward ms", "share"):
        table.add_column(name, justify="right")
    layers = document["layers"]
    whole = sum(row["forward_ms"] + row["backward_ms"] for row in layers) or 1.0
    for row in layers:
        share = (row["forward_ms"] + row["backward_ms"]) / whole
        table.add_row(
            Text(row["name"]), row["type"], f"{row['forward_ms']:.3f}", f"{row['backward_ms']:.3f}", f"{share:.0%}"
        )
    return Group(totals, Text(), table)


def latency_line(document: Mapping[str, Any]) -> str:
    """Return what `cnn bench --latency --json` prints as a sentence."""
    spread = f"95 % of {document['num_calls']} calls within {document['p95_ms']:.3g} ms"
    where = f"in {document['precision']} on {document['device']}"
    return f"{document['latency_ms']:.3g} ms for one image, {spread}, {where}"


def _near_the_peak(document: Mapping[str, Any]) -> str:
    """Say how near training comes to the peak; what other programs slowed down was none."""
    rate = f"{document['peak_gflops']:,.0f} GFLOP/s"
    where = f"in {document['precision']} on {document['device']}"
    if document["peak_share"] <= 1:
        return f"about {document['peak_share']:.0%} of {rate}, the most that a matrix product reached {where}"
    return f"faster than a matrix product {where} ({rate}), which other programs slowed down: measure again"
