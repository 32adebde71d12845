"""What a sweep proposes: a function of its file and of the results that a trial may know of, and of nothing else.

Trial n is chosen when the results of all trained trials but the last `parallel` − 1 before it are known. Results count
in the order of the trials' numbers, whatever order they came in: so it makes no difference how many processes train,
when each of them ends, and how often a sweep is stopped and started again.
"""

from __future__ import annotations

import hashlib
import warnings
from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol

from cnncli.config.schema.schema import Config
from cnncli.config.yaml.tree import Plain
from cnncli.errors import CnnError, RunError
from cnncli.sweeps.packages import require
from cnncli.sweeps.proposal import Outcome, Proposal, judged
from cnncli.sweeps.space import Dimension, Params, Range
from cnncli.sweeps.spec import Sweep

if TYPE_CHECKING:
    import optuna
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler

MOST_REFUSED = 1000
"""Proposals in a row that may be refused before a sweep gives up."""

POPULATION = 20
"""Trials of a generation of nsga2: with Optuna's 50, a sweep of a hundred trials would have two generations."""

KEEPS_STATE = ("sobol", "cmaes", "nsga2")
"""Samplers that leave notes in the trials: they are asked again for what they proposed before."""


def require_sampler(sweep: Sweep) -> None:
    """Refuse a sweep whose sampler is not installed, before anything is written; a grid needs none.

    Raises:
        CnnError: With how to install it.
    """
    if sweep.settings.sampler != "grid":
        require()


class Sampler(Protocol):
    """Chooses values."""

    def ask(self, number: int, recalled: Proposal | None) -> Params | None:
        """Return the values of a trial, those of its proposal if it was made before; None if there are no more."""

    def judge(self, proposal: Proposal, excess: Mapping[str, float]) -> None:
        """Hear whether a proposal is trained, and by how much it exceeds each limit."""

    def tell(self, number: int, outcome: Outcome) -> None:
        """Hear what came of a trial."""


class Study:
    """The proposals of a sweep, one after the other.

    Args:
        sweep: The sweep.
        recalled: Returns the proposal of a trial that was made before, or None.
    """

    def __init__(self, sweep: Sweep, recalled: Callable[[int], Proposal | None] = lambda _: None) -> None:
        self._sweep, self._recalled = sweep, recalled
        self._sampler: Sampler = _Grid(sweep) if sweep.settings.sampler == "grid" else _Optuna(sweep)
        self._open: deque[int] = deque()
        self._proposed = self._trained = self._refused_in_a_row = 0
        self.is_complete = False

    def next(self, outcomes: Mapping[int, Outcome]) -> tuple[Proposal, Config | None] | None:
        """Return the next proposal, with its config unless it is refused or was made before.

        Args:
            outcomes: What came of trials so far, by their numbers.

        Returns:
            None while it waits for the result of a trial, and when all are proposed: then `is_complete` says so.

        Raises:
            CnnError: If all of very many proposals are refused.
            RunError: If a trial from before has other values than it would be given now.
        """
        if self.is_complete or self._trained == self._sweep.settings.trials:
            self.is_complete = True
            return None
        if len(self._open) == self._sweep.settings.parallel:
            if self._open[0] not in outcomes:
                return None
            number = self._open.popleft()
            self._sampler.tell(number, outcomes[number])
        recalled = self._recalled(self._proposed)
        params = self._sampler.ask(self._proposed, recalled)
        if params is None:
            self.is_complete = True
            return None
        proposal, config = (recalled, None) if recalled else judged(self._sweep, self._proposed, params)
        self._count(proposal)
        return proposal, config

    def _count(self, proposal: Proposal) -> None:
        self._sampler.judge(proposal, proposal.excess(self._sweep))
        self._proposed += 1
        if proposal.refused is None:
            self._open.append(proposal.number)
            self._trained += 1
            self._refused_in_a_row = 0
            return
        self._refused_in_a_row += 1
        if self._refused_in_a_row == MOST_REFUSED and self._sweep.settings.sampler != "grid":
            raise CnnError(
                f"{MOST_REFUSED:,} proposals in a row were refused; the last one: {proposal.refused}",
                "Raise sweep.limits, ease sweep.conditions, or narrow sweep.space.",
            )


class _Grid:
    """All points, one after the other."""

    def __init__(self, sweep: Sweep) -> None:
        self._points = sweep.space.grid()

    def ask(self, number: int, recalled: Proposal | None) -> Params | None:
        if recalled is not None:
            return recalled.params
        return self._points[number] if number < len(self._points) else None

    def judge(self, proposal: Proposal, excess: Mapping[str, float]) -> None:
        """Nothing follows from it."""

    def tell(self, number: int, outcome: Outcome) -> None:
        """Nothing follows from it."""


