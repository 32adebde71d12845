"""What must be as it was when a run goes on, and what a user is told where it is not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cnncli.config.schema.schema import Config
from cnncli.engine.runtime import facts
from cnncli.engine.training.progress import Progress
from cnncli.errors import RunError
from cnncli.plural import counted

SAME = {"seed": "seed", "data": "data", "nodes": "model"}
"""Parts of a config, and their keys, that make it another experiment when they change."""

SAME_IN_TRAIN = ("batch_size", "shards", "precision", "accumulate", "threads")
"""Keys of `train` that a checkpoint in the middle of an epoch cannot outlive; with shards, threads may change."""


def refuse_other_experiment(before: Config, after: Config) -> None:
    """Raise RunError if a run's new config is not a continuation of its old one."""
    # The examples may have moved: their content is compared when they are loaded.
    moved = after.data.model_copy(update={"path": before.data.path})
    after = after.model_copy(update={"data": moved})
    changed = [key for name, key in SAME.items() if getattr(before, name) != getattr(after, name)]
    in_train = [name for name in SAME_IN_TRAIN if name != "threads" or before.train.shards == 1]
    changed += [f"train.{name}" for name in in_train if getattr(before.train, name) != getattr(after.train, name)]
    if changed:
        fixed = (*SAME.values(), *(f"train.{name}" for name in in_train))
        raise RunError(
            f"resuming continues the same experiment, but {', '.join(changed)} would change",
            f"A run keeps its {', '.join(fixed[:-1])} and {fixed[-1]}: its steps are counted and repeated with them. "
            "Start a new run with `cnn train`, from these weights with train.start_from: {run: …}. "
            "Every other key of `train`, such as train.epochs, can be changed here.",
        )


def environment_changes(recorded: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """Yield one line for each part of the environment that makes bit-equal results impossible."""
    flat_before, flat_now = facts(recorded), facts(now)
    for name in flat_now:
        if name in flat_before and flat_before[name] != flat_now[name]:
            yield f"{name} was {flat_before[name]} and is {flat_now[name]}: this run is no longer bit-exact"
    if "variables" in recorded:
        before, after = recorded["variables"], now.get("variables", {})
        for name in sorted({*before, *after}):
            if before.get(name) != after.get(name):
                was, is_now = (values.get(name, "not set") for values in (before, after))
                yield f"{name} was {was} and is {is_now}: this run is no longer bit-exact"
    golden, computed = (environment.get("arithmetic", {}).get("golden_vector") for environment in (recorded, now))
    if golden is not None and golden != computed:
        yield "arithmetic differs on this machine, fixed numbers give other bits: this run is no longer bit-exact"
    if "arithmetic" in now and "arithmetic" not in recorded:
        yield "the run does not record how its steps were computed, so it may not be bit-exact from here on"


def schedule_change(before: Config, after: Config, progress: Progress, steps_per_epoch: int) -> str | None:
    """Say what another schedule or number of epochs does to the learning rate from here on, if anything."""
    old, new = (_rate(config, progress, steps_per_epoch) for config in (before, after))
    if before.train.epochs == after.train.epochs and old == new:
        return None
    kind = after.train.schedule.type_name()
    jump = "stays at" if old == new else f"goes from {old:.3g} to"
    longer = before.train.epochs != after.train.epochs
    epochs = f"{after.train.epochs} epochs instead of {before.train.epochs}: " if longer else ""
    return f"{epochs}with {kind} the learning rate {jump} {new:.3g}"


def standstill(config: Config, progress: Progress) -> str | None:
    """Say why there is nothing left to train, if so, and what makes the run go on."""
    train = config.train
    if progress.epoch >= train.epochs:
        return f"run done after {counted(train.epochs, 'epoch')}; --set train.epochs={2 * train.epochs} continues"
    if progress.stopped_early(train):
        return (
            f"early stopping ended the run after epoch {progress.epoch}; "
            "more patience or --set train.early_stopping=null continues"
        )
    if progress.out_of_time(train):
        return f"the run has used its {train.max_minutes:g} minutes; --set train.max_minutes=null continues"
    return None


def _rate(config: Config, progress: Progress, steps_per_epoch: int) -> float:
    base = config.train.optimizer.learning_rate * progress.plateau_factor
    step = max(progress.step - 1, 0) if config.train.epochs <= progress.epoch else progress.step
    return config.train.schedule.rate(base, step, steps_per_epoch, config.train.epochs)
