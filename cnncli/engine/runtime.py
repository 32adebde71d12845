"""The machine as TensorFlow is told to use it: threads, precision, seed, device."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from cnncli.analysis.processor import cpu_features, cpu_field
from cnncli.analysis.summary import summarize
from cnncli.config.schema.schema import Config
from cnncli.engine.fast_ops import batch_halves
from cnncli.errors import CnnError, RunError
from cnncli.resources import MOST_THREADS, available_threads, require_threads
from cnncli.runs.environment import variables, versions


def configure(config: Config, recorded_threads: int | None = None) -> dict[str, Any]:
    """Set threads, precision and seed for `config`, and return the environment that results depend on.

    The number of threads decides the order of floating-point sums, so it is pinned and recorded; that of shards fixes
    the order for any number of threads.

    Args:
        config: Of the run.
        recorded_threads: Number of threads that a run began with; it goes on with as many.

    Raises:
        CnnError: If these are more threads than the machine bears.
        RunError: If what is recorded is no number of threads.
    """
    if config.train.threads is not None:
        require_threads(config.train.threads)
    elif recorded_threads is not None:
        _check_recorded(recorded_threads)
    threads = config.train.threads or recorded_threads or available_threads()
    if config.train.shards > 1:
        threads = batch_halves.set_threads_for_shards(threads, config.train.shards)
    else:
        threads = batch_halves.set_threads(threads, batch_halves.halves_for(config, threads))
    keras.config.set_dtype_policy(config.train.precision)
    keras.utils.set_random_seed(config.seed)
    return environment(threads if config.train.shards == 1 else None)


def _check_recorded(threads: Any) -> None:
    if type(threads) is not int or not 1 <= threads <= MOST_THREADS:
        raise RunError(
            f"run.json says that it computes with {str(threads)[:60]!r} threads; expected 1 to {MOST_THREADS}",
            "Correct threads in its run.json, or take the entry out.",
        )


def choose_device(device: str) -> None:
    """Use only the CPU ("cpu"), or insist on a GPU ("gpu").

    Raises:
        CnnError: If there is no GPU that TensorFlow can use.
    """
    if device == "cpu":
        tf.config.set_visible_devices([], "GPU")
    elif not tf.config.list_physical_devices("GPU"):
        raise CnnError(
            "--device gpu: TensorFlow finds no GPU on this machine",
            "Install cnncli[gpu] and a driver, check `cnn doctor`, or train with --device cpu.",
        )


def environment(threads: int | None) -> dict[str, Any]:
    """Describe what bit-equal results depend on besides the config and the data.

    Args:
        threads: Of one operation at most; None where each has one, and their number changes nothing.
    """
    return {
        "versions": versions(),
        "device": device_name(),
        # Another run of this process may have given operations more than the one thread that shards need.
        **({"operation_threads": batch_halves.operation_threads()} if threads is None else {"threads": threads}),
        "parts": batch_halves.number(),
        "cpu_features": cpu_features(),
        "variables": variables(),
    }


def facts(environment: Mapping[str, Any]) -> dict[str, str]:
    """Return what bits depend on, by name, as text."""
    versions = {name: str(value) for name, value in environment.get("versions", {}).items()}
    others = ("device", "threads", "operation_threads", "parts", "cpu_features")
    arithmetic = {
        f"arithmetic.{name}": _text(value)
        for name, value in environment.get("arithmetic", {}).items()
        if name != "golden_vector"
    }
    return versions | {name: _text(environment[name]) for name in others if name in environment} | arithmetic


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return _text([f"{name}: {item}" for name, item in value.items()])
    return (", ".join(map(str, value)) or "none") if isinstance(value, list) else str(value)


def device_name() -> str:
    """Return the name of the device that trains: the first GPU, or the CPU's model."""
    gpus = tf.config.get_visible_devices("GPU")
    if gpus:
        return str(tf.config.experimental.get_device_details(gpus[0]).get("device_name", gpus[0].name))
    return f"CPU {cpu_field('model name') or platform.processor() or platform.machine()}"


WORTHWHILE = 10e12
"""Floating-point operations of a training that are worth a word: on two cores about half a minute."""


def hint(config: Config, num_examples: int) -> str | None:
    """Say that bfloat16 would pay, for a long training in float32 on a CPU that computes with it; otherwise None.

    Args:
        config: The experiment.
        num_examples: Training examples of an epoch.
    """
    on_gpu = bool(tf.config.get_visible_devices("GPU"))
    if config.train.precision != "float32" or on_gpu or "avx512_bf16" not in cpu_features():
        return None
    # A step computes about three times what the forward pass does.
    operations = 3 * 2 * summarize(config).macs * num_examples * config.train.epochs
    if operations < WORTHWHILE:
        return None
    return "This CPU supports bfloat16: --set train.precision=mixed_bfloat16 usually trains 1.4 to 2.5 times as fast."
