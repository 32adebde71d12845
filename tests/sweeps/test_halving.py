"""Halving: the trials that Optuna's pruner prunes, whatever order they are trained in, and however often killed."""

from __future__ import annotations

import json
import math
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from types import ModuleType
from typing import Any

import pytest
from typer.testing import CliRunner

from cnncli.cli.app import app
from cnncli.errors import ConfigError
from cnncli.sweeps.directory import Trial
from cnncli.sweeps.halving import Ladder
from cnncli.sweeps.measured import Measured
from cnncli.sweeps.proposal import Outcome, Proposal
from cnncli.sweeps.ranking import crowding_distances, num_better
from cnncli.sweeps.spec import Sweep
from cnncli.sweeps.study import Study, seed_of

optuna = pytest.importorskip("optuna")

SPACE = "space:\n  train.batch_size: {int: [32, 512], log: true}\n  train.ema: {float: [0.9, 0.99]}\ntrials: 40\n"
HALVING = SPACE + "prune: {halving: {first: 1, factor: 3}}\n"
ABOVE = "extends: digits_lenet\ntrain: {epochs: 20}\n"
"""Rungs after 1, 3 and 9 of 20 epochs."""

WORST = -1e9
"""What Optuna is told of a trial that diverged."""

linux = pytest.mark.skipif(sys.platform != "linux", reason="the stand-in for training needs Linux")


@pytest.fixture
def sweep(load: Callable[..., Sweep]) -> Sweep:
    """Return a sweep with one objective."""
    return load(HALVING, above=ABOVE)


def trained(number: int, values: Iterable[float | None], names: tuple[str, ...] = ("accuracy",)) -> Trial:
    """Return a trial that has come as far as there are values: one for each rung, None where it diverged."""
    rungs = tuple(None if value is None else Measured(dict.fromkeys(names, value), None) for value in values)
    state = "failed" if None in rungs else "interrupted" if rungs else "waiting"
    return Trial(Proposal(number, {}, {}), state, rungs=rungs)


def of_optuna(curves: list[list[float | None]], epochs: tuple[int, ...], factor: int = 3) -> list[int | None]:
    """Return the epochs after which Optuna's pruner prunes each of some trials that come one after the other."""
    pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=epochs[0], reduction_factor=factor)
    study, found = optuna.create_study(direction="maximize", pruner=pruner), []
    for curve in curves:
        trial, pruned = study.ask(), None
        for epoch, value in zip(epochs, curve, strict=False):
            trial.report(WORST if value is None else value, epoch)
            if trial.should_prune() or value is None:
                pruned = None if value is None else epoch
                break
        study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        found.append(pruned)
    return found


