"""The space of a sweep: which keys of a config vary, and between which values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import product
from typing import TYPE_CHECKING, Any

from cnncli.config.dump import flow
from cnncli.config.language import override
from cnncli.config.language.override import Override
from cnncli.config.yaml.paths import Steps
from cnncli.config.yaml.tree import Mapping as MappingValue
from cnncli.config.yaml.tree import Origin, Plain, Scalar, Value, plain

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Params = Mapping[str, Plain]
"""Values of the keys of one trial: numbers, and of choices their labels."""


@dataclass(frozen=True)
class Choice:
    """One of several values.

    Attributes:
        label: What stands for it: a scalar itself, the name of something with arguments, else its YAML.
        value: The value, with its place in the file.
    """

    label: Plain
    value: Value


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included.

    Attributes:
        low: The smallest.
        high: The largest.
        is_whole: Whether they are whole numbers.
        log: Whether equal ratios are equally likely, instead of equal differences.
        step: Distance between two values, or None.
    """

    low: float
    high: float
    is_whole: bool
    log: bool = False
    step: float | None = None

    def values(self) -> tuple[float, ...] | None:
        """Return all values, or None if they cannot be counted."""
        step = self.step or (1 if self.is_whole else None)
        if step is None or (self.log and not self.is_whole):
            return None
        count = int((self.high - self.low) / step + 1e-9) + 1
        # In decimal numbers, as they are written: 0.9 + 0.04 is 0.94.
        found = (Decimal(repr(self.low)) + index * Decimal(repr(step)) for index in range(count))
        return tuple(int(each) if self.is_whole else float(each) for each in found)


@dataclass(frozen=True)
class Dimension:
    """A key that varies.

    Attributes:
        key: Its path, "train.batch_size".
        steps: The path's steps.
        origin: Where the key is written.
        among: Its values: a range, or choices.
        when: Values that other keys must have for this one to exist.
    """

    key: str
    steps: Steps
    origin: Origin
    among: Range | tuple[Choice, ...]
    when: tuple[tuple[str, Plain], ...] = ()

    @property
    def extremes(self) -> tuple[Plain, ...]:
        """All choices; of a range, both ends."""
        if isinstance(self.among, Range):
            return (self.among.low, self.among.high)
        return tuple(choice.label for choice in self.among)

    @property
    def values(self) -> tuple[Plain, ...] | None:
        """All values, or None if they cannot be counted."""
        return self.among.values() if isinstance(self.among, Range) else self.extremes

    def is_active(self, params: Params) -> bool:
        """Say whether the key exists next to these values of the keys before it."""
        return all(key in params and params[key] == label for key, label in self.when)

    def distribution(self) -> BaseDistribution:
        """Return Optuna's name for the values."""
        from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

        if not isinstance(self.among, Range):
            return CategoricalDistribution([choice.label for choice in self.among])
        low, high, log, step = self.among.low, self.among.high, self.among.log, self.among.step
        if self.among.is_whole:
            return IntDistribution(int(low), int(high), log=log, step=int(step or 1))
        return FloatDistribution(low, high, log=log, step=step)

    def value(self, found: Plain) -> Value:
        """Return a value as the config takes it, at its place in the sweep's file."""
        if isinstance(self.among, Range):
            return Scalar(found, self.origin)
        return next(choice.value for choice in self.among if _same(choice.label, found))


@dataclass(frozen=True)
class Space:
    """All keys that vary, each below those that it depends on."""

    dimensions: tuple[Dimension, ...]

    def apply(self, tree: Value, params: Params) -> Value:
        """Return a config with the values of one trial.

        Raises:
            ConfigError: If a key's path leads nowhere.
        """
        for dimension in self.dimensions:
            if dimension.key in params:
                value = dimension.value(params[dimension.key])
                origins = (dimension.origin,) * len(dimension.steps)
                tree = override.apply(tree, Override(dimension.steps, origins, value))
        return tree

    def samples(self) -> Iterator[dict[str, Plain]]:
        """Yield every choice and both ends of every range, each alone with the values that it depends on."""
        for dimension in self.dimensions:
            for value in dimension.extremes:
                yield self._needed(dimension) | {dimension.key: value}

    def grid(self) -> list[dict[str, Plain]]:
        """Return all points, the last key varying fastest; a key that does not exist at a point is left out there.

        The dimensions must all be countable.
        """
        axes = [dimension.values or () for dimension in self.dimensions]
        points = (self._active(values) for values in product(*axes))
        return [dict(point) for point in dict.fromkeys(tuple(point.items()) for point in points)]

    def _active(self, values: tuple[Plain, ...]) -> dict[str, Plain]:
        found: dict[str, Plain] = {}
        for dimension, value in zip(self.dimensions, values, strict=True):
            if dimension.is_active(found):
                found[dimension.key] = value
        return found

    def _needed(self, dimension: Dimension) -> dict[str, Plain]:
        """Return the values of other keys with which a key exists."""
        needed: dict[str, Plain] = {}
        for key, label in dimension.when:
            above = next(each for each in self.dimensions if each.key == key)
            needed |= self._needed(above) | {key: label}
        return needed


def label(value: Value) -> Plain:
    """Return what stands for a choice: `SGD` for `{SGD: {momentum: 0.9}}`, a scalar for itself."""
    if isinstance(value, Scalar):
        return value.value
    if isinstance(value, MappingValue) and len(value.entries) == 1:
        return next(iter(value.entries))
    return flow(plain(value))


def choices(values: tuple[Value, ...]) -> tuple[Choice, ...]:
    """Return choices with different labels: where a name appears twice, the YAML takes its place."""
    found = [Choice(label(value), value) for value in values]
    labels = [(type(choice.label), choice.label) for choice in found]
    return tuple(
        replace(choice, label=flow(plain(choice.value))) if labels.count(own) > 1 else choice
        for choice, own in zip(found, labels, strict=True)
    )


def linked(dimensions: tuple[Dimension, ...]) -> tuple[Dimension, ...]:
    """Return dimensions that know of the choices that they are part of.

    `train.optimizer.SGD.momentum` exists only where a choice `train.optimizer` is SGD.
    """
    return tuple(replace(each, when=(*each.when, *_implied(each, dimensions))) for each in dimensions)


def _implied(dimension: Dimension, others: tuple[Dimension, ...]) -> Iterator[tuple[str, Plain]]:
    for other in others:
        depth = len(other.steps)
        if other is not dimension and dimension.steps[:depth] == other.steps and not isinstance(other.among, Range):
            name: Any = dimension.steps[depth]
            if (other.key, name) not in dimension.when:
                yield other.key, name


def _same(one: Plain, other: Plain) -> bool:
    """Compare labels: 1 and true are two."""
    return one == other and isinstance(one, bool) == isinstance(other, bool)
