"""What all workers of a run must know before they begin: the config, and that they have the same examples."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnncli.config.dump import dump
from cnncli.config.load import loads
from cnncli.config.location import located
from cnncli.config.schema.schema import Config
from cnncli.datasets import load as load_splits
from cnncli.datasets.splits import Splits
from cnncli.engine.distribution.strategy import Strategy
from cnncli.engine.runtime import configure
from cnncli.errors import CnnError
from cnncli.runs.run import Run


@dataclass(frozen=True)
class Job:
    """A run to train.

    Attributes:
        run: Its directory; only the chief looks into it.
        config: The experiment.
        splits: Its examples.
    """

    run: Run
    config: Config
    splits: Splits


def tell_workers(strategy: Strategy, job: Job) -> None:
    """Tell the other workers of the chief's job, and see that they have the same examples.

    Raises:
        CnnError: If one of them has others.
    """
    if strategy.num_workers == 1:
        return
    located_config = located(job.config)
    told = {
        "run": str(job.run.path.absolute()),
        "config": dump(job.config),
        "path": None if located_config.path is None else str(Path(located_config.path).expanduser().absolute()),
        "classes": list(job.splits.classes),
    }
    strategy.broadcast(told)
    _compare_examples(strategy, job.splits)


def job_of_chief(strategy: Strategy, config: Config | None, splits: Splits | None) -> Job:
    """Return the chief's job, with this worker's own examples.

    Args:
        strategy: How the workers share the work.
        config: What this worker was told by itself, if anything.
        splits: Its examples, where they are loaded already.

    Raises:
        CnnError: If this worker was told another experiment, or has other examples.
    """
    told: dict[str, Any] = strategy.broadcast({})
    theirs = loads(told["config"], "the chief's config")
    if config is None:
        path = told["path"]
        config = (
            theirs
            if path is None
            else theirs.model_copy(update={"data": theirs.data.model_copy(update={"path": path})})
        )
    elif _experiment(config) != _experiment(theirs):
        raise CnnError(
            f"worker {strategy.rank} was given another config than the chief",
            "Start all workers with the same config and --set options; only data.path and train.threads may differ.",
        )
    configure(config)
    strategy.divide(config.train.shards)
    if splits is None:
        splits = load_splits(config, told["classes"])
    _compare_examples(strategy, splits)
    return Job(Run(Path(told["run"])), config, splits)


def _experiment(config: Config) -> dict[str, Any]:
    """Return what a config says, but where the examples are and what no bit depends on."""
    data = {key: value for key, value in config.document["data"].items() if key != "path"}
    train = {key: value for key, value in config.document["train"].items() if key != "threads"}
    return {**config.document, "data": data, "train": train}


def _compare_examples(strategy: Strategy, splits: Splits) -> None:
    """Raise CnnError on every worker if one of them has other examples than the chief."""
    hashes = [splits.passport.get(name) for name in ("content_hash", "split_hash")]
    gathered = strategy.gather(hashes)
    others = [str(rank) for rank, theirs in enumerate(gathered) if theirs != gathered[0]]
    if others:
        raise CnnError(
            f"other examples than the chief's, or split otherwise: worker {', '.join(others)}",
            "Every worker reads the data by itself: copy the same files to each machine.",
        )
