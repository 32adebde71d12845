"""Everything that a run's report shows, collected."""

from __future__ import annotations

from pathlib import Path

from cnncli.analysis.explain import explain
from cnncli.analysis.summary import summarize
from cnncli.config.dump import dump, dump_document, with_defaults
from cnncli.config.schema.schema import Config
from cnncli.engine.inspection import html_images
from cnncli.engine.inspection.measured import EvaluatedRun, known_profile, usual_split
from cnncli.engine.inspection.network import InspectedNetwork
from cnncli.errors import CheckpointError, CnnError, DataError
from cnncli.report.html_material import Material, Pictures
from cnncli.runs.run import Run

MOST_HEATS = 40
"""Examples whose attribution is drawn, one of each class."""

FEW_HEATS = 9
"""Of a task without classes."""


def collect(run: Run, split: str | None = None, checkpoint: str = "best", data: Path | None = None) -> Material:
    """Collect a run's report; what is not there is left out, and told.

    Args:
        run: The run.
        split: Whose predictions are shown; the test split by default if it has been used, else validation.
        checkpoint: "best", "last", or a checkpoint's name.
        data: Where the run's examples are now, or None where its config says it.

    Raises:
        CnnError: If the run's own files cannot be read.
    """
    network = InspectedNetwork(run.config(), run, checkpoint, data)
    passport = run.passport() if run.data_file.exists() else {}
    measured, profile, pictures = None, None, Pictures()
    try:
        chosen = split or usual_split(run, checkpoint)
        evaluated = EvaluatedRun(network, chosen)
        measured = evaluated.document
    except (CheckpointError, DataError) as error:
        pictures = Pictures(missing=(_missing("No predictions are shown", error),))
    else:
        profile = known_profile(run, chosen, measured["checkpoint"])
        pictures = _pictures(evaluated)
    return Material(
        name=run.name,
        identity=run.id,
        path=str(run.path),
        record=run.record,
        status=run.status,
        config_text=_with_origins(run, network.config),
        task=network.config.task_spec,
        summary=summarize(network.config),
        explanation=explain(network.config),
        metrics=run.metrics(),
        passport=passport,
        evaluation=measured,
        tiles=() if measured is None else tuple(network.pages.tiles(measured)),
        invariance=profile,
        pictures=pictures,
        checkpoint=checkpoint,
    )


def _missing(what: str, error: CnnError) -> str:
    """Return what is left out of a report, why, and what to do about it."""
    return f"{what}: {error.message}" + (f". {error.hint}" if error.hint else "")


def _with_origins(run: Run, config: Config) -> str:
    """Return the config with every default, and behind each value where it came from as far as the run knows."""
    places = run.origins()
    return dump_document(with_defaults(config), lambda path: places.get(path, "")) if places else dump(config)


def _pictures(evaluated: EvaluatedRun) -> Pictures:
    """Draw what needs the network, and what needs the examples as far as they are at hand."""
    network, pages = evaluated.network, evaluated.network.pages
    kernels = html_images.kernels(network)
    try:
        has_classes = evaluated.examples.targets.strata() is not None
        shown = network.examples(evaluated.split, None, MOST_HEATS if has_classes else FEW_HEATS)
    except DataError as error:
        return Pictures(kernels=kernels, missing=(_missing("No examples are shown", error),))
    return Pictures(
        kernels=kernels,
        example=html_images.picture(shown.pixels[0], f"{shown.names[0]}, true {shown.truths[0]}"),
        maps=tuple(html_images.feature_maps(network, shown.pixels[0])),
        examples=pages.pictures(evaluated),
        labels=pages.labels(network.splits.train, network.classes),
        heats=tuple(html_images.heats(network, shown)),
        replay=html_images.recording(evaluated.run, pages, network.classes),
    )
