"""`cnn slurm`: a job for Slurm."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cnncli.cli.console import print_line, print_note
from cnncli.cli.options import ConfigArgument, Name, RunsDir, Sets, name_overrides
from cnncli.cli.training import show_warnings

RUNS = Path("runs")


def slurm_cli(
    config: ConfigArgument,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Number of workers: 1, 2, 4, … up to train.shards; one is one task.")
    ] = None,
    nodes: Annotated[int | None, typer.Option(min=1, help="Number of nodes; without --workers one on each.")] = None,
    ntasks_per_node: Annotated[int | None, typer.Option(min=1, help="Number of workers on each node.")] = None,
    cpus_per_task: Annotated[int | None, typer.Option(min=1, help="Number of processors of each worker.")] = None,
    gpus_per_task: Annotated[int | None, typer.Option(min=1, help="Number of GPUs of each worker.")] = None,
    time: Annotated[str | None, typer.Option(help="Time limit, 01:30:00; after it the job is queued again.")] = None,
    partition: Annotated[str | None, typer.Option(help="Slurm's partition.")] = None,
    account: Annotated[str | None, typer.Option(help="Account to charge.")] = None,
    sets: Sets = None,
    name: Name = None,
    runs_dir: RunsDir = RUNS,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write it to this file; never overwritten.")
    ] = None,
) -> None:
    """Print a batch script for Slurm that trains a config, and goes on with it after a requeue or a time limit.

    Example: cnn slurm my.yaml --workers 4 --cpus-per-task 8 --time 04:00:00 --set train.shards=4 -o job.sh
    """
    from cnncli.config.load import load
    from cnncli.workers.batch_script import Request, require_possible, script

    overrides = [*(sets or ()), *name_overrides(name)]
    loaded = load(config, overrides)
    request = Request(workers, nodes, ntasks_per_node, cpus_per_task, gpus_per_task, time, partition, account)
    require_possible(request, loaded.train.shards)
    show_warnings(loaded)
    command = ["cnn", "train", config, *(part for text in sets or () for part in ("--set", text))]
    command += [] if name is None else ["--name", name]
    command += [] if runs_dir == RUNS else ["--runs-dir", str(runs_dir)]
    text = script(loaded.name, [*command, "--cluster", "slurm"], request)
    if output is None:
        print_line(text.rstrip("\n"))
        return
    from cnncli.report.files import write_new

    if output.exists():
        from cnncli.errors import CnnError

        raise CnnError(f"{output} already exists", "Choose another file with --output.")
    write_new(output, text)
    print_line(str(output))
    print_note(f"Submit it from this folder: sbatch {output}.")
