"""What a sweep tries next, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cnncli.config.schema.schema import Config
from cnncli.errors import CnnError, ConfigError
from cnncli.files.form import Form, anything, mapped, optional, record, text, whole
from cnncli.sweeps.space import Params
from cnncli.sweeps.spec import COUNTS, Sweep

PROPOSAL: Form = record(
    {"number": whole(), "params": mapped(anything), "counts": mapped(whole()), "refused": optional(text())}
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
    """

    number: int
    params: Params
    counts: dict[str, int]
    refused: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return what proposal.json holds."""
        return {
            "number": self.number,
            "params": dict(self.params),
            "counts": self.counts,
            "refused": self.refused,
        }

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Proposal:
        """Return what `to_json` made a document of."""
        return cls(document["number"], document["params"], document["counts"], document["refused"])

    def excess(self, sweep: Sweep) -> dict[str, float]:
        """Return for each limit by how much the network exceeds it; negative where it does not."""
        limits = {name: getattr(sweep.settings.limits, name) for name in COUNTS}
        return {
            name: float(self.counts[name] - limit)
            for name, limit in limits.items()
            if limit is not None and name in self.counts
        }


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

    It is refused where its values do not go together, or its network exceeds a limit.
    """
    from cnncli.analysis.summary import summarize

    try:
        config = sweep.config(params)
        summary = summarize(config)
    except ConfigError as error:
        first = error.problems[0]
        return Proposal(number, params, {}, f"{first.path}: {first.message}"), None
    except CnnError as error:
        return Proposal(number, params, {}, error.message), None
    proposal = Proposal(number, params, {"params": summary.total_params, "macs": summary.macs})
    exceeded = [
        f"{proposal.counts[name]:,} {name}, {more:,.0f} more than allowed"
        for name, more in proposal.excess(sweep).items()
        if more > 0
    ]
    if exceeded:
        return Proposal(number, params, proposal.counts, "; ".join(exceeded)), None
    return proposal, config
