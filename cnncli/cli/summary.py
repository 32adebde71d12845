"""`cnn summary`: a network in numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cnncli.cli.console import print_json, print_line, print_page
from cnncli.cli.options import ConfigOrRun, Json, Markdown, RunsDir, Sets
from cnncli.cli.reference import load_reference

WhatIf = Annotated[
    list[str] | None,
    typer.Option(
        "--what-if", metavar="KEY=VALUE", help="Compare with the network that has this value; repeat for several."
    ),
]


def summary_cli(
    config: ConfigOrRun,
    what_if: WhatIf = None,
    sets: Sets = None,
    markdown: Markdown = False,
    as_json: Json = False,
    runs_dir: RunsDir = Path("runs"),
) -> None:
    """Show the layers of a network: shapes, parameters, MACs, receptive fields, and the totals.

    Example: cnn summary googlenet
    Example: cnn summary lenet5 --what-if model.layers[0].Conv2D.filters=64
    """
    from cnncli.api.configs import summary as summary_of
    from cnncli.report import tables

    overrides = list(sets or ())
    loaded = load_reference(config, runs_dir, overrides)
    summary = summary_of(loaded)
    if what_if:
        from cnncli.analysis.diff import diff
        from cnncli.report import network_diff

        difference = diff(loaded, load_reference(config, runs_dir, overrides + what_if))
        if as_json:
            print_json({**summary.to_json(), "what_if": {"changes": what_if, **difference.to_json()}})
        elif markdown:
            print_line(network_diff.what_if_table(difference, what_if).markdown())
        else:
            print_page(network_diff.what_if_table(difference, what_if))
    elif as_json:
        print_json(summary.to_json())
    elif markdown:
        print_line(tables.summary_markdown(summary.numbers))
    else:
        print_page(tables.summary_table(summary.numbers))
