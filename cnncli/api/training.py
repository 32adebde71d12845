"""Training a network from its config to its result, or on from where it stopped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from cnncli.api.surroundings import STDERR, Surroundings
from cnncli.errors import ConfigError

if TYPE_CHECKING:
    from cnncli.config.schema.schema import Config
    from cnncli.datasets.splits import Splits
    from cnncli.engine.distribution.strategy import Strategy
    from cnncli.engine.training.train import Result
    from cnncli.runs.run import Run


class Peers(Protocol):
    """The other processes of a training."""

    def require_shards(self, shards: int) -> None:
        """Raise CnnError if batches of so many shards cannot be shared out between all."""

    def strategy(self, threads: int | None) -> Strategy | None:
        """Join them, with what the config says of threads; None where there are none."""


@dataclass(frozen=True)
class Training:
    """How a network is trained, as far as it is no part of the experiment.

    Attributes:
        device: "auto", "cpu" or "gpu".
        stop_after: Number of the epoch after which it stops, to be resumed; None to train to its end.
        peers: The processes that share the work, or None.
        around: What hears of it.
    """

    device: str = "auto"
    stop_after: int | None = None
    peers: Peers | None = None
    around: Surroundings = STDERR

    def join(self, config: Config | None) -> Strategy | None:
        """Return how the work is shared out, once all processes are there; None for this one alone."""
        return None if self.peers is None else self.peers.strategy(None if config is None else config.train.threads)


def check(config: Config, around: Surroundings) -> None:
    """Tell what the static check doubts of a config; raise ConfigError for what it refuses."""
    from cnncli.analysis.check import check as problems_of

    problems = problems_of(config)
    if any(problem.severity == "error" for problem in problems):
        raise ConfigError(problems)
    if problems:
        around.warn(problems)


def choose_device(device: str) -> None:
    """Tell TensorFlow where to compute, if anybody said so; CnnError if there is no such device."""
    if device != "auto":
        from cnncli.engine.runtime import choose_device as choose

        choose(device)


def start(config: Config, runs_dir: Path, how: Training) -> Result:
    """Train a new run of a checked config, and return what it came to.

    Args:
        config: The experiment.
        runs_dir: Folder of all runs.
        how: Device, processes, and what hears of it.

    Raises:
        CnnError: If the data are missing, or training diverges; the run keeps what was reached.
    """
    strategy, splits = _prepare(config, how)
    from cnncli.engine.training.train import train

    return train(config, runs_dir, how.around.listener(), splits, strategy, how.stop_after)


def take_part(config: Config | None, how: Training) -> int | None:
    """Take a share of a training that another process began, and return the number of the signal that ended it.

    Args:
        config: The experiment, where this process was told it by itself; None to have all from the chief.
        how: Device, processes, and what hears of it.

    Raises:
        CnnError: If this worker has another config or other examples than the chief, or another worker is lost.
    """
    strategy, splits = _prepare(config, how)
    from cnncli.engine.training.train import work

    return None if strategy is None else work(strategy, config, splits)


def _prepare(config: Config | None, how: Training) -> tuple[Strategy | None, Splits | None]:
    """Load the examples of a config while TensorFlow is imported and the other processes are waited for."""
    from cnncli.datasets.background import begin_loading

    choose_device(how.device)
    with how.around.measuring() as watch:
        loading = None if config is None else begin_loading(config, watch)
        with how.around.importing():
            import cnncli.engine.training.train  # noqa: F401
        return how.join(config), None if loading is None else loading()


def go_on(run: Run, overrides: Sequence[str], how: Training) -> Result:
    """Go on with a stopped run exactly where it was saved, and return what it came to.

    Args:
        run: The run.
        overrides: Values of its config that are others from here on, as `--set` takes them.
        how: Device, processes, and what hears of it.

    Raises:
        CnnError: If there is nothing to go on from, another process trains it, or training diverges.
    """
    # Locked before anything slow is imported, so that a second process hears at once who holds the run.
    with run.lock():
        config = run.config(overrides)
        if how.peers is not None:
            how.peers.require_shards(config.train.shards)
        check(config, how.around)
        choose_device(how.device)
        with how.around.importing():
            from cnncli.engine.training.train import resume
        return resume(run, config, how.around.listener(), how.join(config), how.stop_after)