class _Optuna:
    """One of Optuna's samplers, with a study in memory."""

    def __init__(self, sweep: Sweep) -> None:
        require()
        from optuna.storages import InMemoryStorage

        self._sweep = sweep
        self._storage = InMemoryStorage()
        self._study = new_study(sweep, self._storage)
        self._distributions = {each.key: each.distribution() for each in sweep.space.dimensions}
        self._asked: dict[int, optuna.Trial] = {}

    def ask(self, number: int, recalled: Proposal | None) -> Params:
        self._study.sampler = sampler(self._sweep, number)
        if recalled is not None and self._sweep.settings.sampler not in KEEPS_STATE:
            self._add(recalled)
            return recalled.params
        trial = self._asked[number] = self._study.ask()
        params: dict[str, Plain] = {}
        for dimension in self._sweep.space.dimensions:
            if dimension.is_active(params):
                params[dimension.key] = _suggested(trial, dimension)
        if recalled is not None and recalled.params != params:
            raise RunError(
                f"trial {number} has other values than the sampler {self._sweep.settings.sampler} chooses now",
                "Go on with the version of Optuna that the sweep began with, or begin a new one under another name.",
            )
        return params

    def _add(self, proposal: Proposal) -> None:
        """Add a trial from before, which is taken for running until its result is told."""
        import optuna

        running = optuna.trial.create_trial(
            state=optuna.trial.TrialState.RUNNING,
            params=dict(proposal.params),
            distributions={key: self._distributions[key] for key in proposal.params},
            constraints=proposal.excess(self._sweep),
        )
        self._study.add_trial(running)

    def judge(self, proposal: Proposal, excess: Mapping[str, float]) -> None:
        trial = self._asked.pop(proposal.number, None)
        if trial is not None:
            for name, more in excess.items():
                trial.set_constraint(name, more)
        if proposal.refused is not None:
            self.tell(proposal.number, Outcome(None))

    def tell(self, number: int, outcome: Outcome) -> None:
        import optuna

        self._study.sampler = sampler(self._sweep, number)
        if outcome.values is None or (outcome.pruned_after is not None and self._takes_pruned):
            # Of a trial without any value, "pruned" says that it is worse than all others; "failed" would say nothing.
            self._report(number, outcome)
            self._study.tell(number, state=optuna.trial.TrialState.PRUNED)
        else:
            self._study.tell(number, list(outcome.values))

    @property
    def _takes_pruned(self) -> bool:
        """Whether the sampler reads the values of pruned trials; to others, these are told as if they were complete."""
        return self._sweep.settings.sampler == "tpe" and len(self._sweep.objectives) == 1

    def _report(self, number: int, outcome: Outcome) -> None:
        """Add what is known of a pruned trial; one that was recalled has no `optuna.Trial` to report it with."""
        if outcome.values is not None and outcome.pruned_after is not None:
            study = self._storage.get_study_id_from_name(self._study.study_name)
            trial = self._storage.get_trial_id_from_study_id_trial_number(study, number)
            self._storage.set_trial_intermediate_value(trial, outcome.pruned_after, outcome.values[0])


def _suggested(trial: optuna.Trial, dimension: Dimension) -> Plain:
    """Return the value of one key in a trial."""
    among = dimension.among
    if not isinstance(among, Range):
        return trial.suggest_categorical(dimension.key, [choice.label for choice in among])
    if among.is_whole:
        step = int(among.step or 1)
        return trial.suggest_int(dimension.key, int(among.low), int(among.high), log=among.log, step=step)
    return trial.suggest_float(dimension.key, among.low, among.high, log=among.log, step=among.step)


def new_study(sweep: Sweep, storage: optuna.storages.BaseStorage | None = None) -> optuna.Study:
    """Return an empty study of Optuna's that seeks what a sweep seeks."""
    import optuna

    ways = {"max": optuna.study.StudyDirection.MAXIMIZE, "min": optuna.study.StudyDirection.MINIMIZE}
    directions = [ways[direction] for direction in sweep.objectives.values()]
    return optuna.create_study(directions=directions, study_name=sweep.name, storage=storage)


def sampler(sweep: Sweep, number: int) -> BaseSampler:
    """Return the sampler that chooses the values of one trial, with a seed of its own.

    Only the points of a Sobol sequence belong together, and so have one seed.
    """
    import optuna
    from optuna import samplers as known

    seed, name = seed_of(sweep.settings.seed, number), sweep.settings.sampler
    if name == "random":
        return known.RandomSampler(seed=seed)
    if name == "tpe":
        return known.TPESampler(seed=seed)
    if name == "cmaes":
        return known.CmaEsSampler(seed=seed, warn_independent_sampling=False)
    if name == "nsga2":
        return known.NSGAIISampler(seed=seed, population_size=POPULATION)
    space = {each.key: each.distribution() for each in sweep.space.dimensions}

    class WholeSequence(known.QMCSampler):
        """Begins with the sequence's first point; Optuna's own draws the first trial at random."""

        def infer_relative_search_space(self, *_: object) -> dict[str, BaseDistribution]:
            return space

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return WholeSequence(seed=sweep.settings.seed, scramble=True, warn_independent_sampling=False)


def seed_of(seed: int, number: int) -> int:
    """Return the seed of one trial's sampler."""
    digest = hashlib.sha256(f"{seed}:{number}".encode()).digest()
    return int.from_bytes(digest[:4])
