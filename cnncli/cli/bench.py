"""`cnn bench`: how fast a network runs on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cnncli.api.training import choose_device
from cnncli.cli.console import loading_tensorflow, out, print_json, print_line, telling
from cnncli.cli.options import ConfigOrRun, Device, DeviceName, Json, RunsDir, Sets
from cnncli.cli.reference import load_reference
from cnncli.cli.training import show_warnings


def bench_cli(
    config: ConfigOrRun,
    sets: Sets = None,
    runs_dir: RunsDir = Path("runs"),
    device: Device = DeviceName.auto,
    latency: Annotated[
        bool, typer.Option("--latency", help="Measure nothing but the time of one image, as a median.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write what --json prints to this file, too.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure images per second in training and inference, each layer's time, and the share of the machine's peak.

    Example: cnn bench cifar10_quick --set train.precision=mixed_bfloat16
    """
    from cnncli.workers import parent

    parent.watch()
    loaded = load_reference(config, runs_dir, sets or ())
    show_warnings(loaded)
    choose_device(device.value)
    with loading_tensorflow():
        from cnncli.engine import bench

    with telling("measuring single images" if latency else "measuring training, prediction and each layer"):
        measured = (bench.latency(loaded) if latency else bench.bench(loaded)).to_json()
    if output is not None:
        from cnncli.files import durable
        from cnncli.report.files import write_text

        write_text(output, durable.to_json(measured))
    if as_json:
        print_json(measured)
        return
    from cnncli.report.bench import bench_table, latency_line

    if latency:
        print_line(latency_line(measured))
    else:
        out().print(bench_table(measured))
