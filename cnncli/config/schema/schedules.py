"""Learning-rate schedules: pure functions of the step, so that a resumed run sees the same rates.

A schedule multiplies the optimizer's learning rate (and that of every group of layers). Times are in
epochs, not in steps, so that another batch size or data set keeps the shape of the curve.
"""

from math import cos, pi
from typing import Annotated, NamedTuple, Self

from pydantic import Field, model_validator

from cnncli.config.schema.tasks import Monitor
from cnncli.layers.base import Spec

Share = Annotated[float, Field(ge=0, le=1)]
Decrease = Annotated[float, Field(gt=0, lt=1)]
Epochs = Annotated[float, Field(ge=0)]
SomeEpochs = Annotated[float, Field(gt=0)]


class Moment(NamedTuple):
    """A point in time of a run, after the warm-up.

    Attributes:
        epoch: Epochs since the warm-up ended.
        epochs: Epochs from the end of the warm-up to the end of the run.
    """

    epoch: float
    epochs: float

    @property
    def progress(self) -> float:
        """Share of the time that has passed, 0 to 1."""
        return min(self.epoch / self.epochs, 1.0) if self.epochs > 0 else 1.0


_BEGIN = Moment(0.0, 1.0)
"""The end of the warm-up, however long the run."""


class Schedule(Spec):
    """What the optimizer's learning rate is multiplied by at every step."""

    warmup_epochs: Epochs = Field(default=0.0, description="Epochs of linear warm-up from 0.")

    def multiplier(self, moment: Moment) -> float:  # noqa: ARG002 - the one that needs no moment
        """Return what the base rate is multiplied by at a moment after the warm-up."""
        return 1.0

    def rate(self, base: float, step: int, steps_per_epoch: int, epochs: int) -> float:
        """Return the learning rate of a step.

        Args:
            base: Learning rate of the optimizer or group.
            step: Number of the step since the run began, from 0.
            steps_per_epoch: Steps in one epoch.
            epochs: Epochs of the whole run.
        """
        warmup_steps = self.warmup_epochs * steps_per_epoch
        if step < warmup_steps:
            return base * self.multiplier(_BEGIN) * (step + 1) / warmup_steps
        rest = max(epochs - self.warmup_epochs, 0.0)
        return base * self.multiplier(Moment((step - warmup_steps) / steps_per_epoch, rest))


class Constant(Schedule):
    """The same rate throughout."""


class StepDecay(Schedule):
    """Multiply the rate by `factor` after every so many epochs."""

    every: SomeEpochs = Field(default=30.0, description="Epochs between two reductions.")
    factor: Decrease = Field(default=0.1, description="Factor of each reduction.")

    def multiplier(self, moment: Moment) -> float:
        """Return factor to the power of the reductions so far."""
        return self.factor ** int(moment.epoch / self.every)


