"""A number that is not one, put into a training at a chosen step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

KINDS = ("input", "loss", "gradient", "output")


@contextmanager
def injected(what: str, step: int) -> Iterator[None]:
    """Let the input, the loss, a gradient or a layer's output be NaN at step `step` (from 1) while a block runs.

    The step is read from the optimizer, so that the guard's own second look at the batch finds it too.
    """
    import tensorflow as tf

    from cnncli.engine.input_pipeline.preprocessing import Preprocessing
    from cnncli.engine.tasks.classification import CrossEntropy
    from cnncli.engine.training import step_loop

    loops: list[Any] = []
    made, to_float, loss = step_loop.StepLoop.__init__, Preprocessing.to_float, CrossEntropy.loss

    def remember(self: Any, config: Any, model: Any, *rest: Any) -> None:
        made(self, config, model, *rest)
        loops.append(self)
        if what == "output":
            call = model.layers[-1].call

            def spoiled_call(*arguments: Any, **named: Any) -> Any:
                return spoil(call(*arguments, **named))

            model.layers[-1].call = spoiled_call

    def strikes() -> Any:
        iterations = next(v for name, v in loops[-1].updates.state().items() if name.endswith("/iteration"))
        return tf.equal(tf.cast(iterations.value, tf.int64), step - 1)

    def spoil(values: Any) -> Any:
        return tf.where(strikes(), tf.constant(float("nan"), values.dtype), values) if loops else values

    @tf.custom_gradient
    def spoil_gradient(values: Any) -> Any:
        return tf.identity(values), spoil

    def spoiled_input(self: Any, images: Any) -> Any:
        return spoil(to_float(self, images))

    def spoiled_loss(self: Any, labels: Any, logits: Any) -> Any:
        if what == "gradient":
            return loss(self, labels, spoil_gradient(logits))
        return spoil(loss(self, labels, logits)) if what == "loss" else loss(self, labels, logits)

    step_loop.StepLoop.__init__ = remember
    if what == "input":
        Preprocessing.to_float = spoiled_input
    CrossEntropy.loss = spoiled_loss
    try:
        yield
    finally:
        step_loop.StepLoop.__init__ = made
        Preprocessing.to_float, CrossEntropy.loss = to_float, loss