def by_rounds(
    curves: list[list[float | None]], epochs: tuple[int, ...], parallel: int, factor: int = 3
) -> list[int | None]:
    """Return the same where each round of trials climbs one rung after the other before the next round comes."""
    found: dict[int, int] = {}
    values: dict[int, list[float]] = {epoch: [] for epoch in epochs}
    for first in range(0, len(curves), parallel):
        left = list(range(first, min(first + parallel, len(curves))))
        for rung, epoch in enumerate(epochs):
            own = {each: curves[each][rung] for each in left}
            values[epoch] += [WORST if value is None else value for value in own.values()]
            best = sorted(values[epoch], reverse=True)[: max(1, len(values[epoch]) // factor)]
            found |= {each: epoch for each, value in own.items() if value is not None and value < best[-1]}
            left = [each for each, value in own.items() if value is not None and value >= best[-1]]
    return [found.get(each) for each in range(len(curves))]


def curves_of(number: int, draw: random.Random) -> list[list[float | None]]:
    """Return the values of trials at three rungs; some are equal, and one in ten diverges at any rung."""
    found: list[list[float | None]] = []
    for _ in range(number):
        curve: list[float | None] = [round(draw.random(), 1) for _ in range(3)]
        found.append([*curve[: draw.randrange(3)], None] if draw.random() < 0.1 else curve)
    return found


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("parallel", [1, 9])
def test_trials_that_go_on_are_those_of_optuna(load: Callable[..., Sweep], parallel: int, seed: int) -> None:
    """Trained in any order, with others open at once; of rounds of more than one trial, Optuna knows nothing."""
    sweep = load(HALVING.replace("40", "63") + f"parallel: {parallel}", above=ABOVE)
    assert sweep.rungs == (1, 3, 9)
    draw = random.Random(seed)
    curves, ladder, come = curves_of(63, draw), Ladder(sweep), {}
    found: dict[int, Trial] = {}
    waited = False
    while len(found) < len(curves):
        for number in range(len(come), min(len(found) + max(8, parallel), len(curves))):
            come[number] = 0
            ladder.judge(trained(number, []))
        number = draw.choice([each for each in come if each not in found])
        trial = ladder.judge(trained(number, curves[number][: come[number]]))
        waited |= trial.state == "paused"
        target = ladder.target(number)
        if trial.outcome is not None or target is None:
            found[number] = trial
        elif trial.state != "paused":
            assert target == sweep.rungs[come[number]]
            come[number] += 1
    assert waited
    expected = of_optuna(curves, sweep.rungs) if parallel == 1 else by_rounds(curves, sweep.rungs, parallel)
    assert [found[each].epochs if found[each].state == "pruned" else None for each in sorted(found)] == expected
    assert {1, 3} <= set(expected)
    at = {epochs: index for index, epochs in enumerate(sweep.rungs)}
    assert all(found[n].values == {"accuracy": curves[n][at[e]]} for n, e in enumerate(expected) if e is not None)


def test_one_round_is_successive_halving(load: Callable[..., Sweep]) -> None:
    """Of 27 different trials nine go on, then three, then the best; a grid need not have whole rounds."""
    draw = random.Random(0)
    curves = [[draw.random()] * 3 for _ in range(27)]
    sweep = load(HALVING.replace("40", "27") + "parallel: 27", above=ABOVE)
    trials = [trained(number, curve) for number, curve in enumerate(curves)]
    for parallel in (27, 30):
        ladder = Ladder(sweep.with_settings(parallel=parallel))
        if parallel == 30:
            assert {trial.state for trial in ladder.judge_all(trials, are_all=False)} == {"paused"}
        found = ladder.judge_all(trials, are_all=parallel == 30)
        assert Counter(each.epochs for each in found if each.state == "pruned") == {1: 18, 3: 6, 9: 2}
        (best,) = (each.proposal.number for each in found if each.state != "pruned")
        assert curves[best] == max(curves)


def test_training_that_ended_by_itself_is_not_pruned(sweep: Sweep) -> None:
    """Early stopping after two epochs: the trial is done, and counts at the rungs that it is good enough for."""
    ladder = Ladder(sweep)
    good, bad = Measured({"accuracy": 0.9}, None), Measured({"accuracy": 0.1}, None)
    ladder.judge(trained(0, [0.5, 0.5, 0.5]))
    early = Trial(Proposal(1, {}, {}), "done", {"accuracy": 0.1}, epochs=1, rungs=(bad, bad, bad))
    assert ladder.judge(early) == early
    early = Trial(Proposal(2, {}, {}), "done", {"accuracy": 0.9}, epochs=2, rungs=(good, good, good))
    assert ladder.judge(early) == early
    assert ladder.judge(trained(3, [0.5])).state == "pruned"
    # Gone on with by hand, a trial remains what it was when it was pruned.
    late = Trial(Proposal(4, {}, {}), "done", {"accuracy": 1.0}, epochs=20, steps=200, rungs=(bad, good, good))
    assert ladder.judge(late) == replace(late, state="pruned", values={"accuracy": 0.1}, epochs=1, steps=10)


@pytest.mark.parametrize("axes", [2, 3])
def test_several_objectives_are_ranked_as_by_nsga2(axes: int) -> None:
    """Fronts and distances are those of Optuna's NSGA-II, also where points are equal."""
    from optuna.samplers.nsgaii._elite_population_selection_strategy import _calc_crowding_distance
    from optuna.study._multi_objective import _fast_non_domination_rank

    draw = random.Random(axes)
    for _ in range(20):
        points = [tuple(draw.random() for _ in range(axes)) for _ in range(25)]
        points += points[:5]
        different = sorted(set(points))
        ranks = dict(zip(different, _fast_non_domination_rank(-_array(different)), strict=True))
        distances: dict[tuple[float, ...], float] = {}
        for rank in set(ranks.values()):
            front = [point for point in different if ranks[point] == rank]
            made = [optuna.trial.create_trial(values=list(point)) for point in front]
            for index, trial in enumerate(made):
                trial.number = index
            theirs = _calc_crowding_distance(made)
            distances |= {point: theirs[index] for index, point in enumerate(front)}
            ours = crowding_distances(front)
            assert [ours[point] for point in front] == pytest.approx([theirs[index] for index in range(len(front))])
        for own in points:
            better = [p for p in points if (ranks[p], -distances[p]) < (ranks[own], -distances[own])]
            assert num_better(own, points) == len(better)


def _array(points: list[tuple[float, ...]]) -> Any:
    import numpy as np

    return np.array(points)


def curve(params: Any) -> list[float]:
    """Return the accuracy at the rungs and at the end, of a trial with these values."""
    end = 1 / (1 + abs(math.log2(params["train.batch_size"]) - 6)) + math.sin(300 * params["train.ema"]) / 10
    return [end * (1 - 0.5**epochs) + math.sin(1000 * epochs * params["train.ema"]) / 20 for epochs in (1, 3, 9, 20)]


def proposed(sweep: Sweep, known: int = 0) -> list[tuple[Proposal, Outcome]]:
    """Return the proposals of a sweep and what comes of them, the first of them known from before."""
    found: list[tuple[Proposal, Outcome]] = []
    recalled = {proposal.number: proposal for proposal, _ in (proposed(sweep)[:known] if known else ())}
    study, ladder, outcomes, trials = Study(sweep, recalled.get), Ladder(sweep), {}, []
    while not study.is_complete:
        step = study.next(outcomes)
        if step is None:
            judged = {trial.proposal.number: ladder.judge(trial) for trial in trials}
            outcomes = {number: trial.outcome for number, trial in judged.items() if trial.state != "paused"}
            continue
        *rungs, end = (
            Measured({name: {"accuracy": value, **step[0].counts}[name] for name in sweep.objectives}, None)
            for value in curve(step[0].params)
        )
        rungs = rungs[: len(sweep.rungs)]
        # As if it went on after it was pruned: what came of that does not count.
        trials.append(Trial(step[0], "done", end.values, epochs=20, steps=20, rungs=tuple(rungs)))
        ladder.judge(trials[-1])
    for trial in ladder.judge_all(trials, are_all=False):
        assert trial.outcome is not None
        found.append((trial.proposal, trial.outcome))
    return found


@pytest.mark.parametrize("parallel", [1, 4])
@pytest.mark.parametrize("name", ["random", "tpe"])
def test_proposals_are_those_of_optuna_with_its_pruner(load: Callable[..., Sweep], name: str, parallel: int) -> None:
    """One study of Optuna's, asked, reported to and told by hand in the order of the trials."""
    make = {"random": optuna.samplers.RandomSampler, "tpe": optuna.samplers.TPESampler}[name]
    sweep = load(HALVING + f"sampler: {name}\nparallel: {parallel}", above=ABOVE)
    study, asked, pruned = optuna.create_study(direction="maximize"), [], 0
    for number in range(40):
        if number >= parallel:
            oldest = asked[number - parallel]
            study.sampler = make(seed=seed_of(0, oldest.number))
            *_, end = curve(oldest.params)
            # With all that take part in its round, which have been asked for by now.
            curves = [curve(trial.params)[:3] for trial in asked[: (oldest.number // parallel + 1) * parallel]]
            ends = of_optuna(curves, sweep.rungs) if parallel == 1 else by_rounds(curves, sweep.rungs, parallel)
            last = ends[oldest.number]
            if last is None:
                study.tell(oldest, end)
            else:
                pruned += 1
                oldest.report(curves[oldest.number][sweep.rungs.index(last)], last)
                study.tell(oldest, state=optuna.trial.TrialState.PRUNED)
        study.sampler = make(seed=seed_of(0, number))
        asked.append(study.ask())
        asked[-1].suggest_int("train.batch_size", 32, 512, log=True)
        asked[-1].suggest_float("train.ema", 0.9, 0.99)
    assert [dict(proposal.params) for proposal, _ in proposed(sweep)] == [dict(trial.params) for trial in asked]
    assert pruned > 20
    assert proposed(sweep, known=25) == proposed(sweep)


@pytest.mark.parametrize("is_recalled", [False, True])
def test_tpe_is_told_how_good_a_pruned_trial_was(load: Callable[..., Sweep], is_recalled: bool) -> None:
    """By its value at the last rung, also of a trial from before: TPE prefers those that got further, then by value."""
    sweep = load(HALVING + "sampler: tpe", above=ABOVE)
    first = Study(sweep).next({})
    assert first is not None
    study = Study(sweep, {0: first[0]}.get if is_recalled else lambda _: None)
    study.next({})
    study.next({0: Outcome((0.5,), 3)})
    told = study._sampler._study.trials[0]  # type: ignore[attr-defined]
    assert (told.state.name, told.intermediate_values, told.params) == ("PRUNED", {3: 0.5}, dict(first[0].params))


@pytest.mark.parametrize("more", ["sampler: cmaes", "sampler: nsga2", "objectives: {accuracy: max, macs: min}"])
def test_samplers_without_pruned_trials_take_the_values_at_the_rung(load: Callable[..., Sweep], more: str) -> None:
    """They learn from a pruned trial as from one that is complete."""
    if "cmaes" in more:
        pytest.importorskip("cmaes")
    sweep = load(HALVING + more, above=ABOVE)
    study = Study(sweep)
    found = proposed(sweep)
    assert sum(outcome.pruned_after is not None for _, outcome in found) > 10
    outcomes = {proposal.number: replace(outcome, pruned_after=None) for proposal, outcome in found}
    again = []
    while (step := study.next(outcomes)) is not None:
        again.append(step[0])
    assert again == [proposal for proposal, _ in found]


@pytest.mark.parametrize(
    ("section", "above", "said"),
    [
        ("{halving: {first: 20}}", ABOVE, "The first rung, epoch 20, is not before the last epoch, 20."),
        ("{halving: {first: 1, factor: 1}}", ABOVE, "Expected an integer, at least 2; got the number 1"),
        ("{halving: {first: 1}}\nparallel: 2", ABOVE, "3 trials are not whole rounds of 2"),
        ("{halving: {frist: 1}}", ABOVE, 'Did you mean "first"?'),
        ("{halving: {first: 0}}", ABOVE, "Expected an integer, at least 1; got the number 0"),
        ("{halving: {first: 1}}\nobjectives: {macs: min, params: min}", ABOVE, "None of the objectives, macs, params,"),
        ("{halving: {first: 1}}\nobjectives: {accuracy: max, seconds: min}", ABOVE, "cannot be pruned by seconds"),
        ("{halving: {first: 1}}\nspace: {train.epochs: [5, 20]}", ABOVE, "all trials have the same train.epochs"),
        (
            "{halving: {first: 1}}\nspace: {train.early_stopping: [null, {monitor: loss}]}",
            ABOVE,
            "the same metric chooses the best epoch of all trials",
        ),
    ],
)
def test_rungs_that_cannot_be_are_refused(load: Callable[..., Sweep], section: str, above: str, said: str) -> None:
    """At their place, before anything is trained."""
    space = "" if "space:" in section else "space: {train.batch_size: [1, 2]}\n"
    with pytest.raises(ConfigError) as caught:
        load(f"{space}trials: 3\nprune: {section}", above=above)
    problem = caught.value.problems[0]
    assert said in problem.message
    assert (problem.path or "").startswith("sweep.trials" if "rounds" in said else "sweep.prune")
    assert problem.line == 5 + space.count("\n") - ("rounds" in said)


@pytest.fixture(scope="module")
def halved(script: Callable[[str], ModuleType], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a sweep of twenty trials with rungs after 1 and 3 of 9 epochs, and its table."""
    folder, campaign = tmp_path_factory.mktemp("halved"), script("faults/sweep_campaign.py")
    file = campaign.write(folder, 20, more=f"seed: 2\n  {campaign.HALVING}")
    file.write_text(file.read_text().replace(", macs: min", ""))
    found = campaign.undisturbed(file, folder / "calm", 4)
    (folder / "calm.json").write_text(json.dumps(found))
    return folder


def scores(trial: dict[str, Any]) -> list[list[float]]:
    """Return the accuracy after each epoch of each run of a trial."""
    files = [file for run in trial["runs"] if (file := Path(run) / "metrics.jsonl").is_file()]
    return [[json.loads(line)["validation"]["accuracy"] for line in file.read_text().splitlines()] for file in files]


def shown(runs_dir: Path, *options: str) -> Any:
    """Return what `cnn sweep show --json` prints."""
    done = CliRunner().invoke(app, ["sweep", "show", "search", "--runs-dir", str(runs_dir), "--json", *options])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


@linux
def test_sweep_prunes_the_worse(halved: Path, tmp_path: Path) -> None:
    """Each trial has as many epochs as it needs, and the value of the best of them; the rest is told."""
    found = shown(halved / "calm", "--export-optuna", str(tmp_path / "journal.log"))
    trials = [trial for trial in found["trials"] if trial["state"] != "refused"]
    curves: list[list[float | None]] = []
    for trial in trials:
        ((*epochs,),) = scores(trial) or ([],)
        reached = [max(epochs[:rung]) for rung in (1, 3) if len(epochs) >= rung]
        curves.append([*reached, None] if trial["state"] == "failed" else reached)
        assert trial["epochs"] == len(epochs)
        assert trial["values"] == (None if trial["state"] == "failed" else {**trial["values"], "accuracy": max(epochs)})
    expected = by_rounds(curves, (1, 3), 4)
    assert [trial["epochs"] if trial["state"] == "pruned" else None for trial in trials] == expected
    assert {trial["state"] for trial in trials} == {"done", "failed", "pruned"}
    assert {trial["epochs"] for trial in trials if trial["state"] == "pruned"} == {1, 3}
    steps = sum(trial["epochs"] for trial in trials)
    whole = sum(trial["epochs"] if trial["state"] == "failed" else 9 for trial in trials)
    assert found["share_of_steps"] == pytest.approx(steps / whole)
    assert all(trial["state"] == "done" for trial in found["best"])
    assert found["importance"] == {}  # It needs ten trials that are done.
    backend = optuna.storages.journal.JournalFileBackend(str(tmp_path / "journal.log"))
    study = optuna.load_study(study_name="search", storage=optuna.storages.JournalStorage(backend))
    for trial in (each for each in found["trials"] if each["state"] == "pruned"):
        ((*epochs,),) = scores(trial)
        values = {rung: max(epochs[:rung]) for rung in (1, 3) if len(epochs) >= rung}
        assert study.trials[trial["number"]].state == optuna.trial.TrialState.PRUNED
        assert study.trials[trial["number"]].intermediate_values == values


@linux
def test_table_tells_of_pruned_trials(halved: Path) -> None:
    """Their state, their epochs, and what halving has saved."""
    done = CliRunner().invoke(
        app, ["sweep", "show", "search", "--runs-dir", str(halved / "calm")], env={"COLUMNS": "200"}
    )
    rows = [line.replace("*", " ").split() for line in done.stdout.splitlines()]
    told = {int(row[0]): row[1:3] for row in rows if len(row) > 5 and row[0].isdigit() and row[1].isalpha()}
    found = shown(halved / "calm")
    assert told == {each["number"]: [each["state"], str(each["epochs"])] for each in found["trials"]}
    assert f"Halving took {found['share_of_steps']:.0%} of the steps of a full search." in done.stdout


@linux
def test_processes_and_kills_change_nothing(halved: Path, script: Callable[[str], ModuleType], tmp_path: Path) -> None:
    """One process, and the campaign in short: the same trials, pruned after the same epochs."""
    campaign, file = script("faults/sweep_campaign.py"), halved / "search.yaml"
    expected = json.loads((halved / "calm.json").read_text())
    assert campaign.undisturbed(file, tmp_path / "one", 1) == expected
    found, hit = campaign.disturbed(file, tmp_path / "wild", 3, random.Random(2))
    assert sum(hit.values()) >= 1
    assert found == expected


@linux
def test_last_round_of_a_grid_is_what_is_left(script: Callable[[str], ModuleType], tmp_path: Path) -> None:
    """Ten points in rounds of four: the last two are compared with those before, and the sweep ends."""
    campaign, file = script("faults/sweep_campaign.py"), tmp_path / "search.yaml"
    space = f"space: {{train.batch_size: {list(range(32, 42))}}}"
    section = f"{space}\n  sampler: grid\n  parallel: 4\n  threads: 1\n  {campaign.HALVING}"
    file.write_text(f"extends: digits_lenet\ntrain: {{epochs: 9}}\nsweep:\n  {section}\n")
    process = campaign.start(file, tmp_path / "runs", 4)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0, said
    states = [trial["state"] for trial in shown(tmp_path / "runs")["trials"]]
    assert len(states) == 10
    assert set(states) <= {"done", "failed", "pruned"}


@linux
def test_all_seeds_of_a_trial_go_to_a_rung(script: Callable[[str], ModuleType], tmp_path: Path) -> None:
    """The mean over them decides, with two objectives as well."""
    campaign = script("faults/sweep_campaign.py")
    file = campaign.write(tmp_path, 8, "random", more=f"seeds: [5, 6]\n  {campaign.HALVING}")
    campaign.undisturbed(file, tmp_path / "runs", 2)
    pruned = [trial for trial in shown(tmp_path / "runs")["trials"] if trial["state"] == "pruned"]
    assert pruned
    for trial in pruned:
        first, second = scores(trial)
        assert len(first) == len(second) == trial["epochs"]
        assert trial["values"]["accuracy"] == pytest.approx(fmean([max(first), max(second)]))
