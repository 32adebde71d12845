"""`cnn bench`: how fast a network runs on this machine."""

from __future__ import annotations

from pathlib import Path

from cnncli.cli.console import loading_tensorflow, out, print_json, telling
from cnncli.cli.options import ConfigOrRun, Json, RunsDir, Sets
from cnncli.cli.reference import load_reference
from cnncli.cli.training import show_warnings


def bench_cli(
    config: ConfigOrRun,
    sets: Sets = None,
    runs_dir: RunsDir = Path("runs"),
    as_json: Json = False,
) -> None:
    """Measure images per second in training and inference, each layer's time, and the share of the machine's peak.

    Example: cnn bench cifar10_quick --set train.precision=mixed_bfloat16
    """
    loaded = load_reference(config, runs_dir, sets or ())
    show_warnings(loaded)
    with loading_tensorflow():
        from cnncli.engine.bench import bench

    with telling("measuring training, prediction and each layer"):
        measured = bench(loaded)
    if as_json:
        print_json(measured.to_json())
        return
    from cnncli.report.bench import bench_table

    out().print(bench_table(measured.to_json()))
