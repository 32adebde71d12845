"""Learning-rate schedules: pure functions of the step, so that a resumed run sees the same rates."""

from __future__ import annotations

from math import cos, pi
from typing import Annotated

from pydantic import Field

from cnncli.layers.base import Spec


class Schedule(Spec):
    """A factor on the optimizer's learning rate for every step of the run."""

    warmup_epochs: Annotated[float, Field(ge=0)] = 0.0

    def factor(self, progress: float) -> float:
        """Return the factor at `progress`, the share (0–1) of the run after the warm-up that is done."""
        return 1.0

    def rate(self, base: float, step: int, steps_per_epoch: int, epochs: int) -> float:
        """Return the learning rate of step `step` (from 0) for a base rate."""
        warmup = self.warmup_epochs * steps_per_epoch
        if step < warmup:
            return base * (step + 1) / warmup
        rest = max(epochs * steps_per_epoch - warmup, 1)
        return base * self.factor(min((step - warmup) / rest, 1.0))


class Constant(Schedule):
    """The same rate throughout."""


class CosineDecay(Schedule):
    """Half a cosine from the base rate down to `alpha` times it.

    Reference: Loshchilov and Hutter, ICLR 2017.
    """

    alpha: Annotated[float, Field(ge=0, le=1)] = 0.0

    def factor(self, progress: float) -> float:
        """Return the factor at `progress`."""
        return self.alpha + (1 - self.alpha) * (1 + cos(pi * progress)) / 2


SCHEDULES: dict[str, type[Schedule]] = {c.type_name(): c for c in (Constant, CosineDecay)}
