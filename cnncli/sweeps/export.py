"""A sweep as a study of Optuna's, for its dashboard and its plots."""

from __future__ import annotations

import warnings
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from cnncli.errors import CnnError, RunError
from cnncli.runs.run import Run
from cnncli.sweeps.directory import Trial
from cnncli.sweeps.packages import require
from cnncli.sweeps.results import Results
from cnncli.sweeps.study import new_study

if TYPE_CHECKING:
    import optuna

STATES = {"done": "COMPLETE", "failed": "FAIL", "refused": "PRUNED", "pruned": "PRUNED"}
"""Of a trial that is not finished there is nothing to export."""


def export(found: Results, file: Path) -> None:
    """Write the finished trials as a journal, which `optuna-dashboard FILE` opens.

    Raises:
        CnnError: If the file exists, or the disk refuses.
    """
    require()
    import optuna
    from optuna.storages.journal import JournalFileBackend

    if file.exists():
        raise CnnError(f"{file} already exists", "Choose another file: a study is never added to one that is there.")
    try:
        study_of(found, optuna.storages.JournalStorage(JournalFileBackend(str(file))))
    except OSError as error:
        raise CnnError(f"{file} cannot be written: {error.strerror or error}") from error


def study_of(found: Results, storage: optuna.storages.BaseStorage | None = None) -> optuna.Study:
    """Return a study of Optuna's with the finished trials, in memory where no storage is given."""
    import optuna

    study = new_study(found.sweep, storage)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study.set_metric_names(list(found.sweep.objectives))
    distributions = {each.key: each.distribution() for each in found.sweep.space.dimensions}
    for trial in found.trials:
        if trial.state in STATES:
            study.add_trial(_frozen(found, trial, distributions))
    return study


def _frozen(
    found: Results, trial: Trial, distributions: dict[str, optuna.distributions.BaseDistribution]
) -> optuna.trial.FrozenTrial:
    import optuna

    params = trial.proposal.params
    frozen = optuna.trial.create_trial(
        state=optuna.trial.TrialState[STATES[trial.state]],
        values=None if trial.values is None else list(trial.values.values()),
        params=dict(params),
        distributions={key: distributions[key] for key in params},
        user_attrs={"trial": trial.proposal.number, "runs": list(trial.runs), **trial.proposal.counts},
        constraints=trial.proposal.excess(found.sweep),
        intermediate_values=_intermediate_values(found, trial),
    )
    frozen.datetime_start, frozen.datetime_complete = _times(trial)
    return frozen


def _intermediate_values(found: Results, trial: Trial) -> dict[int, float]:
    """Return the value at each rung, by its epoch; Optuna has these for one objective only."""
    if len(found.sweep.objectives) > 1:
        return {}
    reached = zip(found.sweep.rungs, trial.rungs, strict=False)
    return {epochs: next(iter(at.values.values())) for epochs, at in reached if at is not None}


def _times(trial: Trial) -> tuple[datetime, datetime]:
    """Return when a trial began, and that with its training time; of one without runs, now."""
    runs = [Run(Path(path)) for path in trial.runs]
    try:
        begun = min((run.started for run in runs), default=datetime.now().astimezone())
        seconds = sum(line.get("seconds") or 0 for run in runs for line in run.metrics())
    except (RunError, OSError):
        begun, seconds = datetime.now().astimezone(), 0
    start = begun.replace(tzinfo=None)
    return start, start + timedelta(seconds=seconds)
