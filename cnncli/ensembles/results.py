"""What an ensemble came to beside its members, and whether its gain is chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cnncli.ensembles.members import Member
from cnncli.runs.evaluations import KeptEvaluation
from cnncli.runs.metrics import higher_is_better, names, primary
from cnncli.runs.outcomes import evaluation_of
from cnncli.runs.run import Run
from cnncli.tasks.classification.mcnemar import McNemar
from cnncli.tasks.significance import discordant_interval
from cnncli.tasks.task import get_task

if TYPE_CHECKING:
    from cnncli.runs.compare import PairedResult


@dataclass(frozen=True)
class Gain:
    """By how much an ensemble is better than the best of its members.

    Attributes:
        over: Label of that member.
        metric: The metric that is compared.
        is_share: Whether it is a share, told in percentage points.
        value: The ensemble's less the member's.
        interval: Its 95 % interval over examples; None where the test has none.
        test: A paired test on the same examples; None where their predictions are not at hand.
    """

    over: str
    metric: str
    is_share: bool
    value: float
    interval: tuple[float, float] | None
    test: PairedResult | None

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "over": self.over,
            "metric": self.metric,
            "value": self.value,
            "interval": None if self.interval is None else list(self.interval),
            "test": None if self.test is None else {"name": self.test.name, **self.test.to_json()},
        }


@dataclass(frozen=True)
class Results:
    """An ensemble measured on a split beside its members.

    Attributes:
        split: The split.
        metrics: Names of the metrics, the primary one first.
        ensemble: Metrics of the ensemble.
        members: Each member, with its metrics on the same examples; empty where they are not known.
        gain: The gain over the best member; None where no member's metrics are known.
    """

    split: str
    metrics: tuple[str, ...]
    ensemble: Mapping[str, float]
    members: Sequence[tuple[Member, Mapping[str, float]]]
    gain: Gain | None

    def to_json(self) -> dict[str, Any]:
        """Return what `cnn ensemble --json` adds to the evaluation."""
        return {
            "members": [
                {**described(member), **{name: found.get(name) for name in self.metrics}}
                for member, found in self.members
            ],
            "gain": None if self.gain is None else self.gain.to_json(),
        }


def described(member: Member) -> dict[str, Any]:
    """Return which run a member is, as plain data."""
    return {"run": str(member.run.path), "weight": member.weight}


def results(run: Run, members: Sequence[Member], split: str) -> Results:
    """Compare the evaluations that an ensemble and its members keep of a split.

    Args:
        run: The ensemble's run, measured on the split.
        members: Its members; what one does not keep is left out.
        split: Name of the split.

    Raises:
        RunError: If a kept file cannot be read.
    """
    record = run.record
    metric = primary(record)
    wanted = tuple(dict.fromkeys((metric, *names(record))))
    kept = {member.label: evaluation_of(member.run, split) for member in members}
    own = evaluation_of(run, split)
    ensemble = _metrics(own, wanted)
    rows = [(member, _metrics(kept[member.label], wanted)) for member in members]
    sign = 1 if higher_is_better(record) else -1
    measured = [(member, found) for member, found in rows if metric in found]
    if not measured or metric not in ensemble:
        return Results(split, wanted, ensemble, rows, None)
    best, best_metrics = max(measured, key=lambda row: sign * row[1][metric])
    test = _test(run, kept[best.label], own)
    gain = Gain(
        best.label,
        metric,
        sign > 0 and all(0 <= found[metric] <= 1 for found in (ensemble, *(found for _, found in measured))),
        ensemble[metric] - best_metrics[metric],
        _interval(test, own),
        test,
    )
    return Results(split, wanted, ensemble, rows, gain)


def _metrics(kept: KeptEvaluation | None, wanted: Sequence[str]) -> dict[str, float]:
    document = {} if kept is None else kept.document
    return {name: document[name] for name in wanted if document.get(name) is not None}


def _test(run: Run, best: KeptEvaluation | None, own: KeptEvaluation | None) -> PairedResult | None:
    """Return the paired test of the best member, first, and the ensemble; None without predictions of both."""
    if best is None or own is None:
        return None
    task = get_task(run.config().task)
    rows = []
    for kept in (best, own):
        kept.check_predictions()
        rows.append(task.read_rows(kept.predictions_file))
    return None if any(found is None for found in rows) else task.compare(*rows)


def _interval(test: PairedResult | None, own: KeptEvaluation | None) -> tuple[float, float] | None:
    """Return the interval of a gain in accuracy, from the examples that only one of both got right."""
    if own is None or not isinstance(test, McNemar):
        return None
    return discordant_interval(test.only_second, test.only_first, own.document["num_examples"])
