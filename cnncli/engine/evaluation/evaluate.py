"""A run's network measured on examples whose answers are known, and what the run keeps of it."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from cnncli.analysis.scaling import scaled_size
from cnncli.config.schema.schema import Config
from cnncli.datasets import incoming, own, recognized
from cnncli.datasets.files import Files
from cnncli.datasets.passport import data_change
from cnncli.datasets.splits import Split
from cnncli.engine.evaluation.predictor import Images, Predictor
from cnncli.engine.evaluation.trained import Trained, load_trained
from cnncli.engine.evaluation.tta import STILL, View, views_of
from cnncli.engine.input_pipeline.decoder import Decoder, FileImages
from cnncli.engine.input_pipeline.feed import to_memory
from cnncli.engine.input_pipeline.preprocessing import Preprocessing
from cnncli.engine.tasks.objective import make_objective
from cnncli.errors import CnnError
from cnncli.runs.evaluations import keep_evaluation, kept_if_possible
from cnncli.runs.run import Run
from cnncli.tasks.measurement import EvaluationOptions, Measurement, Tell, count_use, name_of
from cnncli.tasks.predictions import PredictionOptions
from cnncli.tasks.task import Result, task_of

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class RunMeasurement(Measurement):
    """A measured run.

    Attributes:
        trained: Its network.
    """

    trained: Trained


def evaluate_run(
    run: Run, options: EvaluationOptions, tell: Tell = log.warning
) -> tuple[RunMeasurement, dict[str, Any]]:
    """Measure a run's network, and let the run keep what came out.

    Args:
        run: The run.
        options: What is measured.
        tell: Hears that nothing is kept where the run cannot be written.

    Returns:
        What was measured, and what evaluation-<split>.json holds.

    Raises:
        CnnError: If the run, the checkpoint or the examples are missing or damaged.
    """
    measured = evaluate(run, options)
    return measured, save(run, measured, tell)


def evaluate(run: Run, options: EvaluationOptions) -> RunMeasurement:
    """Measure a run's network on one split of its data, or on examples that are not its own.

    Raises:
        CnnError: If the run, the checkpoint or the examples are missing or damaged.
    """
    trained = load_trained(run, options.checkpoint)
    split, foreign, warnings = _examples(run, trained.config, options)
    if options.scales and not trained.config.task_spec.has_places:
        raise CnnError(
            f"--tta-scales is for segmentation and detection, not for {trained.config.task}", "Leave it out."
        )
    views = views_of(trained.config) if options.tta else ()
    return RunMeasurement(
        result=measure(trained, split.renamed(split.name + options.suffix), views, options.scales),
        checkpoint=trained.checkpoint,
        split=split,
        task=trained.config.task,
        data=None if foreign is None else str(foreign),
        doubts=warnings,
        views=(len(views) or 1) * (len(options.scales) or 1),
        scales=options.scales or (1.0,),
        trained=trained,
    )


def _examples(run: Run, config: Config, options: EvaluationOptions) -> tuple[Split, Path | None, tuple[str, ...]]:
    """Return what to measure on, its path where it is not the run's own, and doubts about it."""
    passport, path = run.passport(), options.data
    if path is None or options.moved:
        splits = own(config, passport, path)
    else:
        recognized_splits = recognized(config, passport, path)
        if recognized_splits is None:
            found = incoming(path, config, passport)
            return found.split.renamed(name_of(path)), path, found.doubts
        splits = recognized_splits
    change = data_change(passport, splits.passport)
    return splits.named(options.split), None, () if change is None else (change,)


def measure(trained: Trained, split: Split, views: Sequence[View] = (), scales: Sequence[float] = ()) -> Result:
    """Score a network on every example of a split, on average over views and scales of it where there are any.

    Args:
        trained: The network.
        split: The examples.
        views: Changes of an image that do not change what it shows.
        scales: Factors by which images are enlarged, for tasks whose outputs have places.

    Raises:
        CnnError: If there is no example, a file can no longer be read, or the network cannot be scaled.
    """
    options = PredictionOptions.of(trained.config.data, trained.classes)
    evaluator = task_of(trained.config).evaluator(split.name, options, split.ids)
    networks = list(_networks(trained, split, scales)) if len(split) else []
    objective = make_objective(trained.config)
    batch_size = Predictor(trained.model, trained.preprocessing).batch_size

    def outputs(rows: slice) -> Iterator[Any]:
        for predictor, images in networks:
            for view in views or (View(STILL),):
                found = objective.undo(view, predictor.logits(view(images[rows])))
                yield objective.to_image_size(found) if scales else found

    for start in range(0, len(split), batch_size):
        end = min(start + batch_size, len(split))
        evaluator.update(_mean(outputs(slice(start, end))), split.targets.take(np.arange(start, end)))
    return evaluator.result()


def _networks(trained: Trained, split: Split, scales: Sequence[float]) -> Iterator[tuple[Predictor, Images]]:
    """Yield the network for each scale, and the images in its size."""
    for scale in scales or (1.0,):
        scaled = trained if scale == 1 else trained.at_size(scaled_size(trained.config, scale))
        yield Predictor(scaled.model, scaled.preprocessing), readable(split, scaled.preprocessing)


def _mean(outputs: Iterable[Any]) -> Any:
    """Return the mean of what a network ends in for one view after another, float32; of a single one, that itself."""
    rest = iter(outputs)
    first, *second = islice(rest, 2)
    if not second:
        return first
    total: Any = None
    number = 0
    for output in chain((first, *second), rest):
        exact = tf.nest.map_structure(lambda array: np.asarray(array, np.float64), output)
        total = exact if total is None else tf.nest.map_structure(np.add, total, exact)
        number += 1
    return tf.nest.map_structure(lambda array: np.asarray(array / number, np.float32), total)


def readable(split: Split, preprocessing: Preprocessing) -> Images:
    """Return a split's images in the network's size: all at once from memory, files as they are needed."""
    if isinstance(split.images, Files):
        return FileImages(Decoder(split.images, preprocessing))
    return to_memory(split, preprocessing).images


def save(run: Run, measured: RunMeasurement, tell: Tell = log.warning) -> dict[str, Any]:
    """Write evaluation-<split>.json and predictions-<split>.csv into the run, and count uses of its test split.

    Of another checkpoint than the best, the files' names end in the checkpoint's. A run that cannot be written is told.

    Returns:
        What evaluation-<split>.json holds.
    """
    document = {**measured.to_json(), "run": str(run.path), "test_uses": count_use(run, measured.split.name, tell)}
    with kept_if_possible("the evaluation", tell):
        keep_evaluation(run, document, measured.result.csv())
    return document
