"""What a dry run and the training on one batch have shown, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnncli.plural import counted
from cnncli.report.numbers import full, short

if TYPE_CHECKING:
    from cnncli.analysis.rehearsal import Forecast, OverfitResult


def forecast_lines(forecast: Forecast) -> list[str]:
    """Return a dry run's forecast."""
    speed = f"{full(round(forecast.images_per_second))} images/s on {forecast.device}"
    steps = (
        f"{counted(forecast.steps_per_epoch, 'step')} in {duration(forecast.steps_per_epoch * forecast.step_seconds)}"
    )
    validation = f" and {duration(forecast.validation_seconds)} of validation" if forecast.validation_seconds else ""
    rows = {
        "step": f"{duration(forecast.step_seconds)} for {counted(forecast.batch_size, 'image')}, {speed}",
        "first step": f"{duration(forecast.compile_seconds)}, including compilation of the loop",
        "epoch": f"{duration(forecast.epoch_seconds)}: {steps}{validation}",
        "whole run": f"{duration(forecast.total_seconds)} for {counted(forecast.epochs, 'epoch')}",
        "memory": _memory(forecast),
        "checkpoint": short(forecast.checkpoint_bytes, "B"),
    }
    return [f"{name:<12}{text}" for name, text in rows.items()]


def _memory(forecast: Forecast) -> str:
    estimate = f"`cnn summary` estimates {short(forecast.estimated_bytes, 'B')}"
    if forecast.peak_bytes is None:
        return f"cannot be measured here; {estimate}"
    training_part = (
        "" if forecast.network_bytes is None else f", {short(forecast.network_bytes, 'B')} of it for training"
    )
    return f"{short(forecast.peak_bytes, 'B')} at most{training_part}; {estimate}"


def overfit_lines(result: OverfitResult) -> list[str]:
    """Return the verdict on the training on one batch, and what to try."""
    chance = "" if result.chance_loss is None else f"; chance level {result.chance_loss:.2f}"
    at_end = (
        f"after {counted(result.steps, 'step')} ({duration(result.seconds)}) on "
        f"{counted(result.num_examples, 'example')} "
        f"{', '.join(f'{name} {value:.3f}' for name, value in result.metrics.items())} "
        f"(loss {result.first_loss:.2f} at first{chance})"
    )
    if result.learned:
        return [f"The network can learn: {at_end}."]
    if result.diverged:
        return [
            f"The network does not learn: the loss is no longer finite after {counted(result.steps, 'step')}.",
            "Lower the optimizer's learning_rate, or set train.clip_norm: 1.0.",
        ]
    return [f"The network cannot overfit a single batch: {at_end}.", *_advice(result)]


def _advice(result: OverfitResult) -> list[str]:
    """Return what may be the cause."""
    lines = []
    if result.num_contradictions:
        lines.append(
            f"{counted(result.num_contradictions, 'example')} with the image of another example, but a different label."
        )
    if result.layers_without_gradient:
        lines.append(
            f"No gradient reaches {', '.join(result.layers_without_gradient)}: check for saturated or dead activations."
        )
    if result.metrics["loss"] > 0.5 * result.first_loss:
        lines.append(
            "The loss hardly decreases: raise the optimizer's learning_rate tenfold, or lower it if the loss jumps."
        )
    elif not lines:
        lines.append("The loss is decreasing: raise the learning_rate, or give the network more filters or units.")
    return lines


def duration(seconds: float) -> str:
    """Return a time as people say it: 12.3 ms, 4.56 s, 3 min 20 s, 2 h 5 min."""
    if seconds < 0.9995:
        return f"{seconds * 1000:.3g} ms"
    if seconds < 59.95:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min"
