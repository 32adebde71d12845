"""The results of a sweep whose trainings are a formula: every state, two objectives, keys that some trials lack."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from cnncli.sweeps.directory import Trial
from cnncli.sweeps.proposal import Proposal
from cnncli.sweeps.results import Results, best
from cnncli.sweeps.spec import Sweep
from cnncli.sweeps.study import Study

SECTION = """\
space:
  train.optimizer: [SGD, Adam]
  train.optimizer.Adam.learning_rate: {log: [1e-4, 1e-1]}
  train.optimizer.SGD.learning_rate: {log: [1e-3, 1]}
  train.optimizer.SGD.momentum: {float: [0, 0.95]}
  train.batch_size: {int: [32, 512], log: true}
  train.ema: [null, 0.99]
  "model.layers[0].Conv2D.filters": [4, 6, 8, 12, 16, 18]
objectives: {accuracy: max, macs: min}
limits: {params: 66500}
sampler: random
trials: 60
"""


def made_results(sweep: Sweep) -> Results:
    """Return what the sweep comes to; every ninth trial that is done counts as pruned, and the last one still runs."""
    study, outcomes, trials = Study(sweep), {}, []
    while (step := study.next(outcomes)) is not None:
        trial = _trial(sweep, step[0])
        if trial.outcome is not None:
            outcomes[trial.proposal.number] = trial.outcome
        trials.append(trial)
    for trial in [trial for trial in trials if trial.state == "done"][8::9]:
        trials[trial.proposal.number] = replace(trial, state="pruned")
    trials[-1] = replace(trials[-1], state="running", values=None)
    done = [trial for trial in trials if trial.state == "done"]
    return Results("runs/search.sweep", sweep, tuple(trials), best(sweep, done))


def _trial(sweep: Sweep, proposal: Proposal) -> Trial:
    if proposal.refused is not None:
        return Trial(proposal, "refused", None, None, ())
    params: dict[str, Any] = dict(proposal.params)
    optimizer = params["train.optimizer"]
    rate = math.log10(params[f"train.optimizer.{optimizer}.learning_rate"])
    if rate > (-0.3 if optimizer == "SGD" else -1.2):
        return Trial(proposal, "failed", None, None, ("runs/a",))
    known = {"accuracy": _accuracy(params, rate), **proposal.counts}
    values = {name: known[name] for name in sweep.objectives}
    return Trial(proposal, "done", values, None, ("runs/a",))


def _accuracy(params: dict[str, Any], rate: float) -> float:
    wanted = -1.5 if params["train.optimizer"] == "SGD" else -2.7
    lost = 0.02 + 0.03 * (rate - wanted) ** 2 + 0.2 / params["model.layers[0].Conv2D.filters"]
    lost += 0.01 * abs(math.log2(params["train.batch_size"] / 128)) - 0.004 * params.get(
        "train.optimizer.SGD.momentum", 0
    )
    return 1 - lost
