"""Which keys of a sweep mattered."""

from __future__ import annotations

import warnings
from functools import partial
from typing import TYPE_CHECKING

from cnncli.sweeps.export import study_of
from cnncli.sweeps.packages import require
from cnncli.sweeps.results import Results

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

FEWEST = 10
"""Trials from which on it is said which keys mattered."""


def importance(found: Results) -> dict[str, dict[str, float]]:
    """Return for each objective how much each key decides whether a trial is among the best, the largest share first.

    Only trials that were trained to their end count. The shares add up to 1. They are those of PED-ANOVA, which
    compares how the values of the best tenth are spread with how all are. Keys that do not exist in every trial are
    left out. With too few trials there is nothing to say.

    Raises:
        CnnError: If Optuna is not installed.

    Reference: Watanabe et al., PED-ANOVA, IJCAI 2023.
    """
    if sum(trial.state == "done" for trial in found.trials) < FEWEST:
        return {}
    require()
    import optuna

    study, judge = study_of(found), optuna.importance.PedAnovaImportanceEvaluator()
    shares = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # It takes low values for good, which `_cost` heeds.
        for index, (name, direction) in enumerate(found.sweep.objectives.items()):
            cost = partial(_cost, index, -1 if direction == "max" else 1)
            shares[name] = optuna.importance.get_param_importances(study, evaluator=judge, target=cost)
    return shares


def _cost(index: int, sign: int, trial: FrozenTrial) -> float:
    """Return the value of one objective, lower where it is better."""
    return float(sign * trial.values[index])