class PiecewiseConstant(Schedule):
    """One multiplier up to the first boundary, the next up to the second, and so on."""

    boundaries: tuple[SomeEpochs, ...] = Field(
        min_length=1, description="Epochs at which the rate changes, in increasing order."
    )
    values: tuple[Epochs, ...] = Field(
        min_length=2, description="Factor of the learning rate in each piece: one more than boundaries."
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if list(self.boundaries) != sorted(set(self.boundaries)):
            raise ValueError(f"The boundaries must increase; got {list(self.boundaries)}.")
        if len(self.values) != len(self.boundaries) + 1:
            expected = len(self.boundaries) + 1
            raise ValueError(f"{len(self.boundaries)} boundaries need {expected} values; got {len(self.values)}.")
        return self

    def multiplier(self, moment: Moment) -> float:
        """Return the value of the piece."""
        return self.values[sum(moment.epoch >= boundary for boundary in self.boundaries)]


class ExponentialDecay(Schedule):
    """Multiply the rate by `decay_rate` over every `decay_epochs`, a little at each step."""

    decay_rate: Decrease = Field(default=0.96, description="Factor of the rate over decay_epochs.")
    decay_epochs: SomeEpochs = Field(default=1.0, description="Epochs over which the rate changes by that factor.")
    staircase: bool = Field(default=False, description="Change only at multiples of decay_epochs.")

    def multiplier(self, moment: Moment) -> float:
        """Return decay_rate ** (epoch / decay_epochs)."""
        power = moment.epoch / self.decay_epochs
        return float(self.decay_rate ** (int(power) if self.staircase else power))


class PolynomialDecay(Schedule):
    """Fall from the base rate to `alpha` times it along a power of the time that is left."""

    power: SomeEpochs = Field(default=1.0, description="Exponent; 1 is linear, 2 falls faster at first.")
    alpha: Share = Field(default=0.0, description="Rate at the end of the run, as a fraction of the base rate.")

    def multiplier(self, moment: Moment) -> float:
        """Return alpha + (1 − alpha) · (1 − progress) ** power."""
        return float(self.alpha + (1 - self.alpha) * (1 - moment.progress) ** self.power)


class LinearDecay(Schedule):
    """Fall from the base rate to `alpha` times it in a straight line."""

    alpha: Share = Field(default=0.0, description="Rate at the end of the run, as a fraction of the base rate.")

    def multiplier(self, moment: Moment) -> float:
        """Return alpha + (1 − alpha) · (1 − progress)."""
        return self.alpha + (1 - self.alpha) * (1 - moment.progress)


class CosineDecay(Schedule):
    """Half a cosine from the base rate down to `alpha` times it.

    Reference: Loshchilov and Hutter, ICLR 2017.
    """

    alpha: Share = Field(default=0.0, description="Rate at the end of the run, as a fraction of the base rate.")

    def multiplier(self, moment: Moment) -> float:
        """Return alpha + (1 − alpha) · (1 + cos(π · progress)) / 2."""
        return self.alpha + (1 - self.alpha) * (1 + cos(pi * moment.progress)) / 2


class OneCycle(Schedule):
    """Rise to the base rate, then fall far below where it began; both along half a cosine.

    Reference: Smith and Topin, Super-convergence, 2018.
    """

    peak: Share = Field(default=0.3, description="Fraction of the run after which the base rate is reached.")
    start: Share = Field(default=0.04, description="Rate at the beginning, as a fraction of the base rate.")
    end: Share = Field(default=4e-6, description="Rate at the end, as a fraction of the base rate.")

    def multiplier(self, moment: Moment) -> float:
        """Return the multiplier on the rising or the falling side."""
        if moment.progress < self.peak:
            return _half_cosine(self.start, 1.0, moment.progress / self.peak)
        return _half_cosine(1.0, self.end, (moment.progress - self.peak) / (1 - self.peak) if self.peak < 1 else 0.0)


class ReduceLROnPlateau(Schedule):
    """Multiply the rate by `factor` when the monitored number has stopped improving.

    The multiplier depends on the run's own metrics: the run keeps it, and hands the reduced rate to `rate` as its base.
    """

    monitor: Monitor = Field(default="validation_loss", description="Metric to monitor after every epoch.")
    factor: Decrease = Field(default=0.1, description="Factor of each reduction.")
    patience: Annotated[int, Field(ge=1)] = Field(
        default=10, description="Epochs without improvement before a reduction."
    )
    min_delta: Epochs = Field(default=1e-4, description="Smallest change that counts as an improvement.")
    cooldown: Annotated[int, Field(ge=0)] = Field(
        default=0, description="Cooldown: epochs after a reduction before counting again."
    )


def _half_cosine(start: float, end: float, progress: float) -> float:
    return end + (start - end) * (1 + cos(pi * progress)) / 2


SCHEDULES: dict[str, type[Schedule]] = {
    c.type_name(): c
    for c in (
        Constant,
        StepDecay,
        PiecewiseConstant,
        ExponentialDecay,
        PolynomialDecay,
        CosineDecay,
        LinearDecay,
        OneCycle,
        ReduceLROnPlateau,
    )
}
