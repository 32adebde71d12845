"""Which keys of a sweep mattered."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from cnncli.sweeps.directory import Trial
from cnncli.sweeps.export import study_of
from cnncli.sweeps.methods import Method
from cnncli.sweeps.packages import is_installed, require
from cnncli.sweeps.results import Results

if TYPE_CHECKING:
    from optuna.importance import BaseImportanceEvaluator
    from optuna.trial import FrozenTrial

FEWEST = 10
"""Trials from which on it is said which keys mattered."""


@dataclass(frozen=True)
class Importance:
    """Which keys mattered.

    Attributes:
        method: How that was judged.
        shares: For each objective the share of each key, the largest first; empty where there is nothing to say.
        left_out: Keys that the method cannot judge, because they do not exist in every trial.
    """

    method: Method
    shares: Mapping[str, Mapping[str, float]]
    left_out: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return what `cnn sweep show --json` prints of it."""
        shares = {objective: dict(own) for objective, own in self.shares.items()}
        return {"importance_method": str(self.method), "importance": shares, "not_judged": list(self.left_out)}


def importance(found: Results, method: Method = Method.ped_anova) -> Importance:
    """Return for each objective how much each key mattered; the shares of an objective add up to 1.

    PED-ANOVA compares how the values of the best tenth of the trials are spread with how all are: it says which keys
    decide whether a trial is among the best. fANOVA fits a random forest to all trials, and says which keys the
    objective varies with, each by itself, over the whole space; it knows no keys that exist in some trials only.

    Only trials that were trained to their end count. Of fewer than ten, and of an objective that is the same in all,
    there is nothing to say; nor, of PED-ANOVA, where Optuna is not installed.

    Raises:
        CnnError: If a package is not installed that fANOVA needs.

    Reference: Watanabe et al., PED-ANOVA, IJCAI 2023. Hutter et al., An efficient approach for assessing hyperparameter
    importance, ICML 2014.
    """
    if method is Method.fanova:
        require("fanova")
    done = [trial for trial in found.trials if trial.state == "done"]
    if len(done) < FEWEST or not is_installed():
        return Importance(method, {})
    known = [each.key for each in found.sweep.space.dimensions if any(each.key in t.proposal.params for t in done)]
    judged = known if method is Method.ped_anova else [key for key in known if _is_in_all(key, done)]
    left_out = tuple(key for key in known if key not in judged)
    return Importance(method, _shares(found, method, judged, _differing(done)), left_out)


def _is_in_all(key: str, trials: list[Trial]) -> bool:
    return all(key in trial.proposal.params for trial in trials)


def _differing(trials: list[Trial]) -> set[str]:
    """Return the objectives that are not the same in all trials."""
    columns: dict[str, set[float]] = {}
    for trial in trials:
        for name, value in (trial.values or {}).items():
            columns.setdefault(name, set()).add(value)
    return {name for name, values in columns.items() if len(values) > 1}


def _shares(found: Results, method: Method, keys: list[str], objectives: set[str]) -> dict[str, dict[str, float]]:
    require()
    import optuna

    study, shares = study_of(found), {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # PED-ANOVA takes low values for good, which `_cost` heeds.
        for index, (name, direction) in enumerate(found.sweep.objectives.items()):
            if name not in objectives or not keys:
                continue
            cost = partial(_cost, index, -1 if direction == "max" else 1)
            own = optuna.importance.get_param_importances(study, evaluator=_evaluator(method), params=keys, target=cost)
            # Of equal shares the first in the file comes first; Optuna's order of them changes between processes.
            shares[name] = {key: float(own[key]) for key in sorted(keys, key=lambda key: -own[key])}
    return shares


def _evaluator(method: Method) -> BaseImportanceEvaluator:
    """Return Optuna's evaluator; the forest of fANOVA always has the same seed."""
    import optuna

    if method is Method.fanova:
        return optuna.importance.FanovaImportanceEvaluator(seed=0)
    return optuna.importance.PedAnovaImportanceEvaluator()


def _cost(index: int, sign: int, trial: FrozenTrial) -> float:
    """Return the value of one objective, lower where it is better."""
    return float(sign * trial.values[index])
