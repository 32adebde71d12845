"""Doubts about the train section: metrics that will not exist, batches larger than the data."""

from __future__ import annotations

from collections.abc import Iterator

from cnncli.analysis.doubt import Doubt, Subject
from cnncli.analysis.known_sets import KNOWN_SETS

_METRICS = ("loss", "accuracy")


def metrics(subject: Subject) -> tuple[str, ...]:
    """Return the names of the metrics that a run of the config has after every epoch."""
    if subject.config.data.validation == 0:
        return _METRICS
    return (*_METRICS, *(f"validation_{name}" for name in _METRICS))


def monitors_exist(subject: Subject) -> Iterator[Doubt]:
    """What is watched must be among the metrics."""
    train = subject.config.train
    watched = {"early_stopping": train.early_stopping, f"schedule.{train.schedule.type_name()}": train.schedule}
    for name, owner in watched.items():
        path, monitor = f"train.{name}.monitor", getattr(owner, "monitor", None)
        if monitor is not None and monitor not in metrics(subject):
            yield Doubt(
                "E302",
                path,
                f'There is no metric "{monitor}" to watch: ' + _why(monitor),
                f"Watch one of {', '.join(metrics(subject))}.",
            )


def _why(monitor: str) -> str:
    if monitor.startswith("validation_"):
        return "data.validation is 0, so that no example is held back."
    return "no run has it."


def batch_fits_the_split(subject: Subject) -> Iterator[Doubt]:
    """A batch larger than the training split is never full."""
    known = KNOWN_SETS.get(subject.config.data.source)
    if known is None:
        return
    held = subject.config.data.validation
    examples = round(known.num_train * (1 - held)) if isinstance(held, float) else known.num_train
    batch = subject.config.train.batch_size
    if batch > examples:
        yield Doubt(
            "W313",
            "train.batch_size",
            f"A batch of {batch:,} is larger than the training split of about {examples:,} examples: "
            "every epoch is a single step.",
            "Use a smaller batch size.",
        )


RULES = (monitors_exist, batch_fits_the_split)
