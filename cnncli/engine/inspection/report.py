"""Everything that a run's report shows, collected."""

from __future__ import annotations

from cnncli.analysis.explain import explain
from cnncli.analysis.summary import summarize
from cnncli.config.dump import dump, dump_document, with_defaults
from cnncli.config.schema.schema import Config
from cnncli.engine.inspection import html_images
from cnncli.engine.inspection.measured import evaluation, known_profile, usual_split
from cnncli.engine.inspection.subject import Subject
from cnncli.errors import CheckpointError, DataError
from cnncli.report.html_material import Material, Pictures
from cnncli.runs.run import Run
from cnncli.tasks.classification.predictions import answers, best, worst

MOST_GALLERY = 18
MOST_HEATS = 9


def collect(run: Run, split: str | None = None, checkpoint: str = "best") -> Material:
    """Collect a run's report; what is not there is left out, and told.

    Args:
        run: The run.
        split: Whose answers are shown; the test split by default if it has been used, else validation.
        checkpoint: "best", "last", or a checkpoint's name.

    Raises:
        CnnError: If the run's own files cannot be read.
    """
    subject = Subject(run.config(), run, checkpoint)
    passport = run.passport() if run.data_file.exists() else {}
    measured, profile, pictures = None, None, Pictures()
    try:
        chosen = split or usual_split(run, checkpoint)
        measured = evaluation(run, chosen, checkpoint)
    except (CheckpointError, DataError) as error:
        pictures = Pictures(missing=(f"No predictions are shown: {error.message}",))
    else:
        profile = known_profile(run, chosen, measured["checkpoint"])
        pictures = _pictures(subject, run, chosen)
    return Material(
        name=run.name,
        identity=run.id,
        path=str(run.path),
        record=run.record,
        status=run.status,
        config_text=_with_origins(run, subject.config),
        summary=summarize(subject.config),
        explanation=explain(subject.config),
        metrics=run.metrics(),
        passport=passport,
        evaluation=measured,
        invariance=profile,
        pictures=pictures,
    )


def _with_origins(run: Run, config: Config) -> str:
    """Return the config with every default, and behind each value where it came from as far as the run knows."""
    places = run.origins()
    return dump_document(with_defaults(config), lambda path: places.get(path, "")) if places else dump(config)


def _pictures(subject: Subject, run: Run, split: str) -> Pictures:
    """Draw what needs the network, and what needs the examples as far as they are at hand."""
    kernels = html_images.kernels(subject)
    try:
        examples = subject.splits.named(split)
    except DataError as error:
        return Pictures(kernels=kernels, missing=(f"No examples are shown: {error.message}",))
    found = answers(run, split)
    shown = subject.examples(split, None, MOST_HEATS)
    return Pictures(
        kernels=kernels,
        example=html_images.picture(shown.pixels[0], f"{shown.names[0]}, true {shown.truths[0]}"),
        maps=tuple(html_images.feature_maps(subject, shown.pixels[0])),
        cells=html_images.cells(examples, found),
        mistakes=tuple(html_images.examples(examples, worst(found, MOST_GALLERY))),
        hits=tuple(html_images.examples(examples, best(found, MOST_GALLERY))),
        heats=tuple(html_images.heats(subject, shown)),
        replay=html_images.recording(run, subject.classes),
    )
