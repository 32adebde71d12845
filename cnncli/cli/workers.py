"""Training on several workers: the options of `cnn train` and `cnn resume`, and what becomes of a process with them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from cnncli.cli.console import loading_tensorflow, print_note, telling

if TYPE_CHECKING:
    from cnncli.engine.distribution.strategy import Strategy
    from cnncli.workers.cluster import Cluster

NumWorkers = Annotated[
    int | None,
    typer.Option("--workers", min=1, metavar="N", help="Train with N processes of this machine; needs train.shards."),
]


Restarts = Annotated[
    int,
    typer.Option("--restarts", min=0, metavar="N", help="With --workers: restart them up to N times if one dies."),
]


ClusterText = Annotated[
    str | None,
    typer.Option(
        "--cluster", metavar="WHERE", help="Be one of several workers: slurm, tf_config, or HOST:PORT,HOST:PORT,…"
    ),
]


Rank = Annotated[
    int | None, typer.Option("--rank", min=0, metavar="I", help="With addresses: which one is this process's, from 0.")
]


Inexact = Annotated[
    bool,
    typer.Option("--inexact", help="Allow workers that compute otherwise; the run is then not bit-exact."),
]


@dataclass(frozen=True)
class Crew:
    """What the options of a command say of other workers.

    Attributes:
        num_workers: Processes to start on this machine; None to be the only one.
        restarts: How often these are started again.
        cluster: The workers that this process is one of, if it is.
        inexact: Whether workers may take part that give other bits.
        is_requeued: Whether Slurm has started this job before.
        is_launched: Whether another process of this command started this one; it has shown the config's warnings.
    """

    num_workers: int | None
    restarts: int
    cluster: Cluster | None
    inexact: bool
    is_requeued: bool = False
    is_launched: bool = False

    @classmethod
    def of(cls, num_workers: int | None, restarts: int, cluster: str | None, rank: int | None, inexact: bool) -> Crew:
        """Return what the options say; to be called before anything slow.

        Raises:
            CnnError: If they do not fit together, or the cluster cannot be told from them.
        """
        from cnncli.workers import parent

        is_launched = parent.watch()
        if restarts and num_workers is None:
            raise typer.BadParameter("--restarts needs --workers: it restarts processes of this machine")
        if cluster is None:
            if rank is not None:
                raise typer.BadParameter("--rank needs --cluster: the addresses of all workers")
            return cls(num_workers, restarts, None, inexact, is_launched=is_launched)
        if num_workers is not None:
            raise typer.BadParameter("use either --workers or --cluster")
        from cnncli.workers.cluster import parse

        found = parse(cluster, rank, os.environ)
        if is_launched:
            from cnncli.resources import take_cores

            take_cores(found.rank, found.num_workers)
        from cnncli.workers.slurm import is_requeued

        return cls(None, 0, found, inexact, cluster == "slurm" and is_requeued(os.environ), is_launched)

    @property
    def is_chief(self) -> bool:
        """Whether this process owns the run and tells of it: so does one that is alone."""
        return self.cluster is None or self.cluster.is_chief

    @property
    def is_alone(self) -> bool:
        """Whether nothing was said of other workers."""
        return self.num_workers is None and self.cluster is None

    @property
    def options(self) -> list[str]:
        """The options that start the same workers of this machine for another command."""
        workers = [] if self.num_workers is None else ["--workers", str(self.num_workers)]
        restarts = ["--restarts", str(self.restarts)] if self.restarts else []
        return [*workers, *restarts, *(["--inexact"] if self.inexact else [])]

    def strategy(self, threads: int | None = None) -> Strategy | None:
        """Join the other workers; None where there are none.

        Args:
            threads: What this process's config says of its threads, where it has one already.
        """
        if self.cluster is None or self.cluster.num_workers == 1:
            return None
        with loading_tensorflow():
            from cnncli.engine.distribution.workers import Workers
        from cnncli.interrupts import default_signals

        with telling("waiting for the other workers"), default_signals():
            return Workers(self.cluster, self.inexact, threads)

    def require_shards(self, shards: int) -> None:
        """Raise CnnError if batches of so many shards cannot be shared out between so many workers."""
        from cnncli.workers.cluster import require_power_of_two, require_shards

        number = self.num_workers if self.cluster is None else self.cluster.num_workers
        if number is not None:
            require_power_of_two(number, "--workers" if self.cluster is None else "--cluster")
            require_shards(number, shards)

    def launch(self, arguments: Sequence[str], runs_dir: Path, options: Sequence[str], run: Path | None) -> NoReturn:
        """Start the workers of this machine with a command, and end with its exit code.

        Args:
            arguments: The command and what it works on.
            runs_dir: Folder of all runs.
            options: Of this command, and of the one that resumes its run.
            run: The run that is resumed; None for a new one.
        """
        from cnncli.workers.launcher import Command, launch

        extra = [*options, *(["--inexact"] if self.inexact else [])]
        command = Command(
            arguments=[*arguments, *extra],
            workers=self.num_workers or 1,
            runs_dir=runs_dir,
            resume=lambda path: ["resume", str(path), *extra],
            tell=print_note,
            run=run,
            restarts=self.restarts,
        )
        raise typer.Exit(launch(command))


def end_of_work(signal: int | None) -> NoReturn:
    """End a worker that is not the chief, as the chief ends."""
    raise typer.Exit(0 if signal is None else 128 + signal)
