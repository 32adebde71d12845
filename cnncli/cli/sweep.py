"""`cnn sweep`: one experiment with many values of some of its keys."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cnncli.cli.console import err, print_json, print_line, print_note
from cnncli.cli.options import Device, DeviceName, Json, RunsDir, Sets

if TYPE_CHECKING:
    import signal
    from collections.abc import Iterable

    from cnncli.sweeps.directory import SweepDirectory
    from cnncli.sweeps.spec import Sweep
    from cnncli.sweeps.trainings import Program


def sweep_cli(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A config with a section `sweep`.")],
    sets: Sets = None,
    processes: Annotated[
        int | None,
        typer.Option(min=1, help="Trainings at once; by default as the sweep allows and there are GPUs, or cores for."),
    ] = None,
    runs_dir: RunsDir = Path("runs"),
    device: Device = DeviceName.auto,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the first proposals and those refused; train and write nothing.")
    ] = False,
    slurm: Annotated[
        bool, typer.Option("--slurm", help="Print an array job for Slurm that trains the sweep; write nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Search for the best values of a config's keys; the same command goes on with a sweep that was stopped.

    `cnn sweep show` is a command of its own; `cnn sweep -- show` takes a file of that name.

    Example: cnn sweep lenet_search.yaml --processes 2
    """
    from cnncli.sweeps.spec import load_sweep

    if slurm and (dry_run or as_json):
        raise typer.BadParameter("--slurm prints a script: leave out --dry-run and --json")
    sweep = load_sweep(file, sets or ())
    if dry_run:
        _propose(sweep, as_json)
    elif slurm:
        _print_script(sweep, file, sets or (), processes, runs_dir, device)
    else:
        _train(sweep, runs_dir, processes, device, as_json)


def _train(sweep: Sweep, runs_dir: Path, processes: int | None, device: DeviceName, as_json: bool) -> None:
    """Train the trials that are not done yet, and print all."""
    from dataclasses import replace

    from cnncli.cli.sweep_show import print_results
    from cnncli.report.sweep import beginning
    from cnncli.resources import available_threads
    from cnncli.sweeps.directory import SweepDirectory
    from cnncli.sweeps.results import results
    from cnncli.sweeps.study import require_sampler
    from cnncli.sweeps.trainings import Program

    require_sampler(sweep)
    parallel, cores = sweep.settings.parallel, available_threads()
    directory = SweepDirectory.begin(sweep, runs_dir, max(1, cores // parallel))
    threads = directory.sweep.settings.threads or 1
    program = Program(device=device.value)
    most = processes or len(program.gpus) or max(1, cores // threads)
    program = replace(program, processes=min(parallel, most))
    err().print(beginning(directory, program.processes), markup=False, soft_wrap=not err().is_terminal)
    stopped_by = _run(directory, program)
    found = results(directory)
    print_results(found, as_json)
    if not as_json:
        print_line(found.path)
    if stopped_by is not None:
        print_note("Stopped. The same command goes on with the sweep.")
        raise typer.Exit(128 + stopped_by)


def _run(directory: SweepDirectory, program: Program) -> signal.Signals | None:
    """Train the trials and show how far they are; return the signal that asked to stop."""
    from cnncli.report.sweep import trial_line
    from cnncli.sweeps.scheduler import run

    if not err().is_terminal:
        return run(directory, program, lambda trial: print_note(trial_line(trial)))
    from cnncli.report.sweep_progress import LiveTrials
    from cnncli.sweeps.progress import Watch

    with LiveTrials(err(), Watch(directory)) as display:
        return run(directory, program, display.tell, display.look)


def _print_script(
    sweep: Sweep, file: str, sets: Iterable[str], processes: int | None, runs_dir: Path, device: DeviceName
) -> None:
    """Print an array job: each of its jobs trains one trial at a time of the same sweep."""
    from cnncli.sweeps.study import require_sampler
    from cnncli.workers.batch_script import Request, script

    require_sampler(sweep)
    settings = sweep.settings
    threads = settings.threads or sweep.base.train.threads or 1
    fixed = [] if settings.threads is not None else [f"sweep.threads={threads}"]
    command = ["cnn", "sweep", file, "--processes", "1", "--runs-dir", str(runs_dir), "--device", device.value]
    command += [part for text in (*sets, *fixed) for part in ("--set", text)]
    request = Request(workers=1, cpus_per_task=threads, array=min(settings.parallel, processes or settings.parallel))
    print_line(script(sweep.name, command, request).rstrip("\n"))
    print_note("Save it as job.sh and submit it from this folder: sbatch --time=04:00:00 job.sh.")


def _propose(sweep: Sweep, as_json: bool) -> None:
    """Print what can be proposed without any result."""
    from cnncli.report.sweep import proposal_line
    from cnncli.sweeps.study import Study

    study, proposals = Study(sweep), []
    while (step := study.next({})) is not None:
        proposals.append(step[0])
    if as_json:
        print_json({"name": sweep.name, "proposals": [proposal.to_json() for proposal in proposals]})
        return
    for proposal in proposals:
        print_line(proposal_line(proposal))
    if not study.is_complete:
        print_note("What follows depends on the results.")
