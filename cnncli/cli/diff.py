"""`cnn diff`: what differs between two configs or runs."""

from __future__ import annotations

from pathlib import Path

from cnncli.cli.console import print_json, print_line, print_page
from cnncli.cli.options import ConfigOrRun, Json, Markdown, RunsDir
from cnncli.cli.reference import load_reference


def diff_cli(
    a: ConfigOrRun,
    b: ConfigOrRun,
    markdown: Markdown = False,
    as_json: Json = False,
    runs_dir: RunsDir = Path("runs"),
) -> None:
    """Compare two networks layer by layer: what changed, with parameters, MACs and receptive fields.

    Example: cnn diff alexnet alexnet_ungrouped
    """
    from cnncli.analysis.diff import diff
    from cnncli.report.network_diff import diff_table

    difference = diff(load_reference(a, runs_dir), load_reference(b, runs_dir))
    if as_json:
        print_json(difference.to_json())
    elif markdown:
        print_line(diff_table(difference).markdown())
    else:
        print_page(diff_table(difference))
