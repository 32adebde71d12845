"""Doubts about the train section: metrics that will not exist, batches larger than the data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from math import ceil

from cnncli.analysis.processor import cpu_features, lacks_float16
from cnncli.analysis.rules.known_sets import num_training_examples
from cnncli.analysis.rules.rule import Doubt, Subject
from cnncli.analysis.walk import Step
from cnncli.config.schema.schema import Group
from cnncli.layers.normalization import BatchNormalization

_METRICS = ("loss", "accuracy")
STALE = 0.05
"""Share of the first values of running means above which validation is misled."""


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
    examples, batch = num_training_examples(subject.config.data), subject.config.train.batch_size
    if examples is not None and batch > examples:
        yield Doubt(
            "W313",
            "train.batch_size",
            f"A batch of {batch:,} is larger than the training split of about {examples:,} examples: "
            "every epoch is a single step.",
            "Use a smaller batch size.",
        )


def running_means_arrive(subject: Subject) -> Iterator[Doubt]:
    """Running means that begin at 0 and 1 need several times 1 / (1 − momentum) steps to be of use."""
    examples, train = num_training_examples(subject.config.data), subject.config.train
    if examples is None:
        return
    epochs = min(train.epochs, train.early_stopping.patience + 1 if train.early_stopping else train.epochs)
    steps = epochs * ceil(examples / train.batch_size)
    for step in subject.steps:
        momentum = getattr(step.node.layer, "momentum", 0.0)
        if isinstance(step.node.layer, BatchNormalization) and momentum**steps > STALE:
            what = "before early stopping may end it" if train.early_stopping else "in all"
            yield Doubt(
                "W315",
                step.node.path,
                f"With momentum {momentum:g} the running means of {step.node.name} follow slowly, and the run has "
                f"{steps:,} steps {what}: {100 * momentum**steps:.0f} % of what they begin with is left, so that "
                "validation sees another network than training.",
                "Use momentum: 0.9, more epochs or patience, or a smaller batch size.",
            )


def something_learns(subject: Subject) -> Iterator[Doubt]:
    """At least one weight must be left to training."""
    if not any(_learns(subject.config.train.groups, step) for step in subject.steps):
        yield Doubt(
            "E303",
            "model",
            "There is nothing to train: no layer has weights that training may change.",
            "Leave out trainable: false where a layer is to learn, in train.groups too, or add a layer with weights.",
        )


def _learns(groups: Sequence[Group], step: Step) -> bool:
    layer = step.node.layer
    group = next((group for group in groups if fnmatchcase(step.node.name, group.layers)), None)
    return (group is None or group.trainable) and layer.num_params(step.input_shape, trainable=True) > 0


def processor_has_the_precision(subject: Subject) -> Iterator[Doubt]:
    """Float16 is only fast where the processor computes with it."""
    if subject.config.train.precision == "mixed_float16" and lacks_float16():
        other = "mixed_bfloat16" if "avx512_bf16" in cpu_features() else "float32"
        yield Doubt(
            "W316",
            "train.precision",
            "This processor has no instructions for float16 (AVX-512 FP16, AMX FP16): TensorFlow then takes about ten "
            "times as long for a convolution as in float32.",
            f"Use precision: {other}, or a machine with a GPU.",
        )


RULES = (monitors_exist, something_learns, batch_fits_the_split, running_means_arrive, processor_has_the_precision)
