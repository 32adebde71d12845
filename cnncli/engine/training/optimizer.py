"""How gradients change the weights: one Keras optimizer for each group of layers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from cnncli.config.schema.schema import Group, Train
from cnncli.engine.fast_ops.optimizers import FUSED
from cnncli.engine.network.model import group_of
from cnncli.engine.training.muon import Muon

OURS: dict[str, type[keras.optimizers.Optimizer]] = {**FUSED, "Muon": Muon}
"""Optimizers that take the place of Keras's of the same name."""


class _Part(NamedTuple):
    """The variables of one group, where their gradients stand, and what updates them."""

    indices: list[int]
    variables: list[Any]
    optimizer: keras.optimizers.Optimizer
    base_rate: float


class Updates:
    """The optimizers of a model's groups, their state, and the running average of the weights.

    Args:
        train: The config's `train` section.
        model: Network whose trainable variables are to be changed.

    Attributes:
        variables: The model's trainable variables; gradients come in this order.
        base_rates: Learning rate of each group before the schedule, float64 (groups,).
    """

    def __init__(self, train: Train, model: keras.Model) -> None:
        self.variables = list(model.trainable_variables)
        layers = {id(v): layer.name for layer in model.layers for v in layer.trainable_variables}
        groups = [group_of(train.groups, layers[id(variable)]) for variable in self.variables]
        self._names = {id(v): f"{layers[id(v)]}/{v.name}" for v in self.variables}
        self._parts = []
        for group in dict.fromkeys(groups):
            indices = [index for index, other in enumerate(groups) if other == group]
            self._parts.append(self._make_part(train, group, indices))
        self._clip_norm = train.clip_norm
        if self._clip_norm is not None and len(self._parts) > 1:
            for part in self._parts:  # Keras's own norm would be of the optimizer's gradients alone
                _inner(part.optimizer)._clip_gradients = self._clip
        self.base_rates = np.array([part.base_rate for part in self._parts])

    def _make_part(self, train: Train, group: Group | None, indices: list[int]) -> _Part:
        variables = [self.variables[index] for index in indices]
        optimizer = make_optimizer(train, group)
        optimizer.build(variables)
        rate = group.learning_rate if group is not None else None
        return _Part(indices, variables, optimizer, rate or train.optimizer.learning_rate)

    def scale_loss(self, loss: tf.Tensor) -> tf.Tensor:
        """Return the loss to take gradients of: enlarged in float16, where small gradients would vanish."""
        return self._parts[0].optimizer.scale_loss(loss)

    def apply(self, gradients: Sequence[tf.Tensor], rates: tf.Tensor) -> None:
        """Change the weights by their gradients, with the rate of each group (groups,)."""
        shares = [[gradients[index] for index in part.indices] for part in self._parts]
        if len(self._parts) > 1:
            shares = self._in_own_scales(shares)
            if self._clip_norm is not None:
                self._norm = self._norm_of_all(shares)
        for number, (part, share) in enumerate(zip(self._parts, shares, strict=True)):
            _inner(part.optimizer).learning_rate.assign(rates[number])
            part.optimizer.apply(share, part.variables)

    def _in_own_scales(self, shares: list[list[tf.Tensor]]) -> list[list[tf.Tensor]]:
        """Return gradients as each group's optimizer expects them; outside float16 they stay as they are.

        In float16 an optimizer skips gradients that are not finite, and lowers its scale; but each sees only its own
        group's. Here all groups take or skip a step together. The loss was enlarged by the first one's scale; others
        can differ in runs of early versions.
        """
        scales = [scale for scale in map(_loss_scale, self._parts) if scale is not None]
        if not scales:
            return shares
        finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(gradient)) for share in shares for gradient in share])
        factors = [tf.where(finite, scale / scales[0], np.nan) for scale in scales]
        return [[gradient * factor for gradient in share] for share, factor in zip(shares, factors, strict=True)]

    def _norm_of_all(self, shares: list[list[tf.Tensor]]) -> tf.Tensor:
        """Return the norm of what Keras clips: true gradients, with `accumulate` the mean of several steps'."""
        clipped: list[tf.Tensor] = []
        for part, share in zip(self._parts, shares, strict=True):
            scale, inner = _loss_scale(part), _inner(part.optimizer)
            true = share if scale is None else [gradient / scale for gradient in share]
            steps = inner.gradient_accumulation_steps
            if steps:
                true = [(new + sum_) / steps for new, sum_ in zip(true, inner._accumulated_gradients, strict=True)]
            clipped += true
        return tf.linalg.global_norm(clipped)

    def _clip(self, gradients: list[tf.Tensor]) -> list[tf.Tensor]:
        """Clip one group's gradients by the norm of all groups'."""
        clipped, _ = tf.clip_by_global_norm(gradients, self._clip_norm, use_norm=self._norm)
        return list(clipped)

    def state(self) -> dict[str, Any]:
        """Return every variable of the optimizers by name; "average/<weight>" is the running average of a weight."""
        found: dict[str, Any] = {}
        for number, part in enumerate(self._parts):
            averages = {self._names[id(v)]: average for v, average in _average_pairs(part)}
            owned = {id(average) for average in averages.values()}
            found |= {f"optimizer/{number}/{v.path}": v for v in part.optimizer.variables if id(v) not in owned}
            found |= {f"average/{name}": average for name, average in averages.items()}
        return found

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Put the running average in the place of the weights while a block runs; without `ema` change nothing."""
        pairs = [(v, average) for part in self._parts for v, average in _average_pairs(part)]
        raw = [np.asarray(variable) for variable, _ in pairs]
        for variable, average in pairs:
            variable.assign(average)
        try:
            yield
        finally:
            for (variable, _), value in zip(pairs, raw, strict=True):
                variable.assign(value)


def make_optimizer(train: Train, group: Group | None = None) -> keras.optimizers.Optimizer:
    """Return the config's optimizer: Keras's, or ours of that name, with a group's own settings."""
    arguments = train.optimizer.keras_arguments()
    if group is not None and group.weight_decay is not None:
        arguments["weight_decay"] = group.weight_decay
    name = train.optimizer.type_name()
    optimizer = (OURS.get(name) or getattr(keras.optimizers, name))(
        **arguments,
        name="optimizer",
        global_clipnorm=train.clip_norm,
        use_ema=train.ema is not None,
        ema_momentum=train.ema or 0.99,
        gradient_accumulation_steps=train.accumulate if train.accumulate > 1 else None,
    )
    return (
        keras.optimizers.LossScaleOptimizer(optimizer, name="scaled")
        if train.precision == "mixed_float16"
        else optimizer
    )


def _inner(optimizer: keras.optimizers.Optimizer) -> keras.optimizers.Optimizer:
    return getattr(optimizer, "inner_optimizer", optimizer)


def _loss_scale(part: _Part) -> tf.Tensor | None:
    """Return what the optimizer divides float16's gradients by; None in other precisions."""
    scale = getattr(part.optimizer, "dynamic_scale", None)
    return None if scale is None else tf.convert_to_tensor(scale)


def _average_pairs(part: _Part) -> list[tuple[Any, Any]]:
    inner = _inner(part.optimizer)
    if not inner.use_ema:
        return []
    # Keras has no public way to these; `finalize_variable_values` would overwrite the weights for good.
    return list(zip(part.variables, inner._model_variables_moving_average, strict=True))
