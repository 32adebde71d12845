"""Rules about the train section: metrics that will not exist, batches larger than the data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from math import ceil

from cnncli.analysis.processor import cpu_features, lacks_float16
from cnncli.analysis.rules.known_sets import num_training_examples
from cnncli.analysis.rules.rule import CheckedNetwork, Finding
from cnncli.analysis.walk import Step
from cnncli.config.schema.schema import Group
from cnncli.layers.normalization import BatchNormalization

STALE = 0.05
"""Share of the first values of running means above which validation is misled."""


def monitors_exist(network: CheckedNetwork) -> Iterator[Finding]:
    """What is watched must be among the metrics."""
    train, has_validation = network.config.train, network.config.data.has_validation
    metrics = network.config.task_spec.monitors(has_validation)
    watched = {"early_stopping": train.early_stopping, f"schedule.{train.schedule.type_name()}": train.schedule}
    for name, owner in watched.items():
        path, monitor = f"train.{name}.monitor", getattr(owner, "monitor", None)
        if monitor is not None and monitor not in metrics:
            yield Finding(
                "E302",
                path,
                f'Unknown metric "{monitor}": ' + _why(monitor, has_validation),
                f"Monitor one of {', '.join(metrics)}.",
            )


def _why(monitor: str, has_validation: bool) -> str:
    if monitor.startswith("validation_") and not has_validation:
        return "with data.validation: 0 there is no validation split."
    return "training does not compute it."


def folds_replace_the_share(network: CheckedNetwork) -> Iterator[Finding]:
    """With folds, validation is one of them: a share that is written beside them is not used."""
    data, origins = network.config.data, network.config.origins
    # A run's own config names every value, also those that nobody wrote.
    is_written = origins.get("data.validation") is not None and not origins.trained_in
    if data.folds is not None and is_written:
        yield Finding(
            "W317",
            "data.validation",
            f"data.validation: {data.validation} is not used: with data.folds: {data.folds} the validation split is "
            "one fold of the training examples.",
            "Remove data.validation, or data.folds. `cnn train --fold K` chooses the fold.",
        )


def batch_fits_the_split(network: CheckedNetwork) -> Iterator[Finding]:
    """A batch larger than the training split is never full."""
    examples, batch = num_training_examples(network.config.data), network.config.train.batch_size
    if examples is not None and batch > examples:
        yield Finding(
            "W313",
            "train.batch_size",
            f"A batch of {batch:,} is larger than the training split of about {examples:,} examples: "
            "every epoch is a single step.",
            "Use a smaller batch size.",
        )


def running_means_arrive(network: CheckedNetwork) -> Iterator[Finding]:
    """Running means that begin at 0 and 1 need several times 1 / (1 − momentum) steps to be of use.

    Frozen ones do not move, and those that were learned elsewhere are of use from the first step on.
    """
    examples, train = num_training_examples(network.config.data), network.config.train
    if examples is None:
        return
    epochs = min(train.epochs, train.early_stopping.patience + 1 if train.early_stopping else train.epochs)
    steps = epochs * ceil(examples / train.batch_size)
    for step in network.steps:
        momentum = getattr(step.node.layer, "momentum", 0.0)
        begins = _learns(train.groups, step) and not network.is_taken(step)
        if isinstance(step.node.layer, BatchNormalization) and begins and momentum**steps > STALE:
            what = "before early stopping may end it" if train.early_stopping else "in all"
            yield Finding(
                "W315",
                step.node.path,
                f"With momentum {momentum:g} the moving averages of {step.node.name} adapt slowly, and the run has "
                f"{steps:,} steps {what}: {100 * momentum**steps:.0f} % of their initial values is left, so "
                "validation results differ from training.",
                "Use momentum: 0.9, more epochs or patience, or a smaller batch size.",
            )


def something_learns(network: CheckedNetwork) -> Iterator[Finding]:
    """At least one weight must be left to training."""
    if not any(_learns(network.config.train.groups, step) for step in network.steps):
        yield Finding(
            "E303",
            "model",
            "There is nothing to train: no layer has trainable weights.",
            "Remove trainable: false from a layer or from train.groups, or add a layer with weights.",
        )


def _learns(groups: Sequence[Group], step: Step) -> bool:
    layer = step.node.layer
    group = next((group for group in groups if fnmatchcase(step.node.name, group.layers)), None)
    return (group is None or group.trainable) and layer.num_params(step.input_shape, trainable=True) > 0


def processor_has_the_precision(network: CheckedNetwork) -> Iterator[Finding]:
    """Float16 is only fast where the processor computes with it."""
    if network.config.train.precision == "mixed_float16" and lacks_float16():
        other = "mixed_bfloat16" if "avx512_bf16" in cpu_features() else "float32"
        yield Finding(
            "W316",
            "train.precision",
            "This processor has no instructions for float16 (AVX-512 FP16, AMX FP16): a convolution takes about ten "
            "times as long as in float32.",
            f"Use precision: {other}, or a machine with a GPU.",
        )


RULES = (
    monitors_exist,
    something_learns,
    folds_replace_the_share,
    batch_fits_the_split,
    running_means_arrive,
    processor_has_the_precision,
)
