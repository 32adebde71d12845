"""What a sweep tries next, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from cnncli.config.schema.schema import Config
from cnncli.errors import CnnError, ConfigError
from cnncli.files.form import Form, anything, mapped, number, optional, record, text, whole
from cnncli.sweeps.space import Params
from cnncli.sweeps.spec import COUNTS, Sweep

PROPOSAL: Form = record(
    {"number": whole(), "params": mapped(anything), "counts": mapped(whole()), "refused": optional(text())},
    {"conditions": mapped(number())},
)
"""proposal.json."""


@dataclass(frozen=True)
class Proposal:
    """The values of one trial.

    Attributes:
        number: Number of the trial, from 0.
        params: Value of each key; a key that does not exist with the others is left out.
        counts: Parameters and multiply-accumulate operations of the network; empty where there is none.
        refused: Why it is not trained, or None.
        conditions: By how much it breaks each condition, 0 and less where it does not; those on keys that it does not
            have are left out.
    """

    number: int
    params: Params
    counts: dict[str, int]
    refused: str | None = None
    conditions: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return what proposal.json holds."""
        return {
            "number": self.number,
            "params": dict(self.params),
            "counts": self.counts,
            "refused": self.refused,
            "conditions": dict(self.conditions),
        }

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Proposal:
        """Return what `to_json` made a document of."""
        conditions = document.get("conditions", {})
        return cls(document["number"], document["params"], document["counts"], document["refused"], conditions)

    def excess(self, sweep: Sweep) -> dict[str, float]:
        """Return for each limit and condition by how much it is exceeded; negative where it is not."""
        limits = {name: getattr(sweep.settings.limits, name) for name in COUNTS}
        exceeded = {
            name: float(self.counts[name] - limit)
            for name, limit in limits.items()
            if limit is not None and name in self.counts
        }
        return {**exceeded, **self.conditions}


@dataclass(frozen=True)
class Outcome:
    """What came of a trial.

    Attributes:
        values: The value of each objective, in the sweep's order; None where training failed.
        pruned_after: Number of epochs after which it was pruned, and at which the values are; None if it was not.
    """

    values: tuple[float, ...] | None
    pruned_after: int | None = None


def judged(sweep: Sweep, number: int, params: Params) -> tuple[Proposal, Config | None]:
    """Return a proposal with what is known of its network, and its config, or None if it is refused.

    It is refused where its values do not go together, break a condition, or its network exceeds a limit.
    """
    from cnncli.analysis.summary import summarize

    try:
        config = sweep.config(params)
        summary = summarize(config)
        verdicts = {each.text: each.judge(config.document) for each in sweep.conditions}
    except ConfigError as error:
        first = error.problems[0]
        return Proposal(number, params, {}, f"{first.path}: {first.message}"), None
    except (CnnError, ValueError) as error:
        return Proposal(number, params, {}, str(error)), None
    conditions = {text: verdict.excess for text, verdict in verdicts.items() if verdict is not None}
    proposal = Proposal(number, params, {"params": summary.total_params, "macs": summary.macs}, conditions=conditions)
    exceeded = [_told(proposal, name, more) for name, more in proposal.excess(sweep).items() if more > 0]
    if exceeded:
        return replace(proposal, refused="; ".join(exceeded)), None
    return proposal, config


def _told(proposal: Proposal, name: str, more: float) -> str:
    """Say which limit or condition a proposal breaks."""
    if name in COUNTS:
        return f"{proposal.counts[name]:,} {name}, {more:,.0f} more than allowed"
    return f"{name} does not hold"
